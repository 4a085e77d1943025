"""What happens to a picture on its way leaves it readable."""

from __future__ import annotations

import time

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from latexocr.data.degradations import Frame
from latexocr.data.degrade import DEGRADATIONS, STRENGTHS, degrade, degrade_picture
from latexocr.reading.images import prepare

SEEDS = range(20)
IN_FRAME = [name for name, degradation in DEGRADATIONS.items() if degradation.share]


def page(size: int = 1) -> np.ndarray:
    """A formula of thin and thick strokes, as training draws it: black on white, symbols about 13 pixels high."""
    picture = Image.new("L", (192 * size, 48 * size), 255)
    draw = ImageDraw.Draw(picture)
    draw.text((8 * size, 12 * size), "f(x)=a+b, k<3.5 i", fill=0, font=ImageFont.load_default(size=19 * size))
    draw.line([120 * size, 40 * size, 180 * size, 40 * size], fill=0, width=size)
    return np.asarray(picture)


def likeness(one: np.ndarray, other: np.ndarray) -> float:
    """Correlation of the ink as seen from afar, 1 for the same picture under whatever light."""
    def seen(pixels: np.ndarray) -> np.ndarray:
        near, far = (Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(radius)) for radius in (2, 12))
        return (np.asarray(near).astype(float) - np.asarray(far)).ravel()

    return float(np.corrcoef(seen(one), seen(other))[0, 1])


def changed(name: str, seed: int, picture: np.ndarray | None = None, strength: float = 0.5) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return DEGRADATIONS[name].apply(page() if picture is None else picture, rng, strength, Frame())


def photographed(name: str, strength: float = 1.0, image: Image.Image | None = None, seed: int = 0) -> Image.Image:
    image = Image.fromarray(page(3)) if image is None else image
    return degrade_picture(image, {name: strength}, np.random.default_rng(seed))


@pytest.mark.parametrize("strength", [0.0, *STRENGTHS.values()])
@pytest.mark.parametrize("name", IN_FRAME)
def test_a_degradation_changes_the_picture_and_leaves_it_readable(name, strength):
    before = page()
    for seed in SEEDS:
        after = changed(name, seed, before, strength)
        assert after.shape == before.shape and after.dtype == np.uint8
        assert strength == 0 or not np.array_equal(after, before)
        assert likeness(after, before) > 0.5, seed
        assert np.array_equal(after, changed(name, seed, before, strength))
    assert np.array_equal(before, page()), "the picture given was written on"


@pytest.mark.parametrize("name", sorted(set(IN_FRAME) - {"jpeg", "thicken", "thin", "blur", "resolution"}))
def test_another_seed_is_another_picture(name):
    assert len({changed(name, seed).tobytes() for seed in SEEDS}) > len(SEEDS) / 2


@pytest.mark.parametrize("name", [name for name in IN_FRAME if name != "neighbours"])
def test_more_strength_is_more_change(name):
    def change(strength):
        return np.mean([np.abs(changed(name, seed, page(), strength).astype(int) - page()).mean() for seed in SEEDS])

    assert change(1.0) > change(0.5) > change(0.1), name


@pytest.mark.parametrize("name", IN_FRAME)
@pytest.mark.parametrize("size", [(1, 1), (3, 200), (256, 2)])
def test_the_smallest_pictures_pass(name, size):
    for grey in (0, 255):
        assert changed(name, 0, np.full(size, grey, np.uint8)).shape == size


@pytest.mark.parametrize(("name", "sign"), [("thicken", 1), ("thin", -1)])
def test_strokes_become_wider_or_narrower(name, sign):
    for strength in STRENGTHS.values():
        ink = (255 - changed(name, 0, page(), strength).astype(float)).sum() / (255 - page().astype(float)).sum()
        assert 0.4 < ink < 2.5 and sign * (ink - 1) > 0.01


def test_thinning_leaves_the_thinnest_line():
    assert changed("thin", 0, page(), 1.0)[40, 125:175].max() < 160


def test_contrast_leaves_ink_and_paper_apart():
    for seed in SEEDS:
        faded = changed("contrast", seed, page(), 1.0).astype(int)
        assert faded.max() - faded.min() > 80 and faded.max() >= 0.85 * 255 - 1


def test_leaning_moves_the_top_against_the_bottom_by_a_few_pixels():
    post = np.full((60, 60), 255, np.uint8)
    post[:, 29:31] = 0
    shifts = []
    for seed in SEEDS:
        leaning = 255 - changed("skew", seed, post, 1.0).astype(float)
        top, bottom = ((rows * np.arange(60)).sum() / rows.sum() for rows in (leaning[2], leaning[57]))
        shifts.append(abs(top - bottom))
    assert max(shifts) <= 7 and np.mean(shifts) > 2


def test_the_rest_of_another_line_lies_at_an_edge_and_touches_no_ink():
    text = np.full((40, 200), 255, np.uint8)
    text[12:28, 20:180:8] = 0
    found = set()
    for seed in SEEDS:
        new = (changed("neighbours", seed, text, 0.6) < 200) & (text == 255)
        rows = np.flatnonzero(new.any(axis=1))
        assert len(rows) and not new[8:32].any(), seed
        found |= {"above"} if rows.min() < 8 else set()
        found |= {"below"} if rows.max() >= 32 else set()
    assert found == {"above", "below"}


def test_a_third_of_the_pictures_stays_as_it_is():
    found = [np.array_equal(degrade(page(), np.random.default_rng(seed)), page()) for seed in range(400)]
    untouched = np.prod([1 - degradation.share for degradation in DEGRADATIONS.values()])
    assert np.mean(found) == pytest.approx(untouched, abs=0.08) and 0.25 < untouched < 0.45


