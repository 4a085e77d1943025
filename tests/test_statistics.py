"""Intervals and comparisons against scipy, and what a verdict may say."""

from __future__ import annotations

import math

import numpy as np
import pytest

from latexocr.scoring.metrics import METRICS
from latexocr.scoring.resampling import PIECE, RESAMPLES, tally
from latexocr.scoring.statistics import compare, mcnemar, score, wilson

EXACT, DISTANCE, BLEU = METRICS["exact_visual"], METRICS["edit_distance"], METRICS["bleu"]


def shares(right, n):
    """A table of a 0/1 metric: the first `right` of n pairs are right."""
    return np.column_stack([np.arange(n) < right, np.ones(n)]).astype(float)


@pytest.mark.parametrize("right, n", [(0, 10), (10, 10), (3, 17), (500, 1000), (1, 1)])
def test_wilson_is_that_of_scipy(right, n):
    from scipy.stats import binomtest

    expected = binomtest(right, n).proportion_ci(method="wilson")
    assert wilson(right, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize("wins, losses", [(0, 0), (5, 5), (1, 0), (10, 2), (2, 10), (300, 250), (900, 700),
    (3000, 2800)])
def test_mcnemar_is_the_exact_binomial_test_of_scipy(wins, losses):
    from scipy.stats import binomtest

    expected = binomtest(wins, wins + losses).pvalue if wins + losses else 1.0
    assert mcnemar(wins, losses) == pytest.approx(expected, rel=1e-9, abs=1e-15)


def test_bootstrap_interval_is_that_of_the_normal_approximation_for_a_mean():
    values = np.random.default_rng(1).random(400)
    found = score(DISTANCE, np.column_stack([values, np.ones(400)]), seed=3)
    half = 1.96 * values.std() / math.sqrt(400)
    assert found.value == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.1 * half)
    assert "bootstrap 10000 seed 3" in found.signature


def test_scores_are_seeded_and_intervals_hardly_depend_on_order():
    table = np.column_stack([np.random.default_rng(0).random(50), np.ones(50)])
    found = score(DISTANCE, table, seed=1)
    assert found == score(DISTANCE, table, seed=1)
    assert found != score(DISTANCE, table, seed=2)
    turned = score(DISTANCE, table[::-1], seed=1)
    assert turned.value == pytest.approx(found.value)
    assert turned.low == pytest.approx(found.low, abs=0.05 * (found.high - found.low))


@pytest.mark.parametrize("rows", [30, 3000, PIECE + 100])
def test_resamples_have_as_many_rows_as_the_table(rows):
    table = np.column_stack([np.arange(rows) % 7, np.ones(rows)]).astype(float)
    drawn = tally(table, 0).resamples
    assert drawn.shape == (RESAMPLES, 2)
    assert (drawn[:, 1] == rows).all()
    assert drawn[:, 0].mean() == pytest.approx(table[:, 0].sum(), rel=0.01)
    assert drawn[:, 0].std() == pytest.approx(table[:, 0].std() * math.sqrt(rows), rel=0.05)


@pytest.mark.parametrize("base, tuned, verdict", [
    (40, 60, "better"), (60, 40, "worse"), (50, 51, "no difference shown"), (50, 50, "no difference shown")])
def test_verdict_on_shares(base, tuned, verdict):
    found = compare(EXACT, shares(base, 100), shares(tuned, 100), seed=0)
    assert found.verdict.startswith(verdict)
    assert found.delta == pytest.approx((tuned - base) / 100)
    assert (found.wins, found.losses) == (max(tuned - base, 0), max(base - tuned, 0))
    assert found.wins + found.ties + found.losses == found.n == 100
    assert found.low <= found.delta <= found.high


def test_lower_is_better_where_it_is():
    base, tuned = (np.column_stack([np.full(60, v) + np.arange(60) / 1000, np.ones(60)]) for v in (0.4, 0.2))
    found = compare(DISTANCE, base, tuned, seed=0)
    assert (found.verdict, found.wins, found.losses) == ("better", 60, 0)
    assert found.delta == pytest.approx(-0.2)
    assert compare(DISTANCE, tuned, base, seed=0).verdict == "worse"


def test_pairing_finds_what_two_intervals_hide():
    random = np.random.default_rng(0)
    base = random.random(200)
    base, tuned = (np.column_stack([v, np.ones(200)]) for v in (base, base - 0.02 + random.normal(0, 0.02, 200)))
    a, b = score(DISTANCE, base, seed=0), score(DISTANCE, tuned, seed=0)
    assert a.low < b.high
    assert compare(DISTANCE, base, tuned, seed=0).verdict == "better"


def test_no_difference_tells_what_could_have_been_shown():
    random = np.random.default_rng(0)
    base, tuned = (np.column_stack([random.random(n) < 0.5, np.ones(n)]).astype(float) for n in (400, 400))
    found = compare(EXACT, base, tuned, seed=0)
    both = (base[:, 0] != tuned[:, 0]).mean()
    detectable = 2.8 * math.sqrt((both - found.delta**2) / 400) * 100
    assert found.verdict.startswith("no difference shown (400 pairs would show one of ")
    assert float(found.verdict.split()[-2]) == pytest.approx(detectable, rel=0.05)


def test_pairs_of_one_document_are_drawn_together():
    table = shares(50, 100)
    documents = [number // 25 for number in range(100)]
    alone, together = score(EXACT, table, seed=0), score(EXACT, table, seed=0, groups=documents)
    assert together.value == alone.value
    assert together.high - together.low > 2 * (alone.high - alone.low)
    clustered = compare(EXACT, shares(25, 100), shares(50, 100), seed=0, groups=documents)
    assert compare(EXACT, shares(25, 100), shares(50, 100), seed=0).verdict == "better"
    assert clustered.verdict.startswith("no difference shown")


def test_chance_differences_are_called_real_about_as_often_as_said():
    random, called = np.random.default_rng(5), 0
    for _ in range(60):
        base, tuned = (np.column_stack([random.random(80), np.ones(80)]) for _ in range(2))
        called += not compare(DISTANCE, base, tuned, seed=0).verdict.startswith("no difference")
    assert called <= 9


def test_edges():
    empty = score(EXACT, np.zeros((0, 2)), seed=0)
    assert empty.n == 0 and math.isnan(empty.value)
    assert compare(EXACT, np.zeros((0, 2)), np.zeros((0, 2)), seed=0).verdict.startswith("no difference shown")
    one = score(BLEU, np.array([[1.0, 1, 1, 0, 0, 0, 1, 0, 0, 0]]), seed=0)
    assert one.low == one.value == one.high
    with pytest.raises(ValueError, match="paired"):
        compare(EXACT, shares(1, 2), shares(1, 3), seed=0)
