"""Folders of pictures and their lists (JSON lines, CSV): the layouts in which anybody keeps pictures with formulas.

Takes paths, gives `Sample`s in a stable order. Opens no picture. Knows nothing of particular data sets.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latexocr.data.columns import GUESSED, Columns, unknown
from latexocr.data.tables import TABLES, is_saved, table_samples, tables_within
from latexocr.data.text import formula_text, printable, read_text
from latexocr.errors import UserError
from latexocr.records import Sample, json_lines

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".heic", ".heif", ".avif",
            ".jxl")
"""How names of pictures end. The last four, of phones and cameras, no reader opens: they are samples that fail, which
nobody overlooks."""
LISTS = (".jsonl", ".csv", ".tsv")
INDEXES = ("samples.jsonl", "labels.jsonl", "metadata.jsonl", "metadata.csv", "metadata.parquet", "labels.csv")
"""A folder that has one of these is read by it, the first found; `metadata` is that of Hugging Face's imagefolder."""


def plain(path: Path, columns: Columns = GUESSED) -> Iterator[Sample]:
    """Samples of a SPEC without prefix, by what its path is."""
    if path.is_dir():
        return folder_samples(path, columns)
    if path.suffix.lower() in (*LISTS, *TABLES):
        return listed(path, columns)
    if path.suffix.lower() in PICTURES and path.is_file():
        return iter([Sample(printable(path.name), path, _reference_beside(path))])
    raise UserError(f"{path}: neither a folder, a list ({', '.join((*LISTS, *TABLES))}) "
                    f"nor a picture ({', '.join(PICTURES)}).")


def folder_samples(folder: Path, columns: Columns = GUESSED) -> Iterator[Sample]:
    """What the index of a folder lists; its parquet or arrow files; or its pictures and those of all folders in it.

    The folders directly in it are its subsets. Raises UserError where there are both pictures and tables.
    """
    if is_saved(folder):
        yield from table_samples(folder, columns)
        return
    if index := _index(folder):
        yield from listed(index, columns)
        return
    tables = [path for path in tables_within(folder) if not _index(path.parent)]
    found = False
    for inner in walk(folder):
        for sample in _samples(inner, folder, columns):
            if tables:
                raise UserError(f"{folder}: pictures in it ({sample.id}) and tables ({tables[0].relative_to(folder)}). "
                                "Which are meant? Give the folder of these alone, or one table; a copy of a hub "
                                "repository is hf:FOLDER.")
            found = True
            yield sample
    if tables:
        yield from table_samples(folder, columns)
    elif not found:
        raise UserError(f"{folder}: no pictures in it or in the folders in it, and no parquet or arrow files. "
                        f"Pictures end in {', '.join(PICTURES)}; ink (.inkml) is crohme:FOLDER or mathwriting:FOLDER. "
                        f"Pages of PDFs are read by latexocr transcribe '{folder}/*.pdf'.")


def _index(folder: Path) -> Path | None:
    return next((path for name in INDEXES if (path := folder / name).is_file()), None)


@dataclass(frozen=True)
class Inner:
    """A folder that was met on the way through another, or that one itself."""

    path: Path
    within: str
    """The way to it from the first: "", "a/", "a/b/"."""
    pictures: list[str]
    """Their names, sorted, dangling links too; none where there is an index."""
    index: Path | None


def walk(folder: Path, within: str = "", above: tuple[tuple[int, int], ...] = ()) -> Iterator[Inner]:
    """A folder and all in it, by name, but not what is in one with an index. Held are the names of one, and no more.

    Left out are hidden names, a link to a folder around it, and pipes: whoever opens one waits, perhaps forever.
    Raises UserError where one cannot be listed.
    """
    pictures, folders = [], []
    try:
        here = (status := folder.stat()).st_dev, status.st_ino
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                # (scandir raises at a link that leads to itself)
                if os.path.isdir(entry) if entry.is_symlink() else entry.is_dir():
                    folders.append(entry.name)
                elif entry.name.lower().endswith(PICTURES) and (entry.is_symlink() or entry.is_file()):
                    pictures.append(entry.name)
    except OSError as e:
        raise UserError(f"{folder}: cannot be listed ({e.strerror}).") from e
    if here in above:
        return
    if index := _index(folder):
        yield Inner(folder, within, [], index)
        return
    yield Inner(folder, within, sorted(pictures), None)
    for name in sorted(folders):
        yield from walk(folder / name, f"{within}{name}/", (*above, here))


