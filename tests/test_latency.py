"""Percentiles of answer times, against numpy, in memory that does not grow."""

from __future__ import annotations

import numpy as np
import pytest

from latexocr.reading.latency import Latency


@pytest.mark.parametrize("part", [0.05, 0.5, 0.95, 1.0])
def test_percentiles_are_right_to_one_percent(part):
    seconds = np.random.default_rng(0).lognormal(-1, 1, 20_000)
    latency = Latency()
    for second in seconds:
        latency.add(second)
    assert latency.n == 20_000
    assert latency.percentile(part) == pytest.approx(np.quantile(seconds, part, method="inverted_cdf"), rel=0.01)
    assert len(latency._counts) < 700


def test_no_answer_and_no_time():
    latency = Latency()
    assert latency.percentile(0.5) == 0
    latency.add(0.0)
    assert latency.percentile(0.5) == pytest.approx(0, abs=1e-5)
