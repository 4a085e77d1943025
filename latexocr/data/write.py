"""Samples written so that they load again.

Takes samples and a folder. Knows nothing of where the samples came from.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path

from latexocr.data.pictures import png
from latexocr.errors import UserError
from latexocr.records import Sample


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
            (folder / name).write_bytes(png(sample.image))
        elif sample.image.is_file():
            shutil.copyfile(sample.image, folder / name)
        row = {"id": sample.id, "image": name, "latex": sample.latex, "subset": sample.subset}
        rows.append(json.dumps(row) + "\n")
    index.write_text("".join(rows), encoding="utf-8")
    return index
