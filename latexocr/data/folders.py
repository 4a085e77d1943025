"""Folders of pictures and JSON lines: the layouts in which anybody keeps pictures with their formulas.

Takes paths, gives `Sample`s in a stable order. Opens no picture. Knows nothing of particular data sets.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from latexocr.errors import UserError
from latexocr.records import Sample, json_lines

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")
INDEXES = ("samples.jsonl", "labels.jsonl", "metadata.jsonl")
"""A folder that has one of these is read by it, the first found; `metadata.jsonl` is Hugging Face's imagefolder."""


def plain(path: Path) -> Iterator[Sample]:
    """Samples of a SPEC without prefix, by what its path is."""
    if path.is_dir():
        return folder_samples(path)
    if path.suffix.lower() == ".jsonl":
        return json_samples(path)
    if path.suffix.lower() in PICTURES:
        return iter([Sample(_printable(Path(path.name)), path, _reference_beside(path))])
    raise UserError(f"{path}: neither a folder, a .jsonl file nor a picture ({', '.join(PICTURES)}).")


def folder_samples(folder: Path) -> Iterator[Sample]:
    """The pictures of a folder and of the folders directly in it, which are its subsets; or what its index lists."""
    if any((folder / name).is_file() for name in INDEXES):
        yield from _indexed(folder, folder, "")
        return
    found = False
    for part in [folder, *visible(folder, folders=True)]:
        for sample in _indexed(part, folder, "" if part is folder else part.name):
            found = True
            yield sample
    if not found:
        raise UserError(f"{folder}: no pictures in it or in the folders directly in it. "
                        f"Pictures end in {', '.join(PICTURES)}.")


def _indexed(folder: Path, root: Path, subset: str) -> Iterator[Sample]:
    """Samples of one folder, by its index where it has one, and by looking otherwise; ids are relative to `root`."""
    for name in INDEXES:
        if (folder / name).is_file():
            yield from json_samples(folder / name, root=root, subset=subset)
            return
    for path in visible(folder, folders=False):
        if path.suffix.lower() in PICTURES:
            yield Sample(_printable(path.relative_to(root)), path, _reference_beside(path), subset)


def visible(folder: Path, *, folders: bool) -> list[Path]:
    """What lies directly in a folder, sorted, without hidden names: its folders, or all else, dangling links too."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith(".") and path.is_dir() == folders)
    except OSError as e:
        raise UserError(f"{folder}: cannot be listed ({e.strerror}).") from e


def _printable(path: Path) -> str:
    """A path as an id: bytes of its name that are no UTF-8 would break the files of predictions."""
    return path.as_posix().encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _reference_beside(picture: Path) -> str | None:
    for suffix in (".tex", ".txt"):
        reference = picture.with_suffix(suffix)
        if reference.is_file():
            return formula_text(read_text(reference, "utf-8-sig"))
    return None


def read_text(path: Path, encoding: str) -> str:
    """A text file with its line ends as they are: a lone carriage return inside a formula does not end its line."""
    try:
        return path.read_bytes().decode(encoding)
    except (OSError, UnicodeDecodeError) as e:
        raise UserError(f"{path}: cannot be read as {encoding} text ({e}).") from e


def json_samples(path: Path, *, root: Path | None = None, subset: str = "") -> Iterator[Sample]:
    """Samples of a JSON-lines file; pictures are relative to the file, ids made from them relative to `root`."""
    within = path.parent.relative_to(root) if root else Path()
    for number, row in json_lines(path):
        image = _field(row, ("image", "file_name"), f"{path}:{number}")
        if image is None:
            raise UserError(f"{path}:{number}: no 'image' or 'file_name' (found: {', '.join(row) or 'nothing'}). "
                            "Each line needs the path of its picture, relative to this file.")
        latex = _field(row, ("latex", "text"), f"{path}:{number}")
        name = row.get("id")
        part = _field(row, ("subset", "split"), f"{path}:{number}")
        yield Sample(str((within / image).as_posix() if name is None else name), path.parent / image, latex,
                     subset if part is None else part)


def _field(row: dict[str, Any], names: tuple[str, ...], where: str) -> str | None:
    for name in names:
        if row.get(name) is not None:
            if not isinstance(row[name], str):
                raise UserError(f"{where}: '{name}' is a {type(row[name]).__name__}, expected a string.")
            return row[name]
    return None


def formula_text(written: str) -> str:
    """A formula without the white space around it; a blank after a last backslash is the command `\\ ` and stays."""
    formula = written.strip()
    backslashes = len(formula) - len(formula.rstrip("\\"))
    return formula + " " if backslashes % 2 and written.rstrip() != written else formula
