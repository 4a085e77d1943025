"""Fitting a confidence to how often it is right: a known curve is found again, and what it does is measured."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from latexocr.reading.confidence import Calibration, read_calibration

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "calibrate.py"
TRUE = Calibration(-3.0, 1.5)


def script(*words: object) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, SCRIPT, *map(str, words)], capture_output=True, text=True, timeout=300)


def write(folder: Path, n: int, seed: int) -> str:
    """n answers of which each is right with the chance that TRUE gives it, and one in a hundred cut off."""
    rng = np.random.default_rng(seed)
    samples, predictions = [], []
    for number, mean in enumerate(-np.exp(rng.normal(-2.5, 1.2, n))):
        cut = number % 100 == 0
        right = rng.random() < TRUE.chance(mean)
        samples.append({"id": str(number), "image": "a.png", "latex": f"x^{{{number}}}"})
        predictions.append({"id": str(number), "latex": f"x^{{{number}}}" if right or cut else "y", "tokens": 4,
                            "confidence": math.exp(mean), "stop": "length" if cut else "end"})
    for name, rows in (("samples", samples), ("predictions", predictions)):
        (folder / f"{name}-{seed}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return f"{folder}/predictions-{seed}.jsonl={folder}/samples-{seed}.jsonl"


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    done = script("fit", folder, write(folder, 3000, 1))
    assert done.returncode == 0, done.stderr
    return folder


def test_the_curve_that_made_the_answers_is_found_again(model):
    found = read_calibration(model)
    assert (found.intercept, found.slope) == pytest.approx((TRUE.intercept, TRUE.slope), abs=0.25)
    told = json.loads((model / "calibration.json").read_text())
    assert told["n"] == 3000
    assert told["ece_held_out_in_10_folds"] < 0.03 < told["ece_of_the_geometric_mean"]


def test_answers_are_reported_as_they_stand(model, tmp_path):
    pair = write(tmp_path, 2000, 2)
    before = script("report", pair)
    assert before.returncode == 0, before.stderr
    curve, file = read_calibration(model), Path(pair.partition("=")[0])
    rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    file.write_text("".join(json.dumps(row | {"confidence": curve.chance(math.log(row["confidence"]))}) + "\n"
                            for row in rows), "utf-8")
    after = script("report", pair)
    errors = [float(done.stdout.split("error ")[1].split()[0]) for done in (before, after)]
    assert errors[1] < 4 < errors[0]
    taken = [line for line in after.stdout.splitlines() if "--min-confidence 0.9 " in line]
    assert len(taken) == 1 and float(taken[0].split(", ")[1].split(" %")[0]) < 10


@pytest.mark.parametrize("words, said", [
    (("fit", "."), "expected fit MODEL PREDICTIONS=SPEC"),
    (("report",), "expected fit MODEL PREDICTIONS=SPEC"),
    ((), "expected fit MODEL PREDICTIONS=SPEC"),
    (("fit", ".", "predictions.jsonl"), "expected PREDICTIONS=SPEC"),
    (("report", "predictions.jsonl"), "expected PREDICTIONS=SPEC"),
])
def test_what_is_missing_is_said(words, said, tmp_path):
    done = subprocess.run([sys.executable, SCRIPT, *words], capture_output=True, text=True, timeout=300, cwd=tmp_path)
    assert done.returncode == 1 and said in done.stderr and "Traceback" not in done.stderr


def test_odd_confidences_are_refused(tmp_path):
    pair = write(tmp_path, 40, 4)
    file = Path(pair.partition("=")[0])
    file.write_text(file.read_text().replace('"stop": "end"', '"stop": "end", "confidence": "high"', 1))
    done = script("fit", tmp_path, pair)
    assert done.returncode == 1 and "Traceback" not in done.stderr and "confidence" in done.stderr


def test_too_few_answers_of_a_kind_are_refused(tmp_path):
    done = script("fit", tmp_path, write(tmp_path, 20, 3))
    assert done.returncode == 1 and "expected ten right and ten wrong ones" in done.stderr
    assert not (tmp_path / "calibration.json").exists()
