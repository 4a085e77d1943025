"""Samples from one string, the data SPEC; and the set's hash.

Takes a SPEC, gives `Sample`s in a stable order with unique ids. A picture that is missing or broken stays a sample:
reading it fails later and counts as a wrong answer. Knows nothing of models.

    SPEC                               what is there
    FOLDER                             NAME.png with NAME.tex or NAME.txt; or metadata.jsonl, .csv or .parquet; or
                                       samples.jsonl, labels.jsonl; or parquet files; or what `save_to_disk` wrote
    FILE                               a picture, .jsonl, .csv, .tsv, .parquet or .arrow
    hf:OWNER/NAME[:CONFIG][:SPLIT]     a hub data set, fetched where it is not on this machine
    hf:FOLDER[:CONFIG][:SPLIT]         a copy of a hub data set
    im2latex:FOLDER                    im2latex_formulas.lst, im2latex_train.lst ..., formula_images/
    crohme:FOLDER                      CROHME 2011 to 2023: .inkml files, or bitmaps with caption.txt
    mathwriting:FOLDER                 .inkml files in train/, valid/, test/ ...
    hme100k:FOLDER                     train_labels.txt and train_images/, test_labels.txt and test_images/
    unimer:FOLDER                      spe.txt and spe/, or train.txt and images/ ...
    pix2tex:FOLDER                     math.txt, and pictures named by line, in train/, val/ ...
    texteller:FOLDER                   formulas.jsonl and images/

`:SUBSET` after it takes only that part (a split, a year, a folder). `?image=COLUMN&text=COLUMN&subset=COLUMN` behind
all names the columns of a table or list that are not called by a usual name, and of InkML the annotations:
`?text=label`, `?subset=writer`. `?pens=SEED` draws ink with pens of other widths, slants and pressures.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from os.path import exists
from pathlib import Path

from latexocr.data.columns import GUESSED, Columns, parse_columns
from latexocr.data.corpora import hme100k, im2latex, pix2tex, texteller, unimer
from latexocr.data.folders import plain
from latexocr.data.hub import hub_samples
from latexocr.data.inks import crohme, mathwriting
from latexocr.data.pictures import picture_bytes
from latexocr.errors import UserError
from latexocr.records import Sample

LAYOUTS: dict[str, Callable[[Path], Iterator[Sample]]] = {
    "im2latex": im2latex, "hme100k": hme100k, "unimer": unimer, "pix2tex": pix2tex, "texteller": texteller}
"""What stands before the colon of a SPEC, and who reads the folder after it, where the layout leaves no choice."""
WITH_COLUMNS: dict[str, Callable[[Path, Columns], Iterator[Sample]]] = {
    "": plain, "crohme": crohme, "mathwriting": mathwriting}
"""The same, where columns can be named."""
INK = ("crohme", "mathwriting")
PREFIXES = ("hf", *LAYOUTS, *filter(None, WITH_COLUMNS))


def load(spec: str) -> list[Sample]:
    """The samples of a SPEC. Raises UserError where there are none, or where two have the same id."""
    samples = list(stream(spec))
    _refuse_doubled_ids(samples, spec)
    return samples


def stream(spec: str) -> Iterator[Sample]:
    """The samples of a SPEC one after the other, for sets that are large. Raises UserError where there are none.

    Ids are not compared: only `load` sees them all.
    """
    place = _locate(str(spec))
    subsets = set()
    empty = True
    for sample in place.samples():
        subsets.add(sample.subset)
        if place.subset in ("", sample.subset):
            empty = False
            yield sample
    if empty and subsets:
        raise UserError(f"{place.name}: no subset '{place.subset}'. "
                        f"There are: {', '.join(sorted(filter(None, subsets))) or 'none'}.")
    if empty:
        raise UserError(f"{place.name}: no samples in it. Check that it is the right file or folder.")


def content_hash(samples: Iterable[Sample]) -> str:
    """SHA-256, as hex, over ids, references and picture bytes; the order of the samples is of no matter.

    A picture in memory counts as the PNG that `write_samples` makes of it; one missing on disk counts as missing.
    """
    whole = hashlib.sha256()
    for sample in sorted(samples, key=lambda sample: sample.id):
        picture = picture_bytes(sample.image)
        for part in (_encoded(sample.id), _encoded(sample.latex), picture):
            whole.update(b"none;" if part is None else b"%d:" % len(part) + part)
    return whole.hexdigest()


@dataclass(frozen=True)
class _Place:
    """What a SPEC names."""

    name: str
    samples: Callable[[], Iterator[Sample]]
    subset: str = ""


def _locate(spec: str) -> _Place:
    """Who reads a SPEC, what, and of it which subset. A path that exists wins over every other meaning of `:` and `?`.
    """
    whole, columns = spec, GUESSED
    if not exists(spec) and "?" in spec:
        whole, _, query = spec.rpartition("?")
        columns = parse_columns(query, spec)
    prefix, colon, rest = whole.partition(":")
    if not colon or prefix not in PREFIXES or exists(whole):
        prefix, rest = "", whole
    if columns.pens and prefix not in INK:
        raise UserError(f"{spec}: only ink is drawn with pens: {' or '.join(f'{name}:FOLDER' for name in INK)}.")
    if prefix == "hf":
        return _Place(whole, partial(hub_samples, rest, columns))
    place, subset = rest, ""
    if not exists(place) and exists(place.rpartition(":")[0]):
        place, _, subset = place.rpartition(":")
    path = Path(place)
    if not exists(place):
        raise _missing(prefix, place, spec)
    if prefix and not path.is_dir():
        raise UserError(f"{path}: not a folder. {prefix}:FOLDER needs the folder of the data set.")
    if prefix in WITH_COLUMNS:
        return _Place(place, partial(WITH_COLUMNS[prefix], path, columns), subset)
    if columns != GUESSED:
        raise UserError(f"{spec}: {prefix} has no columns to name. Leave out what follows the '?'.")
    return _Place(place, partial(LAYOUTS[prefix], path), subset)


def _missing(prefix: str, place: str, spec: str) -> UserError:
    known = ", ".join(f"{name}:FOLDER" for name in PREFIXES if name != "hf")
    if not prefix and (unknown := re.match(r"([A-Za-z]\w+):", spec)):
        return UserError(f"{spec}: '{unknown[1]}' is no known prefix, and there is no such file. Known: "
                         f"{', '.join(PREFIXES)}; or give a folder of pictures or a .jsonl file.")
    return UserError(f"{place or repr(spec)}: not found. Give a folder of pictures, a picture, a .jsonl file, "
                     f"hf:OWNER/NAME, or one of {known}.")


def _refuse_doubled_ids(samples: list[Sample], spec: str) -> None:
    first: dict[str, Sample] = {}
    for place, sample in enumerate(samples, start=1):
        other = first.setdefault(sample.id, sample)
        if other is not sample:
            raise UserError(f"{spec}: two samples have the id '{sample.id}': {_shown(other)} and {_shown(sample)} "
                            f"(number {place}). Ids must be unique: give each its own 'id' or picture name.")


def _shown(sample: Sample) -> str:
    image = sample.image.name if isinstance(sample.image, Path) else "a picture"
    return f"{image} ({(sample.latex or 'no reference')[:40]})"


def _encoded(text: str | None) -> bytes | None:
    return None if text is None else text.encode("utf-8", "surrogatepass")  # JSON may hold half a character
