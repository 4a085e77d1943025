r"""Formulas -> pages of a DVI file, through TeX: many formulas a document, limits on what TeX may do.

Takes formulas and the line of a preamble that chooses fonts, gives a page for each formula, or None where TeX does not
accept it. Knows nothing of pictures or of what is on a page.

TeX runs without shell escape, may neither read nor write outside its folder, and has limits on time, memory and the
size of what it writes. A formula that uses a command which could outlive it (\gdef, \catcode, \input ...: all that is
not in `harmless`) gets a document of its own; so does one that broke the document it stood in. Each costs only itself.
"""

from __future__ import annotations

import functools
import os
import re
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from latexocr.errors import UserError
from latexocr.tex import dvi
from latexocr.tex.harmless import doubtful

Result = TypeVar("Result")

PACKAGES = r"\usepackage{amsmath,amssymb,mathrsfs,stmaryrd,cancel,mathtools,braket,gensymb}"
PREAMBLE = r"""\outer\def\OCRend{}\documentclass[%(size)s]{article}%(packages)s%(font)s
\newcommand\bmmax{0}\newcommand\hmmax{0}\usepackage{bm}%(alphabets)s
\usepackage[active,tightpage]{preview}\setlength\textwidth{100cm}%(alone)s\begin{document}"""
"""`bm` keeps no alphabets of mathematics: TeX has room for 16 in all."""
ALPHABETS = r"""
\setcounter{localmathalphabets}{10}\makeatletter\let\OCRfreeze\freeze@math@version
\def\freeze@math@version#1{\OCRfreeze{#1}\global\expandafter\let\csname OCR#1\expandafter\endcsname
  \csname mv@#1@reset\endcsname\global\expandafter\let\csname mv@#1@reset\endcsname\@empty}
\newcommand\OCRnext{\ifcsname OCRbold\endcsname\OCRbold
  \begingroup\let\getanddefine@fonts\@gobbletwo\csname mv@normal\endcsname\endgroup\fi\csname OCRnormal\endcsname}
\makeatother"""
r"""Alphabets are given back after each formula. LaTeX does so after a formula inside a formula too, as \text and \big
have, and then draws the letters before it in the next alphabet: so it is left to \OCRnext, between formulas."""
ALONE = r"""
\newcommand\OCRalias[2]{\expandafter\let\csname #1\expandafter\endcsname\csname #2\endcsname
  \expandafter\let\csname end#1\expandafter\endcsname\csname end#2\endcsname}
\OCRalias{align}{aligned}\OCRalias{align*}{aligned}\OCRalias{flalign}{aligned}\OCRalias{flalign*}{aligned}
\OCRalias{alignat}{alignedat}\OCRalias{alignat*}{alignedat}\OCRalias{gather}{gathered}\OCRalias{gather*}{gathered}
\OCRalias{multline}{gathered}\OCRalias{multline*}{gathered}\OCRalias{displaymath}{math}
\renewenvironment{equation}{}{}\expandafter\let\csname equation*\endcsname\equation
\expandafter\let\csname endequation*\endcsname\endequation\OCRalias{math}{equation}\OCRalias{displaymath}{equation}
\renewenvironment{eqnarray}{\array{rcl}}{\endarray}\OCRalias{eqnarray*}{eqnarray}
\makeatletter\renewcommand\dft@tag{\@ifstar\OCRtagstar\OCRtag}
\renewcommand\aligned@a[1][c]{\start@aligned{#1}\m@ne}\makeatother
\newcommand\OCRtag[1]{\qquad\text{(#1)}}\newcommand\OCRtagstar[1]{\qquad\text{#1}}
\renewcommand\label[1]{}\let\nonumber\relax\let\notag\relax
\providecommand\color[2][]{}\providecommand\textcolor[3][]{#3}\providecommand\lt{<}\providecommand\gt{>}
\providecommand\colonequals{\coloneqq}\providecommand\bold{\mathbf}\providecommand\Bbb{\mathbb}
\providecommand\frak{\mathfrak}"""
"""Formulas as they stand in documents, alone: environments that number their lines are set as those inside a formula,
tags are set beside it, labels and colours are not seen. `aligned` is amsmath's again: that of mathtools 1.29 looks for
its option beyond an `&` at once after it, and then breaks at many a command."""
SECONDS_AT_LEAST, FORMULAS_A_SECOND = 3, 200
"""The limit of a document: seconds of a processor. TeX sets thousands a second; one that loops must not hold it up."""
PATIENCE = 30
"""Seconds on the clock for each second of a processor: other work may slow TeX."""
MEMORY, FILE_SIZE = 1 << 30, 1 << 26
"""Bytes that TeX may hold, and that it may write into one file."""
LARGEST_DOCUMENT = 2000
"""Formulas."""
LARGEST_SIDE, LARGEST_PICTURE = 10_000, 2_000_000
"""In points and square points: what is larger is refused, and kept away from dvipng."""
INSTALL = ("apt-get install texlive-latex-extra texlive-fonts-recommended texlive-science dvipng "
           "preview-latex-style")
