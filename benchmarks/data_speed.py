"""How fast data is made and checked, on one core unless said otherwise.

    python benchmarks/data_speed.py FORMULAS.jsonl.gz PICTURES_SPEC [HANDS.npz]

For each: things done a second, and milliseconds of a processor for one, which other work on the machine changes less.
Degrading is of pictures of 64 x 300, as training does it; typesetting and writing go from formulas to the files of a
data set, with starts of TeX and of processes; the overlap is of 1,000 test formulas with 100,000 training formulas,
without pictures. Takes about three minutes.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from latexocr.data.audit import audit
from latexocr.data.degrade import DEGRADATIONS, degrade
from latexocr.data.handwrite import PLAIN, Pen, draw_ink
from latexocr.data.near import nearest
from latexocr.data.sources import load, stream
from latexocr.data.synthesis import Look, read_formulas, synthesise
from latexocr.data.synthesis import samples as drawn
from latexocr.data.write import convert, write_samples
from latexocr.latex.canonical import Level, canonical
from latexocr.latex.tokens import tokenize


def main(corpus: Path, spec: str, hands: Path | None) -> None:
    formulas = read_formulas(corpus)
    random.Random(0).shuffle(formulas)
    _degrading()
    for workers in (1, 2):
        _making("typeset", formulas[:4000], Look(), workers)
    _making("typeset and degraded", formulas[:4000], Look(degrade=True), 2)
    if hands:
        _making("written by hand", formulas[:2000], Look(hands=hands), 2)
    _inking()
    samples = load(spec)
    for name, tex in (("with TeX", True), ("without TeX", False)):
        _measured(f"audit, {name}", len(samples), lambda tex=tex: audit(samples, ask_tex=tex))
    with tempfile.TemporaryDirectory() as folder:
        _measured("convert to JSON lines", len(samples), lambda: convert(stream(spec), Path(folder) / "out", "jsonl"))
    _overlapping(formulas[:101_000])


def _measured(name: str, n: int, work: Callable[[], object]) -> None:
    worked, started = sum(os.times()[:4]), time.perf_counter()
    work()
    seconds, worked = time.perf_counter() - started, sum(os.times()[:4]) - worked
    print(f"{name}: {n / seconds:.0f} a second, {1000 * worked / n:.2f} ms of a processor each (n = {n})", flush=True)


def _degrading() -> None:
    picture = np.full((64, 300), 255, np.uint8)
    formula = r"\frac{a_{1}+b^{2}}{\sqrt{x-y}} = \sum_{i=0}^{n} \alpha_i \cdot x^{i}"
    ink = np.asarray(next(synthesise([formula], Look(fonts=("cm",)))).image)[:60, :296]
    picture[2 : 2 + ink.shape[0], 2 : 2 + ink.shape[1]] = ink
    rng = np.random.default_rng(0)
    untouched = np.prod([1 - degradation.share for degradation in DEGRADATIONS.values()])
    _measured(f"degrade ({untouched:.0%} stay as they are)", 5000, lambda: [degrade(picture, rng) for _ in range(5000)])


def _making(name: str, formulas: list[str], look: Look, workers: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        _measured(f"{name}, {workers} process(es)", len(formulas), lambda: write_samples(
            Path(folder) / "out", drawn(synthesise(formulas, look, workers=workers), [])))


def _inking() -> None:
    rng = np.random.default_rng(0)
    strokes = [rng.normal(0, 4, (40, 2)).cumsum(axis=0) + np.array([60 * number, 0]) for number in range(15)]
    for name, pen in (("plain pen", PLAIN), ("pressed pen", Pen(pressure=0.5))):
        _measured(f"ink of 15 strokes, {name}", 200, lambda pen=pen: [draw_ink(strokes, pen=pen) for _ in range(200)])


def _overlapping(formulas: list[str]) -> None:
    forms: list[str] = []
    _measured("canonical forms", len(formulas),
              lambda: forms.extend(canonical(formula, Level.VISUAL) for formula in formulas))
    tokens = [tokenize(form) for form in dict.fromkeys(forms)]
    _measured("near duplicates, of 1,000", len(tokens) - 1000, lambda: nearest(tokens[:1000], tokens[1000:]))


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(f"data_speed.py: expected FORMULAS SPEC [HANDS]\n{__doc__}")
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]) if len(sys.argv) == 4 else None)
