"""Ink as pictures: size, proportion, dots, and what must not matter."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latexocr.data.handwrite import LONGEST_SIDE, PLAIN, Pen, any_pen, draw_ink, symbol_size

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


def test_x_and_y_keep_their_proportion():
    sheet = [[(0, 0), (300, 0), (300, 100), (0, 100), (0, 0)]]
    left, top, right, bottom = ink_box(draw_ink(sheet, symbol=300, pen=Pen(width=0.01)))
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


def thickness(image, line: int) -> int:
    """Dark pixels of a row."""
    return int((np.asarray(image)[line] < 128).sum())


def test_an_upright_line_leans_as_far_as_the_slant_says():
    left, top, right, bottom = ink_box(draw_ink([[(0, 0), (0, 100)]], symbol=200, pen=Pen(width=0.02, slant=0.5)))
    assert (right - left) / (bottom - top) == pytest.approx(0.5, rel=0.05)
    leaning = np.asarray(draw_ink([[(0, 0), (0, 100)]], symbol=200, pen=Pen(width=0.02, slant=0.5))) < 128
    assert np.flatnonzero(leaning[top + 5])[0] > np.flatnonzero(leaning[bottom - 5])[-1], "its top is at the right"


@pytest.mark.parametrize("pressure", [0.3, 0.6])
def test_a_pen_writes_thinner_upwards_and_at_the_ends(pressure):
    down, up, pen = [(0, 0), (0, 100)], [(0, 100), (0, 0)], Pen(pressure=pressure)
    falling, rising, even = (draw_ink([line], symbol=400, pen=p) for line, p in ((down, pen), (up, pen), (up, PLAIN)))
    middle = even.height // 2
    assert thickness(falling, middle) == pytest.approx(thickness(even, middle), abs=2)
    assert thickness(rising, middle) == pytest.approx((1 - pressure) * thickness(even, middle), abs=2)
    top = ink_box(falling)[1]
    assert thickness(falling, top + 25) < thickness(falling, middle)


def test_pens_differ_and_come_again_from_the_same_seed():
    pens = [any_pen(np.random.default_rng(seed)) for seed in range(200)]
    assert pens == [any_pen(np.random.default_rng(seed)) for seed in range(200)] and len(set(pens)) == 200
    widths, slants, pressures = np.array([(pen.width, pen.slant, pen.pressure) for pen in pens]).T
    assert 0.05 <= widths.min() < 0.07 and 0.15 < widths.max() <= 0.2
    assert slants.min() < -0.2 and slants.max() > 0.3 and pressures.min() < 0.05 and pressures.max() > 0.6


def test_a_pen_pressed_evenly_and_one_hardly_less_draw_nearly_the_same():
    even, other = (np.asarray(draw_ink(CROSS, pen=pen)).astype(int) for pen in (PLAIN, Pen(pressure=1e-9)))
    assert even.shape == other.shape and np.abs(even - other).mean() < 2


def test_ink_of_absurd_length_is_drawn_all_the_same():
    zigzag = [(x, 100 * (x % 2)) for x in range(2000)]
    start = time.perf_counter()
    image = draw_ink([zigzag] * 50 + [[(0, 0), (1e-300, 0)], [(0, 0), (1e-9, 1e-9)]], pen=Pen(pressure=0.5))
    assert np.asarray(image).min() == 0 and time.perf_counter() - start < 30


@settings(max_examples=40, deadline=None)
@given(strokes, st.builds(Pen, st.floats(0.01, 0.5), st.floats(-1, 1), st.floats(0, 1)))
def test_any_ink_becomes_a_picture_with_something_on_it(ink, pen):
    image = draw_ink(ink, smooth=1, pen=pen)
    assert min(image.size) >= 1 and max(image.size) <= LONGEST_SIDE + 1
    assert np.asarray(image).min() < 128
