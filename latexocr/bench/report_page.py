"""The page of a Report: one self-contained file that shows the verdict, the scores and every sample.

Takes a Report and the samples it is about, gives HTML. Computes no score.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from latexocr.bench.judge import HEADLINE, LEVELS, Report, Row
from latexocr.bench.page import Chart, render
from latexocr.bench.report import KINDS, SHOWN, label, p_value, shown, signed, verdict, warnings
from latexocr.records import Sample
from latexocr.scoring.metrics import Comparison

GALLERY = {"losses": 60, "wins": 60, "both-wrong": 60, "wrong": 160, "both-right": 20, "right": 40}
"""Most examples of each outcome on the page, in the order shown."""

EDGES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0)
"""Upper edges of the bins of the histogram of edit distances; the first bin is exactly 0."""


def outcome(row: Row) -> str:
    """What an example shows: wins, losses, both-wrong or both-right; with one column, right or wrong."""
    correct = [answer.correct for answer in row.answers.values()]
    if len(correct) == 1:
        return "right" if correct[0] else "wrong"
    return {(True, True): "both-right", (False, False): "both-wrong",
            (False, True): "wins", (True, False): "losses"}[correct[0], correct[1]]


def _gallery(report: Report, samples: Sequence[Sample]) -> list[tuple[Sample, Row, str]]:
    """Examples with picture: a few of each outcome, evenly spaced through the set, so that no choice is ours."""
    picked = []
    for kind, most in GALLERY.items():
        rows = [i for i, row in enumerate(report.rows) if outcome(row) == kind]
        step = max(1.0, len(rows) / most)
        picked += [(samples[i], report.rows[i], kind) for i in rows_at(rows, step)]
    return picked


def rows_at(rows: Sequence[int], step: float) -> list[int]:
    return [rows[int(k * step)] for k in range(int(len(rows) / step + 1e-9))]


def _charts(report: Report) -> list[Chart]:
    columns = list(report.scores)
    values = {name: {s.metric: s.value for s in scores} for name, scores in report.scores.items()}
    levels = Chart("Exact match by level of equality",
                   "From identical strings to lenient reading. The rise is dialect; what then is missing, recognition.",
                   [level.name.lower() for level in LEVELS],
                   {name: [values[name][key] for key in LEVELS.values()] for name in columns}, "curve")
    lengths = [s for s in report.slices if s.kind == "length"]
    by_length = Chart("Exact match by length", "Visual level, by tokens of the reference.",
                      [s.name.split(" tokens")[0].replace(" to ", "–").replace(" or more", "+") for s in lengths],
                      {name: [s.scores[name].value for s in lengths] for name in columns}, "curve")
    bars = {name: _histogram([row.answers[name].edit_distance for row in report.rows]) for name in columns}
    top = max(0.2, math.ceil(max(max(b) for b in bars.values()) * 5) / 5)
    edits = Chart("Edit distance", "Share of samples by token edits over the longer length; first, no edit at all.",
                  [f"{edge:g}" for edge in EDGES], bars, "bars", top=top)
    return [levels, by_length, edits]


def _histogram(distances: Sequence[float]) -> list[float]:
    """Share of the distances in each bin of EDGES."""
    bins = Counter(next(i for i, edge in enumerate(EDGES) if distance <= edge + 1e-9) for distance in distances)
    return [bins[i] / len(distances) for i in range(len(EDGES))]


def _ledger(report: Report) -> dict[str, dict[str, int]]:
    counts = {name: Counter(row.answers[name].failure for row in report.rows) for name in report.scores}
    found = {kind for counter in counts.values() for kind in counter}
    known = [kind for kind in KINDS if kind in found]
    return {kind: {name: counts[name][kind] for name in counts} for kind in known + sorted(found - set(KINDS))}


def _tone(c: Comparison) -> str:
    """Green or red only where the interval leaves out zero."""
    if c.low <= 0 <= c.high:
        return "soft"
    return "good" if (c.delta > 0) == SHOWN[c.metric].higher_is_better else "bad"


def page(report: Report, samples: Sequence[Sample]) -> str:
    """The report as one page that loads nothing from anywhere."""
    columns = list(report.scores)
    compared = {c.metric: c for c in report.comparisons}
    lines = [{"label": label(s.metric), "metric": SHOWN[s.metric], "comparison": compared.get(s.metric),
              "scores": [report.scores[name][i] for name in columns]} for i, s in enumerate(report.scores[columns[0]])]
    run = next(iter(report.runs.values()), None)
    outcomes = Counter(outcome(row) for row in report.rows)
    names = [report.runs[name].model if name in report.runs else name for name in columns]
    return render(
        "report.html.jinja", report=report, columns=columns, lines=lines, charts=_charts(report),
        ledger=_ledger(report), title=f"{names[1]} against {names[0]}" if len(names) > 1 else names[0],
        data=run.data if run else "",
        verdict=verdict(report), warnings=warnings(report), tally=compared.get(HEADLINE), kinds=KINDS,
        gallery=_gallery(report, samples),
        outcomes={kind: f"{min(n, most)} of {n}" if n > most else n
                  for kind, most in GALLERY.items() if (n := outcomes[kind])},
        singular={kind: {"wins": "win", "losses": "loss"}.get(kind, kind.replace("-", " ")) for kind in GALLERY},
        chosen="evenly spaced within each outcome", shown=shown, signed=signed, p_value=p_value, tone=_tone,
    )
