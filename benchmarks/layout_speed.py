"""How many pairs of formulas the visual metric compares in a second of one core, and how many pictures TeX draws.

    python benchmarks/layout_speed.py FORMULAS [--pairs 2000] [--pictures 2000]

FORMULAS: gzipped JSON lines with `latex` (as the corpus of pretraining), or a text file of one formula a line. A
prediction is its reference with one token left out, doubled or swapped with the next, in another spacing, so that no
drawing is shared. Times are seconds of a processor, of this process and of TeX: other work does not slow them.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path


def load(path: Path, count: int) -> list[str]:
    """Formulas, drawn from the first 200,000 lines with a seed."""
    with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8") as lines:
        rows = [line.rstrip("\n") for line, _ in zip(lines, range(200_000), strict=False)]
    formulas = [json.loads(row)["latex"] if row.startswith("{\"") else row for row in rows]
    return random.Random(0).sample(formulas, min(count, len(formulas)))


def altered(formula: str, chance: random.Random) -> str:
    from latexocr.latex.tokens import detokenize, tokenize

    tokens = tokenize(formula)
    at = [number for number, token in enumerate(tokens) if token.isalnum()]
    if not at:
        return rf"{formula}\,x"
    place = chance.choice(at)
    tokens[place : place + 1] = chance.choice(([], [tokens[place]] * 2, ["z"])) or ["{}"]
    return detokenize([*tokens, r"\,"])


def measured(work: Callable[[], object]) -> tuple[object, float, float]:
    """What work gives, seconds of processors, seconds on the clock."""
    before, start = os.times(), time.perf_counter()
    result = work()
    after = os.times()
    return result, sum(after[:4]) - sum(before[:4]), time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("formulas", type=Path)
    parser.add_argument("--pairs", type=int, default=2000)
    parser.add_argument("--pictures", type=int, default=2000)
    options = parser.parse_args()
    from latexocr.data.typeset import draw
    from latexocr.scoring.layout import layouts
    from latexocr.tex import run

    formulas, chance = load(options.formulas, max(options.pairs, options.pictures)), random.Random(1)
    pairs = [(altered(formula, chance), formula) for formula in formulas[: options.pairs]]
    list(layouts(pairs[:20]))  # Metrics of fonts are looked for once.
    found, busy, clock = measured(lambda: list(layouts(pairs)))
    refused = sum(pair.prediction_refused or pair.reference_refused for pair in found)
    print(f"{run.version()}; Python {sys.version.split()[0]}")
    print(f"layout: {len(pairs)} pairs ({refused} refused, {sum(pair.same for pair in found)} the same) in "
          f"{busy:.1f} s of a core, {clock:.1f} s on the clock: {len(pairs) / busy:.0f} pairs a second a core")
    drawn, busy, clock = measured(lambda: [picture for start in range(0, options.pictures, 400)
                                           for picture in draw(formulas[start : start + 400])])
    print(f"draw: {len(drawn)} pictures at 150 dpi ({sum(picture is None for picture in drawn)} refused) in "
          f"{busy:.1f} s of a core, {clock:.1f} s on the clock: {len(drawn) / busy:.0f} pictures a second a core")


if __name__ == "__main__":
    main()
