"""Text files as people keep them: marks of their encoding, odd line ends, formulas with white space around them.

Takes paths and strings, gives strings. Knows nothing of samples.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path

from latexocr.errors import UserError

MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
         (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
"""What a file begins with, and how it is written then. The mark of UTF-32 begins with that of UTF-16."""


def read_text(path: Path, encoding: str = "utf-8") -> str:
    """A text file with its line ends as they are: a lone carriage return inside a formula does not end its line.

    A byte order mark decides over `encoding`. Raises UserError where the file is written otherwise: a guess would
    turn letters into others, and nobody would see it.
    """
    try:
        content = path.read_bytes()
    except OSError as e:
        raise UserError(f"{path}: cannot be read ({e.strerror}).") from e
    return decoded(content, path, encoding)


def decoded(content: bytes, path: Path, encoding: str = "utf-8") -> str:
    """The text of a file's content, as `read_text` reads it; `path` is only named."""
    try:
        text = content.decode(next((name for mark, name in MARKS if content.startswith(mark)), encoding))
    except UnicodeDecodeError as e:
        raise UserError(f"{path}: not {e.encoding} text ({e.reason} at byte {e.start}). Convert it, for example with "
                        "`iconv -f LATIN1 -t UTF-8`.") from e
    if "\0" in text:
        raise UserError(f"{path}: holds null bytes, so it is no {encoding} text. Convert it, for example with "
                        "`iconv -f UTF-16 -t UTF-8`.")
    return text


def text_lines(path: Path, encoding: str = "utf-8") -> Iterator[tuple[int, str]]:
    """Number, from 1, and text of each line that is not blank. Only a line feed ends a line."""
    for number, line in enumerate(read_text(path, encoding).split("\n"), start=1):
        if line.strip():
            yield number, line.removesuffix("\r")


def formula_text(written: str) -> str:
    """A formula without the white space around it; a blank after a last backslash is the command `\\ ` and stays."""
    formula = written.strip()
    backslashes = len(formula) - len(formula.rstrip("\\"))
    return formula + " " if backslashes % 2 and written.rstrip() != written else formula


def printable(name: str) -> str:
    """A name as an id: bytes of it that are no UTF-8 would break the files of predictions, so they are spelled out."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