"""What Debian gives that typesetting needs."""
ENVIRONMENT = {"openin_any": "p", "openout_any": "p", "shell_escape": "f", "max_print_line": "1000",
               "MKTEXTFM": "0", "MKTEXPK": "0"}


@dataclass(frozen=True)
class Style:
    """How the formulas of a document are set."""

    font: str = ""
    """Lines of the preamble that choose fonts; none: Computer Modern."""
    size: str = "10pt"
    display: bool = True


def available() -> bool:
    """Whether this machine has the TeX that typesetting needs: `latex` and `kpsewhich`."""
    return bool(shutil.which("latex") and shutil.which("kpsewhich"))


@functools.cache
def version() -> str:
    """Of TeX and its collection, in one line. Raises UserError where TeX is not installed."""
    _ask_for_tex()
    said = subprocess.run(["latex", "--version"], capture_output=True, text=True, check=False)
    return said.stdout.partition("\n")[0].strip()


def pages(formulas: Sequence[str], style: Style = Style()) -> list[dvi.Page | None]:
    """The page of each formula, in order; None for one that TeX does not accept. Raises as `each_document`."""
    return each_document(formulas, lambda folder, found: found, style)


def each_document(formulas: Sequence[str], finish: Callable[[Path, list[dvi.Page | None]], list[Result | None]],
                  style: Style = Style()) -> list[Result | None]:
    """What `finish` makes of every document that TeX sets, one result a formula, in order; None where TeX refused it.

    `finish` takes the folder with `a.dvi` and the page of each of its formulas, None for a refused one. Raises
    UserError where TeX is not installed, or lacks what the preamble asks for.
    """
    _ask_for_tex()
    results: list[Result | None] = [None] * len(formulas)
    waiting = _documents(formulas, style)
    while waiting:
        numbers = waiting.pop()
        with tempfile.TemporaryDirectory(prefix="latexocr-", dir=_memory()) as folder:
            got = _run(Path(folder), [formulas[number] for number in numbers], style)
            done = numbers[: len(got.pages)]
            try:
                for number, result in zip(done, finish(Path(folder), got.pages) if done else [], strict=True):
                    results[number] = result
            except subprocess.TimeoutExpired:
                got = Outcome(got.through, [])
        waiting += _again(numbers, got)
    return results


def _ask_for_tex() -> None:
    if not available():
        raise UserError(f"No TeX on this machine (looked for latex and kpsewhich). On Debian: {INSTALL}.")


def limited(command: Sequence[str], folder: Path, formulas: int, output: str = "/dev/null") -> None:
    """Run a program of TeX in a folder, within the limits for so many formulas; its output goes into a file.

    Raises subprocess.TimeoutExpired where it waits too long for a processor; one that the limits stop just ends.
    """
    seconds = SECONDS_AT_LEAST + formulas // FORMULAS_A_SECOND
    limits = f"ulimit -t {seconds}; ulimit -f {FILE_SIZE // 512}; ulimit -v {MEMORY // 1024} 2>/dev/null; exec \"$@\""
    with (folder / output).open("wb") as written:
        subprocess.run(["sh", "-c", limits, "sh", *command], cwd=folder, stdin=subprocess.DEVNULL, stdout=written,
                       stderr=subprocess.DEVNULL, timeout=seconds * PATIENCE, env={**os.environ, **ENVIRONMENT})


def _memory() -> str | None:
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


@dataclass(frozen=True)
class Outcome:
    """What came of a document."""

    through: int
    """Formulas that TeX got through in good order: the next one broke the document, if there is a next one."""
    pages: list[dvi.Page | None]
    """Of these formulas; none where the file is no good."""


def _documents(formulas: Sequence[str], style: Style) -> list[list[int]]:
    """The numbers of the formulas of each document."""
    alone = doubtful(formulas, lambda names: _defined(names, style))
    shared = [number for number in range(len(formulas)) if number not in alone]
    return [[number] for number in sorted(alone, reverse=True)] + [
        shared[start : start + LARGEST_DOCUMENT] for start in range(0, len(shared), LARGEST_DOCUMENT)]


def _again(numbers: list[int], got: Outcome) -> list[list[int]]:
    """The documents that are still to be set after one: what was before and after a formula that broke it, and that."""
    if len(numbers) == 1:
        return []
    before, broken, after = numbers[: got.through], numbers[got.through : got.through + 1], numbers[got.through + 1 :]
    if got.pages:
        before = []
    elif not broken:  # TeX got through all, yet there are no pages: which formula is to blame is found by halving.
        middle = len(numbers) // 2
        before, after = numbers[:middle], numbers[middle:]
    return [document for document in (before, broken, after) if document]


