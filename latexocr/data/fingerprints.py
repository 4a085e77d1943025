"""Pictures recognised again: one fingerprint a picture, and whether two may be copies of one picture.

Takes a sample's picture, gives what stays the same when it is saved in another format, with other margins, inverted or
at another size. Knows nothing of formulas.
"""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from latexocr.records import FORMATS

if TYPE_CHECKING:
    from PIL.Image import Image

ROWS, COLUMNS = 16, 64
"""Cells of a look; formulas are wide."""
ALIKE = 100
"""Most cells, of 1024, by which the looks of two copies differ. Measured: nine in ten copies at half to one and a half
times the size, or as JPEG of quality 40, differ by at most 80; of 5,391 pairs of one formula by two hands (CROHME's
training set), the nearest by 103. But typed formulas that differ in one digit may be as near as 9: a look is evidence
only beside the formula."""
SHAPE = 0.05
"""Most by which width over height of two copies differs, relatively."""
FAINTEST = 24
"""Least difference between ink and paper, in grey values; below it a picture counts as blank."""
LARGEST = 3000 * 3000
"""Pixels; larger pictures are shrunk first."""


@dataclass(frozen=True)
class Fingerprint:
    """One picture; where it has no fingerprint, `problem` says why and the rest is empty."""

    content: bytes = b""
    """Hash of the grey values of the ink's box: equal for copies without loss in any format, margin or inversion."""
    look: int = 0
    """Which of 1024 cells of the ink's box are darker than their mean, a bit each."""
    shape: float = 0.0
    """Width over height of the ink's box."""
    problem: str = ""


def fingerprint(image: Path | Image) -> Fingerprint:
    """The fingerprint of a picture; of one that cannot be opened or is blank, the reason."""
    from PIL import Image as Pillow

    try:
        with warnings.catch_warnings(action="ignore"):  # Pillow's remarks on odd files; none is of use here.
            if isinstance(image, Path):
                with Pillow.open(image, formats=FORMATS) as opened:
                    grey = _grey(opened)
            else:
                grey = _grey(image)
    except Exception as e:  # Pillow's decoders raise whatever a broken file leads them to.
        return Fingerprint(problem=f"cannot be opened ({getattr(e, 'strerror', '') or type(e).__name__})")
    box = _ink(grey) if grey.width and grey.height else None
    if box is None:
        return Fingerprint(problem="blank")
    content = hashlib.sha256(b"%d,%d;" % box.size + box.tobytes()).digest()[:16]
    cells = np.asarray(box.resize((COLUMNS, ROWS), Pillow.Resampling.BOX))
    look = int.from_bytes(np.packbits(cells < cells.mean()).tobytes(), "big")
    return Fingerprint(content, look, box.width / box.height)


def alike(one: Fingerprint, other: Fingerprint) -> bool:
    """Whether two pictures with the same formula may be copies of one, scaled, blurred or compressed."""
    if one.problem or other.problem:
        return False
    near = abs(one.shape / other.shape - 1) <= SHAPE and (one.look ^ other.look).bit_count() <= ALIKE
    return near or one.content == other.content


def _grey(image: Image) -> Image:
    """The picture in mode L, dark on light, the right way up, transparent parts as paper."""
    from PIL import Image as Pillow
    from PIL import ImageOps

    if image.width * image.height > LARGEST:
        image = image.reduce(2)
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith(("I", "F")):
        values = np.nan_to_num(np.asarray(image, dtype=np.float64), posinf=0, neginf=0).clip(0)
        image = Pillow.fromarray((255 * (values / max(values.max(), 1))).astype(np.uint8))
    elif image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        layers = image.convert("RGBA")
        on_white, on_black = (Pillow.alpha_composite(Pillow.new("RGBA", layers.size, paper), layers).convert("L")
                              for paper in ("white", "black"))
        dark, light = on_white.getextrema()
        image = on_white if light - dark >= FAINTEST else on_black
    image = image.convert("L")
    return ImageOps.invert(image) if _paper(image) < 128 else image


def _paper(image: Image) -> int:
    """The median grey value."""
    return int(np.searchsorted(np.cumsum(image.histogram()), image.width * image.height / 2))


def _ink(image: Image) -> Image | None:
    """The part of a picture that holds ink: darker than halfway from paper to the darkest; None where there is none."""
    paper, darkest = _paper(image), image.getextrema()[0]
    if paper - darkest < FAINTEST:
        return None
    return image.crop(image.point([255 * (2 * value < paper + darkest) for value in range(256)]).getbbox())
