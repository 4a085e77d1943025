"""LaTeX formulas -> pictures, through TeX and dvipng: many formulas a document, many fonts.

Takes formulas, gives a drawing each, or None where TeX does not accept the formula. Knows nothing of models; what TeX
may do, and how refused formulas are found, is in `latexocr.tex.run`.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from latexocr.data.fonts import FONTS
from latexocr.errors import UserError
from latexocr.tex import dvi, run

if TYPE_CHECKING:
    from PIL.Image import Image

BODY_SIZES = ("10pt", "11pt", "12pt")
NO_GLYPH = r"\tracinglostchars=3 "
"""A sign that a font lacks is an error, not a gap in the picture."""


@dataclass(frozen=True)
class Drawing:
    """A formula as TeX drew it."""

    image: Image
    """Grey, black on white, a margin of half a point around the box of the formula."""
    glyphs: list[dvi.Glyph]
    """What lies where, in points from the top left corner: `dpi / 72.27` pixels a point."""


def available() -> bool:
    """Whether this machine has the TeX that drawing needs: `latex`, `kpsewhich` and `dvipng`."""
    return run.available() and bool(shutil.which("dvipng"))


def draw(
    formulas: Sequence[str], *, font: str = "cm", size: str = "10pt", dpi: int = 150, display: bool = True
) -> list[Drawing | None]:
    """A drawing of each formula, in order; None for a formula that TeX does not accept or that leaves no ink.

    A formula that breaks the document (an unbalanced brace, an endless loop) is found by halving: the others are
    drawn all the same. Raises UserError where TeX is not installed.
    """
    if not available():
        raise UserError("No TeX on this machine (looked for latex, kpsewhich and dvipng). On Debian: "
                        f"{run.INSTALL}.")

    def pictures(folder: Path, pages: list[dvi.Page | None]) -> list[Drawing | None]:
        if not any(pages):
            return [None] * len(pages)
        run.limited(["dvipng", "-q", "--noghostscript", "-T", "tight", "-D", str(dpi), "-z", "1", "-o", "%d.png",
                     "a.dvi"], folder, len(pages))
        return [_drawing(folder / f"{page.position + 1}.png", page) if page else None for page in pages]

    return run.each_document(formulas, pictures, run.Style(FONTS[font].preamble + NO_GLYPH, size, display))


def typeset(formulas: Sequence[str], **style: object) -> list[Image | None]:
    """The picture of each formula, in order; None for a formula that TeX does not accept. Style as in `draw`."""
    return [drawing and drawing.image for drawing in draw(formulas, **style)]


def _drawing(path: Path, page: dvi.Page) -> Drawing | None:
    from PIL import Image

    glyphs = page.glyphs()
    if not glyphs or not path.exists():
        return None
    with Image.open(path) as image:
        return Drawing(image.convert("L"), glyphs)
