"""LaTeX formulas -> pictures, through TeX: many formulas a document, many fonts, limits on what TeX may do.

Takes formulas, gives a drawing each, or None where TeX does not accept the formula. Knows nothing of models.
TeX runs without shell escape, may neither read nor write outside its folder, and is stopped after a time limit.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from latexocr.data import dvi
from latexocr.errors import UserError

if TYPE_CHECKING:
    from PIL.Image import Image

FONTS = {
    "cm": "",
    "lm": r"\usepackage{lmodern}",
    "times": r"\usepackage{mathptmx}",
    "palatino": r"\usepackage{mathpazo}",
    "tx": r"\usepackage{txfonts}",
    "px": r"\usepackage{pxfonts}",
    "euler": r"\usepackage{euler}",
}
"""Font sets by name, and the packages that choose them."""
BODY_SIZES = ("10pt", "11pt", "12pt")
PACKAGES = r"\usepackage{amsmath,amssymb,bm,mathrsfs,stmaryrd,cancel,mathtools,braket,gensymb}"
PREAMBLE = r"""\documentclass[%(size)s]{article}%(packages)s%(font)s
\usepackage[active,tightpage]{preview}\setlength\textwidth{100cm}\begin{document}"""
SECONDS_A_FORMULA, SECONDS_AT_LEAST = 0.05, 8
"""Time limit of a document: TeX sets hundreds of formulas a second; one that loops must not stop the rest."""
TEX_ENVIRONMENT = {"openin_any": "p", "openout_any": "p", "shell_escape": "f", "max_print_line": "1000",
                   "MKTEXTFM": "0", "MKTEXPK": "0"}


@dataclass(frozen=True)
class Drawing:
    """A formula as TeX drew it."""

    image: Image
    """Grey, black on white, a margin of half a point around the box of the formula."""
    glyphs: list[dvi.Glyph]
    """What lies where, in points from the top left corner: `dpi / 72.27` pixels a point."""


def available() -> bool:
    """Whether this machine has the TeX that drawing needs: `latex` and `dvipng`."""
    return bool(shutil.which("latex") and shutil.which("dvipng"))


def draw(
    formulas: Sequence[str], *, font: str = "cm", size: str = "10pt", dpi: int = 150, display: bool = True
) -> list[Drawing | None]:
    """A drawing of each formula, in order; None for a formula that TeX does not accept.

    A formula that breaks the document (an unbalanced brace, an endless loop) is found by halving: the others are
    drawn all the same. Raises UserError where TeX is not installed.
    """
    if not available():
        raise UserError("No TeX on this machine (looked for latex and dvipng). On Debian: apt-get install "
                        "texlive-latex-extra texlive-fonts-recommended texlive-science dvipng preview-latex-style.")
    if not formulas:
        return []
    with tempfile.TemporaryDirectory(prefix="latexocr-", dir=_memory()) as folder:
        drawings = _document(Path(folder), formulas, font=font, size=size, dpi=dpi, display=display)
    if drawings is not None:
        return drawings
    if len(formulas) == 1:
        return [None]
    middle = len(formulas) // 2
    halves = (formulas[:middle], formulas[middle:])
    return [d for half in halves for d in draw(half, font=font, size=size, dpi=dpi, display=display)]


def typeset(formulas: Sequence[str], **style: object) -> list[Image | None]:
    """The picture of each formula, in order; None for a formula that TeX does not accept. Style as in `draw`."""
    return [drawing and drawing.image for drawing in draw(formulas, **style)]


def _memory() -> str | None:
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def _document(folder: Path, formulas: Sequence[str], *, font: str, size: str, dpi: int, display: bool
              ) -> list[Drawing | None] | None:
    """The drawings of one document; None where pages and formulas cannot be told apart."""
    (folder / "a.tex").write_text(_source(formulas, font=font, size=size, display=display), encoding="utf-8")
    limit = SECONDS_AT_LEAST + SECONDS_A_FORMULA * len(formulas)
    run = {"cwd": folder, "stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL,
           "timeout": limit, "env": {**os.environ, **TEX_ENVIRONMENT}}
    try:
        subprocess.run(["latex", "-no-shell-escape", "-interaction=nonstopmode", "a.tex"], **run)
        refused = _refused(folder / "a.log", len(formulas))
        if refused is None or len(refused) == len(formulas) or not (folder / "a.dvi").exists():
            return None if len(formulas) > 1 else [None]
        pages = dvi.pages(folder / "a.dvi")
        if len(pages) != len(formulas):
            return None
        subprocess.run(["dvipng", "-q", "--noghostscript", "-T", "tight", "-D", str(dpi), "-z", "1", "-o", "%d.png",
                        "a.dvi"], **run)
    except (subprocess.TimeoutExpired, ValueError, KeyError, IndexError):
        return None
    return [None if number in refused else _drawing(folder / f"{number + 1}.png", glyphs)
            for number, glyphs in enumerate(pages)]


def _source(formulas: Sequence[str], *, font: str, size: str, display: bool) -> str:
    style = r"\displaystyle " if display else ""
    parts = [PREAMBLE % {"size": size, "packages": PACKAGES, "font": FONTS[font]}]
    for number, formula in enumerate(formulas):
        parts.append(f"\\typeout{{@@{number}}}\n\\begin{{preview}}${style}{formula}$\\end{{preview}}")
    return "\n".join([*parts, r"\typeout{@@end}", r"\end{document}"])


def _refused(log: Path, expected: int) -> set[int] | None:
    """Numbers of the formulas after which TeX reported an error; None where the log does not reach the end."""
    if not log.exists():
        return None
    bad, current, seen = set(), None, 0
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        if mark := re.match(r"@@(\d+|end)\s*$", line):
            current = mark[1]
            seen += 1
        elif line.startswith("! ") and current not in (None, "end"):
            bad.add(int(current))
    return bad if seen == expected + 1 else None


def _drawing(path: Path, glyphs: list[dvi.Glyph]) -> Drawing | None:
    from PIL import Image

    if not glyphs or not path.exists():
        return None
    with Image.open(path) as image:
        return Drawing(image.convert("L"), glyphs)
