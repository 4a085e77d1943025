"""Strings -> numbers. Knows nothing of models or pictures.

    from latexocr.scoring import score
    score(predictions, references)["exact_visual"]

What each number means: README.md beside this file.
"""

from __future__ import annotations

from pathlib import Path

from latexocr.scoring.assess import Assessment, assess, compare, score
from latexocr.scoring.metrics import METRICS

EVALUATE_MODULE = str(Path(__file__).with_name("latexocr_score.py"))
"""What `evaluate.load` takes to compute these metrics: `evaluate.load(latexocr.scoring.EVALUATE_MODULE)`."""

__all__ = ["EVALUATE_MODULE", "METRICS", "Assessment", "assess", "compare", "score"]
