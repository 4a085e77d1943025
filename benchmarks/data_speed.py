"""How fast data is made and checked, on one core unless said otherwise.

    python benchmarks/data_speed.py FORMULAS.jsonl.gz PICTURES_SPEC [HANDS.npz]

Prints: degrading (milliseconds a picture of 64 x 300, as training does it), `data typeset` from formulas to the
files of a data set (pictures a second, starts included, and milliseconds of a processor for each, which other work on
the machine changes less), drawing ink, auditing and converting (samples a second), and the overlap of 1,000 test
formulas with 100,000 training formulas (seconds, without pictures). Takes about three minutes.
"""

from __future__ import annotations

import random
import resource
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
        seconds = _timed(lambda tex=tex: audit(samples, ask_tex=tex))
        print(f"audit, {name}: {len(samples) / seconds:.0f} samples a second (n = {len(samples)})")
    with tempfile.TemporaryDirectory() as folder:
        seconds = _timed(lambda: convert(stream(spec), Path(folder) / "out", "jsonl"))
        print(f"convert to JSON lines: {len(samples) / seconds:.0f} samples a second (n = {len(samples)})")
    _overlapping(formulas[:101_000])


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _degrading() -> None:
    picture = np.full((64, 300), 255, np.uint8)
    formula = r"\frac{a_{1}+b^{2}}{\sqrt{x-y}} = \sum_{i=0}^{n} \alpha_i \cdot x^{i}"
    ink = np.asarray(next(synthesise([formula], Look(fonts=("cm",)))).image)[:60, :296]
    picture[2 : 2 + ink.shape[0], 2 : 2 + ink.shape[1]] = ink
    rng, n = np.random.default_rng(0), 5000
    seconds = _timed(lambda: [degrade(picture, rng) for _ in range(n)])
    untouched = np.prod([1 - degradation.share for degradation in DEGRADATIONS.values()])
    print(f"degrade: {1000 * seconds / n:.3f} ms a picture of 64 x 300 (n = {n}, {untouched:.0%} stay as they are)")


def _making(name: str, formulas: list[str], look: Look, workers: int) -> None:
    refused: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        before = _processor()
        seconds = _timed(lambda: write_samples(Path(folder) / "out", drawn(synthesise(formulas, look, workers=workers),
                                                                          refused)))
        worked = _processor() - before
    print(f"{name}, {workers} process(es): {len(formulas) / seconds:.0f} pictures a second, "
          f"{1000 * worked / len(formulas):.1f} ms of a processor each (n = {len(formulas)}, {len(refused)} refused)")


def _processor() -> float:
    """Seconds of a processor that this process and its children have used."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _inking() -> None:
    rng = np.random.default_rng(0)
    strokes = [rng.normal(0, 4, (40, 2)).cumsum(axis=0) + np.array([60 * number, 0]) for number in range(15)]
    for name, pen in (("plain pen", PLAIN), ("pressed pen", Pen(pressure=0.5))):
        seconds = _timed(lambda pen=pen: [draw_ink(strokes, pen=pen) for _ in range(200)])
        print(f"ink, {name}: {200 / seconds:.0f} pictures of 15 strokes a second (n = 200)")


def _overlapping(formulas: list[str]) -> None:
    forms: list[str] = []
    spelling = _timed(lambda: forms.extend(canonical(formula, Level.VISUAL) for formula in formulas))
    tokens = [tokenize(form) for form in dict.fromkeys(forms)]
    looking = _timed(lambda: nearest(tokens[:1000], tokens[1000:]))
    print(f"overlap of 1000 with {len(formulas) - 1000} formulas: {spelling + looking:.1f} s "
          f"({spelling:.1f} s for canonical forms, {looking:.1f} s for near duplicates)")


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(f"data_speed.py: expected FORMULAS SPEC [HANDS]\n{__doc__}")
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]) if len(sys.argv) == 4 else None)
