"""The levels of equality on real formulas: how many have a tree, whether every form is its own form, and the speed.

    python benchmarks/canonical.py formulas.jsonl.gz --every 1

Takes JSON lines with `latex`, gzipped or not. For each formula and each level: the form of the form must be the form,
and no level may raise. Prints lines, parsed, raised, not stable, seconds, and microseconds a formula for the forms.
"""

from __future__ import annotations

import argparse
import gzip
import json
import time
from collections.abc import Iterator
from pathlib import Path

from latexocr.latex import Level, canonical, forms, tokenize
from latexocr.latex.tree import Unparsable, parse


def formulas(path: Path, every: int) -> Iterator[str]:
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
        for number, line in enumerate(lines):
            if number % every == 0:
                yield json.loads(line)["latex"]


def stable(latex: str) -> tuple[bool, float]:
    """Whether every form of a formula is its own form, and the seconds of the processor that its forms took."""
    start = time.process_time()
    found = forms(latex)
    seconds = time.process_time() - start
    return all(canonical(found[level], level) == found[level] for level in Level), seconds


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("formulas", type=Path)
    options.add_argument("--every", type=int, default=1, help="one formula of so many")
    options.add_argument("--show", type=int, default=5, help="failures to print")
    chosen = options.parse_args()
    lines = parsed = raised = unstable = 0
    seconds, start = 0.0, time.perf_counter()
    for latex in formulas(chosen.formulas, chosen.every):
        lines += 1
        try:
            parsed += not isinstance(parse(tokenize(latex)), Unparsable)
            is_stable, took = stable(latex)
        except Exception as problem:  # what is measured: nothing may raise
            raised += 1
            is_stable, took = True, 0.0
            print(f"raised {problem!r}: {latex}")
        seconds += took
        if not is_stable:
            unstable += 1
            if unstable <= chosen.show:
                print("not stable:", latex)
    print(f"lines {lines}  parsed {parsed}  raised {raised}  not stable {unstable}  "
          f"seconds {time.perf_counter() - start:.0f}  us a formula {1e6 * seconds / max(lines, 1):.0f}")


if __name__ == "__main__":
    main()
