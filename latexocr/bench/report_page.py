"""The page of a Report: one self-contained file that shows the verdict, the scores and every sample.

Takes a Report and the samples it is about, gives HTML. Computes no score.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from latexocr.bench import report_charts
from latexocr.bench.calibration import Calibration
from latexocr.bench.changes import Change, changes
from latexocr.bench.charts import Forest, forest
from latexocr.bench.judge import HEADLINE, Report
from latexocr.bench.lines import MAIN, lines
from latexocr.bench.mistakes import Confusion
from latexocr.bench.page import mathml, render
from latexocr.bench.page_rows import blocks, index, packed
from latexocr.bench.report import KINDS, interval, p_value, shown, signed, verdict_line, warnings
from latexocr.bench.robust import Robust
from latexocr.bench.slices import Slice
from latexocr.records import Sample
from latexocr.scoring.metrics import Comparison

if TYPE_CHECKING:
    from markupsafe import Markup

EXAMPLES = 3
CONFUSIONS = 15
RISK = 0.05
"""Share of wrong answers that is asked for where the page says how many may be kept."""

COSTS = {
    "n": "pictures measured", "at_once": "pictures at once", "pictures_per_s": "pictures per second",
    "tokens_per_s": "tokens per second", "p50_s": "half of the answers within, s", "p95_s": "95 % within, s",
    "alone_p50_s": "one at a time: half within, s", "alone_p95_s": "one at a time: 95 % within, s",
    "memory_mb": "memory, MB", "gpu_memory_mb": "GPU memory, MB", "dollars_per_1000": "dollars for 1,000 pictures",
}


def page(report: Report, samples: Sequence[Sample]) -> str:
    """The report as one page that loads nothing from anywhere."""
    columns = list(report.scores)
    names = [report.runs[name].model if name in report.runs else name for name in columns]
    run = next(iter(report.runs.values()), None)
    every, changed = lines(report), changes(report)
    return render(
        "report.html.jinja", report=report, columns=columns, others=columns[1:], data=run.data if run else "",
        title=_title(names),
        verdicts=_verdicts(report, changed), warnings=warnings(report),
        changes={name: _examples(change) for name, change in changed.items()},
        main=[line for line in every if line.metric in MAIN], rest=[line for line in every if line.metric not in MAIN],
        headline=HEADLINE, charts=report_charts.shape(report), confidence=report_charts.confidence(report),
        robustness=report_charts.robustness(report), forest=_forest(report), losses=_losses(report),
        places_of_parts=_parts(report), steps=[(step, _lost(report, step)) for step in report.robustness],
        outcomes=_outcomes(report), ledger=_ledger(report), kinds=KINDS, costs=_costs(report),
        confusions=report.confusions[:CONFUSIONS], examples_of=_example_ids, sign=_sign,
        places={row.id: i for i, row in enumerate(report.rows)},
        index=packed(index(report)), blocks=blocks(report.rows, samples),
        shown=shown, signed=signed, p_value=p_value, tone=_tone, kept=_kept, risk=RISK,
    )


def _title(models: Sequence[str]) -> str:
    base, *others = models
    return f"{others[0] if len(others) == 1 else f'{len(others)} models'} against {base}" if others else base


class Mark(NamedTuple):
    """One interval to draw: the column's number, then value and ends."""

    column: int
    value: float
    low: float
    high: float


def _tone(c: Comparison) -> str:
    """Green or red only where the verdict is that there is a difference."""
    return {"better": "good", "worse": "bad"}.get(c.verdict, "soft")


def _verdicts(report: Report, changed: Mapping[str, Change]) -> list[tuple[int, str, str]]:
    """Number of the column, headline and sentence: of each column but the base, or of the only one."""
    if not changed:
        [(name, scores)] = report.scores.items()
        found = next(score for score in scores if score.metric == HEADLINE)
        return [(0, f"{name} reads {shown(found.value, HEADLINE)} % of the formulas",
                 f"Exact match (visual): {interval(found)} %, n = {found.n}.")]
    return [(i, change.heading(), verdict_line(report.scores, name, report.comparisons[name]))
            for i, (name, change) in enumerate(changed.items(), 1)]


