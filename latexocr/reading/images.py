"""The one preparation of a picture: open, orient, flatten, turn light, crop, bring to one glyph size, put on a canvas.

Takes a file, a PIL picture or an array, gives a light canvas with dark ink. Training draws its pictures through the
same `fit` and `place`. Knows nothing of models.
"""

from __future__ import annotations

import bisect
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from latexocr.errors import UserError
from latexocr.records import FORMATS, Distant

if TYPE_CHECKING:
    from PIL.Image import Image

GLYPH_HEIGHT = 13.0
"""Median height of a symbol in a prepared picture, in pixels: a 10 point formula at about 150 dots an inch."""
HEIGHTS = (32, 48, 64, 80, 96, 128, 160, 192, 224, 256)
WIDTHS = (64, 96, 128, 160, 192, 256, 320, 384, 448, 512, 576, 640, 768, 896, 1024)
"""Sizes of a canvas, in pixels: few, so that pictures of one canvas can be read together; multiples of 16."""
MARGIN = 4
"""White pixels around the ink, at least."""
INK, FAINT, PAPER = 160, 210, 224
"""Grey values of a flattened picture: below the first a pixel counts as ink where ink is black; below the second at
most where it is grey, as in a small picture or beside dirt that is darker; from the third on it is paper."""
LARGEST_SIDE = 3000
"""Larger pictures are shrunk before anything else, in pixels."""
FAINTEST = 24
"""Least difference between ink and paper, in grey values; below it a picture counts as blank."""
LEAST = 4.0
"""Lower ink is no symbol where symbols are GLYPH_HEIGHT high, in pixels; in smaller pictures as much less."""
SYMBOL = 0.15
"""Ink smaller than this part of the height of what is highest in a formula is no symbol, but a dot or dirt."""
EDGE = 0.5
"""By how many symbols what is pale at the edge of the formula moves the crop at most."""
SPECK = 0.1
"""Ink smaller than this part of a symbol's height is dirt: it does not move the crop. A full stop is twice that."""
SMALL = 0.35
"""Ink smaller than this part of a symbol's height may be dirt, too: it does not move the crop by itself."""
APART, STEPS = 1.5, 4
"""It does where it is at most so many symbols from what is larger; what is as near to that, too, and so on: dots."""
LARGEST_SCALE = 6.0
SHADE_CELL = 8
"""Side of the squares in which the light on the paper is measured, in pixels."""
UNEVEN = 16
"""Difference of paper between places, in grey values, from which on a picture counts as unevenly lit."""


@dataclass(frozen=True)
class Fitted:
    """A formula cropped to its ink and brought to one glyph size."""

    pixels: np.ndarray
    """uint8, (height, width), dark on white; fits a canvas with its margin."""
    scale: float
    """Pixels here for one pixel of the picture it came from."""
    left: int
    top: int
    """Where the crop began in the picture it came from, in that picture's pixels."""


def prepare(image: Path | str | Image | Distant | np.ndarray) -> Image:
    """The picture as every model sees it, mode RGB, its sides from `HEIGHTS` and `WIDTHS`.

    Raises UserError where the file is no picture or holds no ink.
    """
    from PIL import Image as Pillow

    return Pillow.fromarray(place(fit(flatten(image)).pixels)).convert("RGB")


def flatten(image: Path | str | Image | Distant | np.ndarray) -> np.ndarray:
    """Grey values, uint8, (height, width): the right way up, paper 255, darkest ink 0, whatever the colours were."""
    from PIL import Image as Pillow
    from PIL import ImageOps

    name = str(image) if isinstance(image, (str, Path, Distant)) else "picture"
    image = image.fetch() if isinstance(image, Distant) else image
    try:
        with warnings.catch_warnings(action="ignore"):  # Pillow's remarks on odd files; none is of use to the reader.
            opened = Pillow.open(image, formats=FORMATS) if isinstance(image, (str, Path)) else image
            opened = Pillow.fromarray(opened) if isinstance(opened, np.ndarray) else opened
            values = np.asarray(_grey(ImageOps.exif_transpose(opened)))
    except Exception as e:  # Pillow's decoders raise whatever a broken file leads them to.
        raise UserError(f"{name}: cannot be opened as a picture ({_why(e, image)}).") from e
    if not values.size:
        raise UserError(f"{name}: has no pixels; expected a picture of a formula.")
    paper = float(np.median(values))  # Of whole numbers: of fractions it takes four times as long.
    dark = paper < 128
    shaded = 255 - values.astype(np.float32) if dark else values.astype(np.float32)
    grey = _even(shaded)
    paper = (255 - paper if dark else paper) if grey is shaded else float(np.median(grey))
    ink = float(grey.min())
    if paper - ink < FAINTEST:
        raise UserError(f"{name}: no ink found; expected a formula, darker or lighter than its background.")
    return (np.clip((grey - ink) / (paper - ink), 0, 1) * 255).astype(np.uint8)


