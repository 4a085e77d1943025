"""InkML files, as CROHME publishes them: the strokes of one formula and its truth.

Takes a path, gives an `Ink`. Knows nothing of pictures or samples.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from latexocr.data.folders import formula_text
from latexocr.errors import UserError

Point = tuple[float, float]


@dataclass(frozen=True)
class Ink:
    """One handwritten formula."""

    strokes: tuple[tuple[Point, ...], ...]
    latex: str | None
    """The truth without the dollars around it; None where the file has none (a test set before its publication)."""
    writer: str


def read_inkml(path: Path) -> Ink:
    """The ink of a file, with or without XML namespaces. Raises UserError where it is not InkML or holds no trace."""
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
    truth = _annotation(root, "truth")
    latex = None if truth is None else formula_text(truth.strip().strip("$"))
    return Ink(tuple(strokes), latex, _annotation(root, "writer") or "")


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
        if not all(map(math.isfinite, point)):
            raise ValueError(f"a point at {written.strip()}")
        points.append(point)
    return tuple(points)
