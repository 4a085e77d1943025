"""Score one or several columns of predictions against their references: the front door of this room.

Takes strings (or Predictions) and references, gives Scores, Comparisons and Ledgers. Pairs are worked through in
pieces, on all cores where there are many, and of each piece only its tally is kept: memory does not grow with them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from latexocr.errors import UserError
from latexocr.latex.aliases import NO_ALIASES, Aliases
from latexocr.provenance import cores
from latexocr.records import Prediction
from latexocr.scoring.confusion import Confusions
from latexocr.scoring.failures import Ledger
from latexocr.scoring.metrics import METRICS, Comparison, Metric, Score, metrics
from latexocr.scoring.piecework import Job, contests, parted, stack, worked
from latexocr.scoring.resampling import Tally, by_group, no_tally, tally
from latexocr.scoring.statistics import Outcomes, comparison_of, how_many, score_of
from latexocr.scoring.variants import DRAWN, VARIANTS
from latexocr.wording import counted

if TYPE_CHECKING:
    import numpy as np

Formulas = Sequence[str] | Mapping[str, str]
"""Formulas in the order of the references, or id -> formula."""
Answers = Formulas | Sequence[Prediction]
"""Predictions are paired by id where the references have ids, and by place where they have none."""


@dataclass(frozen=True)
class Assessment:
    """All that text alone says of one or several columns; comparisons are of each later column with the first."""

    scores: Mapping[str, Sequence[Score]]
    comparisons: Sequence[Comparison]
    ledgers: Mapping[str, Ledger]
    confusions: Mapping[str, Confusions]


def score(predictions: Answers, references: Formulas, *, names: Sequence[str] | None = None,
          aliases: Aliases = NO_ALIASES, seed: int = 0) -> dict[str, Score]:
    """Name of a metric -> its Score over all pairs; all of METRICS unless named.

    score(["x^2"], ["x^{2}"])["exact_visual"].value == 1.0
    Raises UserError where predictions and references are not of the same ids, or not as many.
    """
    found = assess(references, {"predictions": predictions}, names=names, aliases=aliases, seed=seed,
                   ledgers=False)
    return {one.metric: one for one in found.scores["predictions"]}


def compare(base: Answers, tuned: Answers, references: Formulas, *, names: Sequence[str] | None = None,
            aliases: Aliases = NO_ALIASES, seed: int = 0) -> dict[str, Comparison]:
    """Name of a metric -> tuned minus base over the same pairs, with a verdict."""
    found = assess(references, {"base": base, "tuned": tuned}, names=names, aliases=aliases, seed=seed,
                   ledgers=False)
    return {one.metric: one for one in found.comparisons}


def choose(names: Sequence[str] | None = None, aliases: Aliases = NO_ALIASES) -> dict[str, Metric]:
    """The metrics of these names, ours or those of others (`variants`). Raises UserError on an unknown name."""
    ours = metrics(aliases)
    if names is None:
        return ours
    known = ours | VARIANTS
    if unknown := [name for name in names if name not in known]:
        drawn = " Those of drawings come with --layout, --render or --cdm." * (not set(unknown).isdisjoint(DRAWN))
        raise UserError(f"no metric {', '.join(map(repr, unknown))}.{drawn} There are: {', '.join(known)}.")
    return {name: known[name] for name in names}


def assess(references: Formulas, columns: Mapping[str, Answers], *, names: Sequence[str] | None = None,
           aliases: Aliases = NO_ALIASES, seed: int = 0, groups: Sequence[Hashable] | None = None,
           ledgers: bool = True, workers: int | None = None) -> Assessment:
    """The assessment of columns of predictions, in all of METRICS unless `names` names some.

    `groups` (one a pair: a source document, a writer) are drawn as wholes. Without `ledgers`, these and the confusions
    stay empty, which is quicker. `workers` processes share the work, as many as there are cores unless given; they
    change no number. Raises UserError where a column does not fit the references, or all pairs are of one group.
    """
    answers = {name: _in_order(name, column, references) for name, column in columns.items()}
    expected = list(references.values()) if isinstance(references, Mapping) else references
    if not expected:
        raise UserError("no pairs to score. Give predictions and their references.")
    if how_many(groups) == 1:
        raise UserError("All pairs are of one group (one subset); an interval needs several. Leave out "
                        "--group-by-subset: pairs are then drawn one by one.")
    chosen = choose(names, aliases)
    job = Job(expected, answers, chosen, aliases, seed, tallied=groups is None, told=ledgers)
    widths = {name: len(metric.counts("", "")) for name, metric in chosen.items()}
    found, tables = no_tally(sum(widths.values()) * len(answers)), []
    contested: dict[tuple[str, str], Outcomes] = {}
    told = dict.fromkeys(answers, Ledger())
    confused: dict[str, Confusions] = {name: Counter() for name in answers}
    for part in worked(job, workers or cores()):
        found = found + part.tally if part.tally else found
        tables += [] if part.table is None else [part.table]
        contested = {key: contested.get(key, Outcomes(0, 0)) + more for key, more in part.outcomes.items()}
        told = {name: told[name] + more for name, more in part.ledgers.items()}
        confused = {name: confused[name] + more for name, more in part.confusions.items()}
    if groups is not None:
        import numpy as np

        found = tally(by_group(np.vstack(tables), groups), seed)
    parts = parted(found, widths, list(answers))
    scores, comparisons = _read(parts, contested, chosen, list(answers), len(expected), seed, how_many(groups))
    return Assessment(scores, comparisons, told, confused)


def summarize(tables: Mapping[str, Mapping[str, np.ndarray]], *, chosen: Mapping[str, Metric] = METRICS, seed: int = 0,
              groups: Sequence[Hashable] | None = None) -> tuple[dict[str, list[Score]], list[Comparison]]:
    """Scores of each column, and comparisons of each later one with the first, from tables (column -> metric -> counts)
    that are there already: the same numbers as those of `assess`."""
    stacked = stack(tables)
    widths = {name: table.shape[1] for name, table in next(iter(tables.values())).items()}
    parts = parted(tally(by_group(stacked, groups), seed), widths, list(tables))
    return _read(parts, contests(chosen, tables), chosen, list(tables), len(stacked), seed, how_many(groups))


def _read(of: Mapping[tuple[str, str], Tally], contested: Mapping[tuple[str, str], Outcomes],
          chosen: Mapping[str, Metric], columns: Sequence[str], n: int, seed: int,
          groups: int | None) -> tuple[dict[str, list[Score]], list[Comparison]]:
    """Scores and comparisons from the tallies of each column's metrics."""
    scores = {column: [score_of(metric, of[column, name], n, seed=seed, grouped=groups is not None)
                       for name, metric in chosen.items()] for column in columns}
    comparisons = [comparison_of(metric, of[columns[0], name], of[other, name], contested[other, name], n,
                                 groups=groups)
                   for other in columns[1:] for name, metric in chosen.items()]
    return scores, comparisons


