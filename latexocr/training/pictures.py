"""Every picture of a training prepared once, before the first step: what cannot be read is known, and sizes are.

Takes samples, gives the prepared pictures as bytes, small enough to be kept in memory and shared by the processes of a
loader. Knows nothing of models.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

from latexocr.errors import UserError
from latexocr.reading.images import prepare
from latexocr.records import Sample
from latexocr.wording import counted

if TYPE_CHECKING:
    from PIL.Image import Image

FEW = 512
"""Pictures below which other processes are not worth their start."""
NAMED = 20
"""Unreadable pictures that a message names; the others it counts."""


@dataclass(frozen=True)
class Prepared:
    """A picture as every model sees it, losslessly packed: 1 to 3 kB."""

    png: bytes
    width: int
    height: int

    def image(self) -> Image:
        """The picture that `reading.images.prepare` gave, mode RGB."""
        from PIL import Image as Pillow

        return Pillow.open(io.BytesIO(self.png), formats=("PNG",)).convert("RGB")


def pack(image: Image) -> Prepared:
    """A prepared picture, packed."""
    file = io.BytesIO()
    image.convert("L").save(file, format="PNG", compress_level=1)  # A prepared picture is grey in RGB.
    return Prepared(file.getvalue(), image.width, image.height)


def prepare_all(samples: Sequence[Sample], *, processes: int) -> list[Prepared | UserError]:
    """Every sample's picture, or why it cannot be read, in order; with a bar on a terminal."""
    from tqdm import tqdm

    bar = {"desc": "pictures", "total": len(samples), "file": sys.stderr, "disable": None}
    if processes < 2 or len(samples) < FEW or sys.platform != "linux":
        return list(tqdm(map(_prepared, samples), **bar))
    # Forked, before torch has done any work in this process: no thread of it can hold a lock. Started anew, a process
    # would run the script of whoever calls `train` from Python once more.
    with ProcessPoolExecutor(processes, mp_context=get_context("fork")) as pool:
        return list(tqdm(pool.map(_prepared, samples, chunksize=64), **bar))


def refuse_unreadable(samples: Sequence[Sample], pictures: Sequence[Prepared | UserError]) -> None:
    """Raise a UserError naming the pictures that cannot be read."""
    broken = [(sample, picture) for sample, picture in zip(samples, pictures) if isinstance(picture, UserError)]
    if not broken:
        return
    named = "; ".join(f"{sample.id} ({_reason(sample, picture)})" for sample, picture in broken[:NAMED])
    more = f"; and {len(broken) - NAMED} more" if len(broken) > NAMED else ""
    raise UserError(f"{len(broken)} of {counted(len(samples), 'picture')} cannot be read: {named}{more}. "
                    "Mend or remove them, or leave them out (--skip-unreadable).")


def _reason(sample: Sample, error: UserError) -> str:
    return str(error).removeprefix(f"{sample.image}: ").rstrip(".")


def _prepared(sample: Sample) -> Prepared | UserError:
    if isinstance(sample.image, Path) and not sample.image.is_file():
        return UserError("there is no such file")
    try:
        return pack(prepare(sample.image))
    except UserError as e:
        return e
