"""The single things that happen to a picture: what each does at a strength in 0 to 1, and how large things are.

Every function takes a grey picture, uint8, (height, width), dark on light, and gives a new one; chance comes from the
generator. Those of the first part keep the frame; those of the second change size or colour. Which are used when is
for `degrade` to say.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import lru_cache

import numpy as np


@dataclass(frozen=True)
class Frame:
    """How large things are in a picture."""

    unit: float = 1.0
    """Pixels here for one pixel of a prepared picture, whose symbols are UNIT_GLYPH high."""
    room: float = 3.0
    """Pixels by which ink may move before it falls off the edge."""


def thicken(pixels: np.ndarray, rng: np.random.Generator, strength: float, frame: Frame) -> np.ndarray:
    """Strokes up to a pixel wider on each side."""
    return _mix(pixels, _spread(pixels, np.minimum, frame.unit), 0.2 + 0.7 * strength)


def thin(pixels: np.ndarray, rng: np.random.Generator, strength: float, frame: Frame) -> np.ndarray:
    """Strokes a little narrower; never more than faint, so that nothing vanishes."""
    return _mix(pixels, _spread(pixels, np.maximum, frame.unit), 0.1 + 0.4 * strength)


def neighbours(pixels: np.ndarray, rng: np.random.Generator, strength: float, frame: Frame) -> np.ndarray:
    """The feet of a line above or the heads of a line below, cut by the edge; only where paper is free."""
    rows = min(round(frame.unit * (1 + 5 * strength)), pixels.shape[0] // 3)
    result, dark = pixels.copy(), pixels < 200
    steps = np.diff(dark.sum(axis=1, dtype=np.int32), prepend=0, append=0)
    places = [(slice(0, rows), int(steps.argmin())), (slice(-rows, None), int(steps.argmax()) + rows)]
    for edge, end in (places, places[:1], places[1:])[rng.integers(3)]:
        line = np.roll(pixels[max(0, end - rows) : end], int(rng.integers(pixels.shape[1])), axis=1)
        if rows and len(line) == rows:
            wide = slice(0, rows + 2) if edge.start == 0 else slice(-rows - 2, None)
            free = ~_near(dark[wide].any(axis=0), round(3 * frame.unit))
            result[edge] = np.where(free, np.minimum(line, result[edge]), result[edge])
    return result


def skew(pixels: np.ndarray, rng: np.random.Generator, strength: float, frame: Frame) -> np.ndarray:
    """Leaning by up to 10 %, rising or falling by up to 6 %, as far as there is room."""
    height, width = pixels.shape
    lean, slope = rng.choice((-1, 1), 2) * rng.uniform(0.4, 1, 2) * strength
    lean *= min(0.10, 2 * frame.room / height)
    slope *= min(0.06, frame.room / width)
    return _warped(pixels, (1, lean, -lean * height / 2, slope, 1, -slope * width / 2))


def perspective(pixels: np.ndarray, rng: np.random.Generator, strength: float, frame: Frame) -> np.ndarray:
    """Seen from the side: each corner drawn in by up to the room there is, so that no ink is lost."""
    height, width = pixels.shape
    there = np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=float)
    outward = np.sign(there - [width / 2, height / 2])
    seen = there + outward * rng.uniform(0, 1, (4, 2)) * min(frame.room, 0.1 * height) * (0.3 + 0.7 * strength)
    rows = [row for (x, y), (u, v) in zip(there, seen)
            for row in ([x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y])]
    try:
        return _warped(pixels, tuple(np.linalg.solve(np.array(rows), seen.ravel())))
    except np.linalg.LinAlgError:  # A picture of a pixel has no corners to move.
        return pixels


def resolution(pixels: np.ndarray, rng: np.random.Generator, strength: float, frame: Frame) -> np.ndarray:
    """Kept in so few pixels that symbols are 6 to 11 high, and enlarged again."""
    from PIL import Image

    ways = (Image.Resampling.BOX, Image.Resampling.BILINEAR, Image.Resampling.BICUBIC)
    height, width = pixels.shape
    factor = frame.unit * (1.15 + 0.85 * strength)
    size = (max(1, round(width / factor)), max(1, round(height / factor)))
    small = Image.fromarray(pixels).resize(size, ways[rng.integers(3)])
    return np.asarray(small.resize((width, height), ways[rng.integers(3)]))


def blur(pixels: np.ndarray, rng: np.random.Generator, strength: float, frame: Frame) -> np.ndarray:
    """Out of focus: points become squares whose standard deviation is 0.3 to 1 pixels."""
    from PIL import Image, ImageFilter

    spread = frame.unit * (0.3 + 0.7 * strength)
    radius = (np.sqrt(1 + 12 * spread**2) - 1) / 2  # A box of this radius has that standard deviation.
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.BoxBlur(float(radius))))


def contrast(pixels: np.ndarray, rng: np.random.Generator, strength: float, frame: Frame) -> np.ndarray:
    """Grey ink, grey paper, another gamma."""
    ink, paper = 0.5 * strength * rng.uniform(0.4, 1), 1 - 0.15 * strength * rng.uniform(0, 1)
    gamma = float(np.exp(rng.choice((-1, 1)) * rng.uniform(0.1, 0.5)))
    values = 255 * (ink + (paper - ink) * (np.arange(256) / 255.0) ** gamma)
    return values.astype(np.uint8).take(pixels)


def shadow(pixels: np.ndarray, rng: np.random.Generator, strength: float, frame: Frame) -> np.ndarray:
    """A part of the paper in shadow, its edge soft or hard; light falls to 0.9 to 0.45 of what it was."""
    height, width = pixels.shape
    angle, softness = rng.uniform(0, 2 * np.pi), rng.uniform(0.1, 1.5)
    x = (np.arange(width, dtype=np.float32) / width - rng.uniform(0.2, 0.8)) * np.cos(angle) / softness
    y = (np.arange(height, dtype=np.float32) / height - rng.uniform(0.2, 0.8)) * np.sin(angle) / softness
    dark = np.clip(y[:, None].astype(np.float32) + x.astype(np.float32) + 0.5, 0, 1)
    return (pixels * (1 - (0.1 + 0.45 * strength) * dark)).astype(np.uint8)


def specks(pixels: np.ndarray, rng: np.random.Generator, strength: float, frame: Frame) -> np.ndarray:
    """Dust, dark on the paper and light on the ink: up to four specks in a thousand pixels, a pixel or two large."""
    height, width = pixels.shape
    count = 1 + rng.poisson(0.004 * strength * pixels.size / frame.unit**2)
    result = pixels.copy()
    sides = np.maximum(1, np.rint(frame.unit * rng.uniform(0.7, 1.6, count))).astype(int)
    greys = np.where(rng.random(count) < 0.7, rng.integers(20, 150, count), 255)
    for y, x, side, grey in zip(rng.integers(height, size=count), rng.integers(width, size=count), sides, greys):
        result[y : y + side, x : x + side] = grey
    return result


def noise(pixels: np.ndarray, rng: np.random.Generator, strength: float, frame: Frame) -> np.ndarray:
    """Grain of 2 to 20 grey values; more in a large picture, so that as much is left at reading size."""
    field = _grain()
    if pixels.size < len(field) // 2:
        start = int(rng.integers(len(field) - pixels.size))
        grain = field[start : start + pixels.size].reshape(pixels.shape)
    else:
        grain = rng.standard_normal(pixels.shape, dtype=np.float32)
    grey = pixels + grain * np.float32((2 + 18 * strength) * min(3.0, max(1.0, frame.unit)))
    return np.clip(grey, 0, 255, out=grey).astype(np.uint8)


def jpeg(pixels: np.ndarray, rng: np.random.Generator, strength: float, frame: Frame) -> np.ndarray:
    """Saved as JPEG of quality 80 down to 15."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=round(80 - 65 * strength))
    return np.asarray(Image.open(file))


