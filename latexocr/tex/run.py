"""Formulas -> pages of a DVI file, through TeX: many formulas a document, limits on what TeX may do.

Takes formulas and a preamble, gives what each page holds, or None where TeX does not accept the formula. TeX runs
without shell escape, may neither read nor write outside its folder, and is stopped after a time limit.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from latexocr.errors import UserError
from latexocr.tex import dvi

Result = TypeVar("Result")
Page = list[dvi.Glyph]
"""The glyphs and rules of one formula."""

PACKAGES = r"\usepackage{amsmath,amssymb,bm,mathrsfs,stmaryrd,cancel,mathtools,braket,gensymb}"
PREAMBLE = r"""\documentclass[%(size)s]{article}%(packages)s%(font)s
\usepackage[active,tightpage]{preview}\setlength\textwidth{100cm}\begin{document}"""
SECONDS_A_FORMULA, SECONDS_AT_LEAST = 0.05, 8
"""Time limit of a document: TeX sets hundreds of formulas a second; one that loops must not stop the rest."""
ENVIRONMENT = {"openin_any": "p", "openout_any": "p", "shell_escape": "f", "max_print_line": "1000",
               "MKTEXTFM": "0", "MKTEXPK": "0"}


def available() -> bool:
    """Whether this machine has the TeX that typesetting needs: `latex` and `kpsewhich`."""
    return bool(shutil.which("latex") and shutil.which("kpsewhich"))


def pages(formulas: Sequence[str], *, font: str = "", size: str = "10pt", display: bool = True) -> list[Page | None]:
    """The glyphs of each formula, in order; None for a formula that TeX does not accept. As `each_document`."""
    return each_document(formulas, lambda folder, found: found, font=font, size=size, display=display)


def each_document(formulas: Sequence[str], finish: Callable[[Path, list[Page | None]], list[Result | None]], *,
                  font: str = "", size: str = "10pt", display: bool = True) -> list[Result | None]:
    """What `finish` makes of every document that TeX sets, one result a formula, in order; None where TeX refused it.

    `finish` takes the folder with `a.dvi` and its pages, None for a refused formula; `font` is the line of the preamble
    that chooses fonts. A formula that breaks its document (an unbalanced brace, an endless loop) is found by halving:
    the others are set all the same. Raises UserError where TeX is not installed.
    """
    if not available():
        raise UserError("No TeX on this machine (looked for latex and kpsewhich). On Debian: apt-get install "
                        "texlive-latex-extra texlive-fonts-recommended texlive-science dvipng preview-latex-style.")
    if not formulas:
        return []
    with tempfile.TemporaryDirectory(prefix="latexocr-", dir=_memory()) as name:
        folder = Path(name)
        try:
            found = _document(folder, formulas, _source(formulas, font=font, size=size, display=display))
            if found is not None:
                return finish(folder, found)
        except subprocess.TimeoutExpired:
            pass
    if len(formulas) == 1:
        return [None]
    middle = len(formulas) // 2
    return [result for half in (formulas[:middle], formulas[middle:])
            for result in each_document(half, finish, font=font, size=size, display=display)]


def limited(command: Sequence[str], folder: Path, formulas: int) -> None:
    """Run a program of TeX in a folder, within the limits for so many formulas. Raises subprocess.TimeoutExpired."""
    subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                   timeout=SECONDS_AT_LEAST + SECONDS_A_FORMULA * formulas, env={**os.environ, **ENVIRONMENT})


def _memory() -> str | None:
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def _document(folder: Path, formulas: Sequence[str], source: str) -> list[Page | None] | None:
    """The pages of one document; None where pages and formulas cannot be told apart."""
    (folder / "a.tex").write_text(source, encoding="utf-8")
    limited(["latex", "-no-shell-escape", "-interaction=nonstopmode", "a.tex"], folder, len(formulas))
    refused = _refused(folder / "a.log", len(formulas))
    if refused is None or not (folder / "a.dvi").exists():
        return None
    try:
        found = dvi.pages(folder / "a.dvi")
    except ValueError:
        return None
    if len(found) != len(formulas):
        return None
    return [None if number in refused else page for number, page in enumerate(found)]


def _source(formulas: Sequence[str], *, font: str, size: str, display: bool) -> str:
    style = r"\displaystyle " if display else ""
    parts = [PREAMBLE % {"size": size, "packages": PACKAGES, "font": font}]
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
