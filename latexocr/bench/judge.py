"""Judge predictions: scores with intervals, the comparison of two columns, and each sample's answer by its side.

Takes samples and columns of predictions, gives a Report. Reads no model and no picture, and writes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from latexocr.bench.contamination import Training
from latexocr.bench.folder import Run
from latexocr.bench.run import paired, some
from latexocr.bench.slices import Slice, slices
from latexocr.errors import UserError
from latexocr.latex.canonical import Level
from latexocr.records import Prediction, Sample
from latexocr.scoring.assess import summarize
from latexocr.scoring.failures import classify, scored_text
from latexocr.scoring.metrics import METRICS, Comparison, Score, tabulate_all

if TYPE_CHECKING:
    import numpy as np

HEADLINE = "exact_visual"
LEVELS = {level: f"exact_{level.name.lower()}" for level in Level}


@dataclass(frozen=True)
class Answer:
    """What one column says of one sample, judged."""

    latex: str
    failure: str
    """Kind in the failure ledger; "ok" for a right answer."""
    level: str | None
    """Strictest level of equality with the reference that holds; None where none does."""
    edit_distance: float
    """Token edits divided by the longer length, 0 to 1."""
    correct: bool
    """Equal at the headline level."""
    error: str = ""
    confidence: float | None = None


@dataclass(frozen=True)
class Row:
    """One sample of a report, with the answer of each column."""

    id: str
    subset: str
    reference: str
    answers: Mapping[str, Answer]


@dataclass(frozen=True)
class Report:
    """All that a benchmark found. Columns are "base" and, where two models are compared, "tuned"."""

    runs: Mapping[str, Run]
    scores: Mapping[str, Sequence[Score]]
    comparisons: Sequence[Comparison]
    """Tuned minus base, one for each metric; empty with one column."""
    slices: Sequence[Slice]
    rows: Sequence[Row]
    trained: Mapping[str, Training] = field(default_factory=dict)
    """By column, what its training had in common with the samples, where that is recorded."""


def refuse_bare(samples: Sequence[Sample]) -> None:
    """Raise UserError where there are no samples, or one has no reference."""
    if not samples:
        raise UserError("No samples to score. Give --data something with pictures and references.")
    if bare := [sample.id for sample in samples if sample.latex is None]:
        raise UserError(f"No reference for {some(bare)}: nothing to score. For pictures alone: `latexocr transcribe`.")


def evaluate(samples: Sequence[Sample], columns: Mapping[str, Sequence[Prediction]], runs: Mapping[str, Run], *,
             trained: Mapping[str, Training] | None = None, seed: int = 0) -> Report:
    """The report of one or two columns of predictions; with two, the second is compared with the first.

    `trained` says of a column what it was trained on. `seed` is that of resampling. Raises UserError where a sample has
    no reference, or ids do not pair.
    """
    refuse_bare(samples)
    answers = {name: paired(samples, predictions, name) for name, predictions in columns.items()}
    tables = {name: _tables(samples, predictions) for name, predictions in answers.items()}
    scores, comparisons = summarize(tables, seed=seed)
    judged = {name: _judge(samples, answers[name], tables[name]) for name in answers}
    rows = [Row(sample.id, sample.subset, sample.latex or "", {name: judged[name][i] for name in judged})
            for i, sample in enumerate(samples)]
    headline = {name: tables[name][HEADLINE] for name in tables}
    trained = trained or {}
    seen = {name: training.seen for name, training in trained.items()}
    parts = slices(samples, METRICS[HEADLINE], headline, seed=seed, seen=seen)
    return Report(runs, scores, comparisons, parts, rows, trained)


def _tables(samples: Sequence[Sample], predictions: Sequence[Prediction]) -> dict[str, np.ndarray]:
    return tabulate_all(METRICS, [(scored_text(prediction, sample.latex or ""), sample.latex or "")
                                  for sample, prediction in zip(samples, predictions, strict=True)])


def _judge(samples: Sequence[Sample], predictions: Sequence[Prediction], tables: Mapping[str, np.ndarray]
           ) -> list[Answer]:
    judged = []
    for i, (sample, prediction) in enumerate(zip(samples, predictions, strict=True)):
        values = {key: METRICS[key].value(tables[key][i]) for key in (*LEVELS.values(), "edit_distance")}
        level = next((level.name.lower() for level, key in LEVELS.items() if values[key] > 0), None)
        judged.append(Answer(prediction.latex, classify(prediction, sample.latex or ""), level, values["edit_distance"],
                             values[HEADLINE] > 0, prediction.error, prediction.confidence))
    return judged