def margins(pixels: np.ndarray, rng: np.random.Generator, strength: float, frame: Frame) -> np.ndarray:
    """More paper around: on each side up to twice the picture's height."""
    wide = (2 * strength * pixels.shape[0] * rng.uniform(0.3, 1, 4)).astype(int)
    return np.pad(pixels, (tuple(wide[:2]), tuple(wide[2:])), constant_values=int(np.median(pixels)))


def smaller(pixels: np.ndarray, rng: np.random.Generator, strength: float, frame: Frame) -> np.ndarray:
    """Fewer pixels: half of each side at full strength."""
    return _resized(pixels, 1 / (1 + strength))


def larger(pixels: np.ndarray, rng: np.random.Generator, strength: float, frame: Frame) -> np.ndarray:
    """More pixels: three times each side at full strength."""
    return _resized(pixels, 1 + 2 * strength)


def colour(pixels: np.ndarray, rng: np.random.Generator, strength: float, frame: Frame) -> np.ndarray:
    """Ink and paper of some colour each, (height, width, 3): the ink the darker one, by half of all grey at least."""
    ink, paper = rng.uniform(0, 0.45, 3) * strength, 1 - rng.uniform(0, 0.3, 3) * strength
    share = pixels[..., None] / 255.0
    return (255 * (ink + (paper - ink) * share)).astype(np.uint8)


def invert(pixels: np.ndarray, rng: np.random.Generator, strength: float, frame: Frame) -> np.ndarray:
    """Light on dark: grey on dark grey when mild, white on black at full strength."""
    dim = 0.3 * (1 - strength)
    return (255 * (dim + (1 - 2 * dim) * (1 - pixels / 255.0))).astype(np.uint8)


@lru_cache(maxsize=1)
def _grain() -> np.ndarray:
    """Grain to cut pieces from: drawing it anew takes as long as all else together."""
    return np.random.default_rng(0).standard_normal(1 << 20, dtype=np.float32)


def _mix(pixels: np.ndarray, changed: np.ndarray, share: float) -> np.ndarray:
    return (pixels * np.float32(1 - share) + changed * np.float32(share)).astype(np.uint8)


def _spread(pixels: np.ndarray, choose: np.ufunc, unit: float) -> np.ndarray:
    """Every pixel the darkest (or lightest) of itself and its neighbours, as often as a unit has pixels."""
    for _ in range(max(1, round(unit))):
        result = pixels.copy()
        for one, other in ((np.s_[1:], np.s_[:-1]), (np.s_[:-1], np.s_[1:]),
                           (np.s_[:, 1:], np.s_[:, :-1]), (np.s_[:, :-1], np.s_[:, 1:])):
            result[one] = choose(result[one], pixels[other])
        pixels = result
    return pixels


def _near(marks: np.ndarray, reach: int) -> np.ndarray:
    """Where a mark is at most `reach` away."""
    return np.convolve(marks, np.ones(2 * reach + 1), mode="same")[: len(marks)] > 0


def _warped(pixels: np.ndarray, coefficients: tuple[float, ...]) -> np.ndarray:
    from PIL import Image

    height, width = pixels.shape
    way = Image.Transform.AFFINE if len(coefficients) == 6 else Image.Transform.PERSPECTIVE
    return np.asarray(Image.fromarray(pixels).transform((width, height), way, coefficients,
                                                        Image.Resampling.BILINEAR, fillcolor=int(pixels.max())))


def _resized(pixels: np.ndarray, factor: float) -> np.ndarray:
    from PIL import Image

    height, width = pixels.shape
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))
