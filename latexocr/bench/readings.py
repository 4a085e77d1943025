"""All that one column is read for: the samples, and where it is asked for, some of them again, alone and damaged.

Takes a column with its reader and samples, gives predictions, each reading in a file of its own that a stopped run
continues; and adds to a report what these readings say. Does not know how a model is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from latexocr.bench.cost import cost
from latexocr.bench.folder import Run
from latexocr.bench.judge import HEADLINE, Report
from latexocr.bench.noise import Singly, noise
from latexocr.bench.robust import Damaging, damaged, robustness
from latexocr.bench.run import Recorded, draw, record
from latexocr.reading import Reader
from latexocr.records import Prediction, Sample


@dataclass(frozen=True)
class Column:
    """One model, or file of predictions, of a benchmark."""

    name: str
    reader: Reader
    run: Run
    """The record of reading the samples, not yet started."""
    at_once: int | None = None
    """Pictures that the reader reads together, where that is known."""


@dataclass(frozen=True)
class More:
    """How many of the samples, drawn at random, are read for what else; None where nothing is asked for."""

    probe: int | None = None
    robust: int | None = None


@dataclass(frozen=True)
class Readings:
    """Predictions of one column; empty lists where they were not asked for, or cannot be made from a file."""

    all: Sequence[Prediction]
    again: Sequence[Prediction] = field(default=())
    alone: Sequence[Prediction] = field(default=())
    damaged: Sequence[Prediction] = field(default=())


def read(column: Column, samples: Sequence[Sample], folder: Path, more: More = More(), *,
         retry_errors: bool = False) -> Readings:
    """Make or continue the readings of one column in the folder of a run; more may be asked for than at first. Raises
    UserError if the folder is another's."""
    def keep(reader: Reader, samples: Sequence[Sample], kind: str = "", at_once: int | None = column.at_once
             ) -> list[Prediction]:
        return record(reader, samples, folder, column.name + kind, replace(column.run, n=len(samples)), at_once=at_once,
                      retry_errors=retry_errors)

    reader = column.reader
    found = Readings(keep(reader, samples))
    if isinstance(reader, Recorded):
        return found
    if more.probe is not None:
        few = draw(samples, more.probe)
        found = replace(found, again=keep(reader, few, ".again"), alone=keep(Singly(reader), few, ".alone", 1))
    if more.robust is not None:
        few = damaged(draw(samples, more.robust))
        found = replace(found, damaged=keep(Damaging(reader), few, ".robust"))
    return found


def with_more(report: Report, samples: Sequence[Sample], readings: Mapping[str, Readings], runs: Mapping[str, Run],
              more: More, dollars_per_hour: float | None) -> Report:
    """The report with costs, noise and robustness; `runs` are all of the folder."""
    costs = {name: cost(runs[name], runs.get(f"{name}.alone"), dollars_per_hour) for name in readings}
    report = replace(report, costs={name: one for name, one in costs.items() if one})
    few = draw(samples, more.probe)
    report = replace(report, noise={name: noise(few, _of(few, one.all), one.again, one.alone, HEADLINE)
                                    for name, one in readings.items() if one.again})
    few = draw(samples, more.robust)
    hurt = {name: one for name, one in readings.items() if one.damaged}
    if hurt:
        report = replace(report, robustness=robustness(few, {name: _of(few, one.all) for name, one in hurt.items()},
                                                       {name: one.damaged for name, one in hurt.items()}, HEADLINE))
    return report


def _of(few: Sequence[Sample], predictions: Sequence[Prediction]) -> list[Prediction]:
    by_id = {prediction.id: prediction for prediction in predictions}
    return [by_id[sample.id] for sample in few]
