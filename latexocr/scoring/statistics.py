"""How sure a score is, and whether two models differ: intervals, paired comparison, verdict.

Takes tables of counts (one row a pair), gives Scores and Comparisons. Everything is seeded, and no result depends on
the order of the pairs. Knows nothing of what the counts mean.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from math import comb, nan, sqrt
from typing import TYPE_CHECKING

from latexocr.scoring.metrics import Comparison, Metric, Score

if TYPE_CHECKING:
    import numpy as np

RESAMPLES = 10_000
SIGNIFICANT = 0.05
Z95 = 1.959963984540054
DETECTABLE = Z95 + 0.8416212335729143
"""Standard errors of a difference that a test at 5 % finds four times in five."""
CELLS = 4_000_000
"""Most weights held at a time: 32 MB."""


def score(metric: Metric, table: np.ndarray, *, seed: int = 0, groups: Sequence[Hashable] | None = None) -> Score:
    """The value over all pairs with its 95 % interval: Wilson for a share of pairs, else bootstrap percentiles.

    `groups` (one a pair: a source document, a writer) are drawn as wholes. An empty table has no value (NaN).
    """
    n = len(table)
    if n == 0:
        return Score(metric.name, nan, nan, nan, 0, metric.signature)
    value = metric.value(table.sum(axis=0))
    if metric.proportion and groups is None:
        low, high = wilson(int(table[:, 0].sum()), n)
        method = "wilson"
    else:
        import numpy as np

        values = np.array([metric.value(summed) for summed in resampled(_by_group(table, groups), seed)])
        low, high = np.quantile(values, [0.025, 0.975]).tolist()
        method = f"bootstrap {RESAMPLES} seed {seed}" + (" by group" if groups is not None else "")
    return Score(metric.name, value, low, high, n, f"{metric.signature}|interval:{method}")


def wilson(right: int, n: int) -> tuple[float, float]:
    """The 95 % interval of a share, by Wilson's score."""
    share, z2 = right / n, Z95 * Z95
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 / (1 + z2 / n) * sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return (0.0 if right == 0 else middle - half), (1.0 if right == n else middle + half)


def mcnemar(wins: int, losses: int) -> float:
    """The exact two-sided p of so uneven a split, were either side as likely."""
    n, fewer = wins + losses, min(wins, losses)
    if wins == losses:
        return 1.0
    term = total = comb(n, fewer)
    for k in range(fewer, 0, -1):
        term = term * k // (n - k + 1)
        total += term
    return min(1.0, 2 * total / 2**n) if n < 1000 else min(1.0, float((2 * total * 10**18) >> n) / 1e18)


def compare(metric: Metric, base_table: np.ndarray, tuned_table: np.ndarray, *, seed: int = 0,
            groups: Sequence[Hashable] | None = None) -> Comparison:
    """Tuned minus base over the same pairs, by the paired bootstrap; the verdict is on the metric's better side.

    Raises ValueError where the tables are not of the same pairs.
    """
    import numpy as np

    if base_table.shape != tuned_table.shape:
        raise ValueError(f"tables of {len(base_table)} and {len(tuned_table)} pairs cannot be paired")
    n, k = base_table.shape
    if n == 0:
        return Comparison(metric.name, nan, nan, nan, 0, 0, 0, 0, nan, "no difference shown (no pairs)")
    both = np.hstack([base_table, tuned_table])
    sign = 1 if metric.higher_is_better else -1
    gains = [sign * (metric.value(row[k:]) - metric.value(row[:k])) if (row[k:] != row[:k]).any() else 0.0
             for row in both]
    wins, losses = sum(gain > 0 for gain in gains), sum(gain < 0 for gain in gains)
    summed = both.sum(axis=0)
    delta = metric.value(summed[k:]) - metric.value(summed[:k])
    deltas = np.array([metric.value(s[k:]) - metric.value(s[:k]) for s in resampled(_by_group(both, groups), seed)])
    low, high = np.quantile(deltas, [0.025, 0.975]).tolist()
    if metric.proportion and groups is None:
        p = mcnemar(wins, losses)
    else:
        tail = min((deltas <= 0).sum(), (deltas >= 0).sum())
        p = min(1.0, 2 * (tail + 1) / (RESAMPLES + 1))
    verdict = _verdict(metric, delta, low, high, p, n, float(deltas.std()))
    return Comparison(metric.name, delta, low, high, wins, n - wins - losses, losses, n, p, verdict)


def _verdict(metric: Metric, delta: float, low: float, high: float, p: float, n: int, error: float) -> str:
    if p < SIGNIFICANT and not low <= 0 <= high:
        return "better" if (delta > 0) == metric.higher_is_better else "worse"
    if error == 0:
        return f"no difference shown (the same counts on all {n} pairs)"
    least = DETECTABLE * error
    shown = f"{least * 100:.1f} points" if metric.unit == "%" else f"{least:.2g}"
    return f"no difference shown ({n} pairs would show one of {shown})"


def _by_group(table: np.ndarray, groups: Sequence[Hashable] | None) -> np.ndarray:
    """Counts summed over each group; without groups, the table itself."""
    if groups is None:
        return table
    import numpy as np

    if len(groups) != len(table):
        raise ValueError(f"{len(groups)} groups for {len(table)} pairs")
    numbers: dict[Hashable, int] = {}
    index = [numbers.setdefault(group, len(numbers)) for group in groups]
    summed = np.zeros((len(numbers), table.shape[1]))
    np.add.at(summed, index, table)
    return summed


def resampled(table: np.ndarray, seed: int) -> Iterator[np.ndarray]:
    """Summed counts of each of 10,000 resamples of the rows, drawn with replacement.

    Equal rows are drawn together, which changes nothing but the time.
    """
    import numpy as np

    rows, often = np.unique(table, axis=0, return_counts=True)
    random, n = np.random.default_rng(seed), len(table)
    few = len(rows) * 8 < n
    kinds = np.repeat(np.arange(len(rows)), often)
    step = max(1, CELLS // (len(rows) if few else n))
    for start in range(0, RESAMPLES, step):
        size = min(step, RESAMPLES - start)
        if few:
            weights = random.multinomial(n, often / n, size=size)
        else:
            drawn = kinds[random.integers(0, n, size=(size, n))] + np.arange(size)[:, None] * len(rows)
            weights = np.bincount(drawn.ravel(), minlength=size * len(rows)).reshape(size, len(rows))
        yield from weights @ rows
