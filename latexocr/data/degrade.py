"""What happens to a picture on its way to a reader: thin or thick strokes, blur, faint ink, skew, noise, JPEG.

Takes and gives grey pictures. Knows nothing of formulas or models. One definition for training and robustness.
"""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np

Degradation = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def thicken(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Strokes up to a pixel wider."""
    return _mix(pixels, _shifted(pixels, np.minimum), rng.uniform(0.2, 0.9))


def thin(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Strokes a little narrower; never more than faint, so that nothing vanishes."""
    return _mix(pixels, _shifted(pixels, np.maximum), rng.uniform(0.1, 0.5))


def blur(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Out of focus by 0.3 to 1 pixel."""
    from PIL import Image, ImageFilter

    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.0))))


def fade(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Grey ink, grey paper, another gamma."""
    ink, paper, gamma = rng.uniform(0, 0.4), rng.uniform(0.85, 1.0), rng.uniform(0.6, 1.6)
    return (255 * (ink + (paper - ink) * (pixels / 255.0) ** gamma)).astype(np.uint8)


def skew(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Leaning by up to 8 %, rising or falling by up to 2 %, within the picture's own frame."""
    from PIL import Image

    height, width = pixels.shape
    lean, slope = rng.uniform(-0.08, 0.08), rng.uniform(-1, 1) * min(0.02, 3 / width)
    transform = (1, lean, -lean * height / 2, slope, 1, -slope * width / 2)
    return np.asarray(Image.fromarray(pixels).transform((width, height), Image.Transform.AFFINE, transform,
                                                        Image.Resampling.BILINEAR, fillcolor=255))


def noise(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Grain of 2 to 14 grey values."""
    grain = rng.standard_normal(pixels.shape, dtype=np.float32) * rng.uniform(2, 14)
    return np.clip(pixels + grain, 0, 255).astype(np.uint8)


def jpeg(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Saved as JPEG of quality 25 to 80."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=int(rng.integers(25, 80)))
    return np.asarray(Image.open(file))


DEGRADATIONS: dict[str, tuple[Degradation, float]] = {
    "thicken": (thicken, 0.2),
    "thin": (thin, 0.1),
    "skew": (skew, 0.15),
    "blur": (blur, 0.2),
    "fade": (fade, 0.2),
    "noise": (noise, 0.15),
    "jpeg": (jpeg, 0.1),
}
"""By name: what is done, and how often in training; in this order, as from pen to file."""


def degrade(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The picture after what chance brings: uint8, same shape; about a third of the pictures stay as they are."""
    for change, share in DEGRADATIONS.values():
        if rng.random() < share:
            pixels = change(pixels, rng)
    return pixels


def _mix(pixels: np.ndarray, changed: np.ndarray, share: float) -> np.ndarray:
    return (pixels * (1 - share) + changed * share).astype(np.uint8)


def _shifted(pixels: np.ndarray, choose: np.ufunc) -> np.ndarray:
    padded = np.pad(pixels, 1, constant_values=255)
    height, width = pixels.shape
    result = pixels
    for y, x in ((0, 1), (1, 0), (1, 2), (2, 1)):
        result = choose(result, padded[y : y + height, x : x + width])
    return result
