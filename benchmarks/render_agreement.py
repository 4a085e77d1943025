"""Whether KaTeX is right where it draws a pair the same: real formulas, one rule applied or broken, drawn by TeX too.

    python benchmarks/render_agreement.py formulas.jsonl.gz --each 40

The pairs are those of canonical_tex.py. Printed for each rule: pairs, those that KaTeX refuses, those that it draws the
same, and of these those that TeX (`latexocr.scoring.layout`) draws otherwise and those not equal at the visual level.
"""

from __future__ import annotations

import argparse
from itertools import chain
from pathlib import Path

from canonical_rules import RULES, Rule
from canonical_tex import pairs, pool

from latexocr.latex import Level, equal
from latexocr.scoring import katex
from latexocr.scoring.layout import layouts, source

COLUMNS = ("pairs", "refused", "same", "not to TeX", "not at level")


def judge(rule: Rule, formulas: list[str], each: int) -> tuple[list[int], list[str]]:
    """The counts of a rule, and the pairs where KaTeX stands alone."""
    made = pairs(rule, formulas, each)
    sources = [(source(a), source(b)) for a, b in made]
    drawn = katex.drawings(chain.from_iterable(sources))
    shown = [(drawn[a], drawn[b]) for a, b in sources]
    same = [(pair, tex) for pair, (a, b), tex in zip(made, shown, layouts(made), strict=True)
            if a is not None and a == b]
    drawn_otherwise = [pair for pair, tex in same if not (tex.same or tex.prediction_refused or tex.reference_refused)]
    unequal = [pair for pair, _ in same if not equal(*pair, Level.VISUAL)]
    counts = [len(made), sum(None in pair for pair in shown), len(same), len(drawn_otherwise), len(unequal)]
    return counts, [f"    {a}\n    {b}" for a, b in dict.fromkeys([*drawn_otherwise, *unequal])]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("formulas", type=Path)
    options.add_argument("--each", type=int, default=40, help="pairs a rule")
    chosen = options.parse_args()
    formulas = pool(chosen.formulas)
    total = [0] * len(COLUMNS)
    print(f"KaTeX {katex.version()}\n{'rule':27s}" + "".join(f"{name:>13s}" for name in COLUMNS))
    for rule in RULES:
        counts, alone = judge(rule, formulas, chosen.each)
        total = [a + b for a, b in zip(total, counts, strict=True)]
        print("\n".join([f"{rule.name:27s}" + "".join(f"{count:13d}" for count in counts), *alone]), flush=True)
    print(f"{'all':27s}" + "".join(f"{count:13d}" for count in total))


if __name__ == "__main__":
    main()
