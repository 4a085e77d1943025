"""A Report as JSON, and in words.

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
from latexocr.bench.noise import Noise
from latexocr.provenance import write_text
from latexocr.records import Sample
from latexocr.scoring.metrics import Comparison, Score
from latexocr.scoring.variants import DRAWN, KNOWN
from latexocr.wording import counted

SCHEMA = 2
"""Version of the form of `report.json`."""
ALIKE = 0.05
"""Columns that differ in fewer of their answers than this share are told to be alike."""

SHOWN = KNOWN | dict.fromkeys(DRAWN, KNOWN["symbol_f1"])
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
    """Write `report.json`, `.html`, `.md` and `.tex`, and a `card-COLUMN.md` each; files are replaced at once."""
    from latexocr.bench.formats import card, latex_table, markdown  # here, since they take their words from this module
    from latexocr.bench.report_page import page

    write_text(folder / "report.json", json.dumps(as_json(report), indent=1, ensure_ascii=False) + "\n")
    write_text(folder / "report.html", page(report, samples))
    write_text(folder / "report.md", markdown(report))
    write_text(folder / "report.tex", latex_table(report))
    for column in report.scores:
        write_text(folder / f"card-{column}.md", card(report, column))


def as_json(report: Report) -> dict[str, Any]:
    """The report as plain JSON values; a number that is none (the value of no pairs) is null."""
    return {"schema": SCHEMA} | _plain(asdict(report))


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


def difference(c: Comparison) -> str:
    """A difference with its interval."""
    return f"{signed(c.delta, c.metric)} [{signed(c.low, c.metric)}, {signed(c.high, c.metric)}]"


def interval(s: Score) -> str:
    """A value with its interval."""
    return f"{shown(s.value, s.metric)} [{shown(s.low, s.metric)}, {shown(s.high, s.metric)}]"


def verdicts(report: Report) -> list[str]:
    """The outcome in the headline metric, one sentence for each column but the base."""
    lines = [verdict_line(report.scores, name, compared) for name, compared in report.comparisons.items()]
    return [line for line in lines if line]


def verdict_line(columns: Mapping[str, Sequence[Score]], name: str, comparisons: Sequence[Comparison]) -> str:
    """The outcome of one column against the base; empty where it was not compared in the headline metric."""
    c = next((c for c in comparisons if c.metric == HEADLINE), None)
    if c is None:
        return ""
    base = next(iter(columns))
    found = {"better": f"{name} is better", "worse": f"{name} is worse"}.get(c.verdict, c.verdict)
    before, after = (next(s.value for s in columns[column] if s.metric == HEADLINE) for column in (base, name))
    return (f"Exact match (visual): {shown(before, HEADLINE)} % {base}, {shown(after, HEADLINE)} % {name}, difference "
            f"{difference(c)} points, {'p ' if c.p < 0.001 else 'p = '}{p_value(c.p)}: {found}.")


def warnings(report: Report) -> list[str]:
    """What else a reader must know before believing the scores, one sentence each: pictures that were not read,
    training that saw the samples, answers that change when read again, columns that are the same."""
    n = sum(next(iter(report.ledger.values()), {}).values())
    lines = [f"{name}: {failed} of {n} could not be read" for name, kinds in report.ledger.items()
             if (failed := kinds.get("server-error", 0))]
    return lines + _seen(report) + [f"{name}: {_noisy(found)}" for name, found in report.noise.items()] + _same(report)


def _seen(report: Report) -> list[str]:
    """What each column's training had in common with the samples, and the scores on what it had not seen."""
    unseen = {s.name: s for s in report.slices if s.kind == "training"}
    lines = []
    for name, training in report.trained.items():
        lines.append(f"{name}: {training.sentence()}")
        if rest := unseen.get(f"not seen by {name}"):
            scores = ", ".join(f"{shown(s.value, HEADLINE)} % {column}" for column, s in rest.scores.items())
            lines[-1] += f" On the other {rest.n}, exact match (visual): {scores}."
    return lines


def _noisy(found: Noise) -> str:
    if not found.again and not found.alone:
        return f"read again, and one at a time: the same {counted(found.n, 'answer')}."
    return (f"of {counted(found.n, 'answer')}, {found.again} changed when read again and {found.alone} when read one "
            f"at a time; {found.flips} between right and wrong "
            f"(up to {100 * found.flips / found.n:.1f} points of noise).")


def _same(report: Report) -> list[str]:
    """Columns so alike that one may be an export of the other, or the same model served: those that differ in less
    than one answer in twenty, or in none."""
    lines = []
    for one in report.agreement:
        if one.different < ALIKE * one.n:
            ids = ", ".join(map(repr, one.ids)) + (", ..." if one.different > len(one.ids) else "")
            lines.append(f"{one.a} and {one.b}: {one.different} of {counted(one.n, 'answer')} spelled otherwise"
                         f"{f' ({ids})' if ids else ''}; of {one.flips} only one is right.")
    return lines
