"""Data sets in the layouts of their authors: im2latex-100k, and CROHME as bitmaps or as ink.

Takes the folder of a data set, gives `Sample`s in a stable order. Draws ink; opens no picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from latexocr.data.folders import INDEXES, PICTURES, folder_samples, formula_text, json_samples, read_text, visible
from latexocr.data.handwrite import draw_ink
from latexocr.data.inkml import read_inkml
from latexocr.errors import UserError
from latexocr.records import Sample


def im2latex(folder: Path) -> Iterator[Sample]:
    """im2latex-100k as its authors published it: formulas by line, and a list of pictures for each split."""
    if not folder.is_dir():
        raise UserError(f"{folder}: not a folder. im2latex:FOLDER needs the folder of im2latex_formulas.lst.")
    listed = folder / "im2latex_formulas.lst"
    if not listed.is_file():
        if any((folder / name).is_file() for name in INDEXES):
            return folder_samples(folder)
        raise UserError(f"{folder}: neither im2latex_formulas.lst nor {' nor '.join(INDEXES)} in it.")
    splits = [name for name in ("train", "validate", "test") if (folder / f"im2latex_{name}.lst").is_file()]
    if not splits:
        raise UserError(f"{folder}: no im2latex_train.lst, im2latex_validate.lst or im2latex_test.lst in it.")
    formulas = read_text(listed, "latin-1").removesuffix("\n").split("\n")
    return (sample for split in splits for sample in _im2latex_split(folder, split, formulas))


def _im2latex_split(folder: Path, split: str, formulas: list[str]) -> Iterator[Sample]:
    path = folder / f"im2latex_{split}.lst"
    for number, line in enumerate(read_text(path, "latin-1").split("\n"), start=1):
        fields = line.split()
        if not fields:
            continue
        if len(fields) < 2 or not fields[0].isdigit() or int(fields[0]) >= len(formulas):
            raise UserError(f"{path}:{number}: found '{line.strip()[:60]}', expected the number of a formula "
                            f"(below {len(formulas)}), the name of its picture and how it was drawn.")
        name = fields[1] if fields[1].lower().endswith(PICTURES) else f"{fields[1]}.png"
        yield Sample(Path(name).stem, folder / "formula_images" / name, formula_text(formulas[int(fields[0])]), split)


def crohme(folder: Path) -> Iterator[Sample]:
    """CROHME: bitmaps with a caption.txt (here, or one for each year), bitmaps with FOLDER.jsonl beside, or InkML."""
    if not folder.is_dir():
        raise UserError(f"{folder}: not a folder. crohme:FOLDER needs one with caption.txt or .inkml files.")
    captions = sorted(folder.glob("caption.txt")) or sorted(folder.glob("*/caption.txt"))
    if captions:
        return (sample for path in captions for sample in _captioned(path, folder))
    if inks := sorted(path for path in folder.rglob("*.inkml") if not path.name.startswith(".")):
        return (_ink(path, folder) for path in inks)
    beside = folder.resolve().with_name(folder.resolve().name + ".jsonl")
    if beside.is_file():
        return json_samples(beside)
    if any((folder / name).is_file() for name in INDEXES):
        return folder_samples(folder)
    raise UserError(f"{folder}: neither caption.txt, .inkml files nor {beside.name} beside it.")


def _captioned(path: Path, root: Path) -> Iterator[Sample]:
    """Samples of a caption.txt: a line holds the picture's name, a tab, and the tokens of the formula."""
    folder = path.parent
    subset = "" if folder == root else folder.name
    pictures = {file.stem: file for place in (folder, folder / "img") if place.is_dir()
                for file in visible(place, folders=False) if file.suffix.lower() in PICTURES}
    for number, line in enumerate(read_text(path, "utf-8-sig").splitlines(), start=1):
        if not line.strip():
            continue
        name, tab, latex = line.partition("\t")
        if not tab:
            raise UserError(f"{path}:{number}: no tab in '{line.strip()[:60]}', expected NAME<tab>FORMULA.")
        name = name.strip()
        stem = name.rpartition(".")[0] if name.lower().endswith(PICTURES) else name
        yield Sample(f"{subset}/{stem}" if subset else stem, pictures.get(stem, folder / "img" / f"{stem}.bmp"),
                     formula_text(latex), subset)


def _ink(path: Path, root: Path) -> Sample:
    """An InkML file as a drawn sample; one that cannot be read stays, its file standing for the picture."""
    within = path.relative_to(root)
    name, subset = within.with_suffix("").as_posix(), within.parent.as_posix().removeprefix(".")
    try:
        ink = read_inkml(path)
    except UserError:
        return Sample(name, path, None, subset)
    return Sample(name, draw_ink(ink.strokes), ink.latex, subset)
