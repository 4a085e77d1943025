"""Samples and predictions, and their JSON lines: the only file format between the rooms.

Takes and gives records and paths. Knows nothing of models, metrics or where a sample came from.
"""

from __future__ import annotations

import codecs
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args, runtime_checkable

from latexocr.errors import UserError

if TYPE_CHECKING:
    from PIL.Image import Image

KEPT_EVERY_S = 5.0
"""Seconds after which what was written is kept even if the machine stops."""
BLOCK = 1 << 16
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""Of a picture, whatever its name ends in. Pillow reads more, and some of it runs a program: EPS goes to Ghostscript.
"""
Stop = Literal["end", "length", "error"]


@runtime_checkable
class Distant(Protocol):
    """A picture that is fetched or drawn each time it is read: one behind a URL, a page of a PDF. `str` names it."""

    def fetch(self) -> Image:
        """The picture. Raises UserError where it cannot be had."""


@dataclass(frozen=True)
class Sample:
    """One picture and, where known, its formula."""

    id: str
    """Unique within its data set; predictions are paired with references by it."""
    image: Path | Image | Distant
    """A file, a picture already in memory (a drawn formula), or one to be fetched when it is read."""
    latex: str | None = None
    """The reference; None where only transcription is asked for."""
    subset: str = ""
    """A name for a part of the set (a split, a year, a writer); scores are also shown by it."""


@dataclass(frozen=True)
class Prediction:
    """What a reader said of one sample. A failure is a prediction too: it counts as a wrong answer with a reason."""

    id: str
    latex: str
    """The formula inside the reply; empty on an error."""
    reply: str = ""
    """Everything the model said."""
    tokens: int = 0
    """Generated tokens, the end token not counted."""
    stop: Stop = "end"
    error: str = ""
    """Why there is no answer; empty unless `stop` is "error"."""
    confidence: float | None = None
    """The chance that the formula is right, 0 to 1, where the model is calibrated (reading/confidence.py); else the
    geometric mean of the probabilities of its tokens; None where the reader cannot tell."""


def failure(sample: Sample, reason: Exception | str) -> Prediction:
    """The prediction of a sample that could not be read."""
    return Prediction(sample.id, latex="", stop="error", error=str(reason) or type(reason).__name__)


def json_lines(path: Path, *, whole: bool = False) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line number, from 1, and object of every JSON line of a file, one after the other.

    A last line without its newline is what a killed run was writing: where it is not whole, it is left out; but not of
    a `whole` file, as a data set is. Raises UserError naming file and line where a line is not a JSON object.
    """
    return ((number, fields) for number, _, fields in placed_json_lines(path, whole=whole))


def placed_json_lines(path: Path, *, whole: bool = False) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """As `json_lines`; between number and object, the byte at which the line begins."""
    place = 0
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                content = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
                fields = _json_object(content + b"\n" if whole else content, f"{path}:{number}")
                if fields is not None:
                    yield number, place, fields
                place += len(line)
    except (OSError, ValueError) as e:  # the latter: a name with a null byte
        raise UserError(f"{path}: cannot be read as JSON lines ({getattr(e, 'strerror', None) or e}).") from e


def _json_object(line: bytes, where: str) -> dict[str, Any] | None:
    """The object of a line; None of one that is blank or was not written to its end."""
    if not line.strip():
        return None
    try:
        fields = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError) as e:
        if not line.endswith(b"\n"):
            return None
        raise UserError(f"{where}: not JSON ({e}). Each line must be one JSON object, in UTF-8.") from e
    if not isinstance(fields, dict):
        raise UserError(f"{where}: found {type(fields).__name__}, expected one JSON object a line.")
    return json.loads(whole(json.dumps(fields, ensure_ascii=False))) if b"\\ud" in line.lower() else fields


def whole(text: str) -> str:
    """Text without halves of characters, as JSON may spell them: no file can hold those."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def json_line(prediction: Prediction, **more: Any) -> str:
    """A prediction as a line of a file; with more fields, which readers of predictions ignore."""
    return json.dumps({**vars(prediction), **more}, ensure_ascii=False) + "\n"


def append(path: Path, lines: Iterable[str]) -> None:
    """Append lines to a file as they come. A killed run loses at most the line that it was writing, a machine that
    stops those of the last seconds. Raises UserError where they cannot be written."""
    try:
        # Half a character, which no file can hold, is spelled as JSON spells it.
        with path.open("a", encoding="utf-8", errors="backslashreplace", newline="") as file:
            kept = time.monotonic()
            try:
                for line in lines:
                    file.write(line)
                    file.flush()
                    if time.monotonic() - kept > KEPT_EVERY_S:
                        os.fsync(file.fileno())
                        kept = time.monotonic()
            finally:
                os.fsync(file.fileno())
    except BrokenPipeError:
        raise  # of whoever shows the lines
    except OSError as e:
        raise UserError(f"{path}: cannot be written ({e.strerror or e}). What is there stays; make room, or give "
                        "another --out.") from e


def write_predictions(path: Path, predictions: Iterable[Prediction]) -> None:
    """Append predictions to a file."""
    append(path, map(json_line, predictions))


def mend(path: Path) -> None:
    """Cut what follows the last newline of a file: the line that a killed run was writing."""
    with path.open("rb+") as file:
        size = end = file.seek(0, os.SEEK_END)
        while end:
            start = max(0, end - BLOCK)
            file.seek(start)
            found = file.read(end - start).rfind(b"\n")
            if found >= 0:
                end = start + found + 1
                break
            end = start
        if end < size:
            file.truncate(end)


def read_predictions(path: Path) -> list[Prediction]:
    """All predictions of a file, in its order. Raises UserError on a line that is not a prediction."""
    return list(stream_predictions(path))


def stream_predictions(path: Path) -> Iterator[Prediction]:
    """The same, one after the other, for files that are large."""
    for number, fields in json_lines(path):
        if "id" not in fields or "latex" not in fields:
            raise UserError(f"{path}:{number}: no 'id' or no 'latex' (found: {', '.join(fields) or 'nothing'}). "
                            "Each line of a predictions file needs both.")
        known = {name: fields[name] for name in _FITS if name in fields
                 and (fields[name] is not None or name in ("id", "latex"))}
        for name, value in known.items():
            expected, fits = _FITS[name]
            if not fits(value):
                raise UserError(f"{path}:{number}: '{name}' is {json.dumps(value)[:60]}; expected {expected}.")
        yield Prediction(**known)


def _text(value: Any) -> bool:
    return isinstance(value, str)


_FITS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "id": ("a string", _text), "latex": ("a string, empty where there is no answer", _text),
    "reply": ("a string", _text), "error": ("a string", _text),
    "tokens": ("a number of tokens", lambda value: type(value) is int and value >= 0),
    "stop": (f"one of {', '.join(get_args(Stop))}", lambda value: value in get_args(Stop)),
    "confidence": ("a number from 0 to 1, or null", lambda value: type(value) in (int, float) and 0 <= value <= 1)}
"""Field of a prediction -> what it must be, in words and as a test."""