def _examples(change: Change) -> dict[str, Any]:
    return {"of": change, "lost": _spread(change.lost), "won": _spread(change.won)}


def _spread(rows: Sequence[int]) -> list[int]:
    """A few of the rows, evenly spaced, so that no choice is ours."""
    n = min(len(rows), EXAMPLES)
    return [rows[(2 * k + 1) * len(rows) // (2 * n)] for k in range(n)]


def _forest(report: Report) -> Forest:
    """The scale of the parts' differences from the base, or of their scores where there is one column."""
    intervals = [c for part in report.slices for c in part.comparisons.values()]
    intervals = intervals or [score for part in report.slices for score in part.scores.values()]
    return forest([end for one in intervals for end in (one.low, one.high)], signed=bool(report.comparisons))


def _parts(report: Report) -> dict[str, list[tuple[int, Slice, list[Mark]]]]:
    """By kind, the parts: place among all, scores, and the intervals to draw."""
    columns, found = list(report.scores), {}
    for i, part in enumerate(report.slices):
        marks = [Mark(columns.index(name), c.delta, c.low, c.high) for name, c in part.comparisons.items()]
        if not report.comparisons:
            marks = [Mark(k, score.value, score.low, score.high) for k, score in enumerate(part.scores.values())]
        found.setdefault(part.kind, []).append((i, part, marks))
    return found


def _lost(report: Report, step: Robust) -> list[Mark]:
    columns = list(report.scores)
    return [Mark(columns.index(name), loss.value, loss.low, loss.high) for name, loss in step.losses.items()]


def _ledger(report: Report) -> dict[str, list[int]]:
    """Kind of failure -> answers of each column, for the kinds that occur."""
    found = {kind for counts in report.ledger.values() for kind, n in counts.items() if n}
    known = [kind for kind in KINDS if kind in found]
    return {kind: [report.ledger[name].get(kind, 0) for name in report.scores]
            for kind in known + sorted(found - set(KINDS))}


def _example_ids(confusion: Confusion) -> list[str]:
    """A few samples of a confusion, of any column, none twice."""
    return list(dict.fromkeys(id for ids in confusion.ids.values() for id in ids))[:EXAMPLES]


def _sign(token: str) -> Markup | str:
    """A token as it looks, with its name; of none, the word."""
    return mathml(token) or token or "nothing"


def _losses(report: Report) -> Forest:
    return forest([end for step in report.robustness for loss in step.losses.values() for end in (loss.low, loss.high)],
                  signed=True)


def _outcomes(report: Report) -> dict[str, tuple[str, int]]:
    """What the samples can be filtered by, with the number of each: as the page's script calls it -> words, number."""
    columns, rows = list(report.scores), [[a.correct for a in row.answers.values()] for row in report.rows]
    found = {}
    for i, name in enumerate(columns[1:], 1):
        found[f"lost-{i}"] = f"{columns[0]} right, {name} wrong", sum(row[0] and not row[i] for row in rows)
        found[f"won-{i}"] = f"{columns[0]} wrong, {name} right", sum(row[i] and not row[0] for row in rows)
    every = {1: "", 2: "both "}.get(len(columns), "all ")
    found["wrong"] = f"{every}wrong", sum(not any(row) for row in rows)
    found["right"] = f"{every}right", sum(all(row) for row in rows)
    return found


def _kept(calibration: Calibration) -> str:
    """How many of the surest answers may be kept if at most RISK of them may be wrong, and from which confidence."""
    kept = [point for point in calibration.risk_coverage if point.risk <= RISK and point.coverage]
    if not kept:
        return "none"
    most = max(kept, key=lambda point: point.coverage)
    return f"{most.coverage * 100:.0f} % of them, from confidence {most.confidence * 100:.1f} %"


def _costs(report: Report) -> dict[str, list[str]]:
    """Name -> what each column has of it; only what at least one has."""
    values = {words: [getattr(report.costs.get(name), key, None) for name in report.scores]
              for key, words in COSTS.items()}
    return {words: ["–" if value is None else f"{value:,.3g}" if value < 100 else f"{value:,.0f}" for value in row]
            for words, row in values.items() if any(value is not None for value in row)}
