"""Fit a model's confidence to how often it is right, and measure confidences before and after.

    python benchmarks/calibrate.py fit MODEL PREDICTIONS=SPEC ...
    python benchmarks/calibrate.py report MODEL PREDICTIONS=SPEC ...

`fit` takes answers of a model to pictures with references that are no test set, read while its folder held no
calibration.json, and writes that file: the two numbers of `latexocr.reading.confidence.Calibration`, by maximum
likelihood, and what they rest on. `report` prints what they do to other answers, to which nothing is fitted: the
expected calibration error of the geometric mean and of the calibrated chance, and for thresholds how many answers are
taken, and how many of these are wrong. Right is: equal to the reference at the visual level, and not cut off.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from latexocr.bench.calibration import calibration
from latexocr.data.sources import load
from latexocr.errors import UserError
from latexocr.latex.canonical import Level, equal
from latexocr.reading.confidence import FILE, LEAST_SURPRISE, Calibration, read_calibration
from latexocr.records import read_predictions

FOLDS = 10
THRESHOLDS = (0.5, 0.8, 0.9, 0.95)


def answers(pairs: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Mean log probability (minus infinity where cut off or unknown) and whether it is right, of each answer."""
    means, right = [], []
    for pair in pairs:
        file, equals, spec = pair.partition("=")
        if not equals:
            raise UserError(f"{pair}: expected PREDICTIONS=SPEC.")
        samples = {sample.id: sample for sample in load(spec)}
        for prediction in read_predictions(Path(file)):
            if prediction.id not in samples:
                raise UserError(f"{file}: {prediction.id!r} is not among the samples of {spec}.")
            means.append(math.log(prediction.confidence) if prediction.confidence and prediction.stop == "end" else
                         -math.inf)
            right.append(prediction.stop == "end"
                         and equal(prediction.latex, samples[prediction.id].latex or "", Level.VISUAL))
    return np.array(means), np.array(right, dtype=float)


def fitted(means: np.ndarray, right: np.ndarray) -> Calibration:
    """The curve under which these answers are likeliest, by Newton's method; answers that were cut off are left out."""
    known = np.isfinite(means)
    x = np.log(np.maximum(-means[known], LEAST_SURPRISE))
    if min(right[known].sum(), (1 - right[known]).sum()) < 10:
        raise UserError(f"{int(right[known].sum())} right answers of {len(x)}: expected ten right and ten wrong ones.")
    features, weights = np.stack([np.ones_like(x), -x]), np.zeros(2)
    for _ in range(50):
        chance = 1 / (1 + np.exp(-weights @ features))
        curvature = (features * (chance * (1 - chance))) @ features.T
        weights += np.linalg.solve(curvature, features @ (right[known] - chance))
    return Calibration(*weights.tolist())


def chances(curve: Calibration, means: np.ndarray) -> list[float]:
    return [curve.chance(mean) if math.isfinite(mean) else 0.0 for mean in means]


def geometric(means: np.ndarray) -> list[float]:
    return np.exp(means).tolist()


def fit(model: Path, pairs: Sequence[str]) -> None:
    means, right = answers(pairs)
    curve, held_out = fitted(means, right), np.zeros_like(means)
    folds = np.random.default_rng(0).permutation(len(means)) % FOLDS
    for fold in range(FOLDS):
        held_out[folds == fold] = chances(fitted(means[folds != fold], right[folds != fold]), means[folds == fold])
    found = {
        "intercept": round(curve.intercept, 4), "slope": round(curve.slope, 4), "n": len(means),
        "right": int(right.sum()), "ece_of_the_geometric_mean": round(error(geometric(means), right), 4),
        f"ece_held_out_in_{FOLDS}_folds": round(error(held_out.tolist(), right), 4), "answers": list(pairs),
    }
    (model / FILE).write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=2))


def error(confidences: Sequence[float], right: np.ndarray) -> float:
    return calibration(confidences, right.astype(bool).tolist()).ece


def report(model: Path, pairs: Sequence[str]) -> None:
    curve = read_calibration(model)
    if curve is None:
        raise UserError(f"{model}: no {FILE} in it. `calibrate.py fit` writes one.")
    for pair in pairs:
        means, right = answers([pair])
        after = chances(curve, means)
        print(f"{pair.partition('=')[0]}: {len(right)} answers, {100 * right.mean():.1f} % right")
        for name, sure in (("geometric mean", geometric(means)), ("calibrated", after)):
            found = calibration(sure, right.astype(bool).tolist())
            print(f"  {name:<15} expected calibration error {found.ece:.3f} [{found.low:.3f}, {found.high:.3f}], "
                  f"area under risk-coverage {found.aurc:.3f} [{found.aurc_low:.3f}, {found.aurc_high:.3f}]")
        for threshold in THRESHOLDS:
            taken = np.array(after) >= threshold
            wrong = f"{100 * (1 - right[taken].mean()):.1f} % of them wrong" if taken.any() else "none"
            print(f"  --min-confidence {threshold:<4} takes {100 * taken.mean():.1f} %, {wrong}")


if __name__ == "__main__":
    if len(sys.argv) < 4 or sys.argv[1] not in ("fit", "report"):
        sys.exit(f"calibrate.py: expected fit|report MODEL PREDICTIONS=SPEC ...\n{__doc__}")
    try:
        {"fit": fit, "report": report}[sys.argv[1]](Path(sys.argv[2]), sys.argv[3:])
    except UserError as error_:
        sys.exit(f"calibrate.py: {error_}")
