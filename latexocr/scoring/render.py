"""The check by drawing: whether KaTeX draws a pair the same, or else TeX (METRICS 7.8).

    render_same    share of pairs that either draws the same

Takes pairs of prediction and reference, gives what is counted. KaTeX is asked first and must draw both exactly alike
(`katex`); what it tells apart or refuses goes to TeX, which forgives spacing and sizes (`layout`). A pair is refused
where neither draws it; then it counts as wrong, and stays in the denominator.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from latexocr.scoring import katex
from latexocr.scoring.layout import layouts, source
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


def rendered(pairs: Sequence[tuple[str, str]]) -> list[Rendered]:
    """What is counted of each pair, in order. Raises UserError where KaTeX or TeX is missing."""
    sources = [(source(prediction), source(reference)) for prediction, reference in pairs]
    drawn = katex.drawings(formula for pair in sources for formula in pair)
    alike = [drawn[a] is not None and drawn[a] == drawn[b] for a, b in sources]
    by_tex = layouts(pair for pair, done in zip(pairs, alike, strict=True) if not done)
    return [Rendered("KaTeX", False, False) if done else
            Rendered("TeX" if tex.same else "", tex.prediction_refused and drawn[a] is None,
                     tex.reference_refused and drawn[b] is None)
            for (a, b), done in zip(sources, alike, strict=True) for tex in ([None] if done else [next(by_tex)])]


def render_metric() -> Metric:
    """The metric, for `statistics`. Raises UserError where KaTeX or TeX is missing. Its `counts` starts both for one
    pair: for many, `rendered`."""
    settings = {"level": "render", "katex": katex.version(), "tex": run.version(), "of": "either draws the same"}
    return Metric("render_same", "%", True, settings, lambda prediction, reference: rendered(
        [(prediction, reference)])[0].counts, share, proportion=True)
