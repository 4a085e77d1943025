"""Intervals and comparisons against scipy, and what a verdict may say."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from latexocr.errors import UserError
from latexocr.records import Prediction
from latexocr.scoring import compare as compare_answers
from latexocr.scoring import resampling
from latexocr.scoring import score as score_answers
from latexocr.scoring.assess import assess, summarize
from latexocr.scoring.metrics import METRICS, tabulate_all
from latexocr.scoring.resampling import PIECE, RESAMPLES, Tally, tally
from latexocr.scoring.statistics import Outcomes, compare, compare_parts, comparison_of, holm, mcnemar, score, wilson
from latexocr.wording import counted

EXACT, DISTANCE, BLEU = METRICS["exact_visual"], METRICS["edit_distance"], METRICS["bleu"]


def shares(right, n):
    """A table of a 0/1 metric: the first `right` of n pairs are right."""
    return np.column_stack([np.arange(n) < right, np.ones(n)]).astype(float)


@pytest.mark.parametrize("right, n", [(0, 10), (10, 10), (3, 17), (500, 1000), (1, 1)])
def test_wilson_is_that_of_scipy(right, n):
    from scipy.stats import binomtest

    expected = binomtest(right, n).proportion_ci(method="wilson")
    assert wilson(right, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_no_share_is_below_0_or_above_1():
    """Not even by a rounding, which would be shown as -0.0."""
    assert {(wilson(0, n)[0], wilson(n, n)[1]) for n in range(1, 500)} == {(0.0, 1.0)}


@pytest.mark.parametrize("wins, losses", [
    (0, 0), (5, 5), (1, 0), (10, 2), (2, 10), (300, 250), (900, 700), (3000, 2800), (5000, 10)])
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


def test_columns_that_never_differ_say_so():
    found = compare(EXACT, shares(50, 100), shares(50, 100), seed=0)
    assert found.verdict == "no difference shown (none in any resample of the 100 pairs)"


@pytest.mark.parametrize("low, verdict", [(-0.01, "no difference shown"), (0.0, "no difference shown"),
                                          (0.01, "better")])
def test_better_needs_an_interval_without_0_beside_its_p(low, verdict):
    """The p value is of wins and losses, the interval of resamples: both must say so."""
    base, gains = Tally(np.array([10.0, 100]), np.full((RESAMPLES, 2), [10.0, 100])), np.full(RESAMPLES, 20.0)
    gains[:RESAMPLES // 20] = 100 * low
    tuned = Tally(np.array([30.0, 100]), base.resamples + np.column_stack([gains, np.zeros(RESAMPLES)]))
    found = comparison_of(EXACT, base, tuned, Outcomes(20, 0), 100)
    assert found.p < 0.05 and found.low == pytest.approx(low) and found.verdict.startswith(verdict)


def test_a_resample_in_which_nothing_counts_is_left_out():
    """As where one document of two has a grid at all."""
    found = score(EXACT, np.array([[1.0, 1.0], [0.0, 0.0]]), groups=["a", "b"])
    assert (found.value, found.low, found.high) == (1, 1, 1)


def test_pairs_of_one_document_are_drawn_together():
    table = shares(50, 100)
    documents = [number // 25 for number in range(100)]
    alone, together = score(EXACT, table, seed=0), score(EXACT, table, seed=0, groups=documents)
    assert together.value == alone.value
    assert together.high - together.low > 2 * (alone.high - alone.low)
    clustered = compare(EXACT, shares(25, 100), shares(50, 100), seed=0, groups=documents)
    assert compare(EXACT, shares(25, 100), shares(50, 100), seed=0).verdict == "better"
    assert clustered.verdict.startswith("no difference shown")


@pytest.mark.parametrize("differ, most", [(1, 1.0), (2, 0.5), (5, 2 / 2**5), (6, 2 / 2**6)])
def test_the_bootstrap_of_few_pairs_shows_no_more_than_a_sign_test(differ, most):
    """Resamples of one pair are all alike, and those of five that all won never lose: no proof of anything."""
    base, tuned = np.ones((differ, 2)), np.column_stack([np.zeros(differ), np.ones(differ)])
    found = compare(DISTANCE, base, tuned)
    assert found.p == pytest.approx(most) and found.delta == -1
    assert found.verdict == ("better" if differ >= 6 else
                             f"no difference shown ({counted(differ, 'pair')}: too few to show one)")
    assert math.isnan(found.detectable) == (differ < 6)
    assert compare(EXACT, base, tuned).verdict == ("worse" if differ >= 6 else found.verdict)
    groups = [i % differ for i in range(120)]
    clustered = compare(EXACT, *(np.resize(table, (120, 2)) for table in (base, tuned)), groups=groups)
    assert clustered.p == pytest.approx(most) and (clustered.verdict == "worse") == (differ >= 6)
    few = np.vstack([base, np.ones((200 - differ, 2))]), np.vstack([tuned, np.ones((200 - differ, 2))])
    assert compare(DISTANCE, *few).p >= most


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


@pytest.mark.parametrize("ps, adjusted", [
    ([], []), ([0.03], [0.03]), ([0.01, 0.04, 0.03], [0.03, 0.06, 0.06]), ([0.5, 0.9], [1.0, 1.0]),
    ([0.01, math.nan, 0.02], [0.02, math.nan, 0.02]), ([0.04, 0.01], [0.04, 0.02]),
])
def test_holm(ps, adjusted):
    """Worked by hand: the k-th smallest of m times m - k + 1, never under one before it."""
    assert holm(ps) == pytest.approx(adjusted, nan_ok=True)


def test_a_part_found_by_looking_at_many_is_no_finding():
    base, tuned = shares(0, 400), np.zeros((400, 2))
    tuned[:, 1], tuned[:7, 0] = 1, 1
    alone = compare_parts(EXACT, base, tuned, {"a": range(20)})
    many = compare_parts(EXACT, base, tuned, {str(i): range(20 * i, 20 * i + 20) for i in range(20)})
    assert alone["a"].verdict == "better" and alone["a"].p == pytest.approx(2 / 2**7)
    assert many["0"].verdict.startswith("no difference shown") and many["0"].p == pytest.approx(20 * 2 / 2**7)
    assert many["0"].wins == 7 and many["5"].p == 1


def test_parts_are_compared_as_the_bootstrap_of_their_pairs_compares_them():
    """Shares are resampled as counts of kinds of pairs: their intervals are those of drawn pairs."""
    random, n = np.random.default_rng(1), 300
    base, tuned = (np.column_stack([random.random(n) < share, np.ones(n)]).astype(float) for share in (0.5, 0.6))
    for uncounted in (0, 100):  # as `grid_shape` counts pairs without a grid
        base[:uncounted], tuned[:uncounted] = 0, 0
        parts = {"all": range(n), "some": range(50, 170)}
        for name, found in compare_parts(EXACT, base, tuned, parts).items():
            rows = list(parts[name])
            drawn = compare(EXACT, base[rows], tuned[rows])
            width = drawn.high - drawn.low
            assert (found.delta, found.wins, found.losses, found.n) == (
                pytest.approx(drawn.delta), drawn.wins, drawn.losses, drawn.n)
            assert (found.low, found.high) == pytest.approx((drawn.low, drawn.high), abs=0.06 * width)
            assert found.detectable == pytest.approx(drawn.detectable, rel=0.04)
    assert compare_parts(EXACT, base, tuned, {"none": []})["none"].n == 0


def test_the_detectable_difference_is_found_four_times_in_five():
    random, n, found = np.random.default_rng(0), 150, 0
    base = random.random((200, n))
    least = compare(DISTANCE, *(np.column_stack([column, np.ones(n)]) for column in random.random((2, n)))).detectable
    for column in base:
        tuned = np.column_stack([random.random(n) - least, np.ones(n)])
        both = tuned[:, 0] - column
        found += both.mean() / (both.std() / math.sqrt(n)) < -1.96
    assert 0.7 < found / len(base) < 0.9


SPELLED = [("x^2", "x^{2}"), ("a+b", "a+c"), (r"\frac12", r"\frac{1}{2}"), ("", "y"), (r"\sqrt{x}", r"\sqrt[3]{x}"),
           (r"\begin{matrix}a&b\end{matrix}", r"\begin{matrix}a\\b\end{matrix}"), ("{z", "z"), ("k", "k")] * 12


@pytest.fixture
def small_pieces(monkeypatch):
    monkeypatch.setattr(resampling, "PIECE", 40)


def test_pieces_add_up_to_the_whole_on_any_number_of_cores(small_pieces):
    references = [reference for _, reference in SPELLED]
    columns = {"base": [prediction for prediction, _ in SPELLED], "tuned": ["x^2", *references[1:]]}
    alone, shared = (assess(references, columns, workers=workers) for workers in (1, 2))
    assert resampling.pieces(len(references)) == 3
    assert repr(alone) == repr(shared)
    tables = {name: tabulate_all(METRICS, list(zip(column, references))) for name, column in columns.items()}
    counted = {name: replace(metric, counts=None) for name, metric in METRICS.items()}  # Of drawings, it starts TeX.
    scores, comparisons = summarize(tables, chosen=counted)
    assert repr((scores, comparisons)) == repr((alone.scores, alone.comparisons))


def test_pieces_are_resampled_as_one_table_would_be(small_pieces):
    table = np.column_stack([np.random.default_rng(0).random(100), np.ones(100)])
    in_pieces = tally(table, 0)
    assert in_pieces.sums == pytest.approx(table.sum(axis=0)) and (in_pieces.resamples[:, 1] == 100).all()
    assert in_pieces.resamples[:, 0].std() == pytest.approx(table[:, 0].std() * 10, rel=0.03)


def test_all_metrics_and_columns_see_the_same_draws():
    table = np.random.default_rng(0).integers(0, 9, (50, 3)).astype(float)
    whole = tally(table, 0).resamples
    assert (whole[:, :1] == tally(table[:, :1], 0).resamples).all()
    assert (tally(np.hstack([table, table]), 0).resamples[:, 3:] == whole).all()


def test_groups_reach_from_the_front_door(small_pieces):
    references = [reference for _, reference in SPELLED]
    answers, groups = [prediction for prediction, _ in SPELLED], [i // 32 for i in range(96)]
    found = assess(references, {"a": answers}, groups=groups)
    table = tabulate_all(METRICS, list(zip(answers, references)))
    for one in found.scores["a"]:
        expected = score(METRICS[one.metric], table[one.metric], groups=groups)
        numbers = [(s.value, s.low, s.high) for s in (one, expected)]
        assert numbers[0] == pytest.approx(numbers[1], nan_ok=True)
        assert one.signature == expected.signature and "by group" in one.signature


def test_pairs_that_are_all_of_one_group_have_no_interval():
    with pytest.raises(UserError, match="one group"):
        assess(["x", "y"], {"a": ["x", "x"]}, groups=["", ""])


def test_the_front_door_takes_lists_and_ids():
    assert score_answers(["x^2", "y"], ["x^{2}", "z"])["exact_visual"].value == 0.5
    by_id = score_answers({"b": "z", "a": "x^2"}, {"a": "x^{2}", "b": "z"})
    assert by_id["exact_visual"].value == 1 and by_id["exact_visual"].n == 2
    failed = score_answers([Prediction("0", "", stop="error")], [""])
    assert failed["exact_visual"].value == 0
    found = compare_answers(["a"] * 30, ["b"] * 30, ["b"] * 30, names=["exact_visual", "edit_distance"])
    assert list(found) == ["exact_visual", "edit_distance"] and found["exact_visual"].verdict == "better"


@pytest.mark.parametrize("predictions, references, message", [
    (["x"], ["x", "y"], "1 prediction for 2 references"), ([], [], "no pairs"), ("x", ["x"], "lone string"),
    ({"a": "x"}, {"b": "x"}, r"1 not among the references \('a'\); 1 missing \('b'\)"), ({"a": "x"}, ["x"], "have ids"),
    (["x"], {"a": "x"}, "have none"),
    ([Prediction("a", "x"), Prediction("a", "y")], {"a": "x"}, r"1 doubled \('a'\)"),
])
def test_what_does_not_pair_is_refused(predictions, references, message):
    with pytest.raises(UserError, match=message):
        score_answers(predictions, references)


def test_an_unknown_metric_is_refused_with_those_there_are():
    with pytest.raises(UserError, match=r"no metric 'blue'.*bleu.*unimernet_edit"):
        score_answers(["x"], ["x"], names=["blue"])
