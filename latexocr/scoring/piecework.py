"""Pairs -> what is kept of them, piece by piece and on several cores: tallies, wins and losses, the ledger.

Takes references and columns of answers, gives a Part for each piece; parts add up. Of a piece only its part is kept.
"""

from __future__ import annotations

import gc
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from latexocr.latex.aliases import Aliases
from latexocr.records import Prediction
from latexocr.scoring.confusion import Confusions, confusions
from latexocr.scoring.failures import Ledger, ledger, scored_text
from latexocr.scoring.metrics import Metric, tabulate_all
from latexocr.scoring.resampling import Tally, pieces, rows_of, tally_piece
from latexocr.scoring.statistics import Outcomes, outcomes

if TYPE_CHECKING:
    import numpy as np

BATCH = 256
"""Pairs whose metrics and classes are made together, while what they share is remembered."""


@dataclass(frozen=True)
class Job:
    """Columns of predictions of the same references."""

    references: Sequence[str]
    columns: Mapping[str, Sequence[str] | Sequence[Prediction]]
    chosen: Mapping[str, Metric]
    aliases: Aliases
    seed: int
    tallied: bool = True
    """Whether pieces are tallied where they are made; otherwise their table is kept."""
    told: bool = True
    """Whether ledgers and confusions are made."""


@dataclass(frozen=True)
class Part:
    """What is kept of a piece. Its table has the counts of all metrics of the first column, then of the next."""

    table: np.ndarray | None
    tally: Tally | None
    outcomes: Mapping[tuple[str, str], Outcomes]
    """Of each later column against the first: (column, metric) -> wins and losses."""
    ledgers: Mapping[str, Ledger]
    confusions: Mapping[str, Confusions]


def worked(job: Job, workers: int) -> Iterator[Part]:
    """The part of each piece, in order, made by so many processes."""
    count = pieces(len(job.references))
    workers = min(workers, count)
    context = _forking() if workers > 1 else None
    if context is None:
        yield from (work(job, piece) for piece in range(count))
        return
    with context.Pool(workers, initializer=_take, initargs=(job,)) as pool:
        yield from pool.imap(_work, range(count))


def _forking():
    """How to start processes that find the job in their memory; None where that is not safe."""
    from multiprocessing import current_process, get_all_start_methods, get_context

    alone = threading.active_count() == 1 and not current_process().daemon
    return get_context("fork") if alone and "fork" in get_all_start_methods() else None


_job: Job | None = None
"""The job of a worker process."""


def _take(job: Job) -> None:
    global _job
    _job = job
    gc.freeze()  # What is there now stays: to search it for garbage again and again takes a tenth of the time.


def _work(piece: int) -> Part:
    assert _job is not None
    return work(_job, piece)


def work(job: Job, piece: int) -> Part:
    """The part of one piece."""
    import numpy as np

    rows = rows_of(piece, len(job.references))
    tables = {column: [] for column in job.columns}
    ledgers = dict.fromkeys(job.columns, Ledger())
    confused = {column: Counter() for column in job.columns}
    for first in range(rows.start, rows.stop, BATCH):
        span = slice(first, min(first + BATCH, rows.stop))
        references = job.references[span]
        columns = {column: [answer if isinstance(answer, Prediction) else Prediction("", answer)
                            for answer in answers[span]] for column, answers in job.columns.items()}
        for column, found in _tables(job, columns, references).items():
            tables[column].append(found)
            if not job.told:
                continue
            answers = columns[column]
            ledgers[column] += ledger(zip(answers, references), job.aliases, start=first)
            confused[column] += confusions(zip((answer.latex for answer in answers), references), job.aliases)
    whole = {column: {name: np.concatenate([part[name] for part in parts]) for name in job.chosen}
             for column, parts in tables.items()}
    stacked = stack(whole)
    return Part(None if job.tallied else stacked,
                tally_piece(stacked, piece, len(job.references), job.seed) if job.tallied else None,
                contests(job.chosen, whole), ledgers, confused)


def _tables(job: Job, columns: Mapping[str, Sequence[Prediction]], references: Sequence[str]
            ) -> dict[str, dict[str, np.ndarray]]:
    """Column -> metric -> counts; pair by pair over the columns, which share the reference."""
    pairs = [(scored_text(answer, reference), reference)
             for reference, *answers in zip(references, *columns.values()) for answer in answers]
    found = tabulate_all(job.chosen, pairs)
    return {column: {name: table[place::len(columns)] for name, table in found.items()}
            for place, column in enumerate(columns)}


def stack(tables: Mapping[str, Mapping[str, np.ndarray]]) -> np.ndarray:
    """All tables of all columns side by side."""
    import numpy as np

    return np.hstack([table for column in tables.values() for table in column.values()])


def parted(found: Tally, widths: Mapping[str, int], columns: Sequence[str]) -> dict[tuple[str, str], Tally]:
    """(column, metric) -> its part of the tally of a stacked table; `widths`: the counts of a pair, by metric."""
    parts, at = {}, 0
    for column in columns:
        for name, width in widths.items():
            parts[column, name] = found.of(slice(at, at + width))
            at += width
    return parts


def contests(chosen: Mapping[str, Metric], tables: Mapping[str, Mapping[str, np.ndarray]]
             ) -> dict[tuple[str, str], Outcomes]:
    """Wins and losses of each later column against the first, in each metric."""
    base, *others = tables
    return {(other, name): outcomes(metric, tables[base][name], tables[other][name])
            for other in others for name, metric in chosen.items()}
