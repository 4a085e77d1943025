"""The levels of equality of formulas, from the same bytes to the same meaning.

Takes and gives strings. Each level is computed from the one before it, so each contains the one before.
Never raises: a formula that cannot be parsed is compared by its surface.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from functools import lru_cache

from latexocr.latex.aliases import NO_ALIASES, Aliases, names
from latexocr.latex.lenient import CONCERNED, lenient
from latexocr.latex.nodes import Node
from latexocr.latex.syntax import syntax
from latexocr.latex.tokens import detokenize, tokenize, unwrap
from latexocr.latex.tree import Unparsable, parse
from latexocr.latex.unicode import commands
from latexocr.latex.visual import visual
from latexocr.latex.write import write

FORMS_KEPT = 1 << 14
"""Forms remembered: formulas that are the same from some level on are read once. Memory does not grow beyond."""


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


MEANING = {
    Level.IDENTICAL: "the same characters",
    Level.SURFACE: "the same but for white space, comments and wrappers",
    Level.SYNTAX: "spelled otherwise, drawn exactly alike",
    Level.VISUAL: "drawn alike but for spacing and sizes",
    Level.LENIENT: "the same but for bold kinds, upright d, wide accents, dots, final punctuation or tag",
    None: "different formulas",
}
"""What it says of two formulas that a level is the lowest at which they are equal."""


def canonical(latex: str, level: Level, aliases: Aliases = NO_ALIASES) -> str:
    r"""The one spelling of a formula at a level. At SYNTAX it is LaTeX that draws the same picture as the input,
    to within the italic correction beside an upright word (a word in \text or \rm is one in \mathrm)."""
    return forms(latex, level, aliases)[level]


def forms(latex: str, last: Level = Level.LENIENT, aliases: Aliases = NO_ALIASES) -> list[str]:
    """The one spelling of a formula at each level up to the last."""
    found = [latex]
    if last > Level.IDENTICAL:
        found.append(_surface(latex))
    for step in _STEPS[:max(0, last - 1)]:
        found.append(_through(found[-1], step, aliases))
    return found


def equal(a: str, b: str, level: Level, aliases: Aliases = NO_ALIASES) -> bool:
    """Whether two formulas are the same at a level."""
    return a == b or canonical(a, level, aliases) == canonical(b, level, aliases)


def equality_level(reference: str, prediction: str, aliases: Aliases = NO_ALIASES) -> Level | None:
    """The lowest level at which two formulas are the same, None where they are at none. Never raises, symmetric."""
    a, b = reference, prediction
    for level in Level:
        if level is Level.SURFACE:
            a, b = _surface(a), _surface(b)
        elif level > Level.SURFACE:
            a, b = (_through(text, _STEPS[level - 2], aliases) for text in (a, b))
        if a == b:
            return level
    return None


def _surface(latex: str) -> str:
    text = detokenize(tokenize(unwrap(latex)))
    while (inner := unwrap(text)) != text:
        text = detokenize(tokenize(inner))
    return text


_STEPS = (syntax, visual, lenient)
"""What leads from each level, from the surface on, to the next."""


@lru_cache(maxsize=FORMS_KEPT)
def _through(latex: str, change: Callable[[tuple[Node, ...]], tuple[Node, ...]], aliases: Aliases) -> str:
    if change is lenient and not CONCERNED.search(latex):
        return latex
    names_of = names(aliases)
    tokens = tokenize(latex)
    tree = parse(tokens if latex.isascii() else commands(tokens), names_of)
    if isinstance(tree, Unparsable):
        return latex
    try:
        tokens = write(change(tree))
    except RecursionError:
        return latex
    return detokenize([names_of.get(token, token) for token in tokens] if aliases.pairs else tokens)
