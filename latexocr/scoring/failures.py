"""The ledger of failures: what kind of answer a prediction is. Every pair falls in exactly one class.

Takes a prediction and its reference, gives a word. All but "ok" count as wrong in the scores, and none leaves them.
"""

from __future__ import annotations

import re

from latexocr.latex.canonical import Level, canonical, equal
from latexocr.latex.tokens import TEXT_COMMANDS, tokenize
from latexocr.latex.tree import Unparsable, parse
from latexocr.records import Prediction

LOOP_TOKENS = 40
"""Shorter answers are not called a loop."""
LOOP_VARIETY = 0.2
"""Different tokens over tokens, below which a long answer is a loop."""
_TEXT = re.compile(r"\\(?:" + "|".join(sorted(re.escape(name[1:]) for name in TEXT_COMMANDS)) + r")\s*\{[^{}]*\}")
_WORDS = re.compile(r"(?<![\\a-zA-Z])[a-zA-Z]{2,}(?:[,.:;]? [a-zA-Z]{2,}){3,}")
"""Four words in a row; outside text no formula has them (but for a row of differentials)."""
_OPENING = re.compile(r"\s*(?:sorry|i'm|i am|i cannot|the|this|here|it|there|unanswerable)\b[ ,.:']", re.IGNORECASE)


def classify(prediction: Prediction, reference: str) -> str:
    """ok (equal to the reference at the visual level), or the first of these that holds: server-error,
    reference-defect, empty, loop, truncated, prose, unbalanced, unparsable, wrong."""
    if prediction.stop == "error":
        return "server-error"
    surface = canonical(prediction.latex, Level.SURFACE)
    if surface and equal(prediction.latex, reference, Level.VISUAL):
        return "ok"
    if defect(reference):
        return "reference-defect"
    if not surface:
        return "empty"
    tokens = tokenize(surface)
    if _loops(tokens, len(tokenize(reference))):
        return "loop"
    if prediction.stop == "length":
        return "truncated"
    if _is_prose(prediction.latex):
        return "prose"
    tree = parse(tokens)
    if isinstance(tree, Unparsable):
        return "unbalanced" if tree.unbalanced else "unparsable"
    return "wrong"


def defect(reference: str) -> str:
    """Why a reference is no formula; empty for a sound one."""
    tokens = tokenize(canonical(reference, Level.SURFACE))
    if not tokens:
        return "nothing in it"
    tree = parse(tokens)
    return tree.reason if isinstance(tree, Unparsable) else ""


def _loops(tokens: list[str], expected: int) -> bool:
    """Whether a long answer, much longer than the reference, says little or ends in one phrase over and over."""
    if len(tokens) <= LOOP_TOKENS or len(tokens) < 1.5 * expected:
        return False
    if len(set(tokens)) < LOOP_VARIETY * len(tokens):
        return True
    end = tokens[-LOOP_TOKENS:]
    return any(end[period:] == end[:-period] for period in range(1, LOOP_TOKENS // 3))


def _is_prose(latex: str) -> bool:
    outside = _TEXT.sub("", latex)
    return bool(_OPENING.match(outside)) or any(
        len(word) > 3 for row in _WORDS.finditer(outside) for word in row[0].split())
