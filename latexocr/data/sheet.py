"""A contact sheet: many pictures on one, each with its LaTeX underneath, to look at what was made or loaded.

Takes pictures and captions, gives one picture. Knows nothing of where they came from.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from latexocr.records import FORMATS

if TYPE_CHECKING:
    from PIL.Image import Image

CELL = (360, 150)
"""Width and height of a cell, in pixels; larger pictures are shrunk into it."""
COLUMNS = 4
CAPTION, LINE = 13, 15
"""Height of the caption's letters, and of its lines."""
LINES = 2
"""Most lines of a caption."""
EDGE = 8


def contact_sheet(pictures: Sequence[tuple[Path | Image, str]]) -> Image:
    """One picture of all, row by row in cells of one size, each with its caption; RGB. One that cannot be opened is an
    empty cell."""
    from PIL import Image as Pillow
    from PIL import ImageDraw

    width, height = CELL[0], CELL[1] + LINES * LINE + 2 * EDGE
    columns = max(1, min(COLUMNS, len(pictures)))
    rows = max(1, -(-len(pictures) // columns))
    sheet = Pillow.new("RGB", (columns * width, rows * height), "#d8dade")
    draw = ImageDraw.Draw(sheet)
    for number, (image, caption) in enumerate(pictures):
        left, top = number % columns * width, number // columns * height
        draw.rectangle((left + 2, top + 2, left + width - 3, top + height - 3), fill="white")
        if (picture := _opened(image)) is not None:
            picture.thumbnail((CELL[0] - 2 * EDGE, CELL[1]), Pillow.Resampling.LANCZOS)
            sheet.paste(picture, (left + (width - picture.width) // 2, top + EDGE + (CELL[1] - picture.height) // 2))
        _write(draw, caption, left + EDGE, top + EDGE + CELL[1] + 2, width - 2 * EDGE)
    return sheet


def _opened(image: Path | Image) -> Image | None:
    from PIL import Image as Pillow

    try:
        with warnings.catch_warnings(action="ignore"):
            layers = (Pillow.open(image, formats=FORMATS) if isinstance(image, Path) else image).convert("RGBA")
            return Pillow.alpha_composite(Pillow.new("RGBA", layers.size, "white"), layers).convert("RGB")
    except Exception:  # Pillow's decoders raise whatever a broken file leads them to.
        return None


def _write(draw: object, caption: str, left: int, top: int, width: int) -> None:
    """The caption in so many lines as there are, cut with an ellipsis."""
    from PIL import ImageFont

    font = ImageFont.load_default(size=CAPTION)
    rest = " ".join(caption.split()).encode("latin-1", "replace").decode("latin-1")  # The font has no more letters.
    for line in range(LINES):
        fits = len(rest)
        while fits and draw.textlength(rest[:fits], font=font) > width:
            fits -= 1 + max(0, fits - 120)
        last = line == LINES - 1 and fits < len(rest)
        draw.text((left, top + line * LINE), rest[: fits - 3] + "..." if last else rest[:fits], fill="#333", font=font)
        rest = rest[fits:]
