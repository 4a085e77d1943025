"""How sure a score is, and whether two models differ: intervals, paired comparison, verdict.

Takes tables of counts (one row a pair) or their tallies, gives Scores and Comparisons. Everything is seeded. Knows
nothing of what the counts mean.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import comb, isnan, nan, sqrt
from typing import TYPE_CHECKING

from latexocr.scoring.metrics import Comparison, Metric, Score
from latexocr.scoring.resampling import RESAMPLES, Tally, by_group, tally
from latexocr.wording import counted

if TYPE_CHECKING:
    import numpy as np

SIGNIFICANT = 0.05
Z95 = 1.959963984540054
DETECTABLE = Z95 + 0.8416212335729143
"""Standard errors of a difference that a test at 5 % finds four times in five."""
FEWEST = 6
"""With fewer draws no two-sided test shows anything at 5 %: even 5 of 5 on one side have a p of 2 / 2^5."""


def score(metric: Metric, table: np.ndarray, *, seed: int = 0, groups: Sequence[Hashable] | None = None) -> Score:
    """The value over all pairs with its 95 % interval: Wilson for a share of pairs, else bootstrap percentiles.

    `groups` (one a pair: a source document, a writer) are drawn as wholes. An empty table has no value (NaN).
    """
    if len(table) == 0:
        return Score(metric.name, nan, nan, nan, 0, metric.signature)
    by_wilson = metric.proportion and groups is None
    found = Tally(table.sum(axis=0), table[:0]) if by_wilson else tally(by_group(table, groups), seed)
    return score_of(metric, found, len(table), seed=seed, grouped=groups is not None)


def score_of(metric: Metric, found: Tally, n: int, *, seed: int, grouped: bool = False) -> Score:
    """The Score of n pairs from their tally."""
    value, n = float(metric.value(found.sums)), int(found.sums[1]) if metric.proportion else n
    if metric.proportion and not grouped:
        low, high = wilson(int(found.sums[0]), n) if n else (nan, nan)
        method = "wilson"
    else:
        low, high = _percentiles(metric.value(found.resamples))
        method = f"bootstrap {RESAMPLES} seed {seed}" + (" by group" if grouped else "")
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
    return min(1.0, 2 * total / 2**n)


def holm(ps: Sequence[float]) -> list[float]:
    """The p values, raised for being several (Holm, 1979): each below 0.05 is still a finding. NaN is not counted."""
    tested = sorted((i for i, p in enumerate(ps) if not isnan(p)), key=lambda i: ps[i])
    adjusted, highest = list(ps), 0.0
    for rank, i in enumerate(tested):
        highest = max(highest, min(1.0, (len(tested) - rank) * ps[i]))
        adjusted[i] = highest
    return adjusted


@dataclass(frozen=True)
class Outcomes:
    """Pairs on which tuned is better, and on which it is worse."""

    wins: int
    losses: int

    def __add__(self, other: Outcomes) -> Outcomes:
        return Outcomes(self.wins + other.wins, self.losses + other.losses)


def outcomes(metric: Metric, base_table: np.ndarray, tuned_table: np.ndarray) -> Outcomes:
    """Wins and losses of tuned over the pairs, by the metric's value of each."""
    differ = (base_table != tuned_table).any(axis=1)
    base, tuned = metric.value(base_table[differ]), metric.value(tuned_table[differ])
    up, down = int((tuned > base).sum()), int((tuned < base).sum())
    return Outcomes(up, down) if metric.higher_is_better else Outcomes(down, up)


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
    both = tally(by_group(np.hstack([base_table, tuned_table]), groups), seed)
    base, tuned = both.of(slice(k)), both.of(slice(k, None))
    return comparison_of(metric, base, tuned, outcomes(metric, base_table, tuned_table), n, groups=how_many(groups))


def how_many(groups: Sequence[Hashable] | None) -> int | None:
    """How many different groups there are; None where pairs are drawn one by one."""
    return None if groups is None else len(set(groups))


