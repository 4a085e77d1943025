"""How sure a model is of an answer: from the probabilities of its tokens, calibrated where its folder says how.

Takes log probabilities and what `calibration.json` of a model's folder holds (benchmarks/calibrate.py writes it from
answers to validation pictures), gives a number from 0 to 1. Knows nothing of models or references.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from latexocr.errors import UserError

FILE = "calibration.json"
LEAST_SURPRISE = 1e-6
"""Nats; an answer less surprising than this is taken as so surprising."""


@dataclass(frozen=True)
class Calibration:
    """The chance that an answer is right, as a logistic curve over the logarithm of its tokens' mean surprise.

    This is Platt scaling of log(-mean log probability); it never changes which of two answers is the surer.
    """

    intercept: float
    slope: float
    """Above 0: the less surprising, the surer."""

    def chance(self, mean_log_probability: float) -> float:
        """The chance that the whole formula is right at the visual level, 0 to 1."""
        surprise = max(-mean_log_probability, LEAST_SURPRISE)
        return 1 / (1 + math.exp(min(700.0, self.slope * math.log(surprise) - self.intercept)))


def confidence(log_probabilities: Sequence[float], calibration: Calibration | None = None, *, ended: bool = True
               ) -> float | None:
    """How sure a model is of an answer, from the log probabilities of its tokens, the end token among them.

    With a calibration, the chance that the answer is right, which is 0 where it was cut off; without, the geometric
    mean of the probabilities. None where no probability is known, or one is no number.
    """
    if not log_probabilities:
        return None
    mean = min(sum(log_probabilities) / len(log_probabilities), 0.0)  # Servers round: some are above 0.
    if math.isnan(mean):
        return None
    if calibration is None:
        return math.exp(mean)
    return calibration.chance(mean) if ended else 0.0


def read_calibration(folder: Path) -> Calibration | None:
    """The calibration of a model's folder; None where it has none. Raises UserError where it is not one."""
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        found = Calibration(float(fields["intercept"]), float(fields["slope"]))
    except (OSError, ValueError, LookupError, TypeError) as e:
        raise UserError(f"{path}: not a calibration ({type(e).__name__}: {e}). benchmarks/calibrate.py writes one; "
                        "without the file, confidences are not calibrated.") from e
    if not (math.isfinite(found.intercept) and 0 < found.slope < math.inf):
        raise UserError(f"{path}: found intercept {found.intercept} and slope {found.slope}, expected numbers, the "
                        "slope above 0.")
    return found
