"""The verbs of data: convert, audit, typeset."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, arg

from latexocr.cli.options import Folder, Verb, refuse_below
from latexocr.errors import UserError
from latexocr.wording import counted, visible

if TYPE_CHECKING:
    from latexocr.records import Sample

LISTED = 20
"""Most formulas or samples that are named on stderr; files hold them all."""
LONGEST_LINE = 300
"""Characters that are shown of one."""
ON_SHEET = 60
"""Most pictures of a contact sheet, evenly spaced."""


@dataclass(frozen=True)
class Convert:
    data: Annotated[Positional[str], arg(metavar="SPEC")]
    """Pictures with formulas: a folder, FILE.jsonl, hf:OWNER/NAME, im2latex:FOLDER, crohme:FOLDER ..."""
    out: Folder
    """Folder to write. With --split, its folders train and test."""
    form: Literal["jsonl", "datasets", "conversation"] = "jsonl"
    """samples.jsonl and images; a `datasets` data set; or that of conversations, as TRL and Unsloth train on."""
    split: float | None = None
    """Share for training, above 0 and below 1: write two sets. No group is on both sides."""
    by: Literal["formula", "subset", "folder"] = "formula"
    """What stays together in a split: a formula however spelled; a subset (a writer, a document); ids of a folder."""
    seed: int = 0
    """Seed of the split; the same seed divides the same way anywhere."""


@dataclass(frozen=True)
class AuditData:
    data: Annotated[Positional[str], arg(metavar="SPEC")]
    """Pictures with formulas, as for convert."""
    against: Annotated[str | None, arg(metavar="SPEC")] = None
    """A test set: which of its samples are in the data?"""
    out: Annotated[Path | None, arg(metavar="FOLDER")] = None
    """Folder for audit.html, with the pictures in question, and audit.json."""
    longest: Annotated[int, arg(metavar="TOKENS")] = 512
    """Tokens beyond which a reference is over-long."""
    ask_tex: bool = True
    """Ask TeX, where it is installed, whether it typesets each formula."""


@dataclass(frozen=True)
class Typeset:
    formulas: Annotated[Positional[Path], arg(metavar="FILE")]
    """Formulas, one a line; or JSON lines with 'latex' (.jsonl); either may be .gz."""
    out: Folder
    """Folder to write: samples.jsonl, images, sheet.png and, if any, refused.txt."""
    hand: Annotated[Path | None, arg(metavar="FILE")] = None
    """Write by hand: a file of strokes, as benchmarks/hands.py builds it."""
    degrade: bool = False
    """Blur, noise, shadow, JPEG, skew ...: most pictures in one or two ways."""
    fonts: tuple[str, ...] = ()
    """Names of font sets; by default all that this machine has and training uses."""
    limit: int | None = None
    """Take this many formulas, evenly spaced through the file."""
    seed: int = 0
    """Seed of fonts, sizes, resolutions, hands and degradations."""
    workers: int | None = None
    """Processes; by default one a core."""


def convert(options: Convert) -> int:
    from tqdm import tqdm

    from latexocr.data.sources import load, stream
    from latexocr.data.splits import split

    if options.split is None:
        if options.by != "formula" or options.seed:
            raise UserError("--by and --seed say how a set is divided. Give --split SHARE too, or leave them out.")
        return _written({options.out: tqdm(stream(options.data), unit=" samples", disable=None)}, options.form)
    parts = split(load(options.data), options.split, by=options.by, seed=options.seed)
    return _written({options.out / "train": parts.train, options.out / "test": parts.test}, options.form)


def _written(sets: dict[Path, Iterable[Sample]], form: str) -> int:
    """Write each set to its folder; the exit code."""
    from latexocr.data.write import convert as write
    from latexocr.reading.conversation import conversation

    left_out = []
    for folder, samples in sets.items():
        written = write(samples, folder, form, conversation)
        left_out += written.left_out
        print(f"{written.path}: {counted(written.count, 'sample')}")
    _list([f"left out {id_}: {reason}" for id_, reason in left_out])
    return 1 if left_out else 0


def audit(options: AuditData) -> int:
    from dataclasses import asdict

    from latexocr.bench.audit_page import audit_page, summary
    from latexocr.data.audit import audit as look
    from latexocr.data.sources import load
    from latexocr.provenance import write_text

    refuse_below(1, longest=options.longest)
    samples = load(options.data)
    against = load(options.against) if options.against else None
    found = look(samples, against, longest=options.longest, ask_tex=options.ask_tex)
    print(summary(found))
    if options.out:
        page = audit_page(found, samples, options.data, against or (), options.against or "")
        write_text(options.out / "audit.html", page)
        facts = json.dumps(asdict(found), indent=1, ensure_ascii=False, default=sorted)
        write_text(options.out / "audit.json", facts + "\n")
        print(f"latexocr: {options.out / 'audit.html'} and {options.out / 'audit.json'}", file=sys.stderr)
    return 0


def typeset(options: Typeset) -> int:
    import os

    from tqdm import tqdm

    from latexocr.data.synthesis import Look, read_formulas, samples, synthesise
    from latexocr.data.write import write_samples
    from latexocr.provenance import write_text

    refuse_below(0, seed=options.seed)
    refuse_below(1, limit=options.limit, workers=options.workers)
    formulas = _limited(read_formulas(options.formulas), options.limit)
    look = Look(options.hand, options.degrade, options.seed, options.fonts)
    refused: list[str] = []
    drawn = synthesise(formulas, look, workers=options.workers or os.cpu_count() or 1)
    bar = tqdm(drawn, total=len(formulas), unit=" formulas", disable=None)
    why = "no hand can write" if options.hand else "TeX does not typeset"
    try:
        index = write_samples(options.out, samples(iter(bar), refused))
    finally:
        _list([f"{why}: {latex}" for latex in refused])
    _sheet(index)
    if refused:
        write_text(options.out / "refused.txt", "".join(f"{latex}\n" for latex in refused))
    print(f"{index}: {len(formulas) - len(refused)} of {counted(len(formulas), 'formula')}")
    return 0


def _limited(formulas: list[str], limit: int | None) -> list[str]:
    step = max(1.0, len(formulas) / (limit or len(formulas)))
    return [formulas[int(k * step)] for k in range(int(len(formulas) / step + 1e-9))]


def _sheet(index: Path) -> None:
    """A contact sheet of some of the samples, beside their list."""
    from latexocr.data.sheet import contact_sheet
    from latexocr.data.sources import load

    made = load(str(index))
    step = max(1, len(made) // ON_SHEET)
    shown = [(sample.image, f"{sample.subset}: {sample.latex}") for sample in made[::step][:ON_SHEET]]
    contact_sheet(shown).save(index.with_name("sheet.png"))


def _list(lines: Sequence[str]) -> None:
    for line in map(visible, lines[:LISTED]):
        print(f"latexocr: {line if len(line) <= LONGEST_LINE else line[:LONGEST_LINE] + '...'}", file=sys.stderr)
    if len(lines) > LISTED:
        print(f"latexocr: and {len(lines) - LISTED} more", file=sys.stderr)


VERBS = {
    "data convert": Verb("Bring a data set into another form; divide it into training and test.",
                         "latexocr data convert crohme:train --out mine --split 0.9", lambda: Convert, convert),
    "data audit": Verb("Look for broken and doubled samples, and for test samples among them.",
                       "latexocr data audit my.jsonl --against crohme:test2014", lambda: AuditData, audit),
    "data typeset": Verb("Draw formulas: many fonts or synthetic hands, degraded if you like.",
                         "latexocr data typeset formulas.txt --out data/drawn --degrade", lambda: Typeset, typeset),
}
