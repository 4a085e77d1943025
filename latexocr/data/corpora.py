"""Data sets of pictures in the layouts of their authors: im2latex-100k, HME100K, UniMER, pix2tex, TexTeller.

Takes the folder of a data set, gives `Sample`s in a stable order, a picture that is missing among them. Opens none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from latexocr.data.folders import INDEXES, PICTURES, folder_samples, listed, visible
from latexocr.data.text import formula_text, read_text, text_lines
from latexocr.errors import UserError
from latexocr.records import Sample

FORMULAS = {"im2latex_formulas.lst": "formula_images", "im2latex_formulas.norm.lst": "formula_images_processed",
            "im2latex_formulas.norm.new.lst": "formula_images_processed"}
"""Lists of formulas of im2latex-100k, as published and as normalized by im2markup, and the folder of their pictures."""


def im2latex(folder: Path) -> Iterator[Sample]:
    """im2latex-100k as its authors published it, or as im2markup did: formulas by line, and a list for each split."""
    if any((folder / name).is_file() for name in INDEXES):
        return folder_samples(folder)
    listed = next((folder / name for name in FORMULAS if (folder / name).is_file()), None)
    if listed is None:
        raise UserError(f"{folder}: neither {' nor '.join((*FORMULAS, *INDEXES))} in it.")
    lists = {split: path for split in ("train", "validate", "test") for end in ("", "_filter")
             if (path := folder / f"im2latex_{split}{end}.lst").is_file()}
    if not lists:
        raise UserError(f"{folder}: no im2latex_train.lst, im2latex_validate.lst or im2latex_test.lst in it.")
    formulas = read_text(listed, "latin-1").removesuffix("\n").split("\n")
    images = folder / FORMULAS[listed.name]
    return (sample for split, path in lists.items() for sample in _im2latex_split(path, split, formulas, images))


def _im2latex_split(path: Path, split: str, formulas: list[str], images: Path) -> Iterator[Sample]:
    """Lines are `NUMBER NAME KIND` as published, and `NAME.png NUMBER` in im2markup's lists."""
    for number, line in text_lines(path, "latin-1"):
        fields = line.split()
        if fields[0].lower().endswith(PICTURES):
            fields = fields[1::-1]
        if len(fields) < 2 or not fields[0].isdecimal() or int(fields[0]) >= len(formulas):
            raise UserError(f"{path}:{number}: found '{line.strip()[:60]}', expected the number of a formula "
                            f"(below {len(formulas)}), the name of its picture and how it was drawn.")
        name = fields[1] if fields[1].lower().endswith(PICTURES) else f"{fields[1]}.png"
        yield Sample(Path(name).stem, images / name, formula_text(formulas[int(fields[0])]), split)


def hme100k(folder: Path) -> Iterator[Sample]:
    """HME100K: `train_labels.txt` and `test_labels.txt`, lines `NAME.jpg<tab>FORMULA`, beside `train_images/` ..."""
    lists = sorted([*folder.glob("*_labels.txt"), *folder.glob("*/*_labels.txt")])
    if not lists:
        raise UserError(f"{folder}: no train_labels.txt or test_labels.txt in it or in the folders directly in it.")
    return (sample for path in lists for sample in _hme100k_split(path, path.name.removesuffix("_labels.txt")))


def _hme100k_split(path: Path, split: str) -> Iterator[Sample]:
    places = [path.parent / name for name in (f"{split}_images", f"{split}/{split}_images", split, "images")]
    images = next((place for place in places if place.is_dir()), places[0])
    return (Sample(f"{split}/{name}", images / name, latex, split) for name, latex in captions(path))


def captions(path: Path) -> Iterator[tuple[str, str]]:
    """Name and formula of each line `NAME<tab>FORMULA` of a file."""
    for number, line in text_lines(path):
        name, tab, latex = line.partition("\t")
        if not tab:
            raise UserError(f"{path}:{number}: no tab in '{line.strip()[:60]}', expected NAME<tab>FORMULA.")
        yield name.strip(), formula_text(latex)


def unimer(folder: Path) -> Iterator[Sample]:
    """UniMER: `NAME.txt` with a formula a line, and `NAME/` (or `images/`) with a picture for each line, from 0."""
    lists = [path for path in sorted([*folder.glob("*.txt"), *folder.glob("*/*.txt")]) if _pictures_of(path)]
    if not lists:
        raise UserError(f"{folder}: no text file of formulas with a folder of pictures beside it. Expected spe.txt and "
                        "spe/, or train.txt and images/, in it or in the folders directly in it.")
    return (sample for path in lists for sample in _by_line(path, path.stem))


def _pictures_of(formulas: Path) -> Path | None:
    places = (formulas.with_suffix(""), formulas.parent / "images")
    return next((place for place in places if place.is_dir()), None)


def _by_line(formulas: Path, subset: str) -> Iterator[Sample]:
    images = _pictures_of(formulas)
    pictures = _numbered(images)
    lines = read_text(formulas).removesuffix("\n").split("\n")
    if max(pictures, default=0) >= len(lines):
        raise _no_line(max(pictures), pictures, formulas, lines)
    for number, latex in enumerate(lines):
        yield Sample(f"{subset}/{number:07d}", pictures.get(number, images / f"{number:07d}.png"), formula_text(latex),
                     subset)


def _numbered(folder: Path) -> dict[int, Path]:
    """The pictures of a folder whose names are numbers, by number."""
    found: dict[int, Path] = {}
    for path in visible(folder, folders=False):
        if path.stem.isdecimal() and path.suffix.lower() in PICTURES:
            other = found.setdefault(int(path.stem), path)
            if other is not path:
                raise UserError(f"{path}: has the number of {other.name}, and numbers say which picture is which. "
                                "Remove one.")
    return found


def _no_line(number: int, pictures: Mapping[int, Path], formulas: Path, lines: Sequence[str]) -> UserError:
    return UserError(f"{pictures[number]}: no line {number} in {formulas} (it has {len(lines)}, counted from 0).")


def pix2tex(folder: Path) -> Iterator[Sample]:
    """pix2tex: `math.txt` with a formula a line, and pictures named by line, from 0, here or in train/, val/, test/."""
    listed = next((folder / name for name in ("math.txt", "equations.txt") if (folder / name).is_file()), None)
    if listed is None:
        raise UserError(f"{folder}: no math.txt in it. pix2tex:FOLDER needs the folder of math.txt.")
    formulas = read_text(listed).removesuffix("\n").split("\n")
    return (sample for part in [folder, *visible(folder, folders=True)]
            for sample in _by_number(part, "" if part is folder else part.name, formulas, listed))


def _by_number(folder: Path, subset: str, formulas: list[str], listed: Path) -> Iterator[Sample]:
    pictures = _numbered(folder)
    for number, path in sorted(pictures.items()):
        if number >= len(formulas):
            raise _no_line(number, pictures, listed, formulas)
        yield Sample(f"{subset}/{path.stem}" if subset else path.stem, path, formula_text(formulas[number]), subset)


def texteller(folder: Path) -> Iterator[Sample]:
    """TexTeller: `formulas.jsonl` (`img_name`, `formula`) beside `images/`; since version 3 an imagefolder."""
    formulas = folder / "formulas.jsonl"
    return listed(formulas, pictures=folder / "images") if formulas.is_file() else folder_samples(folder)
