"""The levels of equality of formulas, from the same bytes to the same meaning.

Takes and gives strings. Each level is computed from the one before it, so each contains the one before.
Never raises: a formula that cannot be parsed is compared by its surface.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum

from latexocr.latex.nodes import Node
from latexocr.latex.syntax import syntax
from latexocr.latex.tokens import detokenize, tokenize, unwrap
from latexocr.latex.tree import Unparsable, parse
from latexocr.latex.visual import lenient, visual
from latexocr.latex.write import write


class Level(IntEnum):
    """How much two formulas may differ and still count as equal; each level includes the ones before."""

    IDENTICAL = 0
    """The same characters."""
    SURFACE = 1
    """White space, comments, and what wraps a formula ($, code fence) mean nothing."""
    SYNTAX = 2
    """Spellings that TeX draws exactly alike are equal."""
    VISUAL = 3
    """Spellings that a reader sees as the same formula are equal: spacing, size of brackets, display style."""
    LENIENT = 4
    """Kinds of bold, upright d, wide accents, kinds of dots, final punctuation and tags mean nothing."""


def canonical(latex: str, level: Level) -> str:
    """The one spelling of a formula at a level. At SYNTAX it is LaTeX that draws the same picture as the input."""
    if level <= Level.IDENTICAL:
        return latex
    form = _surface(latex)
    try:
        for step in _STEPS[:level - 1]:
            form = _through(form, step)
    except RecursionError:
        pass
    return form


def equal(a: str, b: str, level: Level) -> bool:
    """Whether two formulas are the same at a level."""
    return a == b or canonical(a, level) == canonical(b, level)


def _surface(latex: str) -> str:
    text = detokenize(tokenize(unwrap(latex)))
    while (inner := unwrap(text)) != text:
        text = detokenize(tokenize(inner))
    return text


_STEPS = (syntax, visual, lenient)
"""What leads from each level, from the surface on, to the next."""


def _through(latex: str, change: Callable[[tuple[Node, ...]], tuple[Node, ...]]) -> str:
    tree = parse(tokenize(latex))
    return latex if isinstance(tree, Unparsable) else detokenize(write(change(tree)))
