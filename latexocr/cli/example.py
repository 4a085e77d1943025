"""The one picture that is always at hand: `doctor` reads it, and the request that `serve` shows has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

FORMULA = "1+2=3"
"""What the embedded model reads in it."""


def picture() -> Image:
    """The formula in black on white, 200 x 56 pixels, in the font that Pillow brings."""
    from PIL import Image, ImageDraw, ImageFont

    drawn = Image.new("L", (200, 56), "white")
    ImageDraw.Draw(drawn).text((24, 10), " ".join(FORMULA), fill="black", font=ImageFont.load_default(size=28))
    return drawn
