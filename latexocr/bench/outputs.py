"""Predictions as a file for people and programs: one function a format, chosen by the ending of the name.

Takes predictions one after the other, gives text piece by piece, in which nothing of a name or a formula can be
anything else than a name or a formula. Knows nothing of readers or pictures.
"""

from __future__ import annotations

import csv
import html
import io
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from latexocr.bench.page import mathml
from latexocr.bench.tex_document import tex
from latexocr.errors import UserError
from latexocr.latex.delimiters import one_line, wrapped
from latexocr.records import Prediction, append, json_line, stream_predictions

_NOT_TEXT = re.compile(r"[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML may not hold, and nothing shows."""
_CALCULATES = tuple("=+-@\t\r＝＋－＠")
"""A cell that begins so is a formula of the spreadsheet's, not of ours, and may run a program."""


def json_lines(predictions: Iterable[Prediction], wrap: str) -> Iterator[str]:
    """The format of predictions, with all they hold."""
    for p in predictions:
        yield json_line(replace(p, latex=wrapped(p.latex, wrap)))


def comma_separated(predictions: Iterable[Prediction], wrap: str) -> Iterator[str]:
    """A table with the columns id, latex, confidence, stop, tokens, error.

    A cell that a spreadsheet would calculate begins with a space: it is text then, and the same LaTeX.
    """
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)  # Its line ends (RFC 4180) make it put quotes around a lone \r as well.
    for row in _rows(predictions, wrap):
        writer.writerow([f" {cell}" if cell.startswith(_CALCULATES) else cell for cell in map(_text, row)])
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()


def _rows(predictions: Iterable[Prediction], wrap: str) -> Iterator[tuple[str, ...]]:
    yield "id", "latex", "confidence", "stop", "tokens", "error"
    for p in predictions:
        confidence = "" if p.confidence is None else f"{p.confidence:.4f}"
        yield p.id, wrapped(p.latex, wrap), confidence, p.stop, str(p.tokens), p.error


def markdown(predictions: Iterable[Prediction], wrap: str) -> Iterator[str]:
    """A section a picture: its name, and the formula as GitHub, Pandoc and Obsidian draw it.

    A formula with a `$` or a backquote in it, which would end it, is shown as code.
    """
    for p in predictions:
        yield f"## {_code(shown(p.id))}\n\n"
        latex = one_line(_text(p.latex))
        if p.stop == "error":
            yield f"Not read: {_code(shown(p.error))}\n\n"
        elif not latex:
            yield "Nothing.\n\n"
        elif "$" in latex or "`" in latex or wrap == "none":
            fence = "`" * max(3, 1 + max(map(len, re.findall("`+", latex)), default=0))
            yield f"{fence}latex\n{latex}\n{fence}\n\n"
        else:
            # A `<` right before a letter would begin a tag; TeX sees no difference.
            yield wrapped(re.sub(r"<(?=[a-zA-Z/!?])", "< ", latex), wrap) + "\n\n"


def shown(name: str) -> str:
    """A name on one line; what cannot be printed is spelled out."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)


def _code(text: str) -> str:
    """Text as Markdown's inline code, whatever is in it."""
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence} {text} {fence}" if fence != "`" or text[:1] in " `" else f"`{text}`"


def math_markup(predictions: Iterable[Prediction], wrap: str) -> Iterator[str]:
    """An XML document of formulas in MathML, each with its LaTeX as annotation; delimiters have no place in it."""
    yield '<?xml version="1.0" encoding="UTF-8"?>\n<formulas>\n'
    for p in predictions:
        drawn = "" if p.stop == "error" else str(mathml(p.latex) or "")
        inside = re.sub(r"^<math([^>]*)>(.*)</math>$", r"<math\1><semantics><mrow>\2</mrow>", _text(drawn), flags=re.S)
        note = f'<annotation encoding="application/x-tex">{_xml(p.latex)}</annotation></semantics></math>'
        plain = '<math xmlns="http://www.w3.org/1998/Math/MathML"><semantics><merror><mtext/></merror>'
        yield f'<formula id="{_xml(shown(p.id))}"' + (f' error="{_xml(shown(p.error))}"' if p.error else "") + ">"
        yield f"{inside or plain}{note}</formula>\n"
    yield "</formulas>\n"


def _text(value: str) -> str:
    return _NOT_TEXT.sub("\N{REPLACEMENT CHARACTER}", value)


def _xml(value: str) -> str:
    return html.escape(_text(value))


@dataclass(frozen=True)
class Format:
    """How predictions become a file."""

    write: Callable[[Iterable[Prediction], str], Iterator[str]]
    """Predictions and the name of a wrap to text."""
    wrap: str = "none"
    """The wrap unless another is asked for."""


FORMATS = {".jsonl": Format(json_lines), ".csv": Format(comma_separated), ".md": Format(markdown, "dollars"),
           ".tex": Format(tex, "display"), ".mml": Format(math_markup)}
"""By ending. (`.html`, which also shows the pictures, is `transcripts.write_page`.)"""


def write_as(path: Path, results: Path, wrap: str) -> None:
    """A file of predictions as a file of the format that the ending of `path` names; replaced at once.

    `wrap`: a name of `latex.delimiters`, or "auto" for that of the format.
    """
    format = FORMATS[path.suffix.lower()]
    beside = path.with_name(path.name + ".part")
    try:
        beside.unlink(missing_ok=True)
        append(beside, format.write(stream_predictions(results), format.wrap if wrap == "auto" else wrap))
        beside.replace(path)
    except OSError as e:
        raise UserError(f"{path}: cannot be written ({e.strerror or e}). Give another --out.") from e
