"""The ledger of failures: what kind of answer a prediction is. Every pair falls in exactly one class.

Takes predictions and their references, gives words and their counts. All but "ok" count as wrong in the scores, and
none leaves them: a reference that is itself broken is listed, and kept.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

from latexocr.latex.aliases import NO_ALIASES, Aliases
from latexocr.latex.canonical import Level, equal
from latexocr.latex.tokens import TEXT_COMMANDS
from latexocr.records import Prediction
from latexocr.scoring.forms import KEPT, form, lowest_level, tokens, unparsable

CLASSES = ("ok", "wrong", "empty", "prose", "truncated", "loop", "unbalanced", "unparsable", "reference-defect",
           "server-error")
LOOP_TOKENS = 40
"""Shorter answers are not called a loop."""
LOOP_VARIETY = 0.2
"""Different tokens over tokens, below which a long answer is a loop."""
UNREADABLE = "\N{REPLACEMENT CHARACTER}"
"""Scored in place of a failure whose reference shows nothing, so that no failure is right."""
_TEXT = re.compile(r"\\(?:" + "|".join(sorted(re.escape(name[1:]) for name in TEXT_COMMANDS)) + r")\s*\{[^{}]*\}")
_WORDS = re.compile(r"(?<![\\a-zA-Z])[a-zA-Z]{2,}(?:[,.:;]? [a-zA-Z]{2,}){3,}")
"""Four words in a row; outside text no formula has them (but for a row of differentials)."""
_OPENING = re.compile(r"\s*(?:sorry|i'm|i am|i cannot|the|this|here|it|there|unanswerable)\b[ ,.:']", re.IGNORECASE)


@dataclass(frozen=True)
class Defect:
    """A reference that is no formula. Its pair stays in every score."""

    place: int
    """Number of the pair, from 0."""
    reason: str
    right: bool
    """Whether the prediction was right all the same."""


@dataclass(frozen=True)
class Ledger:
    """How many pairs fell into each class, and the references that are broken."""

    counts: Counter[str] = field(default_factory=Counter)
    defects: tuple[Defect, ...] = ()

    @property
    def n(self) -> int:
        """All pairs: none is ever left out."""
        return self.counts.total()

    @property
    def sound(self) -> tuple[int, int]:
        """Right answers to sound references, and sound references: the second line, never the headline."""
        return self.counts["ok"] - sum(defect.right for defect in self.defects), self.n - len(self.defects)

    def __add__(self, other: Ledger) -> Ledger:
        return Ledger(self.counts + other.counts, self.defects + other.defects)


def ledger(pairs: Iterable[tuple[Prediction, str]], aliases: Aliases = NO_ALIASES, *, start: int = 0) -> Ledger:
    """The ledger of predictions and their references; the first pair has the number `start`."""
    counts: Counter[str] = Counter()
    defects = []
    for place, (prediction, reference) in enumerate(pairs, start):
        kind = classify(prediction, reference, aliases)
        counts[kind] += 1
        if reason := defect(reference):
            defects.append(Defect(place, reason, kind == "ok"))
    return Ledger(counts, tuple(defects))


def classify(prediction: Prediction, reference: str, aliases: Aliases = NO_ALIASES) -> str:
    """ok (equal to the reference at the visual level), or the first of these that holds: server-error,
    reference-defect, empty, loop, truncated, prose, unbalanced, unparsable, wrong."""
    if prediction.stop == "error":
        return "server-error"
    surface = form(prediction.latex, Level.SURFACE)
    lowest = lowest_level(prediction.latex, reference, aliases)
    if surface and lowest is not None and lowest <= Level.VISUAL:
        return "ok"
    if defect(reference):
        return "reference-defect"
    if not surface:
        return "empty"
    if len(surface) > LOOP_TOKENS and _loops(tokens(prediction.latex), len(tokens(reference))):
        return "loop"
    if prediction.stop == "length":
        return "truncated"
    if _is_prose(prediction.latex):
        return "prose"
    broken = unparsable(prediction.latex)
    if broken:
        return "unbalanced" if broken.unbalanced else "unparsable"
    return "wrong"


@lru_cache(maxsize=KEPT)
def defect(reference: str) -> str:
    """Why a reference is no formula; empty for a sound one."""
    if not form(reference, Level.SURFACE):
        return "nothing in it"
    broken = unparsable(reference)
    return broken.reason if broken else ""


def scored_text(prediction: Prediction, reference: str) -> str:
    """The text of a prediction that is scored. A failure must not equal a reference that shows nothing."""
    return UNREADABLE if prediction.stop == "error" and equal("", reference, max(Level)) else prediction.latex


def _loops(answer: tuple[str, ...], expected: int) -> bool:
    """Whether a long answer, much longer than the reference, says little or ends in one phrase over and over."""
    if len(answer) <= LOOP_TOKENS or len(answer) < 1.5 * expected:
        return False
    if len(set(answer)) < LOOP_VARIETY * len(answer):
        return True
    end = answer[-LOOP_TOKENS:]
    return any(end[period:] == end[:-period] for period in range(1, LOOP_TOKENS // 3))


def _is_prose(latex: str) -> bool:
    if " " not in latex:
        return False
    outside = _TEXT.sub("", latex)
    return bool(_OPENING.match(outside)) or any(
        len(word) > 3 for row in _WORDS.finditer(outside) for word in row[0].split())
