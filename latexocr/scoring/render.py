"""The check by drawing: whether KaTeX draws a pair the same, or else TeX (METRICS 7.8).

    render_same    share of pairs that either draws the same

Takes pairs of prediction and reference, gives what is counted. KaTeX is asked first and must draw both exactly alike
(`katex`); what it tells apart or refuses goes to TeX, which forgives spacing and sizes (`layout`). A pair is refused
where neither draws it; then it counts as wrong, and stays in the denominator.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from latexocr.scoring import katex
from latexocr.scoring.layout import AT_ONCE, Layout, layouts, source
from latexocr.scoring.metrics import Counts, Metric, share
from latexocr.tex import run


@dataclass(frozen=True)
class Rendered:
    """What is counted of a pair."""

    by: str
    """What draws it the same: "KaTeX", "TeX" or nothing."""
    prediction_refused: bool
    """Neither draws it."""
    reference_refused: bool

    @property
    def counts(self) -> Counts:
        """For `render_same`."""
        return float(bool(self.by)), 1.0


def rendered(pairs: Iterable[tuple[str, str]]) -> Iterator[Rendered]:
    """What is counted of each pair, in order. Raises UserError where KaTeX or TeX is missing."""
    pairs = iter(pairs)
    while chunk := list(islice(pairs, AT_ONCE)):
        sources = [(source(prediction), source(reference)) for prediction, reference in chunk]
        drawn = katex.drawings(formula for pair in sources for formula in pair)
        shown = [(drawn[prediction], drawn[reference]) for prediction, reference in sources]
        by_katex = [None not in pair and pair[0] == pair[1] for pair in shown]
        by_tex = layouts(pair for pair, done in zip(chunk, by_katex, strict=True) if not done)
        for (prediction, reference), done in zip(shown, by_katex, strict=True):
            yield Rendered("KaTeX", False, False) if done else _by_tex(next(by_tex), prediction, reference)


def _by_tex(tex: Layout, prediction: str | None, reference: str | None) -> Rendered:
    """What TeX says of a pair that KaTeX draws otherwise, or refuses."""
    return Rendered("TeX" if tex.same else "", tex.prediction_refused and prediction is None,
                    tex.reference_refused and reference is None)


def render_metric() -> Metric:
    """The metric, for `statistics`. Raises UserError where KaTeX or TeX is missing. Its `counts` starts both for one
    pair: for many, `rendered`."""
    settings = {"level": "render", "katex": katex.version(), "tex": run.version(), "of": "either draws the same"}
    return Metric("render_same", "%", True, settings, lambda prediction, reference: next(
        rendered([(prediction, reference)])).counts, share, proportion=True)
