"""Judge predictions: scores with intervals, comparisons with the base, and each sample's answer by its side.

Takes samples and columns of predictions, gives a Report. Reads no model, and writes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING

from latexocr.bench.calibration import Calibration, calibration
from latexocr.bench.contamination import Training
from latexocr.bench.cost import Cost
from latexocr.bench.folder import Run
from latexocr.bench.mistakes import KINDS, Confusion, Moved, confused, kinds_of, misread, moved
from latexocr.bench.noise import Agreement, Noise, agreement
from latexocr.bench.robust import Robust
from latexocr.bench.run import paired, some
from latexocr.bench.slices import Part, Slice, parts, slices
from latexocr.errors import UserError
from latexocr.latex.canonical import Level
from latexocr.records import Prediction, Sample
from latexocr.scoring.assess import summarize
from latexocr.scoring.failures import classify, scored_text
from latexocr.scoring.layout import layout_metrics, layouts, tabulate_layouts
from latexocr.scoring.metrics import METRICS, Comparison, Score, tabulate_all

if TYPE_CHECKING:
    import numpy as np

HEADLINE = "exact_visual"
BATCH = 256
"""Samples that are judged together."""
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
    classes: tuple[str, ...] = ()
    """Kinds of error, of `mistakes.KINDS`; none for a right answer."""


@dataclass(frozen=True)
class Row:
    """One sample of a report, with the answer of each column."""

    id: str
    subset: str
    reference: str
    answers: Mapping[str, Answer]
    parts: tuple[int, ...] = ()
    """Which of the report's slices the sample is in, by their places."""


@dataclass(frozen=True)
class Report:
    """All that a benchmark found. The first column is the base, with which the others are compared.

    What was not asked for, or cannot be known, is empty.
    """

    runs: Mapping[str, Run]
    scores: Mapping[str, Sequence[Score]]
    """By column; their order is the order to show."""
    comparisons: Mapping[str, Sequence[Comparison]]
    """Of each other column: it minus the base, one for each metric."""
    slices: Sequence[Slice]
    rows: Sequence[Row]
    trained: Mapping[str, Training] = field(default_factory=dict)
    """By column, what its training had in common with the samples, where that is recorded."""
    ledger: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """By column, answers of each kind in the failure ledger."""
    error_classes: Mapping[str, str] = field(default_factory=dict)
    """Kinds of error that occur, in words."""
    error_counts: Mapping[str, Mapping[str, Moved]] = field(default_factory=dict)
    """By kind of error and column."""
    confusions: Sequence[Confusion] = ()
    calibration: Mapping[str, Calibration] = field(default_factory=dict)
    """By column, where its answers have confidences."""
    agreement: Sequence[Agreement] = ()
    """Of every two columns."""
    robustness: Sequence[Robust] = ()
    noise: Mapping[str, Noise] = field(default_factory=dict)
    costs: Mapping[str, Cost] = field(default_factory=dict)


def refuse_bare(samples: Sequence[Sample]) -> None:
    """Raise UserError where there are no samples, or one has no reference."""
    if not samples:
        raise UserError("No samples to score. Give --data something with pictures and references.")
    if bare := [sample.id for sample in samples if sample.latex is None]:
        raise UserError(f"No reference for {some(bare)}: nothing to score. For pictures alone: `latexocr transcribe`.")


