"""Where on the pages of PDFs the formulas are: boxes as a layout detector gives them.

Takes a JSON file, gives boxes by file and page. Knows nothing of PDFs.

    [{"page": 3, "box": [left, top, right, bottom]}, ...]

in points (1/72 inch) from the upper left corner of the page; pages are counted from 1. Where several PDFs are read,
each object also has "file": the name of the PDF, or its path as given.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latexocr.data.text import read_text
from latexocr.errors import UserError


@dataclass(frozen=True)
class Box:
    """A formula on a page."""

    file: str
    """Name or path of the PDF; empty: of any."""
    page: int
    """From 1."""
    sides: tuple[float, float, float, float]
    """Left, top, right, bottom, in points from the upper left corner."""


@dataclass(frozen=True)
class Boxes:
    """The boxes of a file; with none, pages are read whole."""

    all: Sequence[Box] = ()

    def of(self, file: str) -> list[Box]:
        """Those on the pages of a PDF, named as given, in the order of the pages."""
        return sorted((box for box in self.all if box.file in ("", file, Path(file).name)), key=lambda box: box.page)


def read_boxes(path: Path) -> Boxes:
    """The boxes of a JSON file. Raises UserError where it is none, naming the first that is wrong."""
    try:
        entries = json.loads(read_text(path))
    except (ValueError, RecursionError) as e:
        raise UserError(f"{path}: not JSON ({e}). {_EXPECTED}") from e
    if not isinstance(entries, list) or not entries:
        raise UserError(f"{path}: found {type(entries).__name__ if entries else 'nothing'}. {_EXPECTED}")
    return Boxes(tuple(_box(entry, f"{path}: number {number}") for number, entry in enumerate(entries, start=1)))


_EXPECTED = 'Expected [{"page": 3, "box": [left, top, right, bottom]}, ...], in points from the upper left corner.'


def _box(entry: Any, where: str) -> Box:
    try:
        file, page, (left, top, right, bottom) = str(entry.get("file", "")), entry["page"], map(float, entry["box"])
    except (AttributeError, LookupError, TypeError, ValueError, OverflowError) as e:
        raise UserError(f"{where}: not a box ({type(e).__name__}: {e}). {_EXPECTED}") from e
    if type(page) is not int or page < 1 or not all(map(math.isfinite, (left, top, right, bottom))):
        raise UserError(f"{where}: page {page!r}, box {entry['box']!r}. {_EXPECTED}")
    if left >= right or top >= bottom:
        raise UserError(f"{where}: nothing is between {entry['box']!r}. {_EXPECTED}")
    return Box(file, page, (left, top, right, bottom))
