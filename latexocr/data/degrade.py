"""What happens to a picture on its way to a reader: from the pen over paper, scanner or camera to the file.

One table, `DEGRADATIONS`, for training and for the robustness suite: `degrade` draws from it for a picture that is
already prepared and keeps its frame; `degrade_picture` does some of them to a picture as a user has it, and `as_sent`
those that chance brings. Takes and gives pixels; the same generator gives the same picture. Knows nothing of formulas
or models.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from latexocr.data import degradations as single
from latexocr.data.degradations import Frame

if TYPE_CHECKING:
    from PIL.Image import Image

UNIT_GLYPH = 13.0
"""Height of the symbols of a prepared picture, in pixels."""
STRENGTHS = {"mild": 0.25, "medium": 0.6, "strong": 1.0}
"""Strengths of the robustness suite: hardly seen, plainly seen, the most that a person still reads with ease."""

Apply = Callable[[np.ndarray, np.random.Generator, float, Frame], np.ndarray]


@dataclass(frozen=True)
class Degradation:
    """One thing that happens to a grey picture, dark on light: uint8, (height, width), at a strength in 0 to 1."""

    apply: Apply
    share: float = 0.0
    """How often it happens to a picture in training. 0: it changes size, frame or colour, which preparation undoes."""


def scan(pixels: np.ndarray, rng: np.random.Generator, strength: float, frame: Frame) -> np.ndarray:
    """Printed, laid on a scanner, saved."""
    pen = single.thicken if rng.random() < 0.6 else single.thin
    rest = (single.skew, single.blur, single.contrast, single.specks, single.jpeg)
    return _one_after_another((pen, *rest), pixels, rng, strength, frame)


def photo(pixels: np.ndarray, rng: np.random.Generator, strength: float, frame: Frame) -> np.ndarray:
    """Taken with a telephone, from the side, in a room."""
    seen = (single.perspective, single.resolution, single.blur, single.contrast, single.shadow, single.noise)
    return _one_after_another((*seen, single.jpeg), pixels, rng, strength, frame)


DEGRADATIONS: dict[str, Degradation] = {
    "thicken": Degradation(single.thicken, 0.15),
    "thin": Degradation(single.thin, 0.08),
    "neighbours": Degradation(single.neighbours, 0.05),
    "skew": Degradation(single.skew, 0.08),
    "perspective": Degradation(single.perspective, 0.04),
    "resolution": Degradation(single.resolution, 0.10),
    "blur": Degradation(single.blur, 0.10),
    "contrast": Degradation(single.contrast, 0.12),
    "shadow": Degradation(single.shadow, 0.05),
    "specks": Degradation(single.specks, 0.04),
    "noise": Degradation(single.noise, 0.10),
    "jpeg": Degradation(single.jpeg, 0.07),
    "scan": Degradation(scan, 0.08),
    "photo": Degradation(photo, 0.05),
    "margins": Degradation(single.margins),
    "smaller": Degradation(single.smaller),
    "larger": Degradation(single.larger),
    "colour": Degradation(single.colour),
    "invert": Degradation(single.invert),
}
"""By name, in this order, as from pen to file."""
SENT = {"smaller": 0.6, "scan": 0.45, "photo": 0.1, "thicken": 0.1, "thin": 0.05, "contrast": 0.1, "jpeg": 0.1,
        "margins": 0.1}
"""What happens before it is prepared to a picture that a user sends, and how often, in training."""


def degrade(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A prepared picture after what chance brings: uint8, same shape; about a third of them stay as they are.

    Strengths are mild more often than strong.
    """
    for degradation in DEGRADATIONS.values():
        if degradation.share and rng.random() < degradation.share:
            pixels = degradation.apply(pixels, rng, rng.random() ** 1.5, Frame())
    return pixels


def as_sent(image: Image, rng: np.random.Generator, *, smaller: bool) -> Image:
    """A drawing after what chance brings before it is prepared: `SENT`, in strengths mild more often than strong.

    `smaller` says whether it is large enough to lose pixels.
    """
    return degrade_picture(image, {name: rng.random() ** 1.5 for name, share in SENT.items()
                                   if rng.random() < share and (smaller or name != "smaller")}, rng)


def degrade_picture(image: Image, changes: Mapping[str, float], rng: np.random.Generator) -> Image:
    """A picture as a user has it, of any mode and size, after some degradations: mode L or RGB, perhaps another size.

    `changes` gives each one's strength by name; they happen in the order of the table. Strength is as the eye sees it:
    it grows with the height of the symbols. Light ink on dark paper stays so.
    """
    from PIL import Image as Pillow

    done = {name: degradation for name, degradation in DEGRADATIONS.items() if name in changes}
    mode = "L" if image.mode in ("1", "L") or "colour" in done else "RGB"
    paper = Pillow.new("RGBA", image.size, "white")
    pixels = np.asarray(Pillow.alpha_composite(paper, image.convert("RGBA")).convert(mode))
    dark = np.median(pixels) < 128
    layers = [255 - layer if dark else layer for layer in np.atleast_3d(pixels).transpose(2, 0, 1)]
    frame = Frame(max(0.5, _glyph_height(np.min(layers, axis=0)) / UNIT_GLYPH), round(0.06 * max(image.size)))
    if any(degradation.share for degradation in done.values()):
        layers = [np.pad(layer, int(frame.room), constant_values=int(np.median(layer))) for layer in layers]
    for name, degradation in done.items():
        seed = int(rng.integers(2**63))  # One for all layers, so that what moves, moves together.
        layers = [degradation.apply(layer, np.random.default_rng(seed), changes[name], frame) for layer in layers]
    result = np.stack(layers, axis=2) if len(layers) > 1 else layers[0]
    return Pillow.fromarray(255 - result if dark else result)


def _glyph_height(grey: np.ndarray) -> float:
    """Median height of what hangs together, in pixels; without the smallest, which are dots and dirt.

    Small is measured by the highest that is neither bracket nor bar: brackets may be twenty times as high as symbols.
    """
    from scipy import ndimage

    middle = (int(grey.min()) + int(np.median(grey))) / 2
    labels, _ = ndimage.label(grey <= middle, structure=np.ones((3, 3)))
    sides = np.array([(y.stop - y.start, x.stop - x.start) for y, x in ndimage.find_objects(labels)]).reshape(-1, 2)
    heights, compact = sides[:, 0], sides[sides.max(axis=1) <= 3 * sides.min(axis=1), 0]
    highest = (compact if len(compact) > 2 else heights).max(initial=1)
    solid = heights[(heights >= 4) & (heights >= 0.15 * highest)]
    return float(np.median(solid)) if len(solid) else UNIT_GLYPH


def _one_after_another(parts: tuple[Apply, ...], pixels: np.ndarray, rng: np.random.Generator, strength: float,
                       frame: Frame) -> np.ndarray:
    """Several degradations at once, each weaker, as together they do more."""
    for part in parts:
        pixels = part(pixels, rng, 0.6 * strength * rng.uniform(0.6, 1), frame)
    return pixels