def evaluate(samples: Sequence[Sample], columns: Mapping[str, Sequence[Prediction]], runs: Mapping[str, Run], *,
             trained: Mapping[str, Training] | None = None, layout: bool = False, seed: int = 0) -> Report:
    """The report of columns of predictions; each is compared with the first.

    `trained` says of a column what it was trained on. With `layout`, TeX draws all formulas. `seed` is that of
    resampling. Raises UserError where a sample has no reference, ids do not pair, or TeX is asked for and missing.
    """
    refuse_bare(samples)
    answers = {name: paired(samples, predictions, name) for name, predictions in columns.items()}
    found = _judge(samples, answers)
    chosen = METRICS | layout_metrics() if layout else METRICS
    tables = _with_layouts(samples, answers, found.tables) if layout else found.tables
    scores, compared = summarize(tables, chosen=chosen, seed=seed)
    _, *others = columns
    within = parts(samples, seen={name: training.seen for name, training in (trained or {}).items()})
    classes = moved({name: [answer.classes for answer in column] for name, column in found.answers.items()})
    certain = {name: calibration([answer.confidence for answer in column], [answer.correct for answer in column],
                                 seed=seed) for name, column in found.answers.items()}
    return Report(
        runs, scores, {name: compared[i * len(chosen):(i + 1) * len(chosen)] for i, name in enumerate(others)},
        slices(within, METRICS[HEADLINE], {name: table[HEADLINE] for name, table in tables.items()}, seed=seed),
        _rows(samples, found.answers, within), trained or {},
        ledger={name: Counter(answer.failure for answer in column) for name, column in found.answers.items()},
        error_classes={kind: KINDS[kind] for kind in classes}, error_counts=classes,
        confusions=confused([sample.id for sample in samples], found.misread),
        calibration={name: one for name, one in certain.items() if one},
        agreement=[agreement(a, b, answers[a], answers[b], tables[a][HEADLINE][:, 0], tables[b][HEADLINE][:, 0])
                   for a, b in combinations(columns, 2)])


@dataclass(frozen=True)
class _Judged:
    """By column: the counts of each metric, each answer, and what was misread in it."""

    tables: dict[str, dict[str, np.ndarray]]
    answers: dict[str, list[Answer]]
    misread: dict[str, list[list[tuple[str, str]]]]


def _judge(samples: Sequence[Sample], columns: Mapping[str, Sequence[Prediction]]) -> _Judged:
    """All that is said of each answer; batch by batch, while what its parts share is remembered."""
    import numpy as np

    found = _Judged({}, {name: [] for name in columns}, {name: [] for name in columns})
    counted: dict[str, list[dict[str, np.ndarray]]] = {name: [] for name in columns}
    for start in range(0, len(samples), BATCH):
        batch = samples[start:start + BATCH]
        for name, predictions in columns.items():
            some = predictions[start:start + BATCH]
            table = tabulate_all(METRICS, _pairs(batch, some))
            counted[name].append(table)
            found.answers[name].extend(_answers(batch, some, table))
            found.misread[name].extend(misread(prediction.latex, sample.latex or "")
                                       for sample, prediction in zip(batch, some, strict=True))
    found.tables.update({name: {metric: np.concatenate([table[metric] for table in tables]) for metric in METRICS}
                         for name, tables in counted.items()})
    return found


def _pairs(samples: Sequence[Sample], predictions: Sequence[Prediction]) -> list[tuple[str, str]]:
    """The texts that are scored: prediction and reference."""
    return [(scored_text(prediction, sample.latex or ""), sample.latex or "")
            for sample, prediction in zip(samples, predictions, strict=True)]


def _with_layouts(samples: Sequence[Sample], columns: Mapping[str, Sequence[Prediction]],
                  tables: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, dict[str, np.ndarray]]:
    return {name: {**tables[name], **tabulate_layouts(layouts(_pairs(samples, predictions)))}
            for name, predictions in columns.items()}


def _answers(samples: Sequence[Sample], predictions: Sequence[Prediction], tables: Mapping[str, np.ndarray]
             ) -> Iterator[Answer]:
    values = {key: METRICS[key].value(tables[key]).tolist() for key in (*LEVELS.values(), "edit_distance")}
    for i, (sample, prediction) in enumerate(zip(samples, predictions, strict=True)):
        reference = sample.latex or ""
        level = next((level.name.lower() for level, key in LEVELS.items() if values[key][i] > 0), None)
        failure = classify(prediction, reference)
        yield Answer(prediction.latex, failure, level, values["edit_distance"][i], values[HEADLINE][i] > 0,
                     prediction.error, prediction.confidence, kinds_of(prediction.latex, reference, failure, level))


def _rows(samples: Sequence[Sample], judged: Mapping[str, Sequence[Answer]], found: Sequence[Part]) -> list[Row]:
    within: list[list[int]] = [[] for _ in samples]
    for place, part in enumerate(found):
        for row in part.rows:
            within[row].append(place)
    return [Row(sample.id, sample.subset, sample.latex or "", {name: column[i] for name, column in judged.items()},
                tuple(within[i])) for i, sample in enumerate(samples)]
