"""A Report metric by metric, as its tables show it.

Takes a Report, gives one Line a metric. Computes no score.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from latexocr.bench.judge import LEVELS, Report
from latexocr.bench.report import SHOWN, label
from latexocr.scoring.metrics import Comparison, Score

MAIN = (*LEVELS.values(), "edit_distance", "bleu", "exprate_1")
"""Metrics that stand in every table; the page has the others behind a click."""


@dataclass(frozen=True)
class Line:
    """One metric of all columns."""

    metric: str
    label: str
    unit: str
    arrow: str
    """Which way is better."""
    scores: Mapping[str, Score]
    comparisons: Mapping[str, Comparison]
    """With the base; none of the base itself."""


def lines(report: Report) -> list[Line]:
    """All metrics, in the order of the report."""
    scores = {name: {score.metric: score for score in column} for name, column in report.scores.items()}
    compared = {name: {c.metric: c for c in column} for name, column in report.comparisons.items()}
    return [Line(metric, label(metric), SHOWN[metric].unit, "↑" if SHOWN[metric].higher_is_better else "↓",
                 {name: column[metric] for name, column in scores.items()},
                 {name: column[metric] for name, column in compared.items() if metric in column})
            for metric in next(iter(scores.values()))]
