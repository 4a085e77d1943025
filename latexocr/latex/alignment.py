"""Why two formulas differ: their level of equality, and the tokens that it takes to turn one into the other.

Takes strings or tokens, gives records. Does not know how to show them: that is the verb `latexocr diff`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from latexocr.latex.canonical import Level, equality_level, forms
from latexocr.latex.tokens import tokenize
from latexocr.latex.tree import Unparsable, parse


@dataclass(frozen=True)
class Edit:
    """A stretch of an alignment: tokens of the reference, and the tokens of the prediction in their place."""

    kind: str
    """"equal", "replace" (as many tokens on both sides), "insert" (none in the reference) or "delete" (none in the
    prediction)."""
    reference: tuple[str, ...]
    prediction: tuple[str, ...]

    @property
    def cost(self) -> int:
        """Token edits in this stretch."""
        return 0 if self.kind == "equal" else max(len(self.reference), len(self.prediction))


@dataclass(frozen=True)
class Difference:
    """How far two formulas are the same, and what differs."""

    level: Level | None
    """The lowest level at which they are equal; None where they are different formulas."""
    shown: Level | None
    """The level of the forms that are aligned: the highest at which they still differ, and no higher than VISUAL;
    None for identical strings."""
    edits: tuple[Edit, ...]
    """From the reference's form to the prediction's: at the syntax level these are the edits that the metrics count."""
    reasons: tuple[str, str]
    """Why the reference and the prediction cannot be parsed; empty for what can."""


def align(reference: Sequence[str], prediction: Sequence[str]) -> list[Edit]:
    """The fewest edits from one row of tokens to another, as stretches in order; their costs sum to the distance of
    Levenshtein. Joined, each side is the whole row."""
    from rapidfuzz.distance import Levenshtein  # only here: the levels of equality need nothing but Python

    reference, prediction = tuple(reference), tuple(prediction)
    return [Edit(step.tag, reference[step.src_start:step.src_end], prediction[step.dest_start:step.dest_end])
            for step in Levenshtein.opcodes(reference, prediction)]


def difference(reference: str, prediction: str) -> Difference:
    """Why two formulas are not the same."""
    level = equality_level(reference, prediction)
    reasons = (_reason(reference), _reason(prediction))
    if level is Level.IDENTICAL:
        return Difference(level, None, tuple(align(tokenize(reference), tokenize(prediction))), reasons)
    shown = Level.VISUAL if level is None else Level(level - 1)
    rows = [tokenize(forms(text, shown)[shown]) for text in (reference, prediction)]
    return Difference(level, shown, tuple(align(*rows)), reasons)


def _reason(latex: str) -> str:
    tree = parse(tokenize(forms(latex, Level.SURFACE)[Level.SURFACE]))
    return tree.reason if isinstance(tree, Unparsable) else ""