def _in_order(name: str, answers: Answers, references: Formulas) -> Sequence[str] | Sequence[Prediction]:
    """The answers in the order of the references."""
    if isinstance(references, Mapping):
        named = ([Prediction(id, latex) for id, latex in answers.items()] if isinstance(answers, Mapping) else answers)
        if not all(isinstance(answer, Prediction) for answer in named):
            raise UserError(f"{name}: the references have ids and the predictions have none. Give id -> formula.")
        refuse_unpaired(name, [answer.id for answer in named], list(references))
        by_id = {answer.id: answer for answer in named}
        return [by_id[id] for id in references]
    if isinstance(answers, Mapping):
        raise UserError(f"{name}: the predictions have ids and the references have none. Give id -> formula for both.")
    if isinstance(answers, str) or isinstance(references, str):
        raise UserError(f"{name}: a lone string given. Give lists of formulas.")
    if len(answers) != len(references):
        raise UserError(f"{name}: {counted(len(answers), 'prediction')} for {counted(len(references), 'reference')}. "
                        "Each needs one; an answer that is missing is an empty string.")
    return answers


def refuse_unpaired(name: str, ids: Sequence[str], expected: Sequence[str]) -> None:
    """Raise UserError, naming ids, where some are missing, extra or doubled."""
    found, wanted = Counter(ids), set(expected)
    problems = {"doubled": [id for id, times in found.items() if times > 1],
                "not among the references": [id for id in found if id not in wanted],
                "missing": [id for id in expected if id not in found]}
    if told := [f"{len(bad)} {what} ({_some(bad)})" for what, bad in problems.items() if bad]:
        raise UserError(f"{name}: ids do not pair with the references: {'; '.join(told)}. Each reference needs one "
                        "prediction; a failure is one with an empty formula.")


def _some(ids: Sequence[str]) -> str:
    return ", ".join(map(repr, ids[:5])) + (", ..." if len(ids) > 5 else "")
