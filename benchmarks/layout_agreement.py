r"""How far the visual metric, which asks TeX, and the rules of equality, which know nothing of TeX, agree.

    python benchmarks/layout_agreement.py FORMULAS [--count 2000] [--show 3]

FORMULAS as in layout_speed.py. Each formula is compared with its spelling of the visual level, with itself in another
spelling (style, brackets, spaces, arrays for matrices), and with a token dropped, doubled or moved. Printed for each:
how many pairs both call the same or both different, and, with examples, where only one of them does.
"""

from __future__ import annotations

import argparse
import random
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from layout_speed import load


def _dropped(tokens: list[str], at: int, _: int) -> list[str]:
    return tokens[:at] + tokens[at + 1 :]


def _doubled(tokens: list[str], at: int, _: int) -> list[str]:
    return tokens[: at + 1] + tokens[at:]


def _moved(tokens: list[str], at: int, to: int) -> list[str]:
    rest = _dropped(tokens, at, to)
    return [*rest[:to], tokens[at], *rest[to:]]


def _array(formula: str) -> str:
    return re.sub(r"\\(begin|end)\{pmatrix\}", lambda found: r"\left(\begin{array}{cccccccccc}"
                  if found[1] == "begin" else r"\end{array}\right)", formula)


SPELLINGS: dict[str, Callable[[str], str]] = {
    r"\dfrac for \frac": lambda formula: formula.replace(r"\frac", r"\dfrac"),
    r"without \left, \right": lambda formula: re.sub(r"\\(left|right)(?![a-zA-Z.])", "", formula),
    r"\textstyle": lambda formula: r"\textstyle " + formula,
    "spaces": lambda formula: re.sub(r"(?<![\\a-zA-Z])([=<>])", r"\\;\1\\;", formula),
    "matrix as array": _array,
}
DAMAGE = {"dropped": _dropped, "doubled": _doubled, "moved": _moved}


def pairs_of(formula: str, chance: random.Random) -> list[tuple[str, str]]:
    """Kind of the pair, and the other formula: some of each kind, and no formula unchanged."""
    from latexocr.latex.canonical import Level, canonical
    from latexocr.latex.tokens import detokenize, tokenize

    found = [("visual level", canonical(formula, Level.VISUAL))]
    found += [(name, change(formula)) for name, change in SPELLINGS.items()]
    tokens = tokenize(formula)
    name = chance.choice(list(DAMAGE))
    at, to = chance.randrange(len(tokens)), chance.randrange(len(tokens))
    found.append((name, detokenize(DAMAGE[name](tokens, at, to))))
    return [(name, other) for name, other in found if other != formula]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("formulas", type=Path)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--show", type=int, default=3)
    options = parser.parse_args()
    from latexocr.latex.canonical import Level, equal
    from latexocr.scoring.layout import layouts

    chance = random.Random(0)
    rows = [(kind, other, formula) for formula in load(options.formulas, options.count) if formula.strip()
            for kind, other in pairs_of(formula, chance)]
    counts: Counter[tuple[str, str]] = Counter()
    examples: dict[str, list[str]] = {}
    for (kind, other, formula), drawn in zip(rows, layouts((row[1], row[2]) for row in rows), strict=True):
        rules = equal(other, formula, Level.VISUAL)
        refused = drawn.prediction_refused or drawn.reference_refused
        told = "refused" if refused else {(True, True): "both same", (False, False): "both differ", (True, False):
                                          "only rules same", (False, True): "only TeX same"}[rules, drawn.same]
        counts[kind, told] += 1
        if told.startswith("only"):
            examples.setdefault(f"{told} ({kind})", []).append(f"{other}\n      {formula}")
    columns = ("both same", "both differ", "only rules same", "only TeX same", "refused")
    print(f"{'':24}" + "".join(f"{column:>17}" for column in columns))
    for kind in ("visual level", *SPELLINGS, *DAMAGE):
        print(f"{kind:24}" + "".join(f"{counts[kind, column]:17}" for column in columns))
    for told, found in examples.items():
        print(told, *found[: options.show], sep="\n  ")


if __name__ == "__main__":
    main()