def comparison_of(metric: Metric, base: Tally, tuned: Tally, found: Outcomes, n: int, *,
                  groups: int | None = None) -> Comparison:
    """The Comparison of n pairs from the tallies of the two columns, which must be of the same draws: of single pairs,
    or of so many groups."""
    import numpy as np

    n = int(base.sums[1]) if metric.proportion else n
    draws = n if groups is None else groups
    with np.errstate(invalid="ignore"):  # Two infinite rates have no difference.
        delta = float(metric.value(tuned.sums) - metric.value(base.sums))
        deltas = metric.value(tuned.resamples) - metric.value(base.resamples)
        detectable = DETECTABLE * float(deltas.std()) if draws >= FEWEST else nan
    low, high = _percentiles(deltas)
    if metric.proportion and groups is None:
        p = mcnemar(found.wins, found.losses) if n else nan
    else:
        p = nan if isnan(delta) else max(_bootstrap_p(deltas), mcnemar(min(found.wins + found.losses, draws), 0))
    comparison = Comparison(metric.name, delta, low, high, found.wins, n - found.wins - found.losses, found.losses, n,
                            p, "", detectable)
    return replace(comparison, verdict=_verdict(metric, comparison))


def _bootstrap_p(deltas: np.ndarray) -> float:
    """Two-sided, from the resampled differences on the rarer side of 0. Of few draws it is far too small (of one all
    resamples are alike), so it is never taken below that of the sign test, had all that differ been on one side."""
    tail = min((deltas <= 0).sum(), (deltas >= 0).sum())
    return min(1.0, 2 * (int(tail) + 1) / (RESAMPLES + 1))


def _compare_shares(metric: Metric, base_table: np.ndarray, tuned_table: np.ndarray, *, seed: int) -> Comparison:
    """As `compare` of a share of pairs, many times faster: of pairs drawn with replacement the number of each kind
    (right in both, in one, in none; not counted) is all that matters, and these are multinomial."""
    import numpy as np

    n = len(base_table)
    if n == 0:
        return compare(metric, base_table, tuned_table, seed=seed)
    kinds = np.where(base_table[:, 1] > 0, base_table[:, 0] + 2 * tuned_table[:, 0], 4).astype(int)
    once = np.bincount(kinds, minlength=5)
    drawn = np.vstack([once, np.random.default_rng([seed]).multinomial(n, once / n, size=RESAMPLES)])
    both = [np.stack([drawn[:, right] + drawn[:, 3], n - drawn[:, 4]], axis=1).astype(float) for right in (1, 2)]
    base, tuned = (Tally(sums[0], sums[1:]) for sums in both)
    return comparison_of(metric, base, tuned, outcomes(metric, base_table, tuned_table), n)


def compare_parts(metric: Metric, base_table: np.ndarray, tuned_table: np.ndarray,
                  parts: Mapping[str, Sequence[int]], *, seed: int = 0) -> dict[str, Comparison]:
    """A Comparison of each part (name -> its rows), whose p values are raised by Holm's method for being several."""
    one = _compare_shares if metric.proportion else compare
    found = {name: one(metric, base_table[list(rows)], tuned_table[list(rows)], seed=seed)
             for name, rows in parts.items()}
    adjusted = holm([comparison.p for comparison in found.values()])
    raised = [replace(comparison, p=p) for comparison, p in zip(found.values(), adjusted, strict=True)]
    return {name: replace(comparison, verdict=_verdict(metric, comparison))
            for name, comparison in zip(found, raised, strict=True)}


def _percentiles(values: np.ndarray) -> tuple[float, float]:
    """The middle 95 %; resamples in which there was nothing to count are left out."""
    import numpy as np

    values = values[~np.isnan(values)]
    with np.errstate(invalid="ignore"):  # Between infinite values there is nothing.
        low, high = np.quantile(values, [0.025, 0.975]).tolist() if len(values) else (nan, nan)
    return low, high


def _verdict(metric: Metric, c: Comparison) -> str:
    if c.n == 0 or isnan(c.delta):
        return "no difference shown (no pairs)"
    if c.p < SIGNIFICANT and not c.low <= 0 <= c.high:
        return "better" if (c.delta > 0) == metric.higher_is_better else "worse"
    if isnan(c.detectable):
        return f"no difference shown ({counted(c.n, 'pair')}: too few to show one)"
    if c.detectable == 0:
        return f"no difference shown (none in any resample of the {c.n} pairs)"
    shown = f"{c.detectable * 100:.1f} points" if metric.unit == "%" else f"{c.detectable:.2g}"
    return f"no difference shown ({c.n} pairs would show one of {shown})"
