r"""What stands in a formula, and in which structures, read off the tokens of its syntax form in one pass.

Takes tokens, gives bags (Counters). Never raises: of what cannot be parsed, the part that can be seen is counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from latexocr.latex import commands as tex
from latexocr.latex.aliases import NO_ALIASES, Aliases
from latexocr.latex.canonical import Level
from latexocr.latex.commands import names
from latexocr.latex.tokens import tokenize
from latexocr.scoring.forms import KEPT, form, tokens, unparsable

KINDS = {"^": "sup", "_": "sub", r"\sqrt": "root"} | dict.fromkeys(
    names(r"\frac \dfrac \tfrac \cfrac"), "fraction") | dict.fromkeys(names(r"\binom \dbinom \tbinom"), "binomial")
"""Token -> the structure that it makes."""
ARGUMENTS = {token: ("below", "above") if kind in ("fraction", "binomial") else (kind,)
             for token, kind in KINDS.items()} | {font: (font,) for font in tex.FONT_COMMANDS}
"""Token -> what its arguments stand in, the last first: a structure, or an alphabet, which is none but is noted."""
UNDRAWN = tex.STYLES | tex.SIZES | tex.SPACES | names(
    r"& \left \right \middle \limits \nolimits \displaylimits \text \mbox \substack \operatorname \operatorname*"
    r" \mathop \mathrel \mathbin \mathord \mathopen \mathclose \mathinner \mathpunct \phantom \hphantom"
    r" \vphantom") | {" "}
"""Tokens that are no symbols: they place, group, or choose a size."""


@dataclass(frozen=True)
class Parts:
    """The bags of one formula."""

    symbols: Counter[str]
    """Drawn symbols, wherever they stand."""
    structures: Counter[str]
    """Scripts, fractions, roots and grids, each with those it lies in: "above/sup" is a superscript in a numerator."""
    grids: Counter[str]
    """Matrices, arrays and alignments as rows x columns."""


def parts(latex: str, aliases: Aliases = NO_ALIASES) -> Parts:
    """The symbols, structures and grids of a formula, at the syntax level."""
    return read(tokens(latex, aliases))


@lru_cache(maxsize=KEPT)
def read(row: tuple[str, ...]) -> Parts:
    """The symbols, structures and grids in a row of tokens."""
    found = Parts(Counter(), Counter(), Counter())
    levels = [_Level("", "")]
    for token in row:
        level = levels[-1]
        if token == "{":
            levels.append(level.argument())
        elif token in ARGUMENTS:
            level.awaited += ARGUMENTS[token]
            if token in KINDS:
                found.structures[level.path + KINDS[token]] += 1
        elif token in ("}", "]") or token.startswith(r"\end{"):
            _close(levels, token, found)
        elif token == "[" and level.awaited[-1:] == ["root"]:
            found.structures[f"{level.path}index"] += 1
            levels.append(_Level(f"{level.path}index/", level.font, "]"))
        elif token.startswith(r"\begin{"):
            found.structures[f"{level.path}grid"] += 1
            levels.append(_Level(f"{level.path}grid/", "", rf"\end{{{token[7:-1]}}}"))
        else:
            level.read(token)
            if token not in UNDRAWN and not token.startswith(_UNDRAWN_BEGINNINGS):
                found.symbols[level.font + token if level.font and token in tex.STYLED else token] += 1
    return found


_UNDRAWN_BEGINNINGS = (*tex.SPACE_PREFIXES, "\\\\")


class _Level:
    """What is open at one depth: the structures around it, its alphabet, arguments still to come, rows and columns."""

    def __init__(self, path: str, font: str, closing: str = "}"):
        self.path, self.font, self.closing = path, font, closing
        self.awaited: list[str] = []
        self.rows = self.columns = self.column = 1

    def argument(self) -> _Level:
        """The level within the next braces."""
        role = self.awaited.pop() if self.awaited else ""
        if role in tex.FONT_COMMANDS:
            return _Level(self.path, role)
        return _Level(f"{self.path}{role}/" if role else self.path, self.font)

    def read(self, token: str) -> None:
        """One token that opens nothing."""
        if token == "&":
            self.column += 1
            self.columns = max(self.columns, self.column)
        elif token.startswith("\\\\"):
            self.rows += 1
            self.column = 1
        elif self.awaited:
            self.awaited.pop()


def _close(levels: list[_Level], token: str, found: Parts) -> None:
    """The end of what is open, where it is of its kind; else a stray one."""
    if token == "]" and levels[-1].closing != "]":
        found.symbols[token] += 1
    elif len(levels) > 1 and levels[-1].closing == token:
        closed = levels.pop()
        if token.startswith(r"\end{"):
            found.grids[f"{closed.rows}x{closed.columns}"] += 1


def common(a: Counter[str], b: Counter[str]) -> tuple[float, float]:
    """Twice what two bags share, and the size of both: summed, their ratio is F1."""
    shared = a.total() if a == b else sum(min(times, b[item]) for item, times in a.items() if item in b)
    return 2 * shared, a.total() + b.total()


def balanced(latex: str) -> bool:
    r"""Whether all braces, \left and \right, \begin and \end close as TeX wants them to, the surface form read."""
    return unparsable(latex) is None or _closes(tokenize(form(latex, Level.SURFACE)))


def _closes(row: Iterable[str]) -> bool:
    open_now: list[str] = []
    for token in row:
        if token == "{":
            open_now.append("}")
        elif token == r"\left":
            open_now.append(r"\right")
        elif token.startswith(r"\begin{"):
            open_now.append(rf"\end{{{token[7:-1]}}}")
        elif (token in ("}", r"\right") or token.startswith(r"\end{")) and (not open_now or open_now.pop() != token):
            return False
    return not open_now
