"""What the metrics share of a pair: its canonical forms, tokens, lowest level of equality and token edits.

Takes strings, gives strings and numbers, each computed when first asked for and remembered while its pair is scored.
"""

from __future__ import annotations

from functools import lru_cache

from latexocr.latex.aliases import NO_ALIASES, Aliases
from latexocr.latex.canonical import Level, forms
from latexocr.latex.tokens import tokenize
from latexocr.latex.tree import Unparsable, parse

Pairs = tuple[tuple[str, str], ...]
"""Aliases as the caches below know them: a plain tuple is told apart faster than a record."""

KEPT = 1 << 12
"""Results remembered of each kind. Pairs are scored one after the other, so this need not grow with their number."""


def form(latex: str, level: Level, aliases: Aliases = NO_ALIASES) -> str:
    """The one spelling of a formula at a level."""
    return _forms(latex, level > Level.SYNTAX, aliases.pairs)[level]


@lru_cache(maxsize=KEPT)
def _forms(latex: str, all_levels: bool, aliases: Pairs) -> list[str]:
    return forms(latex, Level.LENIENT if all_levels else Level.SYNTAX, Aliases(aliases))


def tokens(latex: str, aliases: Aliases = NO_ALIASES) -> tuple[str, ...]:
    """The tokens of a formula's syntax form: the unit of all metrics but exact match."""
    return _tokens(form(latex, Level.SYNTAX, aliases))


@lru_cache(maxsize=KEPT)
def _tokens(latex: str) -> tuple[str, ...]:
    return tuple(tokenize(latex))


@lru_cache(maxsize=KEPT)
def unparsable(latex: str) -> Unparsable | None:
    """Why a formula has no tree; None for one that has."""
    if form(latex, Level.SYNTAX) != form(latex, Level.SURFACE):
        return None  # The syntax level leaves what cannot be parsed as it is.
    tree = parse(tokens(latex))
    return tree if isinstance(tree, Unparsable) else None


def lowest_level(prediction: str, reference: str, aliases: Aliases = NO_ALIASES) -> Level | None:
    """The lowest level at which a pair is equal; None where it is at none. Higher forms are not made for equal pairs:
    each level contains the one before."""
    return _lowest_level(prediction, reference, aliases.pairs)


@lru_cache(maxsize=KEPT)
def _lowest_level(prediction: str, reference: str, pairs: Pairs) -> Level | None:
    if prediction == reference:
        return Level.IDENTICAL
    aliases = Aliases(pairs)
    return next((level for level in Level
                 if level and form(prediction, level, aliases) == form(reference, level, aliases)), None)


def edits(prediction: str, reference: str, aliases: Aliases = NO_ALIASES) -> tuple[int, int, int]:
    """Token edits (insertions, deletions, substitutions), tokens of the prediction, tokens of the reference."""
    return _edits(prediction, reference, aliases.pairs)


@lru_cache(maxsize=KEPT)
def _edits(prediction: str, reference: str, pairs: Pairs) -> tuple[int, int, int]:
    aliases = Aliases(pairs)
    predicted, expected = tokens(prediction, aliases), tokens(reference, aliases)
    return distance(predicted, expected), len(predicted), len(expected)


def distance(a: str | tuple[str, ...], b: str | tuple[str, ...]) -> int:
    """Levenshtein's distance of two strings, or two rows of tokens."""
    from rapidfuzz.distance import Levenshtein

    return 0 if a == b else Levenshtein.distance(a, b)
