"""The one preparation of a picture: whatever the file, the same formula comes out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageOps

from latexocr.errors import UserError
from latexocr.reading.images import (
    GLYPH_HEIGHT,
    HEIGHTS,
    LARGEST_SIDE,
    MARGIN,
    WIDTHS,
    canvas,
    fit,
    flatten,
    place,
    prepare,
)

IMAGES = Path(__file__).parent / "images"


def formula(height: int = 20, count: int = 6) -> Image.Image:
    """Upright bars of one height: symbols whose scale is known."""
    picture = Image.new("L", (count * height + 40, height * 3), 255)
    draw = ImageDraw.Draw(picture)
    for i in range(count):
        draw.rectangle([20 + i * height, height, 20 + i * height + height // 3, 2 * height - 1], fill=0)
    return picture


@pytest.mark.parametrize("height", [12, 20, 45, 90])
def test_symbols_come_to_one_height_whatever_the_resolution(height):
    fitted = fit(np.asarray(formula(height)))
    assert fitted.pixels.shape[0] == pytest.approx(GLYPH_HEIGHT, abs=1)
    assert fitted.scale == pytest.approx(GLYPH_HEIGHT / height, rel=0.05)


@pytest.mark.parametrize("rows", [1, 4, 12])
def test_the_brackets_of_a_matrix_are_no_measure_of_its_symbols(rows):
    picture = Image.new("L", (220, 40 * rows + 40), 255)
    draw = ImageDraw.Draw(picture)
    for left in (10, 200):
        draw.rectangle([left, 10, left + 3, 40 * rows + 20], fill=0)
    for row in range(rows):
        for left in (60, 100, 140):
            draw.rectangle([left, 40 * row + 20, left + 11, 40 * row + 35], fill=0)
    assert fit(np.asarray(picture)).scale == pytest.approx(min(GLYPH_HEIGHT / 16, 248 / (40 * rows + 11)), rel=0.05)


@pytest.mark.parametrize("size", [3, 4, 6, 9, 13, 26])
def test_scripts_count_as_symbols_at_any_size(size):
    """Ten scripts of three quarters of the height beside three letters: the scripts are the median."""
    picture = Image.new("L", (16 * size * 2, 4 * size), 255)
    draw = ImageDraw.Draw(picture)
    script = round(0.75 * size)
    for i in range(13):
        left, height = size + 2 * size * i, size if i < 3 else script
        draw.rectangle([left, size, left + height - 1, size + height - 1], fill=0)
    assert fit(np.asarray(picture)).scale == pytest.approx(min(GLYPH_HEIGHT / script, 6), rel=0.01)


def test_a_pale_bar_joined_to_the_last_letter_stays_and_a_shadow_does_not():
    picture = np.asarray(formula(20)).copy()
    last = int(np.flatnonzero((picture < 128).any(axis=0)).max())
    picture[20:40, last + 1: last + 4] = 200  # As the end of |x| is in a small picture.
    with_bar = fit(picture)
    assert with_bar.pixels.shape[1] == pytest.approx((last + 4 - 20) * with_bar.scale, abs=1)
    picture[30:, last:] = 200
    assert fit(picture).pixels.shape[1] < with_bar.pixels.shape[1] + 8


def test_many_dots_beside_one_letter_are_no_symbols():
    picture = Image.new("L", (400, 100), 255)
    draw = ImageDraw.Draw(picture)
    draw.rectangle([300, 30, 329, 69], fill=0)
    for left in range(20, 260, 20):
        draw.rectangle([left, 50, left + 4, 54], fill=0)
    assert fit(np.asarray(picture)).scale == pytest.approx(GLYPH_HEIGHT / 40, rel=0.05)


@pytest.mark.parametrize("change", [
    pytest.param(lambda p: Image.fromarray(255 - np.asarray(p)), id="dark"),
    pytest.param(lambda p: p.point(lambda v: 120 + v // 4), id="faint"),
    pytest.param(lambda p: Image.merge("RGBA", [Image.new("L", p.size, 0)] * 3 + [p.point(lambda v: 255 - v)]),
                 id="transparent"),
    pytest.param(lambda p: Image.merge("RGBA", [Image.new("L", p.size, 255)] * 3 + [p.point(lambda v: 255 - v)]),
                 id="white on transparent"),
    pytest.param(lambda p: Image.fromarray(np.asarray(p).astype(np.uint16) * 257), id="16 bit"),
    pytest.param(lambda p: np.asarray(p.convert("RGB")), id="array"),
    pytest.param(lambda p: with_border(p, 200), id="wide margin"),
])
def test_the_same_formula_in_another_dress_is_prepared_alike(change):
    plain, dressed = np.asarray(prepare(formula())), np.asarray(prepare(change(formula())))
    assert plain.shape == dressed.shape
    assert np.abs(plain.astype(int) - dressed).mean() < 2


def with_border(picture: Image.Image, border: int) -> Image.Image:
    return ImageOps.expand(picture, border, fill=255)


@pytest.mark.parametrize("path", [p for p in sorted(IMAGES.glob("*.*")) if p.suffix not in (".py", ".md")],
                         ids=lambda p: p.name)
def test_every_edge_case_gives_a_canvas_or_one_line(path):
    try:
        prepared = prepare(path)
    except UserError as e:
        assert str(path) in str(e) and "\n" not in str(e)
    else:
        assert prepared.mode == "RGB" and prepared.height in HEIGHTS and prepared.width in WIDTHS


def test_a_full_stop_at_the_end_is_not_taken_for_dirt():
    picture = formula(40)
    ImageDraw.Draw(picture).rectangle([270, 72, 276, 78], fill=0)
    without = fit(np.asarray(formula(40))).pixels.shape[1]
    assert fit(np.asarray(picture)).pixels.shape[1] > without + 5


def test_faint_dots_of_a_small_picture_stay():
    """Three dots and a full stop, each one grey pixel, beside letters of six: as TeX draws them at 65 dots an inch."""
    small = np.full((20, 60), 255, np.uint8)
    small[7:13, 5:9] = small[7:13, 12:16] = 0
    alone = fit(small)
    small[10, [22, 29, 36]] = small[12, 40] = 180
    small[12, 55] = 180  # Too far to belong to it.
    dotted = fit(small)
    assert (alone.left, alone.top, alone.scale) == (dotted.left, dotted.top, dotted.scale)
    assert [round(fitted.pixels.shape[1] / fitted.scale) for fitted in (alone, dotted)] == [16 - 5, 41 - 5]


def test_specks_do_not_move_the_crop():
    noisy = np.asarray(formula(40)).copy()
    noisy[3, 3] = noisy[110, 5] = 0
    assert fit(noisy).pixels.shape == fit(np.asarray(formula(40))).pixels.shape


def test_dirt_far_from_everything_does_not_move_the_crop():
    dirty = np.asarray(with_border(formula(40), 150)).copy()
    dirty[20:26, 30:36] = 0
    assert fit(dirty).pixels.shape == fit(np.asarray(formula(40))).pixels.shape


def test_grey_letters_beside_a_black_speck_are_the_ink():
    """As in a scan: flattened, the speck alone is black, and the letters are lighter than ink used to be."""
    grey = np.asarray(formula().point(lambda v: 175 if v < 128 else 255)).copy()
    alone = fit(np.asarray(formula()))
    grey[30, 100:102] = 0
    found = fit(grey)
    assert found.pixels.shape == alone.pixels.shape and (found.left, found.top) == (alone.left, alone.top)


@pytest.mark.parametrize("size", [(5000, 3000), (20, 20000), (3000, 30)])
def test_anything_fits_a_canvas(size):
    grey = np.full(size, 255, np.uint8)
    grey[1:-1, 1:-1] = 0
    rows, columns = place(fit(grey).pixels).shape
    assert rows in HEIGHTS and columns in WIDTHS


def test_the_canvas_is_the_smallest_that_holds_ink_and_margin():
    assert canvas(HEIGHTS[0] - 2 * MARGIN, WIDTHS[0] - 2 * MARGIN) == (HEIGHTS[0], WIDTHS[0])
    assert canvas(HEIGHTS[0] - 2 * MARGIN + 1, WIDTHS[0] - 2 * MARGIN + 1) == (HEIGHTS[1], WIDTHS[1])


@pytest.mark.parametrize("darkest", [200, 120])
def test_uneven_light_on_paper_is_divided_out(darkest):
    """As on a photograph: paper is paper and ink is ink at both ends."""
    light = np.linspace(255, darkest, 400)[None, :].repeat(200, axis=0)
    ink = np.zeros((200, 400), bool)
    ink[90:110, 40:50] = ink[90:110, 200:210] = ink[90:110, 350:360] = True
    found = flatten(np.where(ink, 0.1 * light, light).astype(np.uint8))
    assert found[~ink].min() > 235 and found[ink].max() < 20


@pytest.mark.parametrize("grey", [0, 20, 30])
def test_a_black_part_of_a_picture_is_no_shade(grey):
    """What is dark from edge to edge is not brought to the light of paper, and neither is its noise."""
    picture = np.full((200, 400), 255, np.uint8)
    picture[90:110, 40:60] = 0
    picture[:, 260:] = grey
    assert np.array_equal(flatten(picture), picture)


def test_what_is_larger_than_any_scan_is_shrunk_before_all_else():
    large = Image.new("L", (LARGEST_SIDE * 2 + 1, 300), 255)
    large.paste(0, (100, 100, 2000, 200))
    assert flatten(large).shape == (100, -(-(LARGEST_SIDE * 2 + 1) // 3))
    large = large.crop((0, 0, LARGEST_SIDE, 300))
    assert flatten(large).shape == (300, LARGEST_SIDE)


def test_blank_paper_is_refused():
    with pytest.raises(UserError, match="no ink"):
        flatten(Image.new("L", (50, 50), 255))
