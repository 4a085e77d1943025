"""What `latexocr score` adds where drawings are asked for: where TeX puts each sign, KaTeX, and CDM by its own program.

Takes an Assessment and the texts behind it, gives it with the scores of drawings, and which formulas are not drawn.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from latexocr.cli.scores import Score
    from latexocr.records import Prediction
    from latexocr.scoring.assess import Assessment
    from latexocr.scoring.metrics import Metric

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


def with_drawings(found: Assessment, references: Mapping[str, str], columns: Mapping[str, Sequence[Prediction]],
                  options: Score, groups: Sequence[str] | None) -> tuple[Assessment, Refused]:
    """What was found, and the scores of drawings. What is not drawn is told on stderr: it is in every score."""
    from latexocr.scoring.assess import summarize
    from latexocr.scoring.failures import scored_text

    refused: Refused = {name: {} for name in columns}
    for title, metrics, draw in _asked_for(options):
        tables = {}
        for name, answers in columns.items():
            by_id = {answer.id: answer for answer in answers}
            drawn = draw([(scored_text(by_id[id], latex), latex) for id, latex in references.items()])
            refused[name][title] = sides = {
                "predictions": [id for id, is_refused in zip(references, drawn.predictions_refused) if is_refused],
                "references": [id for id, is_refused in zip(references, drawn.references_refused) if is_refused]}
            print(f"latexocr: {name}: {title} {_told(sides, len(references))}{drawn.more}", file=sys.stderr)
            tables[name] = drawn.tables
        scores, comparisons = summarize(tables, chosen=metrics, seed=options.seed, groups=groups)
        found = replace(found, scores={name: [*column, *scores[name]] for name, column in found.scores.items()},
                        comparisons=[*found.comparisons, *comparisons])
    return found, refused


def _told(refused: Mapping[str, Sequence[str]], n: int) -> str:
    references = refused["references"]
    named = ", ".join(map(repr, references[:NAMED])) + (", ..." if len(references) > NAMED else "")
    return (f"refuses {len(refused['predictions'])} predictions and {len(references)} references of {n}"
            + (f" ({named})" if named else "") + "; they score 0")


def _asked_for(options: Score) -> Iterator[tuple[str, Mapping[str, Metric], Callable[[Pairs], Drawn]]]:
    """What draws, its metrics, and what it makes of pairs of prediction and reference."""
    if options.layout:
        from latexocr.scoring.layout import layout_metrics

        yield "TeX", layout_metrics(), _by_tex
    if options.render:
        from latexocr.scoring.render import render_metric

        yield "KaTeX and TeX", {"render_same": render_metric()}, _by_katex
    if options.cdm:
        from latexocr.scoring.cdm import cdm_metrics

        command = shlex.split(options.cdm)
        yield "CDM", cdm_metrics(command), partial(_by_cdm, command)


def _by_tex(pairs: Pairs) -> Drawn:
    from latexocr.scoring.layout import layouts, tabulate_layouts

    drawn = list(layouts(pairs))
    return Drawn(tabulate_layouts(drawn), *_refused(drawn))


def _by_katex(pairs: Pairs) -> Drawn:
    from latexocr.scoring.render import rendered

    drawn = rendered(pairs)
    same = [sum(pair.by == name for pair in drawn) for name in ("KaTeX", "TeX")]
    return Drawn({"render_same": _table(pair.counts for pair in drawn)}, *_refused(drawn),
                 more=f". Of the rest, KaTeX draws {same[0]} the same, and TeX {same[1]} more")


def _by_cdm(command: Sequence[str], pairs: Pairs) -> Drawn:
    from latexocr.scoring.cdm import COUNTS, matched

    drawn = matched(pairs, command)
    return Drawn({name: _table(map(counts, drawn)) for name, counts in COUNTS.items()}, *_refused(drawn))


def _refused(drawn) -> tuple[list[bool], list[bool]]:
    return [pair.prediction_refused for pair in drawn], [pair.reference_refused for pair in drawn]


def _table(counts) -> np.ndarray:
    import numpy as np

    return np.array(list(counts), dtype=np.float64).reshape(-1, 2)