def _run(folder: Path, formulas: Sequence[str], style: Style) -> Outcome:
    nonce = secrets.token_hex(8)
    text = _tex(folder, _source(formulas, nonce, style), len(formulas))
    through, refused = _log(text, nonce)
    try:
        found = dvi.pages(folder / "a.dvi")
    except (OSError, ValueError):
        return Outcome(through, [])
    of_formula: list[list[dvi.Page]] = [[] for _ in formulas]
    for page in found:
        if 0 <= page.number < through and not (fits := _fits(page)) and through > 1:
            return Outcome(page.number, [])
        if 0 <= page.number < through and page.number not in refused and fits:
            of_formula[page.number].append(page)
    return Outcome(through, [pages[0] if len(pages) == 1 else None for pages in of_formula[:through]])


def _source(formulas: Sequence[str], nonce: str, style: Style) -> str:
    r"""The document. A mark before each formula says which comes, and how deep in groups TeX is.

    The mark is a \message, which TeX writes out at once; no formula can guess it. Each page carries the number of its
    formula, as one that is broken may make two pages, or none. No argument goes on past an \outer command, so that one
    without its closing brace ends with its formula.
    """
    look = r"\displaystyle" if style.display else ""
    parts = [_preamble(style)]
    for number, formula in enumerate(formulas):
        parts += [rf"\message{{^^J@{nonce} {number} \the\currentgrouplevel^^J}}",
                  rf"\global\count9={number}\OCRnext",
                  rf"\begin{{preview}}${look}", formula if formula.strip() else "%", r"\OCRend$\end{preview}"]
    return "\n".join([*parts, rf"\message{{^^J@{nonce} {len(formulas)} \the\currentgrouplevel^^J}}\end{{document}}"])


def _preamble(style: Style) -> str:
    return PREAMBLE % {"size": style.size, "packages": PACKAGES, "font": style.font, "alone": ALONE,
                       "alphabets": ALPHABETS}


def _tex(folder: Path, source: str, formulas: int) -> str:
    """What TeX says as it sets a document."""
    (folder / "a.tex").write_text(source, encoding="utf-8", errors="surrogatepass")
    with suppress(subprocess.TimeoutExpired):
        limited(["latex", "-no-shell-escape", "-interaction=nonstopmode", "a.tex"], folder, formulas, output="said")
    return (folder / "said").read_text(encoding="utf-8", errors="replace")


def _log(text: str, nonce: str) -> tuple[int, set[int]]:
    """How many formulas TeX got through in good order, and the numbers of those that it reported an error in.

    Raises UserError where it did not get to the first.
    """
    before, *parts = re.split(rf"^@{nonce} (\d+) (\d+)\s*$", text, flags=re.MULTILINE)
    if not parts:
        error = re.search(r"^! .*", before, re.MULTILINE)
        raise UserError(f"TeX did not get to the first formula: {error[0] if error else 'it gave no reason'}. On "
                        f"Debian: {INSTALL}, and texlive-fonts-extra for other fonts.")
    numbers, levels, said = parts[::3], parts[1::3], parts[2::3]
    through, refused = -1, set()
    for number, level, after in zip(numbers, levels, said, strict=True):
        if int(number) != through + 1 or level != levels[0]:
            break
        through += 1
        if re.search(r"^! ", after, re.MULTILINE):
            refused.add(through)
    return through, refused


def _fits(page: dvi.Page) -> bool:
    return max(page.width, page.height) <= LARGEST_SIDE and page.width * page.height <= LARGEST_PICTURE


_MEANINGS: dict[tuple[str, str], bool] = {}
"""Whether TeX knows a name, by the fonts that are loaded and the name."""


def _defined(names: Collection[str], style: Style) -> set[str]:
    """Those of some names of commands and environments that TeX has a meaning for."""
    asked = [name for name in sorted(names) if (style.font, name) not in _MEANINGS]
    if asked:
        lines = [rf"\ifcsname {name}\endcsname\message{{^^J@{name}@^^J}}\fi" for name in asked]
        with tempfile.TemporaryDirectory(prefix="latexocr-", dir=_memory()) as folder:
            said = _tex(Path(folder), "\n".join([_preamble(style), *lines, r"\end{document}"]), len(asked))
        known = set(re.findall(r"^@(\S+)@\s*$", said, re.MULTILINE))
        _MEANINGS.update({(style.font, name): name in known for name in asked})
    return {name for name in names if _MEANINGS[style.font, name]}
