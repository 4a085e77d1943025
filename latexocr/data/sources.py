"""Samples from one string, the data SPEC; the set's hash; and samples written so that they load again.

Takes a SPEC: a folder of pictures, one picture, a JSON-lines file, `im2latex:FOLDER` or `crohme:FOLDER`, each with
`:SUBSET` after it where only that part is wanted. Gives `Sample`s in a stable order with unique ids. A picture that is
missing or broken stays a sample: reading it fails later and counts as a wrong answer. Opens no picture but to hash it
or to draw ink. Knows nothing of models.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from latexocr.data.corpora import crohme, im2latex
from latexocr.data.folders import plain
from latexocr.errors import UserError
from latexocr.records import Sample

if TYPE_CHECKING:
    from PIL.Image import Image

SOURCES: dict[str, Callable[[Path], Iterator[Sample]]] = {"im2latex": im2latex, "crohme": crohme}
"""What stands before the colon of a SPEC, and who reads the folder after it."""


def load(spec: str) -> list[Sample]:
    """The samples of a SPEC. Raises UserError where there are none, or where two have the same id."""
    source, path, subset = _locate(str(spec))
    samples = list(source(path))
    if subset:
        names = sorted({sample.subset for sample in samples})
        samples = [sample for sample in samples if sample.subset == subset]
        if not samples:
            raise UserError(f"{path}: no subset '{subset}'. There are: {', '.join(filter(None, names)) or 'none'}.")
    if not samples:
        raise UserError(f"{path}: no samples in it. Check that it is the right file or folder.")
    _refuse_doubled_ids(samples, path)
    return samples


def content_hash(samples: Iterable[Sample]) -> str:
    """SHA-256, as hex, over ids, references and picture bytes; the order of the samples is of no matter.

    A picture in memory counts as the PNG that `write_samples` makes of it; one missing on disk counts as missing.
    """
    whole = hashlib.sha256()
    for sample in sorted(samples, key=lambda sample: sample.id):
        picture = _picture_bytes(sample.image)
        for part in (_encoded(sample.id), _encoded(sample.latex), picture):
            whole.update(b"none;" if part is None else b"%d:" % len(part) + part)
    return whole.hexdigest()


def write_samples(folder: Path, samples: Iterable[Sample]) -> Path:
    """Write `folder/samples.jsonl` and `folder/images/`, which `load(folder)` reads back equal; the path of the former.

    Files are copied as they are, pictures in memory become PNG. Raises UserError where samples are already there.
    """
    index = folder / "samples.jsonl"
    if index.exists():
        raise UserError(f"{index} is already there. Choose another folder, or remove it first.")
    (folder / "images").mkdir(parents=True, exist_ok=True)
    rows = []
    for number, sample in enumerate(samples):
        in_memory = not isinstance(sample.image, Path)
        name = f"images/{number:06d}{'.png' if in_memory else sample.image.suffix}"
        if in_memory:
            (folder / name).write_bytes(_png(sample.image))
        elif sample.image.is_file():
            shutil.copyfile(sample.image, folder / name)
        row = {"id": sample.id, "image": name, "latex": sample.latex, "subset": sample.subset}
        rows.append(json.dumps(row) + "\n")
    index.write_text("".join(rows), encoding="utf-8")
    return index


def _locate(spec: str) -> tuple[Callable[[Path], Iterator[Sample]], Path, str]:
    """Source, place and subset ("" for all) of a SPEC. A path that exists wins over every other meaning of a colon."""
    prefix, colon, rest = spec.partition(":")
    if colon and prefix in SOURCES and not Path(spec).exists():
        source, place = SOURCES[prefix], rest
    else:
        source, place = plain, spec
    subset = ""
    if not Path(place).exists() and Path(place.rpartition(":")[0] or "/nowhere").exists():
        place, _, subset = place.rpartition(":")
    path = Path(place)
    if not place or not path.exists():
        if source is plain and re.match(r"[A-Za-z]\w+:", spec):
            raise UserError(f"{spec}: '{prefix}' is no known prefix. Known: {', '.join(SOURCES)}; "
                            "or give a folder of pictures or a .jsonl file.")
        raise UserError(f"{place or repr(spec)}: not found. Give a folder of pictures, a picture, a .jsonl file, "
                        f"or {' or '.join(f'{name}:FOLDER' for name in SOURCES)}.")
    return source, path, subset


def _refuse_doubled_ids(samples: list[Sample], path: Path) -> None:
    first: dict[str, Sample] = {}
    for place, sample in enumerate(samples, start=1):
        other = first.setdefault(sample.id, sample)
        if other is not sample:
            raise UserError(f"{path}: two samples have the id '{sample.id}': {_shown(other)} and {_shown(sample)} "
                            f"(number {place}). Ids must be unique: give each its own 'id' or picture name.")


def _shown(sample: Sample) -> str:
    image = sample.image.name if isinstance(sample.image, Path) else "ink"
    return f"{image} ({(sample.latex or 'no reference')[:40]})"


def _encoded(text: str | None) -> bytes | None:
    return None if text is None else text.encode("utf-8", "surrogatepass")  # JSON may hold half a character


def _picture_bytes(image: Path | Image) -> bytes | None:
    if not isinstance(image, Path):
        return _png(image)
    try:
        return image.read_bytes()
    except OSError:
        return None


def _png(image: Image) -> bytes:
    """A picture as PNG; modes that PNG lacks (CMYK, YCbCr, ...) become RGB."""
    if image.mode not in ("1", "L", "LA", "I;16", "P", "RGB", "RGBA"):
        image = image.convert("I;16" if image.mode == "I" else "RGB")
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
