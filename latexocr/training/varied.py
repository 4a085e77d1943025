"""Every showing of a picture a little different, in a frame of the same size: for small sets of handwriting.

Takes a prepared picture and a generator of chance, gives a picture that reads the same. Knows nothing of batches.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from latexocr.data.degradations import Frame, thicken, thin

if TYPE_CHECKING:
    from PIL.Image import Image

INK = 200
"""Grey values below it are ink."""
TURN, LEAN, STRETCH = np.radians(4), 0.25, 0.2
"""At most: radians of turning, shear to either side, and the logarithm by which width or height changes."""
CELL, WAVE = 24, 1.0
"""Pixels between the points that are moved by hand, and the standard deviation of that in pixels."""


def varied(picture: Image, rng: np.random.Generator) -> Image:
    """A picture of the same size whose ink is turned, leaning, stretched, unsteady, and thicker or thinner.

    `picture`: dark on light, mode RGB or L; so is what is given. Ink stays inside the frame.
    """
    from PIL import Image as Pillow

    grey = picture.convert("L")
    box = grey.point([255 * (value < INK) for value in range(256)]).getbbox()
    if box is None:
        return picture
    moved = grey.transform(grey.size, Pillow.Transform.MESH, _mesh(grey.size, box, rng), Pillow.Resampling.BILINEAR,
                           fillcolor=255)
    pen = (thicken, thin, lambda pixels, *_: pixels)[rng.integers(3)]
    return Pillow.fromarray(pen(np.asarray(moved), rng, rng.uniform(), Frame())).convert(picture.mode)


def _mesh(size: tuple[int, int], box: tuple[int, int, int, int],
          rng: np.random.Generator) -> list[tuple[tuple[int, int, int, int], tuple[float, ...]]]:
    """Cells of the new picture, each with the corners (upper left, lower left, lower right, upper right) it shows."""
    turn, lean = rng.uniform(-TURN, TURN), rng.uniform(-LEAN, LEAN)
    wide, high = np.exp(rng.uniform(-STRETCH, STRETCH, 2))
    hand = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) @ [[wide, lean * high], [0, high]]
    extent, frame = np.array([box[2] - box[0], box[3] - box[1]]), np.array(size, dtype=float)
    inside = np.maximum(frame - 6 * WAVE, 1)
    hand *= min(1.0, *(inside / (np.abs(hand) @ extent)))
    middle = frame / 2 + rng.uniform(-0.5, 0.5, 2) * (inside - np.abs(hand) @ extent)
    columns, rows = (np.unique(np.append(np.arange(0, length, CELL), length)) for length in size)
    corners = np.stack(np.meshgrid(columns, rows), axis=-1)  # (rows, columns, 2), x before y
    shown = (corners - middle) @ np.linalg.inv(hand).T + [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2]
    shown += rng.normal(0, WAVE, shown.shape)
    return [((int(columns[j]), int(rows[i]), int(columns[j + 1]), int(rows[i + 1])),
             tuple(float(value) for corner in (shown[i, j], shown[i + 1, j], shown[i + 1, j + 1], shown[i, j + 1])
                   for value in corner)) for i, j in product(range(len(rows) - 1), range(len(columns) - 1))]
