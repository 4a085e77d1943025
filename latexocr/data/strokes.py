"""The letters and signs that hands can write, as strokes: those drawn for this project, and those of a file of fonts.

Takes the file that `benchmarks/hands.py` builds, gives for every character the shapes to choose from. Knows nothing of
TeX or pictures.
"""

from __future__ import annotations

import itertools
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from latexocr.data.cursive import CURSIVE
from latexocr.data.signs import LETTERS, SIGNS
from latexocr.errors import UserError

SCRIPT_HANDS = ("hershey script", "cedarville-cursive", "homemade-apple", "marck-script")
"""Hands whose capitals serve for calligraphic ones; as a hand for whole formulas they are rarer than others."""


@dataclass(frozen=True)
class Shape:
    """One way to write a character."""

    points: np.ndarray
    """float32, (n, 2): the points of all strokes, in pen order, from 0 to 1 across and down its box."""
    ends: tuple[int, ...]
    """Where each stroke ends in `points`."""
    aspect: float | None
    """Width of the ink over its height; None where the shape fills whatever box the character has."""
    letter: bool
    """Whether its ink fills the height of the box, as a letter's, or stands in it as drawn, as a sign's."""


@dataclass(frozen=True)
class Hands:
    """What there is to write with."""

    names: tuple[str, ...]
    hands: tuple[dict[str, Shape], ...]
    own: dict[str, tuple[Shape, ...]]
    """The ways of this project to write a character, by character: all signs, many letters."""


def load_hands(path: Path) -> Hands:
    """The hands of a file. Raises UserError where it is not a file of strokes."""
    try:
        with np.load(path, allow_pickle=False) as file:
            points = file["points"].astype(np.float32) / 1000
            lines = np.split(points, np.cumsum(file["sizes"].astype(int))[:-1])
            counts, labels = file["strokes"].tolist(), file["names"].tolist()
        hands: dict[str, dict[str, Shape]] = {}
        at = 0
        for label, count in zip(labels, counts, strict=True):
            hand, character = label.split("\t")
            hands.setdefault(hand, {})[character] = _fitted(lines[at : at + count])
            at += count
    except (OSError, EOFError, zipfile.BadZipFile, ValueError, KeyError, IndexError) as e:
        raise UserError(f"{path}: not a file of strokes ({getattr(e, 'strerror', None) or type(e).__name__}). Build it "
                        "with benchmarks/hands.py.") from e
    return Hands(tuple(hands), tuple(hands.values()), own_shapes())


def own_shapes() -> dict[str, tuple[Shape, ...]]:
    """The letters and signs drawn for this project."""
    shapes: dict[str, tuple[Shape, ...]] = {}
    for signs, letter in ((LETTERS, True), (CURSIVE, True), (SIGNS, False)):
        for character, ways in signs.items():
            shapes[character] = shapes.get(character, ()) + tuple(_written(way, letter=letter) for way in ways)
    return shapes


def doubled(shape: Shape) -> Shape:
    """A blackboard letter: the shape with one more upright stroke at its left."""
    upright = _straight(np.array([(0.25, 0.03), (0.24, 0.98)], dtype=np.float32))
    return Shape(np.concatenate([shape.points, upright]), (*shape.ends, len(shape.points) + len(upright)), shape.aspect,
                 shape.letter)


def _fitted(lines: list[np.ndarray]) -> Shape:
    """Strokes of a font, brought to the box of their ink; straight stretches get points, so that they can bend."""
    points = np.concatenate(lines)
    corner, extent = points.min(axis=0), np.ptp(points, axis=0)
    size = np.maximum(extent, 0.12 * max(float(extent.max()), 1e-3))
    corner = corner - (size - extent) / 2
    return _shape([_straight((line - corner) / size) for line in lines], float(size[0] / size[1]), letter=True)


def _written(way: str, *, letter: bool) -> Shape:
    lines = []
    for text in way.split("|"):
        points = np.array([pair.split(",") for pair in text.lstrip("/").split()], dtype=np.float32) / 100
        lines.append(_straight(points) if text.startswith("/") else _curve(points))
    return _shape(lines, None, letter=letter)


def _shape(lines: list[np.ndarray], aspect: float | None, *, letter: bool) -> Shape:
    ends = tuple(np.cumsum([len(line) for line in lines]).tolist())
    return Shape(np.concatenate(lines).astype(np.float32), ends, aspect, letter)


def _straight(points: np.ndarray, longest: float = 0.2) -> np.ndarray:
    """A polyline with a point at least every `longest`."""
    parts = [points[:1]]
    for a, b in itertools.pairwise(points):
        count = max(1, int(np.ceil(np.hypot(*(b - a)) / longest)))
        parts.append(a + (b - a) * np.linspace(0, 1, count + 1)[1:, None])
    return np.concatenate(parts)


def _curve(points: np.ndarray, steps: int = 5) -> np.ndarray:
    """A Catmull-Rom curve through the points."""
    if len(points) < 3:
        return _straight(points)
    padded = np.concatenate([[2 * points[0] - points[1]], points, [2 * points[-1] - points[-2]]])
    t = (np.arange(1, steps + 1) / steps)[:, None]
    parts = [points[:1]]
    for a, b, c, d in zip(padded[:-3], padded[1:-2], padded[2:-1], padded[3:], strict=True):
        parts.append(0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3))
    return np.concatenate(parts)
