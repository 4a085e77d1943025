"""How a hand's movement differs from the strokes it means to draw: it wobbles, runs over, cuts corners, does not lift.

Takes points of strokes, gives them moved. Knows nothing of characters, of TeX or of pictures. That movement is smooth,
and its ends looser than its middle: R. Plamondon and S. Srihari, "On-line and off-line handwriting recognition: a
comprehensive survey", IEEE PAMI 22 (2000), section 2.
"""

from __future__ import annotations

import itertools

import numpy as np

from latexocr.data.strokes import Shape

WAVES = (0.5, 1.0)
"""Waves of the wobble across a character: how many, about."""
NEAR = 0.8
"""Strokes of a character farther apart than this, in its box, are not joined."""
DOT = 0.25
"""Strokes no longer than this, in the box, are dots."""


def joined(shape: Shape, share: float, rng: np.random.Generator) -> Shape:
    """The shape, each next stroke begun without lifting the pen in a `share` of the cases; dots stay dots."""
    if len(shape.ends) == 1 or not share:
        return shape
    strokes = np.split(shape.points, shape.ends[:-1])
    long = [np.ptp(stroke, axis=0).max() > DOT for stroke in strokes]
    ends = [end for i, end in enumerate(shape.ends[:-1])
            if not (long[i] and long[i + 1]) or rng.random() > share
            or np.hypot(*(shape.points[end] - shape.points[end - 1])) > NEAR]
    return Shape(shape.points, (*ends, shape.ends[-1]), shape.aspect, shape.letter)


def wobbled(points: np.ndarray, unit: np.ndarray, owners: np.ndarray, size: np.ndarray, rng: np.random.Generator
            ) -> np.ndarray:
    """The points, (n, 2), moved by slow waves of about `size` (one for each character).

    `unit` are the same points in the box of their character, -0.5 to 0.5.
    """
    count = len(size)
    for waves in WAVES:
        way = rng.normal(0, waves, (count, 2, 2))
        angle = 2 * np.pi * np.einsum("nij,nj->ni", way[owners], unit) + rng.uniform(0, 2 * np.pi, (count, 2))[owners]
        points = points + (size / waves)[owners][:, None] * np.sin(angle)
    return points


def loosened(points: np.ndarray, ends: np.ndarray, size: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The strokes with ends that run over or fall short by about `size`, one for each; what is between moves less."""
    starts = np.concatenate([[0], ends[:-1]])
    lengths = ends - starts
    stroke = np.repeat(np.arange(len(ends)), lengths)
    along = ((np.arange(len(points)) - starts[stroke]) / np.maximum(lengths - 1, 1)[stroke])[:, None]
    first, last = rng.normal(0, 1, (2, len(ends), 2)) * size[:, None]
    return points + first[stroke] * (1 - along) ** 3 + last[stroke] * along**3


def smoothed(points: np.ndarray, ends: np.ndarray, passes: int) -> np.ndarray:
    """The strokes with corners cut, twice as many points: each pass draws every point towards its neighbours."""
    starts = np.concatenate([[0], ends[:-1]])
    inner = np.ones(len(points), bool)
    inner[starts] = inner[ends - 1] = False
    places = np.flatnonzero(inner)
    for _ in range(passes):
        points = points.copy()
        points[places] = 0.5 * points[places] + 0.25 * (points[places - 1] + points[places + 1])
    return points


def rounded(points: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The strokes with a point on the curve between every two (four-point scheme), and where they end now.

    Source: N. Dyn, D. Levin and J. Gregory, "A 4-point interpolatory subdivision scheme" (1987).
    """
    starts = np.concatenate([[0], ends[:-1]])
    first, last = np.zeros(len(points), bool), np.zeros(len(points), bool)
    first[starts] = last[ends - 1] = True
    here = np.flatnonzero(~last)
    before, after = np.where(first[here], here, here - 1), np.where(last[here + 1], here + 1, here + 2)
    between = 0.5625 * (points[here] + points[here + 1]) - 0.0625 * (points[before] + points[after])
    place = np.arange(len(points)) + np.concatenate([[0], np.cumsum(~last)[:-1]])
    result = np.empty((len(points) + len(here), 2), points.dtype)
    result[place] = points
    result[place[here] + 1] = between
    return result, np.cumsum(2 * (ends - starts) - 1)


def warped(x: np.ndarray, spread: float, uneven: float, rng: np.random.Generator) -> np.ndarray:
    """Places along the line with wide and narrow stretches: order is kept; `spread` is the mean width of a unit."""
    low, high = float(x.min()), float(x.max())
    knots = np.arange(low, high + 12.0, 9.0)
    steps = spread * np.exp(rng.normal(0, uneven, len(knots) - 1)) * 9.0
    return np.interp(x, knots, low + np.concatenate([[0], np.cumsum(steps)]))


def strokes_of(shapes: list[Shape]) -> np.ndarray:
    """Where each stroke ends among the points of all shapes, one after the other."""
    counts = [b - a for shape in shapes for a, b in itertools.pairwise((0, *shape.ends))]
    return np.cumsum(counts)
