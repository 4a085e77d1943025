"""What happens to a picture on its way leaves it readable."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from latexocr.data.degrade import DEGRADATIONS, degrade

SEEDS = range(40)


def page() -> np.ndarray:
    """A formula of thin and thick strokes, as training draws it: black on white, symbols about 13 pixels high."""
    picture = Image.new("L", (192, 48), 255)
    draw = ImageDraw.Draw(picture)
    draw.text((8, 12), "f(x)=a+b, k<3.5 i", fill=0, font=ImageFont.load_default(size=19))
    draw.line([120, 40, 180, 40], fill=0)
    return np.asarray(picture)


def likeness(one: np.ndarray, other: np.ndarray) -> float:
    """Correlation of the ink, 1 for the same picture however bright."""
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


def changed(name: str, seed: int, picture: np.ndarray | None = None) -> np.ndarray:
    return DEGRADATIONS[name][0](page() if picture is None else picture, np.random.default_rng(seed))


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_a_degradation_changes_the_picture_and_leaves_it_readable(name):
    before = page()
    for seed in SEEDS:
        after = changed(name, seed, before)
        assert after.shape == before.shape and after.dtype == np.uint8
        assert not np.array_equal(after, before)
        assert likeness(after, before) > 0.6, seed
        assert np.array_equal(after, changed(name, seed))
    assert np.array_equal(before, page()), "the picture given was written on"


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_another_seed_is_another_picture(name):
    assert len({changed(name, seed).tobytes() for seed in SEEDS}) > len(SEEDS) / 2


@pytest.mark.parametrize("name", DEGRADATIONS)
@pytest.mark.parametrize("size", [(1, 1), (3, 200), (256, 2)])
def test_the_smallest_pictures_pass(name, size):
    assert changed(name, 0, np.zeros(size, np.uint8)).shape == size


@pytest.mark.parametrize(("name", "sign"), [("thicken", 1), ("thin", -1)])
def test_strokes_become_wider_or_narrower(name, sign):
    for seed in SEEDS:
        ink = (255 - changed(name, seed).astype(float)).sum() / (255 - page().astype(float)).sum()
        assert 0.4 < ink < 2.5 and sign * (ink - 1) > 0.01


def test_thinning_leaves_the_thinnest_line():
    for seed in SEEDS:
        assert changed("thin", seed)[40, 125:175].max() < 160


def test_fading_leaves_ink_and_paper_apart():
    for seed in SEEDS:
        faded = changed("fade", seed).astype(int)
        assert faded.max() - faded.min() > 100 and faded.max() >= 0.85 * 255 - 1


def test_leaning_moves_the_top_against_the_bottom_by_a_few_pixels():
    post = np.full((60, 60), 255, np.uint8)
    post[:, 29:31] = 0
    shifts = []
    for seed in SEEDS:
        leaning = 255 - changed("skew", seed, post).astype(float)
        top, bottom = ((rows * np.arange(60)).sum() / rows.sum() for rows in (leaning[2], leaning[57]))
        shifts.append(abs(top - bottom))
    assert max(shifts) < 6 and np.mean(shifts) > 1


def test_a_third_of_the_pictures_stays_as_it_is():
    found = [np.array_equal(degrade(page(), np.random.default_rng(seed)), page()) for seed in range(400)]
    untouched = np.prod([1 - share for _, share in DEGRADATIONS.values()])
    assert np.mean(found) == pytest.approx(untouched, abs=0.08) and 0.25 < untouched < 0.45


def test_all_that_chance_brings_together_is_reproducible_and_readable():
    for seed in range(200):
        after = degrade(page(), np.random.default_rng(seed))
        assert after.shape == page().shape and after.dtype == np.uint8
        assert likeness(after, page()) > 0.5, seed
        assert np.array_equal(after, degrade(page(), np.random.default_rng(seed)))
