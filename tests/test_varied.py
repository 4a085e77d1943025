"""A varied picture is another one that reads the same: same frame, ink inside it, and not the same twice."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from latexocr.training.varied import varied
from tests.conftest import drawn


def ink(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture.convert("L")) < 128


@given(width=st.integers(8, 400), height=st.integers(8, 80), seed=st.integers(0, 2**32))
def test_ink_stays_inside_a_frame_of_the_same_size(width, height, seed):
    picture = Image.new("RGB", (width, height), "white")
    ImageDraw.Draw(picture).rectangle((2, 2, width - 3, height - 3), fill="black")
    found = varied(picture, np.random.default_rng(seed))
    assert (found.size, found.mode) == (picture.size, "RGB")
    # A bar around the frame would be the ink that was pushed over the edge: corners are free of a leaning box.
    assert ink(found).any()
    edge = np.concatenate([ink(found)[0], ink(found)[-1], ink(found)[:, 0], ink(found)[:, -1]])
    assert edge.mean() < 0.5


def test_every_showing_is_another_and_each_can_be_had_again():
    picture = drawn(1)[0].image.convert("RGB")
    shown = [varied(picture, np.random.default_rng(number)).tobytes() for number in (1, 2, 1)]
    assert shown[0] == shown[2]
    assert len({picture.tobytes(), *shown}) == 3


def test_the_amount_of_ink_stays_about_the_same():
    picture = Image.new("L", (200, 60), 255)
    ImageDraw.Draw(picture).text((20, 10), "x^2+y", fill=0, font_size=30)
    before = ink(picture).sum()
    after = [ink(varied(picture, np.random.default_rng(seed))).sum() for seed in range(50)]
    assert 0.5 * before < np.mean(after) < 1.5 * before


def test_an_empty_picture_stays_empty():
    blank = Image.new("RGB", (40, 20), "white")
    assert varied(blank, np.random.default_rng(0)).tobytes() == blank.tobytes()


@pytest.mark.parametrize("vary", [False, True])
def test_training_shows_varied_pictures_if_asked(vary, tmp_path):
    """The collator draws on the number of the showing, which only a varied run's rows have."""
    from latexocr.reading.inputs import load_processor
    from latexocr.training.collate import Collator, Example
    from latexocr.training.pictures import pack
    from tests.families import FAMILIES

    FAMILIES["qwen3_vl"](tmp_path)
    processor = load_processor(tmp_path)
    sample = drawn(1)[0]
    collator = Collator(processor, [Example("a", pack(sample.image), "x")], {processor.tokenizer.eos_token_id})
    rows = [{"sample": 0} | ({"showing": number} if vary else {}) for number in (1, 2)]
    one, two = (collator([row])["pixel_values"] for row in rows)
    assert one.shape == two.shape
    assert bool((one == two).all()) is not vary
