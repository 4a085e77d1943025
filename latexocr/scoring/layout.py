r"""The visual metric: how much of a formula TeX draws where it drew it in the reference. No raster, no image library.

Takes pairs of prediction and reference, sets both with TeX (`latex`, hundreds a run, Computer Modern of ten points),
reads glyphs and places from the DVI file, and counts. The same answer on every machine.

    layout_f1     mean over pairs of 2 matched / (predicted + expected), 0 to 1: signs that hang on the same sign in
                  the same direction (to the right, above, below, over, under), once both formulas are aligned
    layout_same   share of pairs that draw the same: all signs match, and none is left over

Two drawings are aligned by the fewest insertions, deletions and substitutions of signs. A sign matches where its
partner is the same sign and what it hangs on is aligned with what that one hangs on: a wrong sign costs itself, a
wrong script the sign that begins it (and what follows a forgotten one).

It sees `2^3` for `3^2`, `x^ab` for `x^{ab}`, a matrix written as a row, a letter of another font, where a root ends.
It forgives what draws alike (`\ne` and `\neq`, stray braces, `\over`, order of scripts, colours) and what only moves or
scales: spaces, `\left` and `\right`, `\big`, display style, `\limits`, matrix written as array, align as aligned.

Faults. Columns of a table count for nothing: in a row of cells, `a & b` is `a b`. Signs drawn over each other by other
means than accents, and sizes chosen by hand (`\Large`), are not seen. Letters of two fonts are two signs, even where a
reader would not tell them apart (`\mathit{x}` and `x`). What TeX does not know (KaTeX's or a user's macros) it refuses.

Against the rules of equality, which know nothing of TeX (benchmarks/layout_agreement.py, 2,000 formulas of the corpus;
pairs that TeX accepts): where these call a pair the same, TeX draws the same in 879 of 880 spellings of the visual
level, and in 3,255 of 3,256 with other style, brackets, spaces; where these call a pair different, of a formula with a
token dropped, doubled or moved, in 2 of 1,472.

A prediction that TeX refuses scores 0. So does every prediction for a reference that TeX refuses, as it cannot be
compared: such pairs stay in the denominator, and the counts tell which they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from latexocr.latex.canonical import Level, canonical
from latexocr.latex.tokens import tokenize
from latexocr.scoring.metrics import Counts, Metric, share
from latexocr.scoring.placement import NOTHING, Placed, placed
from latexocr.tex import dvi, run

if TYPE_CHECKING:
    import numpy as np

AT_ONCE = 1000
"""Pairs whose drawings are held at a time."""


@dataclass(frozen=True)
class Layout:
    """What is counted of a pair."""

    matched: int
    """Signs of the prediction that are placed as in the reference."""
    predicted: int
    expected: int
    same: bool
    prediction_refused: bool
    """TeX does not accept it; then it has no signs."""
    reference_refused: bool

    @property
    def f1(self) -> float:
        """1 where both are empty, 0 where either is refused."""
        signs = self.predicted + self.expected
        return 2 * self.matched / signs if signs else float(self.same)


def layouts(pairs: Iterable[tuple[str, str]]) -> Iterator[Layout]:
    """What is counted of each pair of prediction and reference, in order. Raises UserError where TeX is missing."""
    pairs = iter(pairs)
    while chunk := list(islice(pairs, AT_ONCE)):
        drawn = drawings({formula for pair in chunk for formula in pair})
        for prediction, reference in chunk:
            yield _layout(drawn[prediction], drawn[reference])


def drawings(formulas: Iterable[str]) -> dict[str, list[Placed] | None]:
    """The signs of each formula and where they are; None for a formula that TeX refuses."""
    sources = {formula: source(formula) for formula in formulas}
    distinct = list(dict.fromkeys(sources.values()))
    found = run.each_document(distinct, lambda folder, pages: list(map(_placed, pages)))
    drawn = dict(zip(distinct, found, strict=True))
    return {formula: drawn[text] for formula, text in sources.items()}


def _placed(page: dvi.Page | None) -> list[Placed] | None:
    try:
        return page and placed(page)
    except RecursionError:
        return None


def source(latex: str) -> str:
    """The formula as it is to be set: without what wraps it, in ASCII if it can be, its rows in an environment."""
    text = canonical(latex, Level.SURFACE)
    if not text.isascii():
        text = canonical(latex, Level.SYNTAX)
    if "&" not in text and r"\\" not in text:
        return text
    depth = 0
    for token in tokenize(text):
        if token == "{" or token.startswith(r"\begin{"):
            depth += 1
        elif token == "}" or token.startswith(r"\end{"):
            depth -= 1
        elif depth == 0 and token in ("&", r"\\"):
            return rf"\begin{{aligned}}{text}\end{{aligned}}"
    return text


def _layout(prediction: list[Placed] | None, reference: list[Placed] | None) -> Layout:
    refused = prediction is None, reference is None
    predicted, expected = len(prediction or ()), len(reference or ())
    if any(refused):
        return Layout(0, predicted, expected, False, *refused)
    same = prediction == reference
    matched = expected if same else max(_matched(prediction, reference), _matched(reference, prediction))
    return Layout(matched, predicted, expected, same, *refused)


def _matched(a: list[Placed], b: list[Placed]) -> int:
    """Signs of one drawing that are placed as their partners in the other."""
    from rapidfuzz.distance import Levenshtein

    partner = {NOTHING: NOTHING}
    for block in Levenshtein.opcodes([sign.name for sign in a], [sign.name for sign in b]):
        if block.tag in ("equal", "replace"):
            partner |= zip(range(block.src_start, block.src_end), range(block.dest_start, block.dest_end), strict=True)
    return sum(_alike(sign, b[partner[number]], partner) for number, sign in enumerate(a) if number in partner)


def _alike(sign: Placed, other: Placed, partner: dict[int, int]) -> bool:
    return (sign.name == other.name and sign.how == other.how and partner.get(sign.on) == other.on
            and partner.get(sign.last) == other.last)


def layout_metrics() -> dict[str, Metric]:
    """The metrics by name, for `statistics`. Raises UserError where TeX is missing.

    Their `counts` runs TeX for one pair, which takes a fifth of a second: for many, `tabulate_layouts`.
    """
    settings = {"level": "layout", "tex": run.version(), "font": "cm 10pt display"}

    def metric(name: str, of: str) -> Metric:
        return Metric(name, "%", True, {**settings, "mean": of}, lambda prediction, reference: _COUNTS[name](
            next(layouts([(prediction, reference)]))), share, proportion=name == "layout_same")

    return {"layout_f1": metric("layout_f1", "F1 of signs"), "layout_same": metric("layout_same", "all signs")}


def tabulate_layouts(found: Iterable[Layout]) -> dict[str, np.ndarray]:
    """Name of the metric -> the counts of each pair, one row a pair, as `metrics.tabulate` gives them."""
    import numpy as np

    found = list(found)
    return {name: np.array([counts(pair) for pair in found], dtype=np.float64).reshape(len(found), 2)
            for name, counts in _COUNTS.items()}


_COUNTS: dict[str, Callable[[Layout], Counts]] = {
    "layout_f1": lambda pair: (pair.f1, 1.0), "layout_same": lambda pair: (float(pair.same), 1.0)}
