"""Makes the pictures of this folder again, each with its formula beside it: `python examples/make.py [FOLDER]`.

Needs TeX (`latex`, `dvipng`). Same versions of TeX and Pillow give the same bytes.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from hand import write
from PIL import Image, ImageFilter, ImageOps

from latexocr.data.handwrite import draw_ink
from latexocr.data.typeset import typeset


@dataclass(frozen=True)
class Printed:
    """A formula that TeX draws."""

    name: str
    latex: str
    font: str = "cm"
    dpi: int = 150


PRINTED = (
    Printed("line.png", r"\nabla \times \mathbf{B} = \mu_0 \mathbf{J} + \mu_0 \varepsilon_0 "
                        r"\frac{\partial \mathbf{E}}{\partial t}"),
    Printed("aligned.png", r"\begin{aligned} (a + b)^3 &= (a + b)(a^2 + 2ab + b^2) \\ "
                           r"&= a^3 + 3a^2b + 3ab^2 + b^3 \end{aligned}"),
    Printed("matrix.png", r"\begin{pmatrix} \cos\theta & -\sin\theta \\ \sin\theta & \cos\theta \end{pmatrix} "
                          r"\begin{pmatrix} x \\ y \end{pmatrix}"),
    Printed("cases.png", r"|x| = \begin{cases} x, & x \geq 0 \\ -x, & x < 0 \end{cases}", font="palatino"),
    Printed("fractions.png", r"\frac{\frac{a}{b} + \frac{c}{d}}{1 - \frac{ac}{bd}} = \frac{ad + bc}{bd - ac}"),
    Printed("sum_integral.png", r"\sum_{n=1}^{\infty} \frac{1}{n^2} = \int_0^1 \int_0^1 \frac{dx \, dy}{1 - xy} "
                                r"= \frac{\pi^2}{6}"),
    Printed("wide.png", r"\sin x = x - \frac{x^3}{3!} + \frac{x^5}{5!} - \frac{x^7}{7!} + \cdots + "
                        r"(-1)^n \frac{x^{2n+1}}{(2n+1)!} + R_n(x), \qquad |R_n(x)| \leq "
                        r"\frac{|x|^{2n+3}}{(2n+3)!}"),
    Printed("dark.png", r"f(x) = \frac{1}{\sigma \sqrt{2\pi}} e^{-\frac{(x - \mu)^2}{2\sigma^2}}", font="times"),
    Printed("coloured.png", r"\lim_{n \to \infty} \left( 1 + \frac{x}{n} \right)^n = e^x", dpi=200),
    Printed("low_resolution.jpg", r"\oint_C f(z) \, dz = 2 \pi i \sum_{k} a_k", dpi=75),
    Printed("photo.jpg", r"i \hbar \frac{\partial \psi}{\partial t} = -\frac{\hbar^2}{2m} \nabla^2 \psi + V \psi",
            dpi=200),
)

SQUARES = (("x", 0, 0, 1), ("2", 1.15, -.9, .55), ("+", 2.1, 0, 1), ("y", 3.5, 0, 1), ("2", 4.75, -.9, .55),
           ("=", 5.7, 0, 1), ("z", 7.1, 0, 1), ("2", 8.2, -.9, .55))
EULER = (("e", 0, 0, 1), ("i", .85, -.85, .55), ("pi", 1.3, -.85, .6), ("+", 2.4, 0, 1), ("1", 3.8, 0, 1),
         ("=", 4.7, 0, 1), ("0", 6.0, 0, 1))
INTEGRAL = (("int", 0, 0, 1.1), ("0", .45, .75, .5), ("1", 1.45, -2.15, .5), ("x", 1.6, 0, 1), ("2", 2.75, -.9, .55),
            ("d", 3.5, 0, 1), ("x", 4.6, 0, 1), ("=", 6.0, 0, 1), ("1", 7.75, -.95, .9), ("bar", 7.4, -.6, 1.1),
            ("3", 7.6, 1.2, .9))
ROOTS = (("x", 0, .1, 1), ("=", 1.25, 0, 1), ("-", 3.1, -.7, .8), ("b", 4.0, -.9, .9), ("+", 5.05, -.9, .9),
         ("root", 6.7, -.85, 1), ("b", 7.3, -.95, .9), ("2", 8.05, -1.75, .45), ("-", 8.9, -.95, .9),
         ("4", 9.95, -.95, .85), ("a", 10.85, -.95, .9), ("c", 11.8, -.95, .9), ("bar", 2.9, -.3, 9.9),
         ("2", 6.7, 1.75, .95), ("a", 7.7, 1.75, 1))
HANDWRITTEN = (
    ("hand_squares.png", r"x^2 + y^2 = z^2", SQUARES, 1),
    ("hand_euler.png", r"e^{i\pi} + 1 = 0", EULER, 2),
    ("hand_integral.png", r"\int_0^1 x^2 dx = \frac{1}{3}", INTEGRAL, 3),
    ("hand_roots.jpg", r"x = \frac{-b + \sqrt{b^2 - 4ac}}{2a}", ROOTS, 4),
)


def coloured(image: Image.Image, ink: str, paper: str) -> Image.Image:
    """The picture in two colours in place of black and white."""
    return ImageOps.colorize(image, ink, paper)


def photographed(image: Image.Image, *, seed: int, tilt: float = 0.035) -> Image.Image:
    """As a telephone sees a sheet: at an angle, unevenly lit, slightly blurred, with noise."""
    sheet = ImageOps.expand(image, 60, 255)
    w, h = sheet.size
    d = tilt * w
    corners = (d, 0.9 * d, 0.2 * d, h - 0.3 * d, w - 0.6 * d, h - 0.1 * d, w - 0.2 * d, -0.4 * d)
    seen = sheet.transform(sheet.size, Image.Transform.QUAD, corners, Image.Resampling.BICUBIC, fillcolor=255)
    grey = np.asarray(seen.filter(ImageFilter.GaussianBlur(0.8)), dtype=float)
    y, x = np.mgrid[0:h, 0:w]
    light = 0.62 + 0.3 * x / w - 0.12 * y / h
    noise = np.random.default_rng(seed).normal(0, 5, (h, w))
    return Image.fromarray(np.clip((35 + grey * 0.86) * light + noise, 0, 255).astype(np.uint8))


EFFECTS = {
    "dark.png": lambda image: coloured(image, "#e6e6e6", "#1e2127"),
    "coloured.png": lambda image: coloured(image, "#1a3c9c", "#fbf3dc"),
    "photo.jpg": lambda image: photographed(image, seed=7),
    "hand_roots.jpg": lambda image: coloured(image, "#20337a", "#f2efe6"),
}
"""What happens to a picture after it was drawn."""


def save(folder: Path, name: str, latex: str, image: Image.Image) -> None:
    """The picture, with a white margin as people cut them, and its formula beside it."""
    image = EFFECTS.get(name, lambda same: same)(ImageOps.expand(image, 8, 255))
    quality = {"quality": 40 if name == "low_resolution.jpg" else 80} if name.endswith(".jpg") else {"optimize": True}
    image.save(folder / name, **quality)
    (folder / name).with_suffix(".tex").write_text(latex + "\n", encoding="utf-8")


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for printed in PRINTED:
        [image] = typeset([printed.latex], font=printed.font, dpi=printed.dpi)
        save(folder, printed.name, printed.latex, image)
    for name, latex, placed, seed in HANDWRITTEN:
        save(folder, name, latex, draw_ink(write(placed, seed=seed)))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
