"""The verbs that need no model: score, for predictions that are there already, and diff, for one pair of formulas."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from latexocr.cli.options import Verb, refuse_below
from latexocr.errors import UserError
from latexocr.wording import counted, visible

if TYPE_CHECKING:
    from latexocr.cli.drawn import Refused
    from latexocr.latex.aliases import Aliases
    from latexocr.latex.alignment import Edit
    from latexocr.records import Sample
    from latexocr.scoring.assess import Assessment
    from latexocr.scoring.failures import Ledger
    from latexocr.scoring.metrics import Comparison
    from latexocr.scoring.metrics import Score as Found

@dataclass(frozen=True)
class Score:
    predictions: Annotated[Positional[tuple[Path, ...]], arg(metavar="FILE ...")]
    """Predictions of any system: JSON lines, JSON or CSV with ids; or .txt, a formula a line in the order of the data.
    A second file is compared with the first."""
    data: str
    """The references: a data SPEC as for bench, or a .txt file with one formula a line."""
    metrics: tuple[str, ...] = ()
    """Only these, by name; also as others count: unimernet_bleu, mathwriting_cer, ... All of ours unless given."""
    alias: tuple[str, ...] = ()
    r"""Symbols that your references mix, to be taken as one: '\varepsilon=\epsilon'. Goes into every signature."""
    group_by_subset: bool = False
    """Draw the pairs of one subset (a writer, a document) together in resampling."""
    layout: bool = False
    """Also draw every formula with TeX, and compare where each sign stands. Hundreds of pairs a second."""
    render: bool = False
    """Also say how many pairs KaTeX draws the same or, if it does not, TeX."""
    cdm: str = ""
    """Also score by CDM: the command that starts its program, 'venv/bin/python UniMERNet/cdm/evaluation.py'."""
    seed: int = 0
    """Of resampling."""
    json: bool = False
    """Print everything as JSON, with the signature of each number."""


@dataclass(frozen=True)
class Diff:
    reference: Annotated[Positional[str], arg(metavar="A")]
    """A formula: the reference."""
    prediction: Annotated[Positional[str], arg(metavar="B")]
    """Another: what is compared with it. Before formulas that begin with a minus, write --."""


CONFUSIONS = 8
"""Most confusions shown of a column."""


def score(options: Score) -> int:
    from latexocr.cli.drawn import judges_of, with_drawings
    from latexocr.scoring.answers import read_answers
    from latexocr.scoring.assess import assess

    if len(options.predictions) not in (1, 2):
        raise UserError(f"{len(options.predictions)} predictions files given. Give one, or two to compare.")
    refuse_below(0, seed=options.seed)
    aliases, judges = _aliases(options.alias), judges_of(options)
    samples = _references(options.data)
    ids = [sample.id for sample in samples]
    names = ("base", "tuned") if len(options.predictions) == 2 else (options.predictions[0].name,)
    columns = {name: read_answers(path, ids) for name, path in zip(names, options.predictions, strict=True)}
    groups = [sample.subset for sample in samples] if options.group_by_subset else None
    references = {sample.id: sample.latex or "" for sample in samples}
    found = assess(references, columns, names=options.metrics or None, aliases=aliases, seed=options.seed,
                   groups=groups)
    found, refused = with_drawings(found, references, columns, judges, seed=options.seed, groups=groups)
    print(_as_json(found, ids, refused) if options.json else _shown(found, ids, options.predictions))
    return 0


def _aliases(pairs: Sequence[str]) -> Aliases:
    from latexocr.latex.aliases import declare

    if wrong := [pair for pair in pairs if "=" not in pair]:
        raise UserError(rf"--alias {wrong[0]!r}: expected NAME=SYMBOL, such as '\varepsilon=\epsilon'.")
    return declare(dict(pair.split("=", 1) for pair in pairs))


def _references(spec: str) -> list[Sample]:
    """Samples with references; of a text file, its lines, numbered from 1."""
    from latexocr.bench.judge import refuse_bare
    from latexocr.data.sources import load
    from latexocr.records import Sample
    from latexocr.scoring.answers import PLAIN, read_lines

    path = Path(spec)
    if path.suffix.lower() in PLAIN and path.is_file():
        samples = [Sample(str(number), path, line.strip()) for number, line in enumerate(read_lines(path), 1)]
    else:
        samples = load(spec)
    refuse_bare(samples)
    return samples


def _shown(found: Assessment, ids: Sequence[str], files: Sequence[Path]) -> str:
    """Scores as a table, the headline's signature, the ledger, broken references and, of two files, the verdict."""
    from latexocr.bench.report import verdict_line
    from latexocr.bench.terminal import grid
    from latexocr.scoring import __file__ as scoring
    from latexocr.scoring.variants import DRAWN

    first = next(iter(found.scores.values()))
    headline = next((one for one in first if one.metric == "exact_visual"), first[0])
    lines = [grid(found.scores, {"tuned": found.comparisons}), "",
             f"n = {len(ids)}; in brackets, 95 % intervals; ↑ higher is better, ↓ lower", headline.signature,
             *(one.signature for one in first if one.metric in DRAWN),
             f"what each number means: {Path(scoring).with_name('README.md')}"]
    for name, ledger in found.ledgers.items():
        lines += [*_curve(name, found.scores[name]), f"{name}: {_told(ledger)}"]
        if confused := found.confusions[name].most_common(CONFUSIONS):
            told = (f"{visible(a) or 'nothing'} read as {visible(b) or 'nothing'} ({times})"
                    for (a, b), times in confused)
            lines += [f"{name}, most often confused: {', '.join(told)}"]
    lines += _defects(next(iter(found.ledgers.values())), ids)
    if found.comparisons:
        lines += [f"base: {files[0]}; tuned: {files[1]}", verdict_line(found.scores, "tuned", found.comparisons)]
    return "\n".join(lines).rstrip()


