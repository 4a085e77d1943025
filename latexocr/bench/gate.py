"""Whether a report is worse than a baseline by more than is allowed: for a pipeline that must stop only at a real loss.

Takes two `report.json`, gives a Gate. Both are counted anew, from the references and answers in their rows, by the
rules of today: so two reports of different versions are measured with one ruler.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from typing import Any

from latexocr.bench.judge import HEADLINE
from latexocr.bench.run import some
from latexocr.errors import UserError
from latexocr.records import Prediction
from latexocr.scoring.failures import scored_text
from latexocr.scoring.metrics import METRICS, Comparison, tabulate
from latexocr.scoring.statistics import SIGNIFICANT, compare
from latexocr.wording import counted

PREFERRED = "tuned"
FIELDS = {"id": str, "reference": str, "answers": dict}
"""What is read of each row."""


@dataclass(frozen=True)
class Column:
    """One column of a report, for pairing with another."""

    name: str
    where: str
    """The file and the column, for messages."""
    data_sha256: str
    references: Mapping[str, str]
    """By id."""
    answers: Mapping[str, Prediction]
    """By id."""


@dataclass(frozen=True)
class Gate:
    """Column minus baseline in one metric, and whether that is a loss beyond what is allowed."""

    comparison: Comparison
    allowed: float
    """In the metric's own unit, 0 or more."""
    closed: bool
    """The loss is significant, and its whole interval lies beyond what is allowed."""
    signature: str

    @property
    def loss(self) -> tuple[float, float, float]:
        """How much worse: value, low and high; below 0 it is better."""
        c = self.comparison
        return (-c.delta, -c.high, -c.low) if METRICS[c.metric].higher_is_better else (c.delta, c.low, c.high)


def read_column(path: Path, column: str | None = None, *, like: str | None = None) -> Column:
    """A column of a report: the one named, or its only one, else the one called as `like`, else "tuned".

    Raises UserError where the file is no report, has no rows (as published reports), or several columns might be meant.
    """
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        columns, rows, runs = list(report["scores"]), report["rows"], report["runs"]
        answers = [row["answers"] for row in rows if all(isinstance(row[key], kind) for key, kind in FIELDS.items())]
        digests = {name: str(runs[name]["data_sha256"]) if name in runs else "" for name in columns}
    except OSError as e:
        raise UserError(f"{path}: cannot be read ({e.strerror}). Give the report.json of a `latexocr bench`.") from e
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as e:
        raise UserError(f"{path}: not a report.json of `latexocr bench` ({type(e).__name__}: {e}).") from e
    if not rows or len(answers) < len(rows):
        raise UserError(f"{path}: it has no rows to pair (published reports leave them out). Give the report.json of a "
                        "run folder, made by `latexocr bench`.")
    if doubled := [id for id, times in Counter(row["id"] for row in rows).items() if times > 1]:
        raise UserError(f"{path}: {some(doubled)} twice or more. Each sample has exactly one row in a report.")
    named = [column] if column else columns if len(columns) == 1 else [
        name for name in (like, PREFERRED) if name in columns]
    if not named or named[0] not in columns:
        raise UserError(f"{path}: {f'no column {column!r}' if column else 'several columns'}. Give --column, one of "
                        f"{', '.join(columns)}.")
    name = named[0]
    try:
        return Column(name, f"{path}, column {name!r}", digests[name], {row["id"]: row["reference"] for row in rows},
                      {row["id"]: _prediction(row["id"], row["answers"][name]) for row in rows})
    except (LookupError, TypeError) as e:
        raise UserError(f"{path}: a row lacks its answer of column {name!r} ({type(e).__name__}: {e}).") from e


def _prediction(id: str, answer: Mapping[str, Any]) -> Prediction:
    if not isinstance(answer["latex"], str):
        raise TypeError(f"'latex' of {id!r} is {type(answer['latex']).__name__}")
    failed = answer["failure"] == "server-error"
    return Prediction(id, answer["latex"], stop="error" if failed else "end", error=str(answer["error"]))


def gate(column: Column, baseline: Column, metric: str, allow_drop: float, *, seed: int = 0) -> Gate:
    """Whether a column lost more than `allow_drop` (points of a metric in %, else its own unit) against a baseline.

    Raises UserError where the two are not of the same samples, or there is no such metric.
    """
    metric = HEADLINE if metric == "exact" else metric
    if metric not in METRICS:
        raise UserError(f"--metric {metric}: no such metric. There are: {', '.join(METRICS)}.")
    if not 0 <= allow_drop < float("inf"):
        raise UserError(f"--allow-drop {allow_drop}: expected 0 or more.")
    _refuse_other_data(column, baseline)
    counted = METRICS[metric]
    tables = [tabulate(counted, [(scored_text(one.answers[id], reference), reference)
                                 for id, reference in baseline.references.items()]) for one in (baseline, column)]
    comparison = compare(counted, *tables, seed=seed)
    allowed = allow_drop / 100 if counted.unit == "%" else allow_drop
    found = Gate(comparison, allowed, False, counted.signature)
    closed = comparison.p < SIGNIFICANT and found.loss[1] > allowed
    return Gate(comparison, allowed, closed, counted.signature)


def _refuse_other_data(column: Column, baseline: Column) -> None:
    missing = [id for id in baseline.references if id not in column.references]
    extra = [id for id in column.references if id not in baseline.references]
    other = [id for id, reference in baseline.references.items() if column.references.get(id, reference) != reference]
    for ids, what in ((missing, "missing"), (extra, "not in the baseline"), (other, "with another reference")):
        if ids:
            raise UserError(f"{column.where}: {counted(len(ids), 'sample')} {what} ({some(ids)}). "
                            "Both must be of the same data.")
    if column.data_sha256 and baseline.data_sha256 and column.data_sha256 != baseline.data_sha256:
        raise UserError(f"{column.where} was read from other pictures than {baseline.where} (data_sha256 "
                        f"{column.data_sha256[:12]} and {baseline.data_sha256[:12]}). Both must be of the same data.")


def sentence(found: Gate) -> str:
    """What was found and why the gate is open or closed, in one sentence."""
    from latexocr.bench.report import label, p_value, shown, signed

    c = found.comparison
    unit = " points" if METRICS[c.metric].unit == "%" else ""
    told = f"{label(c.metric)}: {signed(c.delta, c.metric)} [{signed(c.low, c.metric)}, {signed(c.high, c.metric)}]"
    told += f"{unit} over {counted(c.n, 'pair')}, p {'' if c.p < 0.001 else '= '}{p_value(c.p)}; "
    beyond = f"a loss beyond {shown(found.allowed, c.metric)}{unit}"
    if found.closed:
        return f"{told}{beyond} is shown: all of the interval lies there."
    if found.loss[2] <= found.allowed:
        return f"{told}{beyond} is ruled out."
    if isnan(c.detectable):
        return f"{told}{beyond} is neither shown nor ruled out; so few pairs can show none."
    detectable = f"{shown(c.detectable, c.metric)}{unit}"
    return f"{told}{beyond} is neither shown nor ruled out; {c.n} such pairs would show a difference of {detectable}."
