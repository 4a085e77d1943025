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
PROSE_WORDS = 4
"""Words in a row, outside text, that make an answer prose."""
_WORDS = re.compile(r"(?<![\\a-zA-Z])[a-zA-Z]{2,}(?:[,.:;'-]{0,2} +[a-zA-Z]+){3,}")
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
    if any(command in latex for command in TEXT_COMMANDS):
        tokens = tokenize(latex)
        for at, token in enumerate(tokens):
            if token in TEXT_COMMANDS:
                latex = latex[:latex.find(tokens[at])]
                break
    return bool(_WORDS.search(latex) or _OPENING.match(latex))
