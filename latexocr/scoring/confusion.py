"""Which token was read for which: the confusion table of a column, from the alignment of its wrong answers.

Takes pairs, gives counts. Right answers (equal at the visual level) are not aligned: other spellings are no confusions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from latexocr.latex.aliases import NO_ALIASES, Aliases
from latexocr.latex.alignment import align
from latexocr.latex.canonical import Level
from latexocr.scoring.forms import lowest_level, tokens

Confusions = Counter[tuple[str, str]]


def confusions(pairs: Iterable[tuple[str, str]], aliases: Aliases = NO_ALIASES) -> Confusions:
    """(token of the reference, token of the prediction) -> how often, over pairs (prediction, reference).

    An empty string stands for a token that is missing on that side. Tokens are those of the syntax form.
    """
    found: Confusions = Counter()
    for prediction, reference in pairs:
        lowest = lowest_level(prediction, reference, aliases)
        if lowest is None or lowest > Level.VISUAL:
            for edit in align(tokens(reference, aliases), tokens(prediction, aliases)):
                if edit.kind != "equal":
                    found.update(zip(edit.reference or ("",) * edit.cost, edit.prediction or ("",) * edit.cost))
    return found
