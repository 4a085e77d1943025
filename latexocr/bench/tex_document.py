r"""Predictions as a LaTeX document that compiles, whatever a model wrote.

A formula that may break the document is set as text: one that does not parse, that uses a command which is not known
to be harmless (`tex.harmless`), that is not in ASCII; and, where this machine has TeX, one in whose lines TeX finds an
error. TeX runs as `tex.run` runs it, under limits and without shell escape.
"""

from __future__ import annotations

import bisect
import re
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from latexocr.latex.delimiters import one_line, wrapped
from latexocr.records import Prediction
from latexocr.scoring.forms import unparsable
from latexocr.tex.harmless import doubtful
from latexocr.tex.run import PACKAGES, available, limited

PREAMBLE = rf"""\documentclass{{article}}
\usepackage[T1]{{fontenc}}
{PACKAGES}
\usepackage{{bm}}
\allowdisplaybreaks
\begin{{document}}
"""
CHECKED = 20_000
"""Formulas of a document that TeX is asked about; a longer one is too much for it in a reasonable time."""
ROUNDS = 8
"""How often TeX is asked: an error may hide others behind it."""
ENVIRONMENTS = {"align": "aligned", "align*": "aligned", "flalign": "aligned", "flalign*": "aligned",
                "gather": "gathered", "gather*": "gathered", "multline": "gathered", "multline*": "gathered"}
"""Displays, which cannot stand in another -> what can."""
_SPECIAL = {"\\": r"\textbackslash{}", "{": r"\{", "}": r"\}\allowbreak{}", "$": r"\$", "&": r"\&", "#": r"\#",
            "_": r"\_", "%": r"\%", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}",
            ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\textquotedbl{}", "-": "{-}", "`": r"\textasciigrave{}",
            "'": r"\textquotesingle{}", ",": "{,}", "?": "{?}", "!": "{!}", "/": r"/\allowbreak{}"}


def tex(predictions: Iterable[Prediction], wrap: str) -> Iterator[str]:
    """The document, a paragraph a picture: its name, then the formula, or the text of it, or why there is none."""
    given = list(predictions)
    formulas = [_displayed(p.latex) for p in given]
    broken = set(doubtful(formulas, set)) | {i for i, latex in enumerate(formulas) if _is_broken(latex)}
    for _ in range(ROUNDS if available() and len(given) <= CHECKED else 0):
        if not (found := _errors(list(_document(given, formulas, broken, wrap))) - broken):
            break
        broken |= found
    yield from _document(given, formulas, broken, wrap)


def _displayed(latex: str) -> str:
    """The formula on one line, as it can stand in a display."""
    def named(match: re.Match[str]) -> str:
        return f"\\{match[1]}{{{ENVIRONMENTS.get(match[2], match[2])}}}"

    return re.sub(r"\\(begin|end)\s*\{([a-z]+\*?)\}", named, one_line(latex))


def _is_broken(latex: str) -> bool:
    return not latex.isascii() or not latex.isprintable() or unparsable(latex) is not None


def _document(predictions: list[Prediction], formulas: list[str], broken: set[int], wrap: str) -> Iterator[str]:
    """Preamble, one piece a prediction, end; each piece ends with its line."""
    yield PREAMBLE
    for number, (p, latex) in enumerate(zip(predictions, formulas)):
        if p.stop == "error":
            body = f"\\emph{{not read:}} {text(p.error)}"
        elif number in broken:
            body = f"\\emph{{not set:}} {text(p.latex)}"
        else:
            body = wrapped(latex, "inline" if wrap == "none" else wrap) or r"\emph{nothing}"
        yield f"\\noindent {text(p.id)}\n\n{body}\n\n"
    yield "\\end{document}\n"


def text(written: str) -> str:
    """Any text as typewriter text; what is not in ASCII by its number. It may break after a slash or a brace."""
    shown = "".join(_SPECIAL.get(c, c) if " " < c <= "~" else r"\ " if c.isspace() else f"[U+{ord(c):04X}]"
                    for c in written)
    return rf"\texttt{{{shown}}}"


def _errors(pieces: list[str]) -> set[int]:
    """The numbers of the formulas in whose lines TeX finds an error."""
    ends, line = [], 1
    for piece in pieces:
        line += piece.count("\n")
        ends.append(line)
    with tempfile.TemporaryDirectory(prefix="latexocr-") as folder:
        (Path(folder) / "a.tex").write_text("".join(pieces), encoding="ascii", errors="replace")
        try:
            limited(["latex", "-no-shell-escape", "-interaction=nonstopmode", "-file-line-error", "a.tex"],
                    Path(folder), len(pieces), output="said")
        except subprocess.TimeoutExpired:
            return set(range(len(pieces) - 2))
        said = (Path(folder) / "said").read_text(encoding="utf-8", errors="replace")
    lines = [int(number) for number in re.findall(r"^\./a\.tex:(\d+): ", said, re.MULTILINE)]
    # A line belongs to the first piece that ends after it; the first and the last are no formulas.
    found = {bisect.bisect_right(ends, number) for number in lines}
    return {piece - 1 for piece in found if 0 < piece < len(pieces) - 1}
