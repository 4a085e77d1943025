"""The levels of equality on real formulas: how many have a tree, whether every form is its own form, and the speed.

    python benchmarks/canonical.py formulas.jsonl.gz --record benchmarks/results/canonical.jsonl

Takes JSON lines with `latex`, gzipped or not. For each formula and each level: the form of the form must be the form,
and no level may raise; those that fail are printed. Each block of lines is a line of the record, written when it is
done: a run that was stopped goes on where it was. Last comes the sum over the record of the rules as they are now.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import json
import multiprocessing
import resource
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from latexocr.latex import Level, canonical, forms, tokenize
from latexocr.latex.tree import Unparsable, parse
from latexocr.scoring.metrics import rules_version

BLOCK = 20_000


@dataclass
class Block:
    """What was found of some lines."""

    rules: str
    first: int
    """Number of the first line, from 0."""
    lines: int = 0
    parsed: int = 0
    raised: int = 0
    unstable: int = 0
    """Formulas of which some form is not its own form."""
    seconds: float = 0.0
    """Of one core, all that is asked here."""
    seconds_of_forms: float = 0.0
    """Of these, for the five forms of each formula."""
    peak_mb: float = 0.0
    """Of the process, this block and those before it."""


def blocks(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The number of the first line, and the lines."""
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
        for first in itertools.count(0, BLOCK):
            if not (block := list(itertools.islice(lines, BLOCK))):
                return
            yield first, block


def examined(numbered: tuple[int, list[str]]) -> Block:
    """What is found of one block."""
    first, lines = numbered
    found, start = Block(rules_version(), first), time.process_time()
    for line in lines:
        latex = json.loads(line)["latex"]
        found.lines += 1
        try:
            found.parsed += not isinstance(parse(tokenize(latex)), Unparsable)
            before = time.process_time()
            chain = forms(latex)
            found.seconds_of_forms += time.process_time() - before
            if any(canonical(chain[level], level) != chain[level] for level in Level):
                found.unstable += 1
                print("not stable:", latex, flush=True)
        except Exception as problem:  # what is measured: nothing may raise
            found.raised += 1
            print(f"raised {problem!r}: {latex}", flush=True)
    found.seconds = round(time.process_time() - start, 2)
    found.seconds_of_forms = round(found.seconds_of_forms, 2)
    found.peak_mb = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)
    return found


def recorded(path: Path) -> dict[int, Block]:
    """The blocks of a record that were found by the rules as they are now."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    known = [Block(**json.loads(line)) for line in lines]
    return {block.first: block for block in known if block.rules == rules_version()}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("formulas", type=Path)
    options.add_argument("--record", type=Path, required=True)
    options.add_argument("--workers", type=int, default=2)
    chosen = options.parse_args()
    done = recorded(chosen.record)
    with multiprocessing.Pool(chosen.workers) as pool, chosen.record.open("a", encoding="utf-8") as record:
        todo = (block for block in blocks(chosen.formulas) if block[0] not in done)
        for found in pool.imap_unordered(examined, todo):
            done[found.first] = found
            record.write(json.dumps(asdict(found)) + "\n")
            record.flush()
    print(told(list(done.values())))


def told(found: list[Block]) -> str:
    """The sums of a record, and its peak of memory."""
    sums = {field.name: sum(getattr(block, field.name) for block in found) for field in fields(Block)[2:-1]}
    return (", ".join(f"{name} {amount:,.0f}" for name, amount in sums.items())
            + f", peak_mb {max(block.peak_mb for block in found):.0f}"
            + f", us a formula {1e6 * sums['seconds_of_forms'] / sums['lines']:.0f}")


if __name__ == "__main__":
    main()
