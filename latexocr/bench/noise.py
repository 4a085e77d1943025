"""How much answers differ where they should not: the same pictures read again, one at a time, or by another column.

Takes predictions, gives counts. A gain is worth no more than what reading twice changes; an export, or a server, is the
model it was made from only if their answers are the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from latexocr.reading import Reader
from latexocr.records import Prediction, Sample
from latexocr.scoring.failures import scored_text
from latexocr.scoring.metrics import METRICS, tabulate

if TYPE_CHECKING:
    import numpy as np

MOST_IDS = 5


@dataclass(frozen=True)
class Noise:
    """Answers of one column that were others when the same n pictures were read once more."""

    n: int
    again: int
    """In batches of the same size; the pictures beside each were others."""
    alone: int
    """One at a time."""
    flips: int
    """Pictures of which one reading was right (visual) and another wrong."""
    ids: tuple[str, ...]
    """A few of those that differ."""


@dataclass(frozen=True)
class Agreement:
    """How many of n answers of two columns are spelled otherwise, and of how many only one is right (visual)."""

    a: str
    b: str
    n: int
    different: int
    flips: int
    ids: tuple[str, ...]
    """A few of those that differ."""


class Singly:
    """A reader that is given one picture at a time, the next when the answer is there."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def read(self, samples: Iterable[Sample]) -> Iterator[Prediction]:
        for sample in samples:
            yield from self._reader.read([sample])


def agreement(a: str, b: str, answers_a: Sequence[Prediction], answers_b: Sequence[Prediction], right_a: np.ndarray,
              right_b: np.ndarray) -> Agreement:
    """The agreement of columns named a and b; `right_...` tell which answers are right."""
    ids = _different(answers_a, answers_b)
    return Agreement(a, b, len(answers_a), len(ids), int((right_a != right_b).sum()), tuple(ids[:MOST_IDS]))


def noise(samples: Sequence[Sample], first: Sequence[Prediction], again: Sequence[Prediction],
          alone: Sequence[Prediction], metric: str) -> Noise:
    """The noise of three readings of the same samples; `metric` says what is right."""
    right = [tabulate(METRICS[metric], [(scored_text(prediction, sample.latex or ""), sample.latex or "")
                                        for sample, prediction in zip(samples, reading, strict=True)])[:, 0]
             for reading in (first, again, alone)]
    changed = _different(first, again), _different(first, alone)
    flips = (right[0] != right[1]) | (right[0] != right[2])
    return Noise(len(samples), len(changed[0]), len(changed[1]), int(flips.sum()),
                 tuple(dict.fromkeys(changed[0] + changed[1]))[:MOST_IDS])


def _different(a: Sequence[Prediction], b: Sequence[Prediction]) -> list[str]:
    return [one.id for one, other in zip(a, b, strict=True) if one.latex != other.latex]