def test_all_that_chance_brings_together_is_reproducible_and_readable():
    for seed in range(100):
        after = degrade(page(), np.random.default_rng(seed))
        assert after.shape == page().shape and after.dtype == np.uint8
        assert likeness(after, page()) > 0.4, seed
        assert np.array_equal(after, degrade(page(), np.random.default_rng(seed)))


def test_degrading_keeps_up_with_training():
    rng, picture = np.random.default_rng(0), np.pad(page(), ((8, 8), (54, 54)), constant_values=255)
    started = time.process_time()
    for _ in range(500):
        degrade(picture, rng)
    assert (time.process_time() - started) / 500 < 0.0015, "a picture should take a quarter of a millisecond"


@pytest.mark.parametrize("mode", ["L", "RGB", "1", "RGBA", "P", "CMYK"])
@pytest.mark.parametrize("name", DEGRADATIONS)
def test_pictures_of_users_stay_pictures_that_can_be_read(name, mode):
    after = photographed(name, image=Image.fromarray(page(3)).convert(mode))
    assert after.mode == ("RGB" if name == "colour" or mode not in ("L", "1") else "L")
    assert prepare(after).size[0] > 100


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_a_picture_of_a_user_is_the_same_by_the_same_seed(name):
    assert photographed(name, seed=4) == photographed(name, seed=4)


@pytest.mark.parametrize(("name", "smallest", "largest"),
                         [("smaller", 0.49, 0.51), ("larger", 2.99, 3.01), ("margins", 1.1, 5.1), ("invert", 1, 1)])
def test_sizes(name, smallest, largest):
    width, height = photographed(name).size
    assert smallest <= width / 576 <= largest and smallest <= height / 144 <= largest


def test_inverted_is_light_on_dark_and_coloured_has_colours():
    assert np.median(np.asarray(photographed("invert"))) == 0
    pixels = np.asarray(photographed("colour")).astype(int)
    assert np.ptp(pixels, axis=2).max() > 20
    grey = pixels.mean(axis=2)
    assert grey.max() - grey.min() > 60


def test_light_ink_on_dark_paper_stays_so():
    dark = Image.fromarray(255 - page(3))
    for name in ("blur", "neighbours", "perspective", "margins"):
        assert np.median(np.asarray(photographed(name, image=dark))) < 30, name


def test_several_happen_in_the_order_of_the_table_within_one_frame():
    both = degrade_picture(Image.fromarray(page(3)), {"shadow": 0.5, "skew": 0.5}, np.random.default_rng(0))
    other = degrade_picture(Image.fromarray(page(3)), {"skew": 0.5, "shadow": 0.5}, np.random.default_rng(0))
    assert both == other and both.size == photographed("skew").size and both != photographed("skew", 0.5)


def test_the_channels_of_a_coloured_picture_move_together():
    red = Image.merge("RGB", [Image.new("L", (576, 144), 255), *[Image.fromarray(page(3))] * 2])
    moved = np.asarray(photographed("perspective", image=red))
    assert (moved[..., 1] == moved[..., 2]).all() and moved[..., 0].min() > 250 > 60 > moved[..., 1].min()


def test_transparent_paper_is_white_paper():
    clear = Image.new("RGBA", (576, 144), (0, 0, 0, 0))
    clear.putalpha(Image.fromarray(255 - page(3)))
    assert np.median(np.asarray(photographed("blur", image=clear))) > 250


def test_the_strength_of_a_blur_grows_with_the_picture():
    """A picture three times as large, blurred and made small again, looks as blurred as the small one."""
    def left(size: int) -> float:
        blurred = np.asarray(photographed("blur", image=Image.fromarray(page(size))).resize((215, 71)), dtype=float)
        return float(blurred.std())

    assert left(4) == pytest.approx(left(1), rel=0.25)


def test_brackets_do_not_make_a_blur_stronger():
    """Letters between tall brackets stay as sharp as without them."""
    letters = Image.new("L", (400, 400), 255)
    ImageDraw.Draw(letters).text((60, 60), "a b\nc d\ne f\ng h", fill=0, font=ImageFont.load_default(size=19))
    matrix = letters.copy()
    for left in (20, 180):
        ImageDraw.Draw(matrix).rectangle([left, 10, left + 3, 390], fill=0)
    middle = (48, 48, 172, 300)
    without, within = (np.asarray(photographed("blur", image=image)) for image in (letters, matrix))
    room = (without.shape[0] - 400) // 2
    middle = tuple(side + room for side in middle)
    assert np.abs(without.astype(int) - within)[middle[1]:middle[3], middle[0]:middle[2]].max() <= 2


@pytest.mark.parametrize("name", DEGRADATIONS)
@pytest.mark.parametrize("size", [(1, 1), (200, 3), (2, 256)])
def test_the_smallest_pictures_of_users_pass(name, size):
    assert min(photographed(name, image=Image.new("L", size, 255)).size) >= 1


@pytest.mark.parametrize("seed", range(4))
def test_ink_at_the_edge_of_a_picture_has_room_to_move(seed):
    """A screenshot cut close to its formula loses none of it when it is turned."""
    ink = np.zeros((40, 300), np.uint8)
    ink[:, ::20] = ink[:, 1::20] = ink[:2] = ink[-2:] = 255
    turned = degrade_picture(Image.fromarray(255 - ink), {"skew": 1.0}, np.random.default_rng(seed))
    assert (255.0 - np.asarray(turned)).sum() == pytest.approx(ink.sum(dtype=float), rel=0.03)
