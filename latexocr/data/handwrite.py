"""Ink to picture: the strokes of a pen as black lines on white, in the manner of the CROHME bitmaps.

Takes strokes (lists of points, y growing downwards), gives grey PIL pictures. Knows nothing of files or formulas.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image, ImageDraw

Stroke = Sequence[Sequence[float]]
"""Points in pen order; x and y come first, anything after them (time, pressure) is not drawn."""

LONGEST_SIDE = 4096
"""Pixels; ink of absurd proportions is drawn smaller rather than filling the memory."""


def draw_ink(
    strokes: Iterable[Stroke],
    *,
    height: int | None = None,
    symbol: float = 28.0,
    pen: float = 0.1,
    margin: float = 0.3,
    smooth: int = 4,
) -> Image.Image:
    """A grey picture (mode "L"), black on white, of strokes; x and y keep their proportion.

    Without `height` (pixels of the whole picture) a typical symbol becomes `symbol` pixels large. `pen` (line width)
    and `margin` are in symbols, so that thick and thin follow the writing, not the number of lines. Each pixel is the
    mean of `smooth` x `smooth`. A stroke that does not move is a dot. Raises ValueError without any finite point.
    """
    lines = [_points(stroke) for stroke in strokes]
    lines = [line for line in lines if len(line)]
    if not lines:
        raise ValueError("no ink: not one point to draw")
    corner = np.min([line.min(axis=0) for line in lines], axis=0)
    extent = np.max([line.max(axis=0) for line in lines], axis=0) - corner
    typical = symbol_size(lines) or 1.0
    edge = typical * (margin + pen / 2)
    scale = height / (extent[1] + 2 * edge) if height else symbol / typical
    scale = min(scale, LONGEST_SIDE / (extent.max() + 2 * edge))
    size = np.maximum(1, np.round((extent + 2 * edge) * scale)).astype(int)
    canvas = Image.new("L", (int(size[0]) * smooth, int(size[1]) * smooth), 255)
    pencil = ImageDraw.Draw(canvas)
    width = max(1.0, typical * pen * scale) * smooth
    for line in lines:
        _draw_line(pencil, (line - corner + edge) * scale * smooth, width)
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
