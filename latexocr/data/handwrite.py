"""Ink to picture: the strokes of a pen as black lines on white, in the manner of the CROHME bitmaps.

Takes strokes (lists of points, y growing downwards), gives grey PIL pictures. Knows nothing of files or formulas.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

Stroke = Sequence[Sequence[float]]
"""Points in pen order; x and y come first, anything after them (time, pressure) is not drawn."""

LONGEST_SIDE = 4096
"""Pixels; ink of absurd proportions is drawn smaller rather than filling the memory."""
MARGIN = 0.3
"""White around the ink, in symbols."""
MOST_DOTS = 500_000
"""That ink of absurd length is drawn with; they lie further apart then."""


@dataclass(frozen=True)
class Pen:
    """What ink is drawn with, and how it is held. Lengths in symbols, a symbol being as `symbol_size` says."""

    width: float = 0.1
    """Of the line, where it is widest."""
    slant: float = 0.0
    """How far to the right the top of an upright line leans, for each unit of its height."""
    pressure: float = 0.0
    """How much less wide a line is where a hand presses less, going up and at the ends of a stroke: 0 (a ball pen, even
    everywhere) to 1 (down to nothing)."""


PLAIN = Pen()
"""As CROHME's bitmaps are drawn."""


def any_pen(rng: np.random.Generator) -> Pen:
    """A pen as chance has it: half to twice the plain one's width, upright to slanted, pressed evenly or not."""
    return Pen(width=float(0.1 * np.clip(np.exp(rng.normal(0, 0.3)), 0.5, 2.0)),
               slant=float(np.clip(rng.normal(0.05, 0.15), -0.4, 0.5)), pressure=float(rng.uniform(0, 0.7)))


def draw_ink(
    strokes: Iterable[Stroke],
    *,
    symbol: float = 28.0,
    pen: Pen = PLAIN,
    smooth: int = 4,
) -> Image.Image:
    """A grey picture (mode "L"), black on white, of strokes; x and y keep their proportion.

    A typical symbol becomes `symbol` pixels large. The width of the pen is in symbols: thick and thin follow the
    writing, not the number of lines. Each pixel is the mean of `smooth` x `smooth`. A stroke that does not move is a
    dot. Raises ValueError without any finite point.
    """
    lines = [_points(stroke) for stroke in strokes]
    lines = [line for line in lines if len(line)]
    if not lines:
        raise ValueError("no ink: not one point to draw")
    typical = symbol_size(lines) or 1.0
    lines = [line - line[:, 1:] * (pen.slant, 0) for line in lines]
    corner = np.min([line.min(axis=0) for line in lines], axis=0)
    extent = np.max([line.max(axis=0) for line in lines], axis=0) - corner
    edge = typical * (MARGIN + pen.width / 2)
    scale = min(symbol / typical, LONGEST_SIDE / (extent.max() + 2 * edge))
    size = np.maximum(1, np.round((extent + 2 * edge) * scale)).astype(int)
    canvas = Image.new("L", (int(size[0]) * smooth, int(size[1]) * smooth), 255)
    pencil = ImageDraw.Draw(canvas)
    width = max(1.0, typical * pen.width * scale) * smooth
    for line in lines:
        points = (line - corner + edge) * scale * smooth
        if pen.pressure and len(points) > 1:
            _draw_pressed(pencil, points, width, pen.pressure, typical * scale * smooth, MOST_DOTS // len(lines))
        else:
            _draw_line(pencil, points, width)
    return canvas.reduce(smooth)


def symbol_size(strokes: Iterable[Stroke]) -> float:
    """The size of a typical symbol, in the strokes' own unit: the median of the strokes' longer sides.

    Dots (below a twentieth of the largest stroke) are left out of it. 0.0 where nothing moves.
    """
    sides = np.array([np.ptp(line, axis=0).max() for line in map(_points, strokes) if len(line)])
    if not len(sides) or sides.max() == 0:
        return 0.0
    return float(np.median(sides[sides >= sides.max() / 20]))


def _points(stroke: Stroke) -> np.ndarray:
    """Finite (x, y) rows in pen order, a point that repeats the one before left out."""
    points = np.array([point[:2] for point in stroke], dtype=float).reshape(-1, 2)
    points = points[np.isfinite(points).all(axis=1)]
    moved = np.ones(len(points), dtype=bool)
    moved[1:] = (np.diff(points, axis=0) != 0).any(axis=1)
    return points[moved]


def _draw_line(pencil: ImageDraw.ImageDraw, points: np.ndarray, width: float) -> None:
    """One stroke with round ends and joints; a single point is a dot, larger than the line is wide as pens leave it."""
    radius = width / 2 if len(points) > 1 else width * 0.75
    if len(points) > 1:
        pencil.line([tuple(point) for point in points], fill=0, width=max(1, round(width)))
    for x, y in points:
        pencil.ellipse((x - radius, y - radius, x + radius, y + radius), fill=0)


def _draw_pressed(pencil: ImageDraw.ImageDraw, points: np.ndarray, width: float, pressure: float, symbol: float,
                  most: int) -> None:
    """One stroke as at most so many dots, close together, each as wide as the pen is pressed there; all in pixels."""
    from scipy.ndimage import uniform_filter1d

    lengths = np.maximum(np.hypot(*np.diff(points, axis=0).T), 1e-9)
    along = np.concatenate([[0.0], np.cumsum(lengths)])
    at = np.linspace(0, along[-1], 2 + min(most, int(6 * along[-1] / width)))
    upward = -(np.diff(points[:, 1]) / lengths)[np.minimum(np.searchsorted(along[1:], at), len(lengths) - 1)]
    smoothed = min(len(at), 1 + round(0.4 * symbol / at[1]))  # A hand does not change its pressure at once.
    upward = uniform_filter1d(upward, smoothed, mode="nearest")
    ends = 1 - np.minimum(1, np.minimum(at, along[-1] - at) / (0.3 * symbol))
    radii = np.maximum(0.5, width / 2 * (1 - pressure * np.maximum(0.5 + 0.5 * upward, 0.8 * ends)))
    xs, ys = (np.interp(at, along, axis) for axis in points.T)
    for x, y, radius in zip(xs.tolist(), ys.tolist(), radii.tolist(), strict=True):
        pencil.ellipse((x - radius, y - radius, x + radius, y + radius), fill=0)