def _samples(inner: Inner, root: Path, columns: Columns) -> Iterator[Sample]:
    """Samples of one folder, by its index where it has one, else its pictures; ids are relative to `root`."""
    subset = inner.within.partition("/")[0]
    if inner.index:
        yield from listed(inner.index, columns, root=root, subset=subset)
    if inner.pictures and columns != GUESSED:
        raise UserError(f"{inner.path}: pictures without a list ({', '.join(INDEXES)}), so there are no columns to "
                        "name. Leave out what follows the '?'.")
    for name in inner.pictures:
        picture = inner.path / name
        yield Sample(printable(inner.within + name), picture, _reference_beside(picture), subset)


def visible(folder: Path, *, folders: bool) -> list[Path]:
    """What lies directly in a folder, sorted, without hidden names: its folders, or all else, dangling links too.

    Pipes are left out: whoever opens one waits, perhaps forever.
    """
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith(".") and path.is_dir() == folders
                      and not path.is_fifo())
    except OSError as e:
        raise UserError(f"{folder}: cannot be listed ({e.strerror}).") from e


def _reference_beside(picture: Path) -> str | None:
    for suffix in (".tex", ".txt", ".TEX", ".TXT"):
        reference = picture.with_suffix(suffix)
        if reference.is_file():
            return formula_text(read_text(reference))
    return None


def listed(path: Path, columns: Columns = GUESSED, *, root: Path | None = None, subset: str = "",
           pictures: Path | None = None) -> Iterator[Sample]:
    """Samples of a list. Names of pictures are relative to `pictures`, by default where the list is.

    Ids are the list's own, or made from the names, relative to `root`.
    """
    if path.suffix.lower() in TABLES:
        yield from table_samples(path, columns, subset=subset)
        return
    pictures = path.parent if pictures is None else pictures
    within = path.parent.relative_to(root) if root else Path()
    for number, row in _rows(path):
        where = f"{path}:{number}"
        image = _field(row, columns.images, where)
        if image is None:
            raise unknown("image", columns.images[:2], row, where)
        if columns.text and columns.text not in row:
            raise unknown("text", columns.texts, row, where)
        if columns.subset and columns.subset not in row:
            raise unknown("subset", columns.subsets, row, where)
        part = next((row[name] for name in columns.subsets if row.get(name) is not None), subset)
        own = row.get("id")
        yield Sample((within / image).as_posix() if own is None else str(own), pictures / image,
                     _field(row, columns.texts, where), str(part))


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Number and fields of each row of a list; a row of a CSV file is numbered by the line in which it ends."""
    if path.suffix.lower() == ".jsonl":
        yield from json_lines(path, whole=True)
        return
    text = read_text(path)
    between = max(",;\t", key=text.partition("\n")[0].count)  # Excel writes what the country of its user has.
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=between, skipinitialspace=True, strict=True)
    try:
        reader.fieldnames = names = [name.strip() for name in reader.fieldnames or ()]
        if doubled := next((name for name in names if name and names.count(name) > 1), None):
            raise UserError(f"{path}: two columns are called '{doubled}'. Rename one.")
        for row in reader:
            if None in row or None in row.values():
                raise UserError(f"{path}:{reader.line_num}: {len(names)} columns are named in the "
                                f"first line, this row has more or fewer. Put quotes around what holds a {between!r}.")
            yield reader.line_num, row
    except csv.Error as e:
        raise UserError(f"{path}: not CSV after line {reader.line_num} ({e}).") from e


def _field(row: dict[str, Any], names: tuple[str, ...], where: str) -> str | None:
    for name in names:
        if row.get(name) is not None:
            if not isinstance(row[name], str):
                raise UserError(f"{where}: '{name}' is a {type(row[name]).__name__}, expected a string.")
            return row[name]
    return None
