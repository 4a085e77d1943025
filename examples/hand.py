"""A hand of our own: symbols as pen strokes, set down with the small irregularities of writing.

Takes symbols with their places, gives strokes for `latexocr.data.handwrite.draw_ink`. The letters were written for
this project, point by point; they come from no font.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

SYMBOLS: dict[str, list[list[tuple[float, float]]]] = {
    "0": [[(.4, -1.6), (.1, -1.3), (.02, -.7), (.2, -.05), (.5, -.02), (.7, -.6), (.65, -1.3), (.42, -1.6),
           (.3, -1.5)]],
    "1": [[(0, -1.2), (.28, -1.6), (.27, -.8), (.24, 0)]],
    "2": [[(0, -1.25), (.15, -1.55), (.45, -1.6), (.65, -1.3), (.5, -.85), (.2, -.3), (0, 0), (.35, -.06), (.8, 0)]],
    "3": [[(0, -1.4), (.3, -1.62), (.6, -1.35), (.5, -1), (.22, -.9), (.55, -.75), (.65, -.4), (.4, -.02), (0, -.12)]],
    "4": [[(.35, -1.6), (.2, -1.1), (0, -.6), (.3, -.62), (.8, -.65)], [(.58, -1.1), (.55, -.5), (.5, .05)]],
    "a": [[(.62, -.85), (.38, -1), (.1, -.78), (.02, -.35), (.2, -.02), (.45, -.2), (.6, -.7), (.64, -.95),
           (.62, -.35), (.74, -.02), (.95, -.15)]],
    "b": [[(.08, -1.8), (.05, -1), (.03, -.08), (.1, -.6), (.32, -.95), (.6, -.75), (.6, -.25), (.35, 0), (.06, -.1)]],
    "c": [[(.6, -.8), (.42, -1), (.15, -.8), (.03, -.4), (.18, -.04), (.42, -.02), (.68, -.2)]],
    "d": [[(.58, -.85), (.32, -1), (.06, -.65), (.1, -.15), (.3, 0), (.54, -.3), (.66, -1), (.7, -1.8), (.68, -1),
           (.68, -.3), (.76, -.02), (.92, -.12)]],
    "e": [[(.05, -.5), (.4, -.6), (.56, -.85), (.32, -1), (.08, -.7), (.06, -.25), (.3, 0), (.68, -.22)]],
    "i": [[(0, -.95), (.02, -.3), (.12, 0), (.28, -.1)], [(.03, -1.4)]],
    "x": [[(0, -.92), (.14, -1), (.3, -.8), (.5, -.2), (.68, 0), (.85, -.12)],
          [(.82, -1), (.55, -.65), (.22, -.12), (0, .02)]],
    "y": [[(0, -1), (.06, -.6), (.25, -.42), (.5, -.55), (.7, -1), (.66, -.3), (.5, .4), (.25, .65), (.04, .5),
           (.18, .2), (.6, -.05), (.9, -.25)]],
    "z": [[(0, -.9), (.3, -1), (.68, -.96), (.4, -.5), (0, 0), (.35, -.06), (.78, -.02)]],
    "pi": [[(0, -.82), (.2, -1), (.95, -.97)], [(.33, -.96), (.28, -.5), (.14, 0)],
           [(.68, -.96), (.64, -.4), (.72, -.02), (.9, -.1)]],
    "+": [[(0, -.6), (.45, -.6), (.9, -.62)], [(.46, -1.05), (.45, -.6), (.47, -.12)]],
    "-": [[(0, -.6), (.4, -.6), (.8, -.63)]],
    "=": [[(0, -.78), (.4, -.78), (.85, -.82)], [(.02, -.4), (.4, -.42), (.86, -.42)]],
    "int": [[(.8, -2.15), (.66, -2.42), (.44, -2.2), (.38, -1.2), (.32, -.1), (.18, .5), (-.06, .45), (-.12, .25)]],
    "bar": [[(0, 0), (.5, -.01), (1, 0)]],
    "root": [[(-.4, -.75), (-.22, -.85), (-.05, .05), (.3, -2.2), (1.2, -2.24), (6.1, -2.2)]],
}
"""Strokes on a baseline at 0, y downwards; a small letter is 1 high. `bar` is 1 long, `root` covers about 6."""


def write(placed: Sequence[tuple[str, float, float, float]], *, seed: int, slant: float = 0.12) -> list[np.ndarray]:
    """Strokes of symbols, each given as (name, x, y of its baseline, size); `bar` takes its length as size."""
    hand = np.random.default_rng(seed)
    strokes = []
    for name, x, y, size in placed:
        stretch = size * (1 + hand.normal(0, .04, 2)) if name != "bar" else np.array([size, 1.0])
        shift = np.array([x, y]) + hand.normal(0, .035, 2)
        for points in SYMBOLS[name]:
            # A little noise on the points which the curve passes, none between them: a hand errs slowly.
            wobbled = np.array(points, dtype=float) + hand.normal(0, .022, (len(points), 2))
            if name not in ("bar", "root"):
                wobbled[:, 0] -= slant * wobbled[:, 1]
            strokes.append(curve(wobbled) * stretch + shift)
    return strokes


def curve(points: np.ndarray, steps: int = 8) -> np.ndarray:
    """A smooth line through the points (Catmull and Rom's), `steps` points for each part of it."""
    if len(points) < 2:
        return points
    padded = np.vstack([2 * points[0] - points[1], points, 2 * points[-1] - points[-2]])
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    parts = [0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
             for a, b, c, d in zip(padded, padded[1:], padded[2:], padded[3:], strict=False)]
    return np.vstack([*parts, points[-1:]])
