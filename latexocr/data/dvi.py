"""Where TeX put which glyph: the pages of a DVI file as glyphs and rules with their boxes.

Takes the path of a DVI file that `preview` with `tightpage` wrote, gives boxes in TeX points. Knows nothing of
pictures or formulas. Source: D. E. Knuth, "The format of DVI files", in DVItype; "TFM files", in TFtoPL.
"""

from __future__ import annotations

import functools
import shutil
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

SCALED_POINT = 1 / 65536
"""TeX points in one unit of the file: TeX writes DVI in scaled points."""
RULE = ("rule", 0)


@dataclass(frozen=True)
class Glyph:
    """One character or rule; coordinates in points from the top left corner of the picture, y downwards."""

    font: str
    """Name of its TeX font without the design size (`cmmi` for `cmmi10`); "rule" for a rule."""
    code: int
    """Position in the font."""
    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True)
class _Font:
    name: str
    widths: dict[int, tuple[int, int, int]]
    """Width, height and depth of every character, in scaled points."""


def pages(path: Path) -> list[list[Glyph]]:
    """The glyphs and rules of every page, in the order of the file.

    Raises ValueError on a file that is not DVI, or on a font without metrics.
    """
    data = path.read_bytes()
    if data[:2] != b"\xf7\x02":
        raise ValueError(f"{path}: not a DVI file")
    reader = _Pages(data)
    reader.run()
    return reader.pages


class _Pages:
    """The machine of DVItype: a position, a stack of positions, a font, and what was set so far."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0
        self.fonts: dict[int, _Font] = {}
        self.pages: list[list[Glyph]] = []

    def number(self, size: int, *, signed: bool = True) -> int:
        value = int.from_bytes(self.data[self.at : self.at + size], "big", signed=signed)
        self.at += size
        return value

    def run(self) -> None:
        while self.at < len(self.data):
            op = self.number(1, signed=False)
            if op == 139:
                self.at += 44
                self.page()
            elif 243 <= op <= 246:
                self.define_font(op - 242)
            elif op == 247:
                self.at += 13
                comment = self.number(1, signed=False)
                self.at += comment
            elif op != 138:
                return  # the postamble: no page follows

    def define_font(self, size: int) -> None:
        number = self.number(size)
        _, scale, _, area, length = struct.unpack(">IIIBB", self.data[self.at : self.at + 14])
        name = self.data[self.at + 14 + area : self.at + 14 + area + length].decode("ascii")
        self.at += 14 + area + length
        self.fonts[number] = _Font(name.rstrip("0123456789"), _metrics(name, scale))

    def page(self) -> None:
        h = v = w = x = y = z = 0
        stack: list[tuple[int, ...]] = []
        font = None
        boxes: list[tuple[str, int, int, int, int, int]] = []
        origin = (0, 0)
        while (op := self.number(1, signed=False)) != 140:
            if op < 132 or 133 <= op <= 136:
                code = op if op < 128 else self.number(op - 127 if op < 132 else op - 132, signed=False)
                width, height, depth = font.widths[code]
                boxes.append((font.name, code, h, v - height, h + width, v + depth))
                h += width if op < 132 else 0
            elif op in (132, 137):
                height, width = self.number(4), self.number(4)
                if height > 0 and width > 0:
                    boxes.append((*RULE, h, v - height, h + width, v))
                h += width if op == 132 else 0
            elif op == 141:
                stack.append((h, v, w, x, y, z))
            elif op == 142:
                h, v, w, x, y, z = stack.pop()
            elif op <= 146:
                h += self.number(op - 142)
            elif op <= 151:
                w = self.number(op - 147) if op > 147 else w
                h += w
            elif op <= 156:
                x = self.number(op - 152) if op > 152 else x
                h += x
            elif op <= 160:
                v += self.number(op - 156)
            elif op <= 165:
                y = self.number(op - 161) if op > 161 else y
                v += y
            elif op <= 170:
                z = self.number(op - 166) if op > 166 else z
                v += z
            elif op <= 234:
                font = self.fonts[op - 171]
            elif op <= 238:
                font = self.fonts[self.number(op - 234, signed=False)]
            elif op <= 242:
                length = self.number(op - 238, signed=False)
                text = self.data[self.at : self.at + length]
                self.at += length
                if text.startswith(b"ps::-") and len(numbers := text[4:].split()) == 7:
                    left, _, _, top, height, _, _ = map(int, numbers)
                    origin = (h + left, v - height - top)
            elif op <= 246:
                self.define_font(op - 242)
        ox, oy = origin
        self.pages.append([
            Glyph(name, code, *(round(c * SCALED_POINT, 3) for c in (l - ox, t - oy, r - ox, b - oy)))
            for name, code, l, t, r, b in boxes
        ])


@functools.lru_cache(maxsize=None)
def _metrics(name: str, scale: int) -> dict[int, tuple[int, int, int]]:
    """Width, height and depth of every character of a font at a size, in scaled points, from its TFM file."""
    words = _metric_file(name).read_bytes()
    lengths = struct.unpack(">12H", words[:24])
    _, header, first, last, widths, heights, depths = lengths[:7]
    info = 24 + 4 * header
    table = info + 4 * (last - first + 1)
    values = struct.unpack(f">{widths + heights + depths}i", words[table : table + 4 * (widths + heights + depths)])
    scaled = [value * scale >> 20 for value in values]
    result = {}
    for code in range(first, last + 1):
        width, packed = words[info : info + 2]
        info += 4
        if width:
            result[code] = (scaled[width], scaled[widths + (packed >> 4)], scaled[widths + heights + (packed & 15)])
    return result


@functools.lru_cache(maxsize=None)
def _metric_file(name: str) -> Path:
    found = subprocess.run([shutil.which("kpsewhich") or "kpsewhich", f"{name}.tfm"], capture_output=True, text=True)
    if not found.stdout.strip():
        raise ValueError(f"no metrics for font {name}")
    return Path(found.stdout.strip())
