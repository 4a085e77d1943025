r"""Where TeX put which glyph: the pages of a DVI file as boxes within boxes, of characters and rules.

Takes the path of a DVI file that `preview` with `tightpage` wrote. Knows nothing of pictures or formulas.
Source: D. E. Knuth, "The format of DVI files", in DVItype; "TFM files", in TFtoPL.
"""

from __future__ import annotations

import functools
import shutil
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

SCALED_POINT = 1 / 65536
"""TeX points in one unit of the file: TeX writes DVI in scaled points."""
H, V, W, X, Y, Z = range(6)
"""What a place is made of: across and down, and the distances W and X across, Y and Z down that a page remembers."""
SET_CHARACTER, PUT_CHARACTER, PUT_RULE, END_OF_PAGE, POSTAMBLE = 128, 133, 137, 140, 248
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


@dataclass(frozen=True, eq=False)
class Font:
    """A font at a size."""

    name: str
    """Without the design size."""
    size: int
    """In scaled points."""
    boxes: dict[int, tuple[int, int, int]]
    """Width, height and depth of every character, in scaled points."""


class Mark(NamedTuple):
    """A character or rule where it lies on its page, in scaled points, y downwards."""

    font: Font
    code: int
    h: int
    """The left edge."""
    v: int
    """The line it stands on."""
    width: int
    height: int
    """Above the line."""
    depth: int
    """Below the line."""


RULE = Font("rule", 0, {})
"""The font of rules."""
Box = list["Mark | Box"]
"""What TeX put into a box, in its order: marks, and boxes that hold any."""


@dataclass(frozen=True)
class Page:
    """One page: what is on it, and the corner and size of the picture that `preview` cuts out of it."""

    position: int
    """In the file, from 0."""
    number: int
    r"""What TeX's register \count9 held."""
    box: Box
    corner: tuple[int, int]
    """Top left of the picture, in scaled points."""
    baseline: int
    """Of the outermost box, in scaled points down the page."""
    width: float
    """Of the picture, in points."""
    height: float

    def glyphs(self) -> list[Glyph]:
        """The characters and rules, in the order of the file, in points from the corner."""
        x, y = self.corner
        return [Glyph(m.font.name, m.code, *(round(edge * SCALED_POINT, 3) for edge in (
            m.h - x, m.v - m.height - y, m.h + m.width - x, m.v + m.depth - y))) for m in marks(self.box)]


def marks(box: Box) -> Iterator[Mark]:
    """What lies in a box and in the boxes inside it, in order."""
    for item in box:
        if type(item) is Mark:
            yield item
        else:
            yield from marks(item)


def pages(path: Path) -> list[Page]:
    """The pages of a file, in its order.

    Raises ValueError on a file that is not DVI or breaks off, or on a font without metrics.
    """
    data = path.read_bytes()
    if data[:2] != b"\xf7\x02":
        raise ValueError(f"{path}: not a DVI file")
    try:
        return list(_Machine(data).run())
    except (IndexError, KeyError, RecursionError, struct.error) as e:
        raise ValueError(f"{path}: a DVI file that breaks off or is damaged ({type(e).__name__}: {e})") from e


class _Machine:
    """The machine of DVItype: a place, a stack of places, a font, and what was set so far on the page."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0
        self.fonts: dict[int, Font] = {}
        self.position = -1
        self.new_page()

    def new_page(self) -> None:
        self.place = [0] * 6
        self.page_number = 0
        self.box: Box = []
        self.stack: list[tuple[list[int], Box]] = []
        self.font = Font("", 0, {})
        self.corner, self.baseline, self.size = (0, 0), 0, (0, 0)

    def run(self) -> Iterator[Page]:
        data = self.data
        while (command := data[self.at]) != POSTAMBLE:
            self.at += 1
            if command < SET_CHARACTER:
                self.set(command)
            elif command == END_OF_PAGE:
                yield self.page()
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
        self.new_page()
        self.position += 1
        self.skip(36)
        self.page_number = self.number(4, signed=True)
        self.skip(4)

    def preamble(self, _: int) -> None:
        self.skip(13)
        self.skip(self.number(1))

    def set(self, code: int) -> None:
        place, font = self.place, self.font
        width, height, depth = font.boxes[code]
        self.box.append(Mark(font, code, place[H], place[V], width, height, depth))
        place[H] += width

    def character(self, command: int) -> None:
        """Commands 128 to 131 set a code of 1 to 4 bytes; the place stays after 133 to 136."""
        before = self.place[H]
        self.set(self.number((command - SET_CHARACTER) % 5 + 1))
        if command >= PUT_CHARACTER:
            self.place[H] = before

    def rule(self, command: int) -> None:
        height, width = self.number(4, signed=True), self.number(4, signed=True)
        if height > 0 and width > 0:
            self.box.append(Mark(RULE, 0, *self.place[:2], width, height, 0))
        if command < PUT_RULE:
            self.place[H] += width

    def push(self, _: int) -> None:
        self.stack.append((self.place.copy(), self.box))
        self.box = []

    def pop(self, _: int) -> None:
        inner = self.box
        self.place, self.box = self.stack.pop()
        if inner:
            self.box.append(inner)

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
        self.fonts[number] = _font(name, scale)

    def special(self, command: int) -> None:
        """A note to the driver; `preview` tells by one where the picture begins."""
        length = self.number(command - 238)
        text = self.data[self.at : self.at + length]
        self.skip(length)
        if text.startswith(b"ps::-") and len(numbers := text[4:].split()) == 7:
            left, bottom, right, top, height, depth, width = map(int, numbers)
            self.corner, self.baseline = (self.place[H] + left, self.place[V] - height - top), self.place[V]
            self.size = (width + right - left, height + depth + top - bottom)

    def page(self) -> Page:
        for _, outer in reversed(self.stack):
            outer.append(self.box)
            self.box = outer
        width, height = self.size
        return Page(self.position, self.page_number, self.box, self.corner, self.baseline, width * SCALED_POINT,
                    height * SCALED_POINT)


COMMANDS = {
    **dict.fromkeys((*range(SET_CHARACTER, 132), *range(PUT_CHARACTER, PUT_RULE)), _Machine.character),
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
def _font(name: str, scale: int) -> Font:
    return Font(name.rstrip("0123456789"), scale, _metrics(name, scale))


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


_FOLDERS: list[Path] = []
"""Where metrics were found before: a family lies in one folder, and to ask for a file takes TeX a while."""


@functools.cache
def _metric_file(name: str) -> Path:
    for folder in _FOLDERS:
        if (path := folder / f"{name}.tfm").exists():
            return path
    found = subprocess.run([shutil.which("kpsewhich") or "kpsewhich", f"{name}.tfm"], capture_output=True, text=True)
    if not found.stdout.strip():
        raise ValueError(f"no metrics for font {name}")
    path = Path(found.stdout.strip())
    _FOLDERS.append(path.parent)
    return path