def _why(error: Exception, image: Any) -> str:
    """Why a picture cannot be opened, without its name."""
    from PIL import UnidentifiedImageError

    if isinstance(error, UnidentifiedImageError):
        if isinstance(image, (str, Path)) and not os.path.getsize(image):
            return "the file is empty"
        return f"its content is none of {', '.join(FORMATS)}; what is another kind of picture, convert to PNG"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _even(grey: np.ndarray) -> np.ndarray:
    """The picture under even light: where the paper's own grey differs across a photograph, it is divided out."""
    from PIL import Image as Pillow
    from scipy import ndimage

    height, width = grey.shape
    if min(height, width) < 4 * SHADE_CELL:
        return grey
    small = Pillow.fromarray(grey).resize((width // SHADE_CELL, height // SHADE_CELL), Pillow.Resampling.BOX)
    paper = ndimage.percentile_filter(np.asarray(small), 80, size=9, mode="nearest")
    dim, bright = np.percentile(paper, (2, 98))
    if bright - dim < UNEVEN or dim < 40:
        return grey
    shade = Pillow.fromarray(ndimage.uniform_filter(paper, 5)).resize((width, height), Pillow.Resampling.BILINEAR)
    return np.minimum(grey / np.asarray(shade) * bright, 255)


def _grey(image: Image) -> Image:
    """The picture in mode L, transparent parts as paper, at most `LARGEST_SIDE` long."""
    from PIL import Image as Pillow

    if max(image.size) > LARGEST_SIDE:
        image = image.reduce(-(-max(image.size) // LARGEST_SIDE))
    if image.mode.startswith(("I", "F")):
        values = np.nan_to_num(np.asarray(image, dtype=np.float64), posinf=0, neginf=0).clip(0)
        return Pillow.fromarray((255 * (values / max(values.max(), 1))).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        layers = image.convert("RGBA")
        paper = Pillow.new("RGBA", layers.size, "white")
        on_white = Pillow.alpha_composite(paper, layers).convert("L")
        extrema = on_white.getextrema()
        if extrema[1] - extrema[0] >= FAINTEST:
            return on_white
        return Pillow.alpha_composite(Pillow.new("RGBA", layers.size, "black"), layers).convert("L")
    return image.convert("L")


def fit(grey: np.ndarray, glyph_height: float = GLYPH_HEIGHT) -> Fitted:
    """The ink of a flattened picture, scaled so that a symbol is `glyph_height` high and everything fits a canvas."""
    from PIL import Image as Pillow

    top, bottom, left, right, symbol = _ink_box(grey)
    cropped = grey[top:bottom, left:right]
    height, width = cropped.shape
    scale = min(glyph_height / symbol, (HEIGHTS[-1] - 2 * MARGIN) / height, (WIDTHS[-1] - 2 * MARGIN) / width,
                LARGEST_SCALE)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    resized = Pillow.fromarray(cropped).resize(size, Pillow.Resampling.BICUBIC)
    return Fitted(np.asarray(resized), scale, left, top)


def _ink_box(grey: np.ndarray) -> tuple[int, int, int, int, float]:
    """Top, bottom, left, right of the ink, and the median height of its symbols, in pixels.

    Specks and dirt far from the formula do not move the box, faint dots beside it do; bars and dots are no symbols.
    """
    limit = _limit(grey)
    boxes = _pieces(grey < limit)
    if not len(boxes):
        return 0, grey.shape[0], 0, grey.shape[1], float(grey.shape[0])
    heights, widths = _sides(boxes)
    sides = np.maximum(heights, widths)
    symbol = _symbol_height(heights, widths)
    box = _hull(boxes[sides >= min(sides.max(), SMALL * symbol)])
    box = _grown(box, boxes[sides >= SPECK * symbol], APART * symbol)
    faint = _pieces(grey < (limit + 255) / 2)
    edges = _meets(faint, box, 0)  # Of signs in the box, and of those that paleness joins to them; or a shadow.
    box = _clipped(_hull(np.vstack([faint[edges], box])), box, EDGE * symbol)
    others = faint[(np.max(_sides(faint), axis=0) >= SPECK * symbol) & ~edges]
    return *_grown(box, others, APART * symbol), symbol


def _symbol_height(heights: np.ndarray, widths: np.ndarray) -> float:
    """Median height of the symbols, scripts too; what is too low for one depends on the others, not on the picture."""
    symbol = _median_height(heights, widths, least=LEAST)
    return symbol if symbol >= GLYPH_HEIGHT else _median_height(heights, widths, least=LEAST * symbol / GLYPH_HEIGHT)


def _median_height(heights: np.ndarray, widths: np.ndarray, least: float) -> float:
    """Of the pieces that are neither bars nor, beside the highest compact one, as small as dots.

    Brackets are not compact: those of a matrix may be twenty times as high as what it holds.
    """
    pieces = (heights >= least) & (widths <= 6 * heights)
    if not pieces.any():
        return float(max(heights.max(), widths.max() / 4))
    compact = heights[pieces & (heights <= 3 * widths) & (widths <= 3 * heights)]
    highest = compact.max() if len(compact) > 2 else heights.max()  # A few may be dots beside `1` and `l`.
    return float(np.median(heights[pieces & (heights >= SYMBOL * highest)]))


def _grown(box: tuple[int, int, int, int], pieces: np.ndarray, room: float) -> tuple[int, int, int, int]:
    """The box with the pieces around it that are no farther than `room` pixels, and those beyond, step by step."""
    for _ in range(STEPS):
        box = _hull(np.vstack([pieces[_meets(pieces, box, room)], box]))
    return box


def _clipped(larger: tuple[int, int, int, int], box: tuple[int, int, int, int], room: float
             ) -> tuple[int, int, int, int]:
    """The larger box, but on each side no farther from the other than `room` pixels."""
    room = round(room)
    return (max(larger[0], box[0] - room), min(larger[1], box[1] + room),
            max(larger[2], box[2] - room), min(larger[3], box[3] + room))


def _sides(boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Heights and widths of boxes."""
    return boxes[:, 1] - boxes[:, 0], boxes[:, 3] - boxes[:, 2]


def _pieces(ink: np.ndarray) -> np.ndarray:
    """Boxes of what hangs together: (n, 4), each top, bottom, left, right."""
    from scipy import ndimage

    labels, _ = ndimage.label(ink, structure=np.ones((3, 3)))
    return np.array([(y.start, y.stop, x.start, x.stop) for y, x in ndimage.find_objects(labels)]).reshape(-1, 4)


def _meets(boxes: np.ndarray, box: tuple[int, int, int, int], room: float) -> np.ndarray:
    """Which of the boxes have a pixel in a box, or nearer to it than `room` pixels."""
    top, bottom, left, right = box
    return ((boxes[:, 1] > top - room) & (boxes[:, 0] < bottom + room)
            & (boxes[:, 3] > left - room) & (boxes[:, 2] < right + room))


def _hull(boxes: np.ndarray) -> tuple[int, int, int, int]:
    """The box around boxes."""
    return int(boxes[:, 0].min()), int(boxes[:, 1].max()), int(boxes[:, 2].min()), int(boxes[:, 3].max())


def _limit(grey: np.ndarray) -> float:
    """Grey value below which a pixel counts as ink: halfway between paper and the darkest tenth of what is no paper."""
    marks = grey[grey < PAPER]
    return float(np.clip((255 + np.percentile(marks, 10)) / 2, INK, FAINT)) if marks.size else INK


def canvas(height: int, width: int) -> tuple[int, int]:
    """Height and width of the smallest canvas that holds ink of this size and its margin."""
    rows = bisect.bisect_left(HEIGHTS, height + 2 * MARGIN)
    columns = bisect.bisect_left(WIDTHS, width + 2 * MARGIN)
    return HEIGHTS[min(rows, len(HEIGHTS) - 1)], WIDTHS[min(columns, len(WIDTHS) - 1)]


def place(pixels: np.ndarray, offset: tuple[int, int] | None = None) -> np.ndarray:
    """The ink on its canvas: at `offset` (rows, columns), by default at the left margin, halfway down."""
    height, width = pixels.shape
    rows, columns = canvas(height, width)
    top, left = offset if offset is not None else ((rows - height) // 2, MARGIN)
    page = np.full((rows, columns), 255, np.uint8)
    page[top : top + height, left : left + width] = pixels
    return page
