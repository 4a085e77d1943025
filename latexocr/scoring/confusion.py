"""Which token was read for which: the confusion table of a column, from the alignment of its wrong answers.

Takes pairs, gives counts. Right answers (equal at the visual level) are not aligned: other spellings are no confusions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from latexocr.latex.aliases import NO_ALIASES, Aliases
from latexocr.latex.alignment import align
from latexocr.latex.canonical import Level
from latexocr.latex.tokens import tokenize
from latexocr.scoring.forms import form, lowest_level

Confusions = Counter[tuple[str, str]]
_BRACES = {("{", ""), ("", "{"), ("}", ""), ("", "}")}
"""Come with every script and fraction that is missing or too many, and say nothing by themselves."""


def confusions(pairs: Iterable[tuple[str, str]], aliases: Aliases = NO_ALIASES) -> Confusions:
    """(token of the reference, token of the prediction) -> in how many of the pairs (prediction, reference).

    An empty string stands for a token that is missing on that side. Tokens are those of the visual form. Pairs are
    counted, not tokens: one run-away answer must not fill the table.
    """
    found: Confusions = Counter()
    for prediction, reference in pairs:
        lowest = lowest_level(prediction, reference, aliases)
        if lowest is None or lowest > Level.VISUAL:
            expected, read = (tokenize(form(latex, Level.VISUAL, aliases)) for latex in (reference, prediction))
            # Keys of a dict, not a set: those as frequent as another are told in the order in which they came.
            confused = dict.fromkeys(
                pair for edit in align(expected, read) if edit.kind != "equal"
                for pair in zip(edit.reference or ("",) * edit.cost, edit.prediction or ("",) * edit.cost))
            found.update(pair for pair in confused if pair not in _BRACES)
    return found
