"""Whether a model knows when it is wrong: calibration error, reliability bins, risk against coverage.

Takes the confidence of each answer and whether it is right, gives numbers. An answer without a confidence, such as a
failure, is the least sure of all: none is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from latexocr.scoring.statistics import wilson

if TYPE_CHECKING:
    import numpy as np

BINS = 10
"""Bins of equal numbers of answers: most confidences lie near 1, where bins of equal width would be one bin."""
RESAMPLES = 500
POINTS = 100
"""Most points of a curve that are kept."""


@dataclass(frozen=True)
class Bin:
    """Answers of like confidence: how many, their mean confidence, the share of right ones with its 95 % interval."""

    n: int
    confidence: float
    correct: float
    low: float
    high: float


@dataclass(frozen=True)
class Point:
    """Taking only the surest answers: which share of all they are, which share of them is wrong, the least confidence
    among them."""

    coverage: float
    risk: float
    confidence: float


@dataclass(frozen=True)
class Calibration:
    """How the confidences of a column fit its answers."""

    n: int
    ece: float
    """Expected calibration error, 0 to 1: the mean over answers of |share of right ones - mean confidence| of their bin
    (Guo et al., 2017; bins of equal numbers as in Nixon et al., 2019). An interval leans upwards where it is small."""
    low: float
    high: float
    bins: Sequence[Bin]
    risk_coverage: Sequence[Point]
    aurc: float
    """Area under the curve of risk against coverage, 0 to 1: the mean share of wrong answers over all ways to take the
    k surest (Geifman et al., 2019). Smaller is better."""
    aurc_low: float
    aurc_high: float
    best_aurc: float
    """That of an order in which all right answers come first: as good as so many wrong answers allow."""


def calibration(confidences: Sequence[float | None], correct: Sequence[bool], *, seed: int = 0) -> Calibration | None:
    """The calibration of a column of answers; None where no answer has a confidence."""
    import numpy as np

    if all(confidence is None for confidence in confidences):
        return None
    sure = np.array([0.0 if confidence is None else confidence for confidence in confidences])
    right = np.array(correct, dtype=float)
    n, random = len(sure), np.random.default_rng([seed])
    drawn = [random.integers(0, n, n) for _ in range(RESAMPLES)]
    low, high = np.quantile([_error(_binned(sure[rows], right[rows])) for rows in drawn], [0.025, 0.975])
    area_low, area_high = np.quantile([_area(sure[rows], right[rows]) for rows in drawn], [0.025, 0.975])
    binned = _binned(sure, right)
    bins = [Bin(int(size), said / size, found / size, *wilson(int(found), int(size)))
            for size, said, found in zip(*(part.tolist() for part in binned)) if size]
    return Calibration(n, _error(binned), float(low), float(high), bins, _curve(sure, right), _area(sure, right),
                       float(area_low), float(area_high), _area(right, right))


def _binned(sure: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each bin: answers, summed confidence, right answers. Equal confidences share a bin."""
    import numpy as np

    edges = np.unique(np.quantile(sure, np.linspace(0, 1, BINS + 1)[1:-1]))
    place = np.searchsorted(edges, sure, side="right")
    return tuple(np.bincount(place, weights, minlength=len(edges) + 1) for weights in (None, sure, right))


def _error(binned: tuple[np.ndarray, np.ndarray, np.ndarray]) -> float:
    size, said, found = binned
    return float(abs(found - said).sum() / size.sum())


def _wrong_among(sure: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For k = 1 to n, the wrong answers among the k surest, and the least confidence among them. Between equal
    confidences the order is chance, so the wrong ones among them are spread evenly."""
    import numpy as np

    order = np.argsort(-sure, kind="stable")
    ranked = sure[order]
    ends = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1) + 1
    wrong = np.concatenate([[0], np.cumsum(1 - right[order])[ends - 1]])
    return np.interp(np.arange(1, len(ranked) + 1), np.concatenate([[0], ends]), wrong), ranked


def _area(sure: np.ndarray, right: np.ndarray) -> float:
    import numpy as np

    wrong, _ = _wrong_among(sure, right)
    return float((wrong / np.arange(1, len(wrong) + 1)).mean())


def _curve(sure: np.ndarray, right: np.ndarray) -> list[Point]:
    import numpy as np

    wrong, ranked = _wrong_among(sure, right)
    n = len(wrong)
    taken = np.unique(np.linspace(1, n, min(n, POINTS)).round().astype(int))
    return [Point(float(k / n), float(wrong[k - 1] / k), float(ranked[k - 1])) for k in taken]
