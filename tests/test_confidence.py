"""Confidence: the chance that an answer is right, from the probabilities of its tokens."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latexocr.errors import UserError
from latexocr.reading.confidence import Calibration, confidence, read_calibration
from latexocr.reading.inputs import resolve

log_probabilities = st.lists(st.floats(-50, 0), min_size=1, max_size=20)
calibrations = st.builds(Calibration, st.floats(-20, 20), st.floats(0.01, 10))


@given(log_probabilities)
def test_without_a_calibration_it_is_the_geometric_mean(logs):
    assert confidence(logs) == pytest.approx(math.prod(math.exp(x) for x in logs) ** (1 / len(logs)), rel=1e-6)
    assert confidence(logs, ended=False) == confidence(logs)


def test_without_probabilities_there_is_none():
    assert confidence([]) is None
    assert confidence([], Calibration(0, 1)) is None
    assert confidence([-0.5, math.nan]) is confidence([math.nan], Calibration(0, 1)) is None


@given(log_probabilities, log_probabilities, calibrations)
def test_a_calibration_keeps_the_order_and_stays_a_chance(some, others, calibration):
    raw = confidence(some), confidence(others)
    chances = confidence(some, calibration), confidence(others, calibration)
    assert all(0 <= chance <= 1 for chance in chances)
    if raw[0] < raw[1]:
        assert chances[0] <= chances[1]


@pytest.mark.parametrize("intercept, slope, logs, chance", [
    (0, 1, [-1, -1], 0.5),  # a surprise of 1 nat, whose logarithm is 0
    (0, 2, [-1, -1], 0.5),
    (2, 1, [-1], 1 / (1 + math.exp(-2))),
    (0, 1, [-0.5, -1.5, -1], 0.5),
    (0, 1, [-1 / 9], 0.9),
    (0, 1, [0, 0], 1 / (1 + 1e-6)),  # certainty is capped
])
def test_the_curve(intercept, slope, logs, chance):
    assert confidence(logs, Calibration(intercept, slope)) == pytest.approx(chance)


def test_an_answer_that_was_cut_off_is_not_right():
    assert confidence([-0.001], Calibration(0, 1), ended=False) == 0


@pytest.mark.parametrize("text, words", [
    ("{", "not a calibration"), ("[]", "not a calibration"), ('{"slope": 1}', "not a calibration"),
    ('{"intercept": "a", "slope": 1}', "not a calibration"), ('{"intercept": 0, "slope": 0}', "slope above 0"),
    ('{"intercept": 0, "slope": -1}', "slope above 0"), ('{"intercept": NaN, "slope": 1}', "slope above 0"),
    ('{"intercept": 0, "slope": Infinity}', "slope above 0"),
])
def test_what_is_no_calibration_is_refused_in_one_line(tmp_path, text, words):
    (tmp_path / "calibration.json").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=words) as error:
        read_calibration(tmp_path)
    assert "\n" not in str(error.value)


def test_a_model_without_the_file_has_none(tmp_path):
    assert read_calibration(tmp_path) is None
    (tmp_path / "calibration.json").write_text('{"intercept": -5.5, "slope": 2, "more": []}', encoding="utf-8")
    assert read_calibration(tmp_path) == Calibration(-5.5, 2)


def test_the_embedded_model_is_calibrated():
    found = read_calibration(resolve("builtin"))
    assert found.chance(-0.001) > 0.95 and found.chance(-0.5) < 0.2
