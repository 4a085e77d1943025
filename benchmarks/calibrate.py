"""Fit a model's confidence to how often it is right, and measure the confidence of answers.

    python benchmarks/calibrate.py fit MODEL PREDICTIONS=SPEC ...
    python benchmarks/calibrate.py report PREDICTIONS=SPEC ...

`fit` takes answers of a model to pictures with references that are no test set, read while its folder held no
calibration.json, and writes that file: the two numbers of `latexocr.reading.confidence.Calibration`, by maximum
likelihood, and what they rest on. `report` prints, of answers as they stand, the expected calibration error, and for
thresholds how many answers are taken, and how many of these are wrong: of what the calibrated model read since, to
which nothing is fitted. Right is: equal to the reference at the visual level, and not cut off.
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
from latexocr.reading.confidence import FILE, LEAST_SURPRISE, Calibration
from latexocr.records import read_predictions

FOLDS = 10
THRESHOLDS = (0.5, 0.8, 0.9, 0.95)


def answers(pairs: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Confidence (0 where cut off or unknown) and whether it is right, of each answer."""
    sure, right = [], []
    for pair in pairs:
        file, equals, spec = pair.partition("=")
        if not equals:
            raise UserError(f"{pair}: expected PREDICTIONS=SPEC.")
        samples = {sample.id: sample for sample in load(spec)}
        for prediction in read_predictions(Path(file)):
            if prediction.id not in samples:
                raise UserError(f"{file}: {prediction.id!r} is not among the samples of {spec}.")
            sure.append(prediction.confidence or 0.0 if prediction.stop == "end" else 0.0)
            right.append(prediction.stop == "end"
                         and equal(prediction.latex, samples[prediction.id].latex or "", Level.VISUAL))
    return np.array(sure), np.array(right, dtype=float)


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


def fit(model: Path, pairs: Sequence[str]) -> None:
    sure, right = answers(pairs)
    with np.errstate(divide="ignore"):
        means = np.log(sure)
    curve, held_out = fitted(means, right), np.zeros_like(means)
    folds = np.random.default_rng(0).permutation(len(means)) % FOLDS
    for fold in range(FOLDS):
        held_out[folds == fold] = chances(fitted(means[folds != fold], right[folds != fold]), means[folds == fold])
    found = {
        "intercept": round(curve.intercept, 4), "slope": round(curve.slope, 4), "n": len(means),
        "right": int(right.sum()), "ece_of_the_geometric_mean": round(error(sure.tolist(), right), 4),
        f"ece_held_out_in_{FOLDS}_folds": round(error(held_out.tolist(), right), 4), "answers": list(pairs),
    }
    (model / FILE).write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=2))


def error(confidences: Sequence[float], right: np.ndarray) -> float:
    return calibration(confidences, right.astype(bool).tolist()).ece


def report(pairs: Sequence[str]) -> None:
    for pair in pairs:
        sure, right = answers([pair])
        found = calibration(sure.tolist(), right.astype(bool).tolist())
        print(f"{pair.partition('=')[0]}: {len(right)} answers, {100 * right.mean():.1f} % right")
        print(f"  expected calibration error {100 * found.ece:.1f} % [{100 * found.low:.1f}, {100 * found.high:.1f}], "
              f"area under risk-coverage {100 * found.aurc:.1f} % [{100 * found.aurc_low:.1f}, "
              f"{100 * found.aurc_high:.1f}]")
        for threshold in THRESHOLDS:
            taken = sure >= threshold
            wrong = f"{100 * (1 - right[taken].mean()):.1f} % of them wrong" if taken.any() else "none"
            print(f"  --min-confidence {threshold:<4} takes {100 * taken.mean():.1f} %, {wrong}")


if __name__ == "__main__":
    least = {"fit": 4, "report": 3}
    if len(sys.argv) < least.get(" ".join(sys.argv[1:2]), math.inf):
        sys.exit(f"calibrate.py: expected fit MODEL PREDICTIONS=SPEC ... or report PREDICTIONS=SPEC ...\n{__doc__}")
    try:
        if sys.argv[1] == "fit":
            fit(Path(sys.argv[2]), sys.argv[3:])
        else:
            report(sys.argv[2:])
    except UserError as error_:
        sys.exit(f"calibrate.py: {error_}")
