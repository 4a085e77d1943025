"""A Report as tables for the terminal.

Takes a Report, gives text of at most about a hundred columns. Computes no score.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite

from latexocr.bench.judge import HEADLINE, Report
from latexocr.bench.report import SHOWN, difference, interval, label, p_value, shown, verdicts, warnings
from latexocr.bench.robust import Loss
from latexocr.scoring.metrics import Comparison, Score
from latexocr.wording import counted

BESIDE = 2
"""Most columns that stand beside each other with all metrics; more stand below each other with the main ones."""
MAIN = (HEADLINE, "edit_distance")
KINDS_SHOWN = 6


def table(report: Report) -> str:
    """Scores and comparisons, then what else there is to say."""
    n = len(report.rows)
    scores = (grid if len(report.scores) <= BESIDE else ladder)(report.scores, report.comparisons)
    legend = f"n = {n}; in brackets, 95 % intervals; ↑ higher is better, ↓ lower"
    headline = next(s for s in next(iter(report.scores.values())) if s.metric == HEADLINE)
    blocks = [_errors(report), _robust(report), _costs(report)]
    return "\n".join([scores, "", legend, f"{label(HEADLINE)}: {headline.signature}", "",
                      *(f"{block}\n" for block in blocks if block), *warnings(report), *verdicts(report)]).rstrip()


def grid(scores: Mapping[str, Sequence[Score]], comparisons: Mapping[str, Sequence[Comparison]]) -> str:
    """One line a metric: the scores of each column and, of two, their comparison."""
    columns = list(scores)
    compared = {c.metric: c for c in comparisons.get(columns[-1], ())}
    rows = [["", *columns] + ([f"{columns[-1]} - {columns[0]}", "p", ""] if compared else [])]
    for i, first in enumerate(scores[columns[0]]):
        row = [_metric(first.metric), *(interval(scores[name][i]) for name in columns)]
        if c := compared.get(first.metric):
            row += [difference(c), p_value(c.p), _word(c)]
        rows.append(row)
    return aligned(rows, left=(0, len(columns) + 3))


def ladder(scores: Mapping[str, Sequence[Score]], comparisons: Mapping[str, Sequence[Comparison]]) -> str:
    """One line a column, with the main metrics; the others are in the report."""
    base, *_ = scores
    rows = [["", _metric(HEADLINE), f"minus {base}", "p", "", *map(_metric, MAIN[1:])]]
    for name, found in scores.items():
        of = {s.metric: s for s in found}
        c = next((c for c in comparisons.get(name, ()) if c.metric == HEADLINE), None)
        rows.append([name, interval(of[HEADLINE]), *((difference(c), p_value(c.p), _word(c)) if c else ("", "", "")),
                     *(interval(of[metric]) for metric in MAIN[1:])])
    return aligned(rows, left=(0, 4))


def aligned(rows: Sequence[Sequence[str]], *, left: Sequence[int] = (0,)) -> str:
    """Cells in columns as wide as they must be, to the right but for those named."""
    wide = max(map(len, rows))
    full = [[*row, *[""] * (wide - len(row))] for row in rows]
    widths = [max(len(row[i]) for row in full) for i in range(wide)]
    return "\n".join("  ".join(cell.ljust(w) if i in left else cell.rjust(w)
                               for i, (cell, w) in enumerate(zip(row, widths))).rstrip() for row in full)


def _metric(name: str) -> str:
    return f"{label(name)} {'↑' if SHOWN[name].higher_is_better else '↓'} {SHOWN[name].unit}".rstrip()


def _word(c: Comparison) -> str:
    return c.verdict.partition(" (")[0]


def _errors(report: Report) -> str:
    """The most frequent kinds of error: answers that have one; of those of the base, how many are gone, how many new.
    """
    kinds = sorted(report.error_counts, key=lambda kind: -max(one.n for one in report.error_counts[kind].values()))
    rows = [["errors, answers with", *report.scores]]
    for kind in kinds[:KINDS_SHOWN]:
        base, *others = report.error_counts[kind].values()
        rows.append([kind, str(base.n), *(f"{one.n} (−{one.gone} +{one.new})" for one in others)])
    return aligned(rows) if kinds else ""


def _robust(report: Report) -> str:
    """What damage of all kinds takes of the headline, at each strength, and the worst kind."""
    rows = [["damage: exact match, visual %", *report.scores]]
    for one in report.robustness:
        if one.kind in ("none", "all"):
            name = f"{one.strength}, all kinds" if one.strength else f"none ({counted(one.n, 'picture')})"
            rows.append([name, *(_loss(one.scores.get(column), one.losses.get(column)) for column in report.scores)])
    return aligned(rows) if report.robustness else ""


def _loss(score: Score | None, loss: Loss | None) -> str:
    if score is None:
        return "–"
    if loss is None or not isfinite(loss.value):
        return shown(score.value, score.metric)
    low, high = (f"{100 * value:.0f}" if isfinite(value) else "–" for value in (loss.low, loss.high))
    return f"{shown(score.value, score.metric)}, loses {100 * loss.value:.0f} % [{low}, {high}]"


def _costs(report: Report) -> str:
    rows = [["speed", "pictures/s", "tokens/s", "at once", "p50 s", "p95 s", "alone p50 s", "p95 s", "MB", "GPU MB",
             "$/1,000"]]
    for name, one in report.costs.items():
        rows.append([name, *(_number(value) for value in (
            one.pictures_per_s, one.tokens_per_s, one.at_once, one.p50_s, one.p95_s, one.alone_p50_s, one.alone_p95_s,
            one.memory_mb, one.gpu_memory_mb, one.dollars_per_1000))])
    return aligned(rows) if report.costs else ""


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
