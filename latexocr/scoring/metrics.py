"""Scores of predicted LaTeX against references: each metric counts a pair, and turns summed counts into a value.

Takes strings, gives numbers; rates are fractions of 1. A table of counts, one row a pair, holds all that scores,
intervals and comparisons need. Knows nothing of images, models or files.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache, partial
from typing import TYPE_CHECKING

from latexocr.latex.canonical import Level, forms
from latexocr.latex.tokens import tokenize

if TYPE_CHECKING:
    import numpy as np

FORMS_KEPT = 1 << 16
"""Canonical forms remembered, so that the metrics share them; memory does not grow beyond."""


@dataclass(frozen=True)
class Metric:
    """A number for a set of pairs of prediction and reference."""

    name: str
    unit: str
    """"%" for a fraction that is shown in percent; empty for a plain number."""
    higher_is_better: bool
    settings: Mapping[str, str]
    """What changes the number, besides the versions: goes into the signature."""
    counts: Callable[[str, str], np.ndarray]
    """Prediction and reference -> the counts of that pair."""
    value: Callable[[np.ndarray], float]
    """Counts summed over pairs -> the metric."""
    proportion: bool = field(default=False, kw_only=True)
    """Whether each pair is right or wrong: counts are (right, 1)."""

    @property
    def signature(self) -> str:
        """Everything that changes the number, in one line."""
        parts = {**self.settings, "tokens": "latexocr"} if "level" in self.settings else dict(self.settings)
        versions = {"latexocr": _version("latexocr")}
        if "bleu" in self.name:
            versions["sacrebleu"] = _version("sacrebleu")
        return "|".join([self.name, *(f"{key}:{text}" for key, text in {**parts, **versions}.items())])


@dataclass(frozen=True)
class Score:
    """The value of a metric with its 95 % interval; `n` pairs."""

    metric: str
    value: float
    low: float
    high: float
    n: int
    signature: str


@dataclass(frozen=True)
class Comparison:
    """Tuned minus base in one metric, with its 95 % interval; wins, ties and losses of tuned over the pairs."""

    metric: str
    delta: float
    low: float
    high: float
    wins: int
    ties: int
    losses: int
    n: int
    p: float
    """Exact McNemar where each pair is right or wrong, else from the paired bootstrap; two-sided."""
    verdict: str


@cache
def _version(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return "source"


@lru_cache(maxsize=FORMS_KEPT)
def _forms(latex: str) -> list[str]:
    return forms(latex)


def _form(latex: str, level: Level) -> str:
    return _forms(latex)[level]


@lru_cache(maxsize=FORMS_KEPT)
def _tokens(latex: str) -> tuple[str, ...]:
    return tuple(tokenize(_form(latex, Level.SYNTAX)))


@lru_cache(maxsize=FORMS_KEPT)
def _edits(prediction: str, reference: str) -> tuple[int, int, int]:
    """Token edits, tokens of the prediction, tokens of the reference, all on the syntax form."""
    from rapidfuzz.distance import Levenshtein

    predicted, expected = _tokens(prediction), _tokens(reference)
    return Levenshtein.distance(predicted, expected), len(predicted), len(expected)


def _array(*values: float) -> np.ndarray:
    import numpy as np

    return np.array(values, dtype=np.float64)


def ratio(summed: np.ndarray) -> float:
    """First count over second; 0 where both are 0 (nothing expected, nothing written), infinite where the second is."""
    above, below = float(summed[0]), float(summed[1])
    return above / below if below else (float("inf") if above else 0.0)


def _exact(level: Level, prediction: str, reference: str) -> np.ndarray:
    return _array(prediction == reference or _form(prediction, level) == _form(reference, level), 1)


def _edit_distance(prediction: str, reference: str) -> np.ndarray:
    edits, predicted, expected = _edits(prediction, reference)
    return _array(edits / max(predicted, expected, 1), 1)


def _token_errors(prediction: str, reference: str) -> np.ndarray:
    edits, _, expected = _edits(prediction, reference)
    return _array(edits, expected)


def _capped_token_errors(prediction: str, reference: str) -> np.ndarray:
    edits, _, expected = _edits(prediction, reference)
    return _array(min(edits, expected), expected)


def _char_edit_distance(prediction: str, reference: str) -> np.ndarray:
    from rapidfuzz.distance import Levenshtein

    predicted, expected = _form(prediction, Level.SYNTAX), _form(reference, Level.SYNTAX)
    return _array(Levenshtein.distance(predicted, expected) / max(len(predicted), len(expected), 1), 1)


def _within(edits: int, prediction: str, reference: str) -> np.ndarray:
    return _array(_edits(prediction, reference)[0] <= edits, 1)


BLEU_ORDER = 4


def _bleu_counts(prediction: str, reference: str) -> np.ndarray:
    """Lengths of both, then n-grams found and n-grams written for n = 1 to 4, as sacreBLEU counts them."""
    predicted, expected = _tokens(prediction), _tokens(reference)
    found, written = [], []
    for n in range(1, BLEU_ORDER + 1):
        grams, allowed = (Counter(zip(*(tokens[i:] for i in range(n)))) for tokens in (predicted, expected))
        found.append((grams & allowed).total())
        written.append(grams.total())
    return _array(len(predicted), len(expected), *found, *written)


def _bleu(summed: np.ndarray) -> float:
    """Corpus BLEU, 0 to 100, by sacreBLEU from its statistics."""
    from sacrebleu.metrics.bleu import BLEU

    predicted, expected, *grams = summed.astype(int).tolist()
    return BLEU.compute_bleu(grams[:BLEU_ORDER], grams[BLEU_ORDER:], predicted, expected, smooth_method="exp").score


def _metrics() -> list[Metric]:
    syntax = {"level": "syntax"}
    found = [Metric(f"exact_{level.name.lower()}", "%", True, {"level": level.name.lower()}, partial(_exact, level),
                    ratio, proportion=True) for level in Level]
    found += [
        Metric("edit_distance", "%", False, {**syntax, "mean": "edits/longer"}, _edit_distance, ratio),
        Metric("token_error_rate", "%", False, {**syntax, "corpus": "edits/reference tokens"}, _token_errors, ratio),
        Metric("token_error_rate_capped", "%", False,
               {**syntax, "corpus": "edits/reference tokens", "cap": "1 a pair"}, _capped_token_errors, ratio),
        Metric("char_edit_distance", "%", False, {**syntax, "mean": "character edits/longer"}, _char_edit_distance,
               ratio),
        Metric("bleu", "", True, {**syntax, "corpus": "BLEU-4", "tok": "none", "smooth": "exp"}, _bleu_counts, _bleu),
    ]
    for edits in range(4):
        name = f"exprate_{edits}" if edits else "exprate"
        found.append(Metric(name, "%", True, {**syntax, "edits": f"tokens<={edits}"}, partial(_within, edits), ratio,
                            proportion=True))
    return found


METRICS: dict[str, Metric] = {metric.name: metric for metric in _metrics()}
"""All metrics by name. The headline is exact_visual; BLEU is for comparison with papers only."""


def tabulate(metric: Metric, pairs: Iterable[tuple[str, str]]) -> np.ndarray:
    """The counts of each pair (prediction, reference): one row a pair."""
    import numpy as np

    rows = [metric.counts(prediction, reference) for prediction, reference in pairs]
    return np.vstack(rows) if rows else np.zeros((0, len(metric.counts("", ""))))
