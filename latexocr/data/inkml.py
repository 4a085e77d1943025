"""InkML files, as CROHME and MathWriting publish them: the strokes of one formula and its truth.

Takes a path, gives an `Ink`. Knows nothing of pictures or samples.
"""

from __future__ import annotations

import html
import math
import re
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from latexocr.data.text import formula_text
from latexocr.errors import UserError

Point = tuple[float, float]
LABELS = ("truth", "normalizedLabel", "label")
"""Annotations that hold the formula: CROHME's, and MathWriting's two, the one its authors score with first."""
FARTHEST = 1e9
"""Coordinates beyond are no ink, in any unit a pen is measured in; what is drawn of them would be a dot or nothing."""


@dataclass(frozen=True)
class Ink:
    """One handwritten formula."""

    strokes: tuple[tuple[Point, ...], ...]
    latex: str | None
    """The truth without the dollars around it; None where the file has none (a test set before its publication)."""
    writer: str


def read_inkml(path: Path, labels: tuple[str, ...] = LABELS) -> Ink:
    """The ink of a file, with or without XML namespaces, and the first of its `labels`.

    Raises UserError where it is not InkML or holds no trace.
    """
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError, LookupError, ValueError) as e:  # the latter two: an unknown encoding
        raise UserError(f"{path}: cannot be read as InkML ({e}).") from e
    x, y = _channels(root)
    try:
        strokes = [_trace(element.text or "", x, y) for element in root.iter() if _name(element) == "trace"]
    except (ValueError, IndexError) as e:
        raise UserError(f"{path}: a trace is not a list of 'x y' points ({e}).") from e
    strokes = [stroke for stroke in strokes if stroke]
    if not strokes:
        raise UserError(f"{path}: no trace in it (root element: {_name(root)}). Is it an InkML file?")
    truth = next((text for kind in labels if (text := _annotation(root, kind)) is not None), None)
    return Ink(tuple(strokes), None if truth is None else _undollared(truth), _annotation(root, "writer") or "")


def salvaged_label(path: Path, labels: tuple[str, ...] = LABELS) -> str | None:
    """The formula of a file that is no whole InkML, if its annotation still stands before the groups of symbols."""
    try:
        written = path.read_bytes().partition(b"<traceGroup")[0].decode("utf-8", "replace")
    except OSError:
        return None
    found = (re.search(rf"""<annotation\s+type=["']{re.escape(kind)}["']\s*>([^<]*)</annotation>""", written)
             for kind in labels)
    return next((_undollared(html.unescape(match[1])) for match in found if match), None)


def _undollared(truth: str) -> str:
    """A formula without the dollars around it; one that is escaped stays."""
    inside = truth.strip().lstrip("$")
    bare = inside.rstrip("$")
    escaped = len(bare) < len(inside) and (len(bare) - len(bare.rstrip("\\"))) % 2
    return formula_text(bare + "$" if escaped else bare)


def _name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""  # comments have no name


def _annotation(root: ElementTree.Element, kind: str) -> str | None:
    """Text of the file's own annotation; those inside a traceGroup name single symbols."""
    for element in root:
        if _name(element) == "annotation" and element.get("type") == kind:
            return (element.text or "").strip()
    return None


def _channels(root: ElementTree.Element) -> tuple[int, int]:
    """Places of x and y in a point: CROHME writes X Y, X Y T, and other orders are allowed."""
    names = [(element.get("name") or "").upper() for element in root.iter() if _name(element) == "channel"]
    return (names.index("X"), names.index("Y")) if "X" in names and "Y" in names else (0, 1)


def _trace(text: str, x: int, y: int) -> tuple[Point, ...]:
    """Points of a trace, written as `x y, x y, ...`. Raises ValueError or IndexError where it is written otherwise."""
    points = []
    for written in text.split(","):
        numbers = written.split()
        if not numbers:
            continue
        point = float(numbers[x]), float(numbers[y])
        if not all(math.isfinite(value) and abs(value) < FARTHEST for value in point):
            raise ValueError(f"a point at {written.strip()}")
        points.append(point)
    return tuple(points)