def _curve(name: str, scores: Sequence[Found]) -> list[str]:
    """Exact match at all five levels in one row: up to visual, what rises is dialect; what is missing then, reading."""
    shares = [one for one in scores if one.metric.startswith("exact_")]
    steps = ", ".join(f"{one.metric.removeprefix('exact_')} {one.value * 100:.1f}" for one in shares)
    return [f"{name}: exact match, %: {steps}"] if len(shares) > 1 else []


def _told(ledger: Ledger) -> str:
    from latexocr.scoring.failures import CLASSES

    return ", ".join(f"{ledger.counts[kind]} {kind}" for kind in CLASSES if ledger.counts[kind])


def _defects(ledger: Ledger, ids: Sequence[str]) -> list[str]:
    """Broken references, and the second line: what the first column has of the sound ones."""
    if not ledger.defects:
        return []
    listed = "; ".join(f"{ids[defect.place]!r}: {defect.reason}" for defect in ledger.defects[:5])
    more = f"; and {len(ledger.defects) - 5} more" if len(ledger.defects) > 5 else ""
    right, n = ledger.sound
    without = f"; without them, exact match (visual) is {right} of {n}" if n else ""
    return [f"broken references, kept in every score: {len(ledger.defects)} ({listed}{more}){without}"]


def _as_json(found: Assessment, ids: Sequence[str], refused: Refused) -> str:
    """Everything found; a number that is none is null."""
    ledgers = {name: {"n": ledger.n, "counts": dict(ledger.counts),
                      "broken_references": [{"id": ids[defect.place], "reason": defect.reason, "right": defect.right}
                                            for defect in ledger.defects]} for name, ledger in found.ledgers.items()}
    confused = {name: [[expected, read, times] for (expected, read), times in table.most_common()]
                for name, table in found.confusions.items()}
    scores = {name: [_finite(one) for one in column] for name, column in found.scores.items()}
    return json.dumps({"scores": scores, "comparisons": [_finite(one) for one in found.comparisons],
                       "ledgers": ledgers, "confusions": confused, "refused": refused}, indent=1)


def _finite(record: Found | Comparison) -> dict[str, object]:
    return {key: None if isinstance(value, float) and not isfinite(value) else value
            for key, value in asdict(record).items()}


def diff(options: Diff) -> int:
    from latexocr.latex.alignment import difference
    from latexocr.latex.canonical import MEANING

    found = difference(options.reference, options.prediction)
    level = "equal at no level" if found.level is None else f"equal at level {found.level.value}, " \
        f"{found.level.name.lower()}"
    print(f"{level}: {MEANING[found.level]}")
    if found.shown is not None:
        edits = sum(edit.cost for edit in found.edits) or "no"
        print(f"{counted(edits, 'token edit')} between their forms at level {found.shown.value}, "
              f"{found.shown.name.lower()}:")
    print(aligned(found.edits, width=shutil.get_terminal_size().columns, colour=sys.stdout.isatty()))
    for name, reason in zip(("A", "B"), found.reasons, strict=True):
        if reason:
            print(f"{name} cannot be parsed: {reason}")
    return 0


COLOURS = {"delete": "31", "insert": "32", "replace": "33"}
MARKS = {"equal": " ", "delete": "-", "insert": "+", "replace": "~"}


def aligned(edits: Sequence[Edit], *, width: int, colour: bool) -> str:
    """Two rows of tokens, one under the other, with a row of marks below: - only in A, + only in B, ~ another token.

    Broken into as many lines as fit the width.
    """
    blocks: list[list[tuple[str, str, str]]] = [[]]
    room = used = max(20, width) - 2
    for edit in edits:
        for a, b in _pairs(edit):
            size = max(len(a), len(b)) + 1
            if size > room and blocks[-1]:
                blocks.append([])
                room = used
            room -= size
            blocks[-1].append((edit.kind, a, b))
    return "\n\n".join(_block(block, colour) for block in blocks if block)


def _pairs(edit: Edit) -> list[tuple[str, str]]:
    n = max(len(edit.reference), len(edit.prediction))
    sides = [[*map(visible, side), *[""] * (n - len(side))] for side in (edit.reference, edit.prediction)]
    return list(zip(*sides, strict=True))


def _block(cells: Sequence[tuple[str, str, str]], colour: bool) -> str:
    rows = {"A": "", "B": "", " ": ""}
    for kind, a, b in cells:
        width = max(len(a), len(b))
        for row, text in (("A", a), ("B", b), (" ", MARKS[kind] * width)):
            shown = text.ljust(width)
            rows[row] += " " + (f"\x1b[{COLOURS[kind]}m{shown}\x1b[0m" if colour and kind in COLOURS else shown)
    return "\n".join((name + text).rstrip() for name, text in rows.items() if (name + text).strip())


VERBS = {
    "score": Verb("Score a predictions file, or compare two; no model is needed.",
                  "latexocr score predictions.jsonl --data crohme:test2014", lambda: Score, score),
    "diff": Verb("Say how far two formulas are equal, and what differs.",
                 r"latexocr diff \frac12 \frac{1}{3}", lambda: Diff, diff),
}
