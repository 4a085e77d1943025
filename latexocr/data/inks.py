"""Data sets of handwriting: CROHME as bitmaps or as ink, MathWriting as ink.

Takes the folder of a data set, gives `Sample`s in a stable order. Ink is drawn once, into a file of the cache.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import PIL

from latexocr.data import handwrite
from latexocr.data.columns import GUESSED, Columns
from latexocr.data.corpora import captions
from latexocr.data.folders import INDEXES, PICTURES, folder_samples, listed, visible
from latexocr.data.inkml import LABELS, Ink, read_inkml, salvaged_label
from latexocr.data.pictures import kept, png
from latexocr.errors import UserError
from latexocr.records import Sample


def crohme(folder: Path, columns: Columns = GUESSED) -> Iterator[Sample]:
    """CROHME: bitmaps with a caption.txt (here, or one for each year), bitmaps with FOLDER.jsonl beside, or InkML."""
    files = sorted(folder.glob("caption.txt")) or sorted(folder.glob("*/caption.txt"))
    if not files and _inks(folder):
        return ink_samples(folder, columns)
    if columns.pens or (files and columns != GUESSED):
        raise UserError(f"{folder}: bitmaps, so there is no ink to draw, and a caption.txt has no columns to name. "
                        "Leave out what follows the '?', or give the folder of the .inkml files.")
    if files:
        return (sample for path in files for sample in _captioned(path, folder))
    beside = folder.resolve().with_name(folder.resolve().name + ".jsonl")
    if beside.is_file():
        return listed(beside, columns)
    if any((folder / name).is_file() for name in INDEXES):
        return folder_samples(folder, columns)
    raise UserError(f"{folder}: neither caption.txt, .inkml files nor {beside.name} beside it.")


def mathwriting(folder: Path, columns: Columns = GUESSED) -> Iterator[Sample]:
    """MathWriting: InkML in train/, valid/, test/, symbols/, synthetic/; the normalized label unless `?text=label`."""
    if not _inks(folder):
        raise UserError(f"{folder}: no .inkml files in it. Unpack mathwriting-2024.tgz, and give its folder.")
    return ink_samples(folder, columns)


def _inks(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() == ".inkml" and path.name[0] != ".")


def _captioned(path: Path, root: Path) -> Iterator[Sample]:
    """Samples of a caption.txt: a line holds the picture's name, a tab, and the tokens of the formula."""
    folder = path.parent
    subset = "" if folder == root else folder.name
    pictures = {file.stem: file for place in (folder, folder / "img") if place.is_dir()
                for file in visible(place, folders=False) if file.suffix.lower() in PICTURES}
    for name, latex in captions(path):
        stem = name.rpartition(".")[0] if name.lower().endswith(PICTURES) else name
        yield Sample(f"{subset}/{stem}" if subset else stem, pictures.get(stem, folder / "img" / f"{stem}.bmp"), latex,
                     subset)


def ink_samples(folder: Path, columns: Columns = GUESSED) -> Iterator[Sample]:
    """All InkML files of a folder and of the folders in it, drawn. The folder of a file is its subset.

    One that cannot be read stays, its file standing for the picture: reading it fails and counts as wrong.
    """
    if columns.subset not in ("", "writer"):
        raise UserError(f"{folder}: found ?subset={columns.subset}; ink has ?subset=writer, or else its folders.")
    labels = (columns.text,) if columns.text else LABELS
    for path in _inks(folder):
        within = path.relative_to(folder)
        name, subset = within.with_suffix("").as_posix(), within.parent.as_posix().removeprefix(".")
        try:
            ink = read_inkml(path, labels)
        except UserError:
            yield Sample(name, path, salvaged_label(path, labels), subset)
        else:
            yield Sample(name, _drawn(path, ink, _pen(columns.pens, name)), ink.latex,
                         ink.writer if columns.subset else subset)


def _drawn(path: Path, ink: Ink, pen: handwrite.Pen) -> Path:
    return kept(b"%s%a%s" % (path.read_bytes(), pen, _drawing()), lambda: png(handwrite.draw_ink(ink.strokes, pen=pen)))


def _pen(seed: str, name: str) -> handwrite.Pen:
    """The pen of one ink: the same for the same seed and name, whatever stands beside it."""
    if not seed:
        return handwrite.PLAIN
    return handwrite.any_pen(np.random.default_rng([int(seed), *name.encode("utf-8", "surrogateescape")]))


@functools.cache
def _drawing() -> bytes:
    """What decides, beside ink and pen, how a drawing looks: when it changes, ink in the cache is drawn anew."""
    return Path(handwrite.__file__).read_bytes() + PIL.__version__.encode()
