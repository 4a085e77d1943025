"""The charts of a Report: which values, over which labels.

Takes a Report, gives Charts. Computes no score.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from latexocr.bench.charts import Chart, Point, by_label
from latexocr.bench.judge import LEVELS, Report
from latexocr.bench.slices import Slice
from latexocr.scoring.metrics import Score
from latexocr.wording import counted

EDGES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0)
"""Upper edges of the bins of the histogram of edit distances; the first bin is exactly 0."""

TENTHS = [(part, f"{part * 100:.0f}") for part in (0, 0.25, 0.5, 0.75, 1)]


def shape(report: Report) -> list[Chart]:
    """What is there of every report: levels of equality, lengths, edit distances."""
    return [_levels(report), *_lengths(report), *_edits(report)]


def _score(name: str, label: str, score: Score) -> Point:
    told = f"{name}, {label}: {score.value * 100:.1f} % [{score.low * 100:.1f}, {score.high * 100:.1f}], n = {score.n}"
    return Point(0, score.value, told, score.low, score.high)


def _levels(report: Report) -> Chart:
    labels = [level.name.lower() for level in LEVELS]
    by_metric = {name: {score.metric: score for score in scores} for name, scores in report.scores.items()}
    values = {name: [_score(name, label, scores[key]) for label, key in zip(labels, LEVELS.values(), strict=True)]
              for name, scores in by_metric.items()}
    return by_label("Exact match by level of equality",
                    "From identical strings to lenient reading. The rise is dialect; what is missing at the end, "
                    "recognition.",
                    labels, values, kind="curve")


def _short(part: Slice) -> str:
    return part.name.split(" tokens")[0].replace(" to ", "–").replace(" or more", "+")


def _lengths(report: Report) -> list[Chart]:
    lengths = [part for part in report.slices if part.kind == "length"]
    if len(lengths) < 2:
        return []
    values = {name: [_score(name, part.name, part.scores[name]) for part in lengths] for name in report.scores}
    return [by_label("Exact match by length", "Visual level, by tokens of the reference.",
                     [_short(part) for part in lengths], values, kind="curve")]


def _edits(report: Report) -> list[Chart]:
    if not report.rows:
        return []
    shares = {name: _histogram([row.answers[name].edit_distance for row in report.rows]) for name in report.scores}
    top = max(0.2, math.ceil(max(max(bins) for bins in shares.values()) * 5) / 5)
    return [by_label("Edit distance", "Share of samples by token edits over the longer length; first, no edit at all.",
                     [f"{edge:g}" for edge in EDGES],
                     {name: [Point(0, share) for share in bins] for name, bins in shares.items()},
                     kind="bars", top=top)]


def _histogram(distances: Sequence[float]) -> list[float]:
    """Share of the distances in each bin of EDGES."""
    bins = Counter(next(i for i, edge in enumerate(EDGES) if distance <= edge + 1e-9) for distance in distances)
    return [bins[i] / len(distances) for i in range(len(EDGES))]


def confidence(report: Report) -> list[Chart]:
    """Reliability, and risk against coverage, of the columns that have confidences; none where no column has."""
    if not report.calibration:
        return []
    reliability, risks = {}, {}
    for name, found in report.calibration.items():
        reliability[name] = [Point(one.confidence, one.correct, f"{name}: {counted(one.n, 'answer')} of confidence "
                                   f"{one.confidence * 100:.0f} %, {one.correct * 100:.0f} % of them right",
                                   one.low, one.high) for one in found.bins]
        risks[name] = [Point(one.coverage, one.risk) for one in found.risk_coverage]
    top = max(0.2, math.ceil(5 * max(point.y for points in risks.values() for point in points)) / 5)
    return [Chart("Confidence and truth", "Share of right answers over mean confidence, ten groups of equal size, in "
                  "percent. On the dashed line, a confidence is what it says.", "dots", TENTHS, reliability,
                  diagonal=True),
            Chart("Risk and coverage", "Keeping only so many of the surest answers, in percent: the share of them that "
                  "is wrong.", "line", TENTHS, risks, top)]


def robustness(report: Report) -> list[Chart]:
    """Exact match of all kinds of damage together, by strength; none where that was not asked for."""
    steps = [step for step in report.robustness if step.kind in ("none", "all")]
    if not steps:
        return []
    labels = [step.strength or "clean" for step in steps]
    values = {name: [_score(name, label, step.scores[name]) for label, step in zip(labels, steps, strict=True)]
              for name in report.scores if all(name in step.scores for step in steps)}
    return [by_label("Exact match on damaged pictures", f"Visual level, {counted(steps[0].n, 'picture')}; all kinds of "
                     "damage together, by strength.", labels, values, kind="curve")]
