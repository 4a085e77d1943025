"""What `latexocr score` adds where drawings are asked for: where TeX puts each sign, KaTeX, and CDM by its own program.

Takes an Assessment and the texts behind it, gives it with the scores of drawings, and which formulas are not drawn.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from latexocr.errors import UserError
from latexocr.wording import counted

if TYPE_CHECKING:
    import numpy as np

    from latexocr.cli.scores import Score
    from latexocr.records import Prediction
    from latexocr.scoring.assess import Assessment
    from latexocr.scoring.cdm import Matched
    from latexocr.scoring.layout import Layout
    from latexocr.scoring.metrics import Counts, Metric
    from latexocr.scoring.render import Rendered

Pairs = Sequence[tuple[str, str]]
Refused = dict[str, dict[str, dict[str, list[str]]]]
"""Column -> what draws -> "predictions" and "references" -> ids of those that it does not draw."""
NAMED = 5
"""Most ids of references that are named on stderr."""


@dataclass(frozen=True)
class Drawn:
    """What was drawn of a column."""

    tables: Mapping[str, np.ndarray]
    """Name of the metric -> the counts of each pair."""
    predictions_refused: Sequence[bool]
    references_refused: Sequence[bool]
    more: str = ""
    """What else is told of it."""


Judge = tuple[str, Mapping[str, "Metric"], Callable[[Pairs], Drawn]]
"""What draws, its metrics, and what it makes of pairs of prediction and reference."""


def with_drawings(found: Assessment, references: Mapping[str, str], columns: Mapping[str, Sequence[Prediction]],
                  judges: Sequence[Judge], *, seed: int, groups: Sequence[str] | None) -> tuple[Assessment, Refused]:
    """What was found, and the scores of drawings. What is not drawn is told on stderr: it is in every score."""
    from latexocr.scoring.assess import summarize
    from latexocr.scoring.failures import scored_text

    refused: Refused = {name: {} for name in columns}
    for title, metrics, draw in judges:
        tables = {}
        for name, answers in columns.items():
            by_id = {answer.id: answer for answer in answers}
            drawn = draw([(scored_text(by_id[id], latex), latex) for id, latex in references.items()])
            refused[name][title] = sides = {
                "predictions": [id for id, is_refused in zip(references, drawn.predictions_refused) if is_refused],
                "references": [id for id, is_refused in zip(references, drawn.references_refused) if is_refused]}
            told = f"{_told(sides, len(references))}{drawn.more}"
            print(f"latexocr: {name}: not drawn by {title}: {told}", file=sys.stderr)
            tables[name] = drawn.tables
        scores, comparisons = summarize(tables, chosen=metrics, seed=seed, groups=groups)
        found = replace(found, scores={name: [*column, *scores[name]] for name, column in found.scores.items()},
                        comparisons=[*found.comparisons, *comparisons])
    return found, refused


def _told(refused: Mapping[str, Sequence[str]], n: int) -> str:
    references = refused["references"]
    named = ", ".join(map(repr, references[:NAMED])) + (", ..." if len(references) > NAMED else "")
    return (f"{counted(len(refused['predictions']), 'prediction')} and {len(references)} of {counted(n, 'reference')}"
            + (f" ({named})" if named else "") + "; they score 0")


def judges_of(options: Score) -> list[Judge]:
    """What is asked to draw. Raises UserError where it is not installed."""
    found: list[Judge] = []
    if options.layout:
        from latexocr.scoring.layout import layout_metrics

        found.append(("TeX", layout_metrics(), _by_tex))
    if options.render:
        from latexocr.scoring.render import render_metric

        found.append(("KaTeX or TeX", {"render_same": render_metric()}, _by_katex))
    if options.cdm:
        from latexocr.scoring.cdm import cdm_metrics

        command = _words(options.cdm)
        found.append(("CDM", cdm_metrics(command), partial(_by_cdm, command)))
    return found


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError as e:
        raise UserError(f"--cdm {command!r} is no command ({e}). Expected one such as "
                        "'.venv-cdm/bin/python UniMERNet/cdm/evaluation.py'.") from e


def _by_tex(pairs: Pairs) -> Drawn:
    from latexocr.scoring.layout import layouts, tabulate_layouts

    drawn = list(layouts(pairs))
    return Drawn(tabulate_layouts(drawn), *_refused(drawn))


def _by_katex(pairs: Pairs) -> Drawn:
    from latexocr.scoring.render import rendered

    drawn = list(rendered(pairs))
    same = [sum(pair.by == name for pair in drawn) for name in ("KaTeX", "TeX")]
    return Drawn({"render_same": _table(pair.counts for pair in drawn)}, *_refused(drawn),
                 more=f". Of the rest, KaTeX draws {same[0]} the same, and TeX {same[1]} more")


def _by_cdm(command: Sequence[str], pairs: Pairs) -> Drawn:
    from latexocr.scoring.cdm import COUNTS, matched

    drawn = matched(pairs, command)
    return Drawn({name: _table(map(counts, drawn)) for name, counts in COUNTS.items()}, *_refused(drawn))


def _refused(drawn: Sequence[Layout | Rendered | Matched]) -> tuple[list[bool], list[bool]]:
    return [pair.prediction_refused for pair in drawn], [pair.reference_refused for pair in drawn]


def _table(counts: Iterable[Counts]) -> np.ndarray:
    import numpy as np

    return np.array(list(counts), dtype=np.float64).reshape(-1, 2)
