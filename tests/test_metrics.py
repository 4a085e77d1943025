"""Metrics against other implementations, and the properties every score must have."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latexocr.latex.canonical import Level, canonical
from latexocr.latex.tokens import tokenize
from latexocr.scoring.metrics import METRICS, tabulate

PAIRS = [
    (r"\frac{a}{b}", r"\frac ab"), ("x^2+y", "x^{2}+z"), ("", "x"), (r"\sum_{i=1}^{n}x_i", r"\sum_{i=1}^{m}x_{i}"),
    (r"\alpha\beta\gamma\delta\epsilon", r"\alpha\beta\gamma\delta\varepsilon"), ("a=b+c", "a=b+c"), ("x", "x x x x x"),
    (r"\left(a\right)", "(a)"), (r"\int_0^1f(x)\,dx", r"\int_{0}^{1}f(x)dx"),
]
PIECES = ["a", "b", "+", r"\alpha", "{x}", "^2", "_i", r"\frac12", r"\,", r"\le", r"\leq", "'", "=", "("]
formula = st.lists(st.sampled_from(PIECES), max_size=8).map(" ".join)
pairs = st.lists(st.tuples(formula, formula), min_size=1, max_size=6)


def value(name, some_pairs):
    metric = METRICS[name]
    return metric.value(tabulate(metric, some_pairs).sum(axis=0))


def tokens(latex):
    return tokenize(canonical(latex, Level.SYNTAX))


def test_bleu_is_that_of_sacrebleu():
    import sacrebleu

    predictions, references = ([" ".join(tokens(text)) for text in side] for side in zip(*PAIRS, strict=True))
    expected = sacrebleu.corpus_bleu(predictions, [references], tokenize="none", force=True).score
    assert value("bleu", PAIRS) == pytest.approx(expected, abs=1e-10)


def test_token_error_rate_is_the_word_error_rate_of_jiwer():
    import jiwer

    predictions, references = ([" ".join(tokens(text)) for text in side] for side in zip(*PAIRS, strict=True))
    assert value("token_error_rate", PAIRS) == pytest.approx(jiwer.wer(references, predictions), abs=1e-10)


@pytest.mark.parametrize("name, expected", [
    ("exact_identical", 1 / 9), ("exact_surface", 1 / 9), ("exact_syntax", 2 / 9), ("exact_visual", 4 / 9),
    ("exact_lenient", 4 / 9), ("exprate", 2 / 9), ("exprate_1", 7 / 9), ("exprate_2", 8 / 9), ("exprate_3", 8 / 9),
])
def test_shares(name, expected):
    assert value(name, PAIRS) == pytest.approx(expected)


@pytest.mark.parametrize("prediction, reference, distance", [
    ("", "", 0), ("x", "", 1), ("", "x", 1), ("x^2", "x^{2}", 0), ("ab", "ac", 0.5), (r"\alpha", r"\beta", 1),
    ("abcd", "abc", 0.25),
])
def test_edit_distance(prediction, reference, distance):
    assert value("edit_distance", [(prediction, reference)]) == distance


def test_a_runaway_is_capped_in_one_rate_only():
    runaway = [("x" * 100, "ab"), ("a", "a")]
    assert value("token_error_rate", runaway) == pytest.approx(100 / 3)
    assert value("token_error_rate_capped", runaway) == pytest.approx(2 / 3)


@given(pairs)
def test_each_level_of_exact_match_contains_the_one_before(some_pairs):
    levels = [value(f"exact_{level.name.lower()}", some_pairs) for level in Level]
    assert levels == sorted(levels)
    rates = [value(name, some_pairs) for name in ("exprate", "exprate_1", "exprate_2", "exprate_3")]
    assert rates == sorted(rates)
    assert rates[0] == levels[Level.SYNTAX]


@given(formula, formula, formula)
def test_edit_distance_is_a_distance(a, b, c):
    distance = value("edit_distance", [(a, b)])
    assert 0 <= distance <= 1
    assert distance == value("edit_distance", [(b, a)])
    assert (distance == 0) == bool(value("exact_syntax", [(a, b)]))
    edits = [tabulate(METRICS["token_error_rate"], [pair])[0, 0] for pair in ((a, b), (b, c), (a, c))]
    assert edits[2] <= edits[0] + edits[1]


@settings(max_examples=30)
@given(pairs, st.randoms())
def test_order_changes_no_score(some_pairs, random):
    shuffled = random.sample(some_pairs, len(some_pairs))
    for name in METRICS:
        assert value(name, shuffled) == pytest.approx(value(name, some_pairs), nan_ok=True)


@settings(max_examples=30)
@given(pairs, pairs)
def test_means_of_joined_sets_are_weighted_means(first, second):
    for name in METRICS:
        if name.startswith(("exact", "exprate")) or name in ("edit_distance", "char_edit_distance"):
            weighted = value(name, first) * len(first) + value(name, second) * len(second)
            assert value(name, first + second) == pytest.approx(weighted / (len(first) + len(second)))


def test_tables_have_a_row_a_pair_of_plain_numbers():
    for metric in METRICS.values():
        table = tabulate(metric, PAIRS)
        assert table.dtype == np.float64
        assert table.shape == (len(PAIRS), tabulate(metric, PAIRS[:1]).shape[1])
        assert tabulate(metric, []).shape == (0, table.shape[1])


def test_a_signature_tells_what_changes_the_number():
    signatures = {name: metric.signature for name, metric in METRICS.items()}
    assert len(set(signatures.values())) == len(METRICS)
    assert all(name in signature and "latexocr:" in signature for name, signature in signatures.items())
    assert all(part in signatures["bleu"] for part in ("level:syntax", "tok:none", "smooth:exp", "sacrebleu:2"))


def test_import_is_light():
    code = ("import sys, latexocr.scoring.metrics, latexocr.scoring.statistics, latexocr.scoring.failures;"
            "print([m for m in ('numpy', 'sacrebleu', 'scipy', 'torch', 'rapidfuzz') if m in sys.modules])")
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
