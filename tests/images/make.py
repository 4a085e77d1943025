"""Makes the edge cases of this folder again: `python tests/images/make.py`. The README beside says what each is for."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw

HERE = Path(__file__).parent


def plus(*, ink: int = 0, paper: int = 255) -> Image.Image:
    """A plus sign of 20 by 20 pixels in the upper left of a picture of 60 by 40."""
    image = Image.new("L", (60, 40), paper)
    pencil = ImageDraw.Draw(image)
    pencil.rectangle((6, 14, 25, 17), fill=ink)
    pencil.rectangle((14, 6, 17, 25), fill=ink)
    return image


def main() -> None:
    sign = plus()
    Image.new("L", (1, 1), 0).save(HERE / "one_pixel.png")
    Image.new("L", (60, 40), 255).save(HERE / "white.png")
    Image.new("L", (60, 40), 0).save(HERE / "black.png")
    sign.save(HERE / "grey.png")
    sign.convert("1").save(HERE / "one_bit.png")
    plus(ink=255, paper=0).save(HERE / "light_on_dark.png")
    Image.merge("CMYK", [Image.new("L", sign.size, 0)] * 3 + [plus(ink=255, paper=0)]).save(HERE / "cmyk.jpg")
    sign.convert("I").point(lambda value: value * 257).convert("I;16").save(HERE / "grey16.png")
    black = Image.new("RGBA", sign.size, (0, 0, 0, 0))
    black.putalpha(plus(ink=255, paper=0))
    black.save(HERE / "transparent.png")
    white = Image.new("RGBA", sign.size, (255, 255, 255, 0))
    white.putalpha(plus(ink=255, paper=0))
    white.save(HERE / "transparent_white_ink.png")
    palette = sign.point(lambda value: value > 0).convert("P")
    palette.putpalette([0, 0, 0, 0, 0, 0])  # ink and paper are both black: only transparency tells them apart
    palette.save(HERE / "palette_transparent.png", transparency=1)
    sign.save(HERE / "animated.gif", save_all=True, append_images=[Image.new("L", sign.size, 255)], duration=100)
    exif = Image.Exif()
    exif[0x0112] = 6  # "turn by 90 degrees clockwise to show"
    sign.rotate(90, expand=True).save(HERE / "exif_rotated.jpg", exif=exif, quality=90)
    (HERE / "truncated.png").write_bytes((HERE / "grey.png").read_bytes()[:70])
    (HERE / "text.png").write_text("This is no picture.\n")
    (HERE / "empty.png").write_bytes(b"")
    wide = Image.new("1", (6000, 12), 1)
    ImageDraw.Draw(wide).line((2, 6, 5997, 6), fill=0, width=2)
    wide.save(HERE / "wide.png", optimize=True)


if __name__ == "__main__":
    main()
