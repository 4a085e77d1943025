"""Where TeX put which glyph: the pages of a DVI file as glyphs and rules with their boxes.

Takes the path of a DVI file that `preview` with `tightpage` wrote, gives boxes in TeX points. Knows nothing of
pictures or formulas. Source: D. E. Knuth, "The format of DVI files", in DVItype; "TFM files", in TFtoPL.
"""

from __future__ import annotations

import functools
import shutil
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SCALED_POINT = 1 / 65536
"""TeX points in one unit of the file: TeX writes DVI in scaled points."""
RULE = ("rule", 0)
H, V, W, X, Y, Z = range(6)
"""What a place is made of: across and down, and the distances W and X across, Y and Z down that a page remembers."""
PUT_CHARACTER, PUT_RULE, END_OF_PAGE, POSTAMBLE = 133, 137, 140, 248
MOVES = {first + size: (axis, register, size)
         for first, axis, register in ((147, H, W), (152, H, X), (161, V, Y), (166, V, Z)) for size in range(5)}
MOVES |= {first + size: (axis, None, size) for first, axis in ((142, H), (156, V)) for size in range(1, 5)}
"""By command: which way it moves, what remembers the distance, in how many bytes that follows (0: as remembered)."""


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
    sizes: dict[int, tuple[int, int, int]]
    """Width, height and depth of every character, in scaled points."""


def pages(path: Path) -> list[list[Glyph]]:
    """The glyphs and rules of every page, in the order of the file.

    Raises ValueError on a file that is not DVI or breaks off, or on a font without metrics.
    """
    data = path.read_bytes()
    if data[:2] != b"\xf7\x02":
        raise ValueError(f"{path}: not a DVI file")
    try:
        return list(_Machine(data).run())
    except (IndexError, KeyError, struct.error) as e:
        raise ValueError(f"{path}: a DVI file that breaks off or is damaged ({type(e).__name__}: {e})") from e


class _Machine:
    """The machine of DVItype: a place, a stack of places, a font, and what was set so far on the page."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0
        self.fonts: dict[int, _Font] = {}
        self.new_page()

    def new_page(self) -> None:
        self.place = [0] * 6
        self.stack: list[list[int]] = []
        self.font = _Font("", {})
        self.boxes: list[tuple[str, int, int, int, int, int]] = []
        self.origin = (0, 0)

    def run(self) -> Iterator[list[Glyph]]:
        while (command := self.data[self.at]) != POSTAMBLE:
            self.at += 1
            if command == END_OF_PAGE:
                yield self.glyphs()
            else:
                COMMANDS[command](self, command)

    def number(self, size: int, *, signed: bool = False) -> int:
        end = self.at + size
        if end > len(self.data):
            raise IndexError(f"a number beyond byte {len(self.data)}")
        value = int.from_bytes(self.data[self.at : end], "big", signed=signed)
        self.at = end
        return value

    def skip(self, size: int) -> None:
        self.at += size

    def begin_page(self, _: int) -> None:
        self.skip(44)
        self.new_page()

    def preamble(self, _: int) -> None:
        self.skip(13)
        self.skip(self.number(1))

    def character(self, command: int) -> None:
        """Commands 0 to 127 are the code; then it follows, in 1 to 4 bytes, and the place stays after 133."""
        code = command if command < 128 else self.number((command - 128) % 5 + 1)
        width, height, depth = self.font.sizes[code]
        h, v = self.place[:2]
        self.boxes.append((self.font.name, code, h, v - height, h + width, v + depth))
        if command < PUT_CHARACTER:
            self.place[H] += width

    def rule(self, command: int) -> None:
        height, width = self.number(4, signed=True), self.number(4, signed=True)
        h, v = self.place[:2]
        if height > 0 and width > 0:
            self.boxes.append((*RULE, h, v - height, h + width, v))
        if command < PUT_RULE:
            self.place[H] += width

    def push(self, _: int) -> None:
        self.stack.append(self.place.copy())

    def pop(self, _: int) -> None:
        self.place = self.stack.pop()

    def move(self, command: int) -> None:
        axis, register, size = MOVES[command]
        distance = self.number(size, signed=True) if size else self.place[register]
        if register is not None:
            self.place[register] = distance
        self.place[axis] += distance

    def choose_font(self, command: int) -> None:
        self.font = self.fonts[command - 171 if command < 235 else self.number(command - 234)]

    def define_font(self, command: int) -> None:
        number = self.number(command - 242)
        _, scale, _, area, length = struct.unpack_from(">IIIBB", self.data, self.at)
        self.skip(14 + area)
        name = self.data[self.at : self.at + length].decode("ascii")
        self.skip(length)
        self.fonts[number] = _Font(name.rstrip("0123456789"), _metrics(name, scale))

    def special(self, command: int) -> None:
        """A note to the driver; `preview` tells by one where the picture begins."""
        length = self.number(command - 238)
        text = self.data[self.at : self.at + length]
        self.skip(length)
        if text.startswith(b"ps::-") and len(numbers := text[4:].split()) == 7:
            left, _, _, top, height, _, _ = map(int, numbers)
            self.origin = (self.place[H] + left, self.place[V] - height - top)

    def glyphs(self) -> list[Glyph]:
        """The page, in points from the origin that `special` found."""
        x, y = self.origin
        return [Glyph(name, code, *(round(edge * SCALED_POINT, 3) for edge in edges))
                for name, code, left, top, right, bottom in self.boxes
                for edges in [(left - x, top - y, right - x, bottom - y)]]


COMMANDS = {
    **dict.fromkeys((*range(132), *range(PUT_CHARACTER, PUT_RULE)), _Machine.character),
    132: _Machine.rule,
    PUT_RULE: _Machine.rule,
    138: lambda machine, command: None,
    139: _Machine.begin_page,
    141: _Machine.push,
    142: _Machine.pop,
    **dict.fromkeys(MOVES, _Machine.move),
    **dict.fromkeys(range(171, 239), _Machine.choose_font),
    **dict.fromkeys(range(239, 243), _Machine.special),
    **dict.fromkeys(range(243, 247), _Machine.define_font),
    247: _Machine.preamble,
}
"""What the machine does at each command."""


@functools.cache
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


@functools.cache
def _metric_file(name: str) -> Path:
    found = subprocess.run([shutil.which("kpsewhich") or "kpsewhich", f"{name}.tfm"], capture_output=True, text=True)
    if not found.stdout.strip():
        raise ValueError(f"no metrics for font {name}")
    return Path(found.stdout.strip())
