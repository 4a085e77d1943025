"""Pictures made of formulas: typeset in many fonts, sizes and resolutions, or written by synthetic hands; degraded.

Takes a file of formulas, gives samples whose pictures are in memory, and the formulas that could not be drawn. The
same seed gives the same pictures, on any number of cores.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from latexocr.data.degrade import DEGRADATIONS, degrade_picture
from latexocr.data.fonts import FONTS, available_fonts
from latexocr.data.hands import write
from latexocr.data.strokes import load_hands
from latexocr.data.text import decoded
from latexocr.data.typeset import BODY_SIZES, draw
from latexocr.errors import UserError
from latexocr.latex.canonical import Level, canonical
from latexocr.latex.tokens import unwrap
from latexocr.records import Sample, whole

if TYPE_CHECKING:
    from PIL.Image import Image

AT_ONCE = (5, 200)
"""Fewest and most formulas of one document, all in one font and size."""
DOCUMENTS = 20
"""Of a file that is not large: so many choices of font and size, though a start of TeX costs as much as 100 do."""
DPI = (100, 120, 150, 180, 220, 300)
HAND_DPI = (150, 200, 250, 300)
DEGRADED = 0.75
"""How many pictures are degraded where that is asked for, each in one or two ways."""


@dataclass(frozen=True)
class Look:
    """How formulas are drawn."""

    hands: Path | None = None
    """A file of strokes: formulas are written by hand, not typeset."""
    degrade: bool = False
    seed: int = 0
    fonts: tuple[str, ...] = ()
    """Names in `latexocr.data.fonts.FONTS`, drawn as often as their share says; by default all that this machine has
    and that are drawn in training."""


@dataclass(frozen=True)
class Drawn:
    """One formula: its picture, or None where TeX does not accept it or no hand can write it."""

    latex: str
    image: Image | None
    made: str
    """Font, or "hand"."""


def read_formulas(path: Path) -> list[str]:
    """The formulas of a text file, one a line, or of JSON lines with 'latex'; either may be gzipped (.gz).

    Wrappers ($, code fence) are taken off and empty lines left out. Raises UserError naming file and line.
    """
    plain = path.name.removesuffix(".gz")
    try:
        content = gzip.decompress(path.read_bytes()) if path.name.endswith(".gz") else path.read_bytes()
    except (OSError, EOFError, zlib.error) as e:
        raise UserError(f"{path}: cannot be read ({getattr(e, 'strerror', '') or e}). Expected formulas, one a line, "
                        "as text or as .jsonl with 'latex', perhaps .gz.") from e
    lines = decoded(content, path).split("\n")
    if plain.endswith((".jsonl", ".json")):
        lines = [_latex(line, f"{path}:{number}") for number, line in enumerate(lines, start=1) if line.strip()]
    formulas = [formula for line in lines if (formula := unwrap(line).strip())]
    if not formulas:
        raise UserError(f"{path}: no formulas in it. Expected one a line.")
    return formulas


def _latex(line: str, where: str) -> str:
    try:
        latex = json.loads(line)["latex"]
    except (ValueError, KeyError, TypeError, RecursionError):
        latex = None
    if not isinstance(latex, str):
        raise UserError(f"{where}: found {line.strip()[:60]!r}, expected a JSON object with 'latex', a string.")
    return whole(latex)


def synthesise(formulas: Sequence[str], look: Look, *, workers: int = 1) -> Iterator[Drawn]:
    """Each formula drawn, in order. Raises UserError where TeX is not installed, or a font is unknown here."""
    if unknown := [name for name in look.fonts if name not in available_fonts()]:
        here = "has none of that name" if unknown[0] not in FONTS else "lacks its packages"
        raise UserError(f"Font '{unknown[0]}': this machine {here}. There are: {', '.join(available_fonts())}.")
    look = replace(look, fonts=look.fonts or tuple(name for name in available_fonts() if FONTS[name].share))
    at_once = int(np.clip(len(formulas) // DOCUMENTS, *AT_ONCE))
    parts = [(start, formulas[start : start + at_once]) for start in range(0, len(formulas), at_once)]
    task = partial(_document, look)
    if workers < 2 or len(parts) < 2:
        for part in parts:
            yield from task(part)
        return
    with ProcessPoolExecutor(min(workers, len(parts)), mp_context=get_context("spawn")) as pool:
        for drawn in pool.map(task, parts):
            yield from drawn


def samples(drawn: Iterator[Drawn], refused: list[str]) -> Iterator[Sample]:
    """The drawn formulas as samples, numbered; the subset is the font. Formulas not drawn are added to `refused`."""
    for number, one in enumerate(drawn):
        if one.image is None:
            refused.append(one.latex)
        else:
            yield Sample(f"{number:06d}", one.image, one.latex, one.made)


def _document(look: Look, part: tuple[int, Sequence[str]]) -> list[Drawn]:
    """The formulas of one document."""
    start, formulas = part
    rng = np.random.default_rng([look.seed, start])
    spelled = [canonical(formula, Level.SURFACE) for formula in formulas]
    if look.hands is not None:
        made, drawings = "hand", write(spelled, load_hands(look.hands), rng, dpi=int(rng.choice(HAND_DPI)))
    else:
        shares = np.array([FONTS[name].share or 1.0 for name in look.fonts])
        made = str(rng.choice(look.fonts, p=shares / shares.sum()))
        drawings = draw(spelled, font=made, size=str(rng.choice(BODY_SIZES)), dpi=int(rng.choice(DPI)),
                        display=bool(rng.random() < 0.75))
    return [Drawn(formula, drawing and _finished(drawing.image, look.degrade, rng), made)
            for formula, drawing in zip(formulas, drawings, strict=True)]


def _finished(image: Image, degrade: bool, rng: np.random.Generator) -> Image:
    """The picture with a margin; degraded, where that is asked for, as chance has it."""
    from PIL import ImageOps

    image = ImageOps.expand(image, int(rng.integers(4, 24)), fill=255)
    if degrade and rng.random() < DEGRADED:
        names = rng.choice(list(DEGRADATIONS), size=int(rng.integers(1, 3)), replace=False)
        image = degrade_picture(image, {str(name): float(rng.random() ** 1.5) for name in names}, rng)
    return image
