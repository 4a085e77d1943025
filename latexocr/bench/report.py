"""A Report as JSON, as a table for the terminal, and in words.

Takes a Report and the samples it is about, gives text. Computes no score.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from latexocr.bench.judge import HEADLINE, Report
from latexocr.provenance import write_text
from latexocr.records import Sample
from latexocr.scoring.metrics import Comparison, Score
from latexocr.scoring.variants import KNOWN

SHOWN = KNOWN | dict.fromkeys(("layout_f1", "layout_same"), KNOWN["symbol_f1"])
"""Unit and better side of every metric; those of drawings exist only where TeX does, and are shown as that one is."""

KINDS = {
    "ok": "equal to the reference (visual)",
    "wrong": "a formula, but another one",
    "empty": "no answer",
    "prose": "words instead of a formula",
    "truncated": "cut off at the token limit",
    "loop": "repeats itself",
    "unbalanced": "braces or environments left open",
    "unparsable": "not LaTeX that can be parsed",
    "reference-defect": "the reference itself cannot be parsed; still in every score",
    "server-error": "the picture could not be read, or the reader failed",
}


def write_report(report: Report, samples: Sequence[Sample], folder: Path) -> None:
    """Write `report.json` and `report.html`, each replaced at once."""
    from latexocr.bench.report_page import page  # here, since the page takes its words from this module

    write_text(folder / "report.json", json.dumps(as_json(report), indent=1, ensure_ascii=False) + "\n")
    write_text(folder / "report.html", page(report, samples))


def as_json(report: Report) -> dict[str, Any]:
    """The report as plain JSON values; a number that is none (an interval of one sample) is null."""
    return _plain(asdict(report))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if hasattr(value, "item"):  # a numpy scalar
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def shown(value: float, metric: str) -> str:
    """A value in the metric's unit, with one decimal: no set at hand is large enough for a second."""
    if not math.isfinite(value):
        return "–"
    return f"{value * 100 if SHOWN[metric].unit == '%' else value:.1f}"


def signed(value: float, metric: str) -> str:
    """A difference with its sign; a true minus, so that columns align."""
    text = shown(abs(value), metric)
    return text if text.strip("0.") == "" or text == "–" else ("+" if value > 0 else "−") + text


def p_value(p: float) -> str:
    return "–" if not math.isfinite(p) else "< 0.001" if p < 0.001 else f"{p:.3f}"


def label(metric: str) -> str:
    """A metric's name in words."""
    kind, _, rest = metric.partition("_")
    words = metric.replace("_", " ").replace(" f1", " F1")
    return {"exact": f"exact match, {rest}", "bleu": f"BLEU{words[len('bleu'):]}",
            "exprate": f"ExpRate ≤ {rest}" if rest else "ExpRate"}.get(kind, words)


def _difference(c: Comparison) -> str:
    return f"{signed(c.delta, c.metric)} [{signed(c.low, c.metric)}, {signed(c.high, c.metric)}]"


def table(report: Report) -> str:
    """Scores and comparison for a terminal: one line a metric, then what else there is to say."""
    legend = f"n = {len(report.rows)}; in brackets, 95 % intervals; ↑ higher is better, ↓ lower"
    return "\n".join([grid(report.scores, report.comparisons), "", legend, *_headline_lines(report)])


def grid(scores: Mapping[str, Sequence[Score]], comparisons: Sequence[Comparison]) -> str:
    """Scores of each column and their comparison: one line a metric."""
    columns = list(scores)
    rows = [["", *columns] + (["tuned - base", "p", ""] if comparisons else [])]
    compared = {c.metric: c for c in comparisons}
    for i, first in enumerate(scores[columns[0]]):
        metric = SHOWN[first.metric]
        row = [f"{label(first.metric)} {'↑' if metric.higher_is_better else '↓'} {metric.unit}"]
        for name in columns:
            s = scores[name][i]
            row.append(f"{shown(s.value, s.metric)} [{shown(s.low, s.metric)}, {shown(s.high, s.metric)}]")
        if c := compared.get(first.metric):
            row += [_difference(c), p_value(c.p), c.verdict.partition(" (")[0]]
        rows.append(row)
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    last = 1 + len(columns) + (2 if comparisons else 0)
    return "\n".join("  ".join(cell.ljust(w) if i in (0, last) else cell.rjust(w)
                               for i, (cell, w) in enumerate(zip(row, widths, strict=True))).rstrip() for row in rows)


def _headline_lines(report: Report) -> list[str]:
    headline = next(s for s in report.scores[next(iter(report.scores))] if s.metric == HEADLINE)
    failed = {name: sum(bool(row.answers[name].error) for row in report.rows) for name in report.scores}
    lines = [f"{label(HEADLINE)}: {headline.signature}"]
    lines += [f"{name}: {n} of {len(report.rows)} could not be read" for name, n in failed.items() if n]
    return lines + ([verdict(report)] if report.comparisons else []) + warnings(report)


def warnings(report: Report) -> list[str]:
    """What each column's training had in common with the samples, and the scores on what it had not seen."""
    unseen = {s.name: s for s in report.slices if s.kind == "training"}
    lines = []
    for name, training in report.trained.items():
        lines.append(f"{name}: {training.sentence()}")
        if rest := unseen.get(f"not seen by {name}"):
            scores = ", ".join(f"{shown(s.value, HEADLINE)} % {column}" for column, s in rest.scores.items())
            lines[-1] += f" On the other {rest.n}, exact match (visual): {scores}."
    return lines


def verdict(report: Report) -> str:
    """The outcome in one sentence; empty with one column."""
    return verdict_line(report.scores, report.comparisons)


def verdict_line(columns: Mapping[str, Sequence[Score]], comparisons: Sequence[Comparison]) -> str:
    """The outcome in the headline metric; empty where two columns were not compared in it."""
    c = next((c for c in comparisons if c.metric == HEADLINE), None)
    if c is None:
        return ""
    found = {"better": "tuned is better", "worse": "tuned is worse"}.get(c.verdict, c.verdict)
    base, tuned = (next(s.value for s in scores if s.metric == HEADLINE) for scores in columns.values())
    return (f"Exact match (visual): {shown(base, HEADLINE)} % base, {shown(tuned, HEADLINE)} % tuned, difference "
            f"{_difference(c)} points, {'p ' if c.p < 0.001 else 'p = '}{p_value(c.p)}: {found}.")
