"""Ink as pictures: size, proportion, dots, and what must not matter."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latexocr.data.handwrite import LONGEST_SIDE, draw_ink, symbol_size

CROSS = [[(0, 0), (100, 100)], [(0, 100), (100, 0)]]
strokes = st.lists(
    st.lists(st.tuples(st.floats(-1e4, 1e4), st.floats(-1e4, 1e4)), min_size=1, max_size=8), min_size=1, max_size=5)


def ink_box(image):
    rows, columns = np.nonzero(np.asarray(image) < 128)
    return columns.min(), rows.min(), columns.max(), rows.max()


def test_black_on_white_with_soft_edges_and_a_margin():
    image = draw_ink(CROSS)
    pixels = np.asarray(image)
    assert image.mode == "L" and pixels.min() == 0 and pixels.max() == 255
    assert len(np.unique(pixels)) > 4
    edge = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    assert (edge == 255).all()


def test_a_typical_symbol_has_the_size_asked_for_whatever_the_unit_of_the_pen():
    for unit in (0.001, 1, 1000):
        left, top, right, bottom = ink_box(draw_ink(np.array(CROSS) * unit, symbol=40))
        assert right - left == pytest.approx(43, abs=2) and bottom - top == pytest.approx(43, abs=2)


def test_height_is_that_of_the_picture():
    assert draw_ink(CROSS, height=64).height == 64


def test_x_and_y_keep_their_proportion():
    sheet = [[(0, 0), (300, 0), (300, 100), (0, 100), (0, 0)]]
    left, top, right, bottom = ink_box(draw_ink(sheet, symbol=300, pen=0.01))
    assert (right - left) / (bottom - top) == pytest.approx(3, rel=0.03)


def test_y_grows_downwards_and_x_to_the_right():
    pixels = np.asarray(draw_ink([[(0, 0), (100, 0)], [(0, 0), (0, 100)]]))
    half = np.array(pixels.shape) // 2
    assert (pixels[: half[0], half[1] :] < 128).any() and not (pixels[half[0] + 3 :, half[1] + 3 :] < 128).any()


def test_line_width_follows_the_symbols_not_the_number_of_lines():
    one = [[(0, 0), (0, 100)]]
    many = [[(0, y), (0, y + 100)] for y in range(0, 1000, 200)]
    thickness = [int((np.asarray(draw_ink(lines, symbol=100))[60] < 128).sum()) for lines in (one, many)]
    assert thickness[0] == thickness[1] == pytest.approx(10, abs=1)


@pytest.mark.parametrize("dot", [[(150, 0)], [(150, 0)] * 5, [(150, 0, 12.5, 0.3)]])
def test_a_stroke_that_does_not_move_is_a_dot(dot):
    with_dot, without = draw_ink([*CROSS, dot]), draw_ink(CROSS)
    assert with_dot.width > without.width
    left, top, right, bottom = ink_box(with_dot.crop((without.width, 0, *with_dot.size)))
    assert 3 <= right - left + 1 <= 7 and 3 <= bottom - top + 1 <= 7


def test_a_dot_alone_is_round_and_in_the_middle():
    image = draw_ink([[(7, 7)]], symbol=300)
    left, top, right, bottom = ink_box(image)
    assert abs((right - left) - (bottom - top)) <= 1 and image.getpixel((left, top)) > 128  # no square
    assert (left + right) / 2 == pytest.approx(image.width / 2, abs=1)
    assert (top + bottom) / 2 == pytest.approx(image.height / 2, abs=1)


def test_repeated_points_time_and_pressure_are_of_no_matter():
    rich = [[(x, y, t, 0.5) for x, y in stroke for t in (1, 2)] for stroke in CROSS]
    assert draw_ink(rich) == draw_ink(CROSS)


def test_points_that_are_not_finite_are_left_out():
    assert draw_ink([*CROSS, [(float("nan"), 5)], [(float("inf"), 5)]]) == draw_ink(CROSS)


@pytest.mark.parametrize("nothing", [[], [[]], [[(float("nan"), 0.0)]]])
def test_no_ink_is_said(nothing):
    with pytest.raises(ValueError, match="no ink"):
        draw_ink(nothing)


def test_absurd_proportions_do_not_fill_the_memory():
    image = draw_ink([[(0, 0), (0, 10)]] * 9 + [[(0, 0), (1_000_000, 0)], [(0, 0), (900_000, 5)]] * 2, symbol=28)
    assert max(image.size) <= LONGEST_SIDE + 1


def test_symbol_size_leaves_dots_out():
    assert symbol_size([[(0, 0), (10, 40)], [(5, 5)], [(6, 6)], [(7, 7)]]) == 40


@settings(max_examples=40, deadline=None)
@given(strokes)
def test_any_ink_becomes_a_picture_with_something_on_it(ink):
    image = draw_ink(ink, smooth=1)
    assert min(image.size) >= 1 and max(image.size) <= LONGEST_SIDE + 1
    assert np.asarray(image).min() < 128
