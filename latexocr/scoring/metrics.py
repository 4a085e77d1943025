"""Scores of predicted LaTeX against references: each metric counts a pair, and turns summed counts into a value.

Takes strings, gives numbers; rates are fractions of 1. A table of counts, one row a pair, holds all that scores,
intervals and comparisons need. What each number means: README.md beside this file. Knows nothing of images or models.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from math import nan
from typing import TYPE_CHECKING

from latexocr.latex.aliases import NO_ALIASES, Aliases
from latexocr.latex.canonical import Level
from latexocr.scoring import bleu
from latexocr.scoring.forms import distance, edits, form, lowest_level
from latexocr.scoring.structure import balanced, common, parts

if TYPE_CHECKING:
    import numpy as np

Counts = tuple[float, ...]


@dataclass(frozen=True)
class Metric:
    """A number for a set of pairs of prediction and reference."""

    name: str
    unit: str
    """"%" for a fraction that is shown in percent; empty for a plain number."""
    higher_is_better: bool
    settings: Mapping[str, str]
    """What changes the number, besides the versions: goes into the signature."""
    counts: Callable[[str, str], Counts]
    """Prediction and reference -> the counts of that pair."""
    value: Callable[[np.ndarray], np.ndarray]
    """Counts summed over pairs, shape (..., counts), -> the metric, shape (...); NaN where there is nothing to count.
    Many sums at once are those of resamples, or of single pairs."""
    proportion: bool = field(default=False, kw_only=True)
    """Whether each pair is right or wrong: counts are (right, 1), or (0, 0) for a pair that the metric is not about."""

    @property
    def signature(self) -> str:
        """Everything that changes the number, in one line: the name, its settings, and the versions behind it."""
        versions = {"latexocr": _version("latexocr")}
        if "level" in self.settings:
            versions |= {"rules": rules_version()}
        if "bleu" in self.name:
            versions["sacrebleu"] = _version("sacrebleu")
        return "|".join([self.name, *(f"{key}:{text}" for key, text in {**self.settings, **versions}.items())])


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
    """Exact McNemar where each pair is right or wrong, else from the paired bootstrap, but never below that of a sign
    test had all pairs that differ been on one side; two-sided."""
    verdict: str
    detectable: float = nan
    """The least difference that a test at 5 % over these pairs finds four times in five; NaN of fewer than six pairs,
    which cannot show any."""


@cache
def _version(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return "source"


NOT_RULES = frozenset({"__init__.py", "alignment.py", "delimiters.py"})
"""Modules of `latexocr.latex` on which no level of equality depends."""


@cache
def rules_version() -> str:
    """The version of the tokenizer and the rules of equality: a digest of their source, so that none is forgotten."""
    from hashlib import sha256
    from importlib.resources import files

    sources = sorted((part for part in files("latexocr.latex").iterdir()
                      if part.name.endswith(".py") and part.name not in NOT_RULES), key=lambda part: part.name)
    return sha256(b"".join(part.read_bytes() for part in sources)).hexdigest()[:8]


def share(summed: np.ndarray) -> np.ndarray:
    """First count over second; NaN where there is nothing to count."""
    import numpy as np

    with np.errstate(divide="ignore", invalid="ignore"):
        return summed[..., 0] / summed[..., 1]


def ratio(summed: np.ndarray) -> np.ndarray:
    """First count over second; 0 where both are 0 (nothing expected, nothing written), infinite where the second is."""
    import numpy as np

    return np.where(summed[..., 0] == 0, 0.0, share(summed))


def _exact(prediction: str, reference: str, level: Level, aliases: Aliases) -> Counts:
    lowest = lowest_level(prediction, reference, aliases)
    return float(lowest is not None and lowest <= level), 1.0


def _edit_distance(prediction: str, reference: str, aliases: Aliases) -> Counts:
    wrong, predicted, expected = edits(prediction, reference, aliases)
    return wrong / max(predicted, expected, 1), 1.0


BINS = 100
"""The median is told to the nearest hundredth: more would cost more than all the other metrics."""


def _distance_histogram(prediction: str, reference: str, aliases: Aliases) -> Counts:
    """A one at the edit distance of the pair, in hundredths; 0 and 1 are there for themselves alone."""
    far = _edit_distance(prediction, reference, aliases)[0]
    place = round(far * BINS) if far in (0.0, 1.0) else min(max(round(far * BINS), 1), BINS - 1)
    return (0.0,) * place + (1.0,) + (0.0,) * (BINS - place)


def _median(histogram: np.ndarray) -> np.ndarray:
    """The lower median of hundredths."""
    import numpy as np

    upto = histogram.cumsum(axis=-1)
    total = upto[..., -1]
    return np.where(total > 0, (2 * upto >= total[..., None]).argmax(axis=-1) / BINS, nan)


def _token_errors(prediction: str, reference: str, aliases: Aliases) -> Counts:
    wrong, _, expected = edits(prediction, reference, aliases)
    return float(wrong), float(expected)


def _capped_token_errors(prediction: str, reference: str, aliases: Aliases) -> Counts:
    wrong, _, expected = edits(prediction, reference, aliases)
    return float(min(wrong, expected)), float(expected)


def _char_edit_distance(prediction: str, reference: str, aliases: Aliases) -> Counts:
    predicted, expected = form(prediction, Level.SYNTAX, aliases), form(reference, Level.SYNTAX, aliases)
    return distance(predicted, expected) / max(len(predicted), len(expected), 1), 1.0


def _within(prediction: str, reference: str, most: int, aliases: Aliases) -> Counts:
    return float(edits(prediction, reference, aliases)[0] <= most), 1.0


def _symbols(prediction: str, reference: str, aliases: Aliases) -> Counts:
    return common(parts(prediction, aliases).symbols, parts(reference, aliases).symbols)


def _structures(prediction: str, reference: str, aliases: Aliases) -> Counts:
    return common(parts(prediction, aliases).structures, parts(reference, aliases).structures)


def _cells(prediction: str, reference: str, aliases: Aliases) -> Counts:
    expected = parts(reference, aliases).grids
    return (float(parts(prediction, aliases).grids == expected), 1.0) if expected else (0.0, 0.0)


def _balance(prediction: str, _: str) -> Counts:
    return float(balanced(prediction)), 1.0


def metrics(aliases: Aliases = NO_ALIASES) -> dict[str, Metric]:
    """All metrics by name, under aliases that the user declares."""
    alias = {"aliases": str(aliases)} if aliases.pairs else {}
    syntax, given = {"level": "syntax", **alias}, {"aliases": aliases}
    right = partial(Metric, unit="%", higher_is_better=True, value=share, proportion=True)
    rate = partial(Metric, unit="%", higher_is_better=False, value=ratio)
    found = [right(f"exact_{level.name.lower()}", settings={"level": level.name.lower(), **alias},
                   counts=partial(_exact, level=level, **given)) for level in Level]
    found += [
        rate("edit_distance", settings={**syntax, "mean": "edits/longer"}, counts=partial(_edit_distance, **given)),
        rate("median_edit_distance", settings={**syntax, "median": "edits/longer to 0.01"},
             counts=partial(_distance_histogram, **given), value=_median),
        rate("token_error_rate", settings={**syntax, "corpus": "edits/reference tokens"},
             counts=partial(_token_errors, **given)),
        rate("token_error_rate_capped", settings={**syntax, "corpus": "edits/reference tokens", "cap": "1 a pair"},
             counts=partial(_capped_token_errors, **given)),
        rate("char_edit_distance", settings={**syntax, "mean": "character edits/longer"},
             counts=partial(_char_edit_distance, **given)),
        Metric("bleu", "", True, {**syntax, "corpus": "BLEU-4", "tok": "none", "smooth": "exp"},
               partial(bleu.token_counts, **given), bleu.value),
    ]
    found += [right(f"exprate_{most}" if most else "exprate", settings={**syntax, "edits": f"tokens<={most}"},
                    counts=partial(_within, most=most, **given)) for most in range(4)]
    corpus = {**syntax, "corpus": "F1"}
    found += [
        Metric("symbol_f1", "%", True, {**corpus, "of": "bags of symbols"}, partial(_symbols, **given), share),
        Metric("structure_f1", "%", True, {**corpus, "of": "scripts, fractions, roots, grids with what they lie in"},
               partial(_structures, **given), share),
        right("balanced", settings={"level": "surface", "of": "braces, left/right, begin/end"}, counts=_balance),
        right("grid_shape", settings={**syntax, "of": "pairs whose reference has rows"},
              counts=partial(_cells, **given)),
    ]
    return {metric.name: metric for metric in found}


METRICS: dict[str, Metric] = metrics()
"""All metrics by name. The headline is exact_visual; BLEU is for comparison with papers only."""


def tabulate(metric: Metric, pairs: Iterable[tuple[str, str]]) -> np.ndarray:
    """The counts of each pair (prediction, reference): one row a pair."""
    return tabulate_all({metric.name: metric}, pairs)[metric.name]


def tabulate_all(chosen: Mapping[str, Metric], pairs: Iterable[tuple[str, str]]) -> dict[str, np.ndarray]:
    """Name -> the counts of each pair (prediction, reference), one row a pair; pair by pair, so that what the metrics
    share is made once."""
    import numpy as np

    rows = [[metric.counts(*pair) for metric in chosen.values()] for pair in pairs]
    columns = zip(*rows) if rows else ([] for _ in chosen)
    return {name: np.array(list(column), dtype=np.float64).reshape(len(rows), -1) if rows
            else np.zeros((0, len(metric.counts("", ""))))
            for (name, metric), column in zip(chosen.items(), columns)}
