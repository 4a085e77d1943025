"""Confidence against truth: the calibration error, bins, and the curve of risk against coverage."""

from __future__ import annotations

import random

import numpy as np
import pytest

from latexocr.bench.calibration import calibration


def drawn(n: int, seed: int = 0) -> tuple[list[float], list[bool]]:
    """Confidences, and answers that are right with just that probability."""
    random = np.random.default_rng(seed)
    sure = random.uniform(0.2, 1, n)
    return sure.tolist(), (random.random(n) < sure).tolist()


def test_a_model_that_knows_its_chances_has_a_small_error_and_one_that_boasts_has_its_excess():
    sure, right = drawn(5000)
    honest = calibration(sure, right)
    assert honest.ece < 0.03 and honest.low <= honest.high
    boasting = calibration([1.0] * 5000, right)
    assert boasting.ece == pytest.approx(1 - np.mean(right)) and len(boasting.bins) == 1
    assert boasting.low < boasting.ece < boasting.high


def test_bins_hold_all_answers_and_their_intervals_hold_the_truth():
    sure, right = drawn(2000)
    found = calibration(sure, right)
    assert len(found.bins) == 10 and sum(b.n for b in found.bins) == found.n == 2000
    assert {b.n for b in found.bins} <= {199, 200, 201}
    assert all(b.low <= b.correct <= b.high for b in found.bins)
    assert sum(b.low <= b.confidence <= b.high for b in found.bins) >= 8
    assert [b.confidence for b in found.bins] == sorted(b.confidence for b in found.bins)
    assert found.ece == pytest.approx(sum(b.n * abs(b.correct - b.confidence) for b in found.bins) / 2000)


def test_risk_at_full_coverage_is_the_share_of_wrong_answers():
    sure, right = drawn(500)
    found = calibration(sure, right)
    last = found.risk_coverage[-1]
    assert (last.coverage, last.confidence) == (1, min(sure))
    assert last.risk == pytest.approx(1 - np.mean(right))
    assert len(found.risk_coverage) == 100
    assert found.best_aurc < found.aurc < last.risk


def test_the_curve_is_that_of_a_few_answers_counted_by_hand():
    found = calibration([0.9, 0.8, 0.8, 0.1], [True, False, True, False])
    assert [(p.coverage, p.confidence) for p in found.risk_coverage] == [(.25, .9), (.5, .8), (.75, .8), (1, .1)]
    assert [p.risk for p in found.risk_coverage] == pytest.approx([0, 0.25, 1 / 3, 0.5])  # the tie is shared
    assert found.aurc == pytest.approx((0 + 0.25 + 1 / 3 + 0.5) / 4)
    assert found.best_aurc == pytest.approx((0 + 0 + 1 / 3 + 0.5) / 4)


def test_order_is_of_no_matter():
    sure = [0.5, 0.9, None, 0.7] * 10
    right = [i % 3 > 0 and one is not None for i, one in enumerate(sure)]
    order = random.Random(0).sample(range(40), 40)
    a, b = calibration(sure, right), calibration([sure[i] for i in order], [right[i] for i in order])
    assert (a.ece, a.aurc) == pytest.approx((b.ece, b.aurc))
    assert [(x.n, x.correct) for x in a.bins] == [(x.n, x.correct) for x in b.bins]
    assert [p.risk for p in a.risk_coverage] == pytest.approx([p.risk for p in b.risk_coverage])


def test_failures_are_the_least_sure_and_no_confidence_is_no_calibration():
    found = calibration([0.9, None], [True, False])
    assert found.n == 2 and found.risk_coverage[-1].confidence == 0 and found.aurc == found.best_aurc
    assert calibration([None, None], [True, False]) is None
    assert calibration([0.5], [True]).n == 1
