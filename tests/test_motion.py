"""The movement of a hand: strokes stay strokes, in order and near; what is asked for happens, and no more."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latexocr.data import motion
from latexocr.data.strokes import Shape

LENGTHS = st.lists(st.integers(1, 9), min_size=1, max_size=8)


def strokes(lengths: list[int], seed: int) -> tuple[np.ndarray, np.ndarray]:
    ends = np.cumsum(lengths)
    return np.random.default_rng(seed).normal(0, 1, (ends[-1], 2)), ends


def shape(*lines: list[tuple[float, float]]) -> Shape:
    return Shape(np.concatenate([np.array(line, np.float32) for line in lines]),
                 tuple(np.cumsum([len(line) for line in lines]).tolist()), None, False)


PLUS = shape([(0.5, 0), (0.5, 1)], [(0, 0.5), (1, 0.5)])
DOTTED = shape([(0.5, 0.3), (0.5, 1)], [(0.5, 0), (0.52, 0.05)])
FAR = shape([(0, 0), (1, 0)], [(0, 1), (1, 1)])


@pytest.mark.parametrize(("given_shape", "share", "ends"), [
    (PLUS, 1.0, (4,)), (PLUS, 0.0, (2, 4)), (DOTTED, 1.0, (2, 4)), (FAR, 1.0, (2, 4)),
    (shape([(0, 0), (1, 1)]), 1.0, (2,)),
])
def test_a_pen_that_does_not_lift_joins_near_strokes_but_no_dots(given_shape, share, ends):
    joined = motion.joined(given_shape, share, np.random.default_rng(0))
    assert joined.ends == ends and np.array_equal(joined.points, given_shape.points)


@given(LENGTHS, st.integers(0, 99))
def test_rounding_keeps_every_point_and_puts_one_between(lengths, seed):
    points, ends = strokes(lengths, seed)
    result, found = motion.rounded(points, ends)
    assert found.tolist() == np.cumsum([2 * n - 1 for n in lengths]).tolist()
    starts = [0, *found[:-1]]
    assert np.array_equal(np.concatenate([result[a:b:2] for a, b in zip(starts, found)]), points)


def test_rounding_bends_a_corner_but_no_straight_line():
    line = np.stack([np.arange(5.0), np.zeros(5)], axis=1)
    assert np.allclose(motion.rounded(line, np.array([5]))[0][:, 1], 0)
    circle = np.stack([np.cos(0.7 * np.arange(9)), np.sin(0.7 * np.arange(9))], axis=1)
    between = motion.rounded(circle, np.array([9]))[0][3:-3:2]
    assert np.abs(np.hypot(*between.T) - 1).max() < 0.02 < 1 - np.hypot(*((circle[1:] + circle[:-1]) / 2).T).max()


@given(LENGTHS, st.integers(0, 99), st.integers(0, 4))
def test_smoothing_moves_no_end_and_never_lengthens(lengths, seed, passes):
    points, ends = strokes(lengths, seed)
    result = motion.smoothed(points, ends, passes)
    for a, b in zip([0, *ends[:-1]], ends):
        assert np.array_equal(result[[a, b - 1]], points[[a, b - 1]])
        length = [np.hypot(*np.diff(p[a:b], axis=0).T).sum() for p in (result, points)]
        assert length[0] <= length[1] + 1e-9
    assert passes or np.array_equal(result, points)


@given(LENGTHS, st.integers(0, 99))
def test_ends_are_looser_than_what_is_between(lengths, seed):
    points, ends = strokes(lengths, seed)
    still = motion.loosened(points, ends, np.zeros(len(ends)), np.random.default_rng(seed))
    assert np.array_equal(still, points)
    points, ends = strokes([9] * 200, seed)
    moved = np.abs(motion.loosened(points, ends, np.ones(200), np.random.default_rng(seed)) - points).reshape(200, 9, 2)
    assert moved[:, 4].mean() < 0.3 * min(moved[:, 0].mean(), moved[:, 8].mean())


def test_wobble_is_as_large_as_asked_for_each_character():
    unit = np.random.default_rng(0).uniform(-0.5, 0.5, (400, 2))
    owners = np.repeat([0, 1], 200)
    moved = motion.wobbled(unit, unit, owners, np.array([0.0, 0.1]), np.random.default_rng(1)) - unit
    assert np.array_equal(moved[:200], np.zeros((200, 2))) and 0.03 < np.abs(moved[200:]).mean() < 0.2


@given(st.lists(st.floats(0, 300), min_size=2, max_size=30), st.floats(0.9, 1.5), st.floats(0, 0.4), st.integers(0, 99))
def test_places_along_the_line_keep_their_order(x, spread, uneven, seed):
    x = np.sort(np.array(x))
    found = motion.warped(x, spread, uneven, np.random.default_rng(seed))
    assert (np.diff(found) >= 0).all() and found[0] == pytest.approx(x[0])
    even = motion.warped(x, spread, 0.0, np.random.default_rng(seed))
    assert np.ptp(even) == pytest.approx(spread * np.ptp(x), rel=1e-6, abs=1e-6)
