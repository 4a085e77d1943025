r"""What plain TeX puts between two parts of a formula: `a \over b`, `\root n \of x`.

Takes names and nodes, gives the nodes of the commands of LaTeX. The reading itself is in `tree`.
"""

from __future__ import annotations

from latexocr.latex import commands as tex
from latexocr.latex.nodes import Atom, Call, Node

FRACTIONS = tex.FRACTIONS.keys() | tex.FRACTIONS_IN_DELIMITERS.keys()
DELIMITERS = dict.fromkeys(tex.FRACTIONS_IN_DELIMITERS, 2)
"""How many brackets follow the command."""
CALLS = {r"\root": (r"\sqrt", r"\of", True), r"\buildrel": (r"\stackrel", r"\over", False)}
"""Commands with a word between their arguments: the command of LaTeX, the word, and whether the first is optional."""


def spec(token: str, left: str = "", right: str = "") -> tuple[str, ...]:
    r"""What one of the fractions is: the command of LaTeX, or brackets and thickness of the line for \genfrac."""
    if token in tex.FRACTIONS:
        return tex.FRACTIONS[token]
    if token.startswith(r"\above"):
        return "", "", token[len(r"\above"):]
    return left.replace(".", ""), right.replace(".", ""), tex.FRACTIONS_IN_DELIMITERS[token]


def fraction(spec: tuple[str, ...], above: tuple[Node, ...], below: tuple[Node, ...]) -> Call:
    """The fraction of two parts."""
    if len(spec) == 1:
        return Call(spec[0], (above, below))
    left, right, thickness = spec
    return Call(r"\genfrac", (
        (Atom(left),) if left else (), (Atom(right),) if right else (), tuple(map(Atom, thickness)), (), above, below))
