r"""What is placed where in a formula, as a reader sees it: each sign hangs on another, to the right, above or below.

Takes a page that TeX set, gives its signs in reading order, each with the sign that it hangs on. Distances are gone:
spaces, sizes of brackets, \displaystyle, \limits and whatever else only moves things a little change nothing. Knows
nothing of LaTeX, and compares nothing.

TeX's boxes (`boxes`) give the order: a box that lies on the line of the box around it is a part of that line, any other
is a line of its own above or below. In a stack of lines, one that lies on the line around it comes first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from latexocr.scoring.boxes import SAME_LINE, Group, Leaf, group, is_fraction
from latexocr.scoring.glyphs import BRACE, WIDE_ACCENTS, Kind
from latexocr.tex.dvi import Page

NOTHING = -1
"""What the first sign hangs on."""


class Placed(NamedTuple):
    """A sign and where it is."""

    name: str
    on: int
    """Number of the sign it hangs on: the one before it on its line; for the first of a line, what the line is at."""
    how: str
    """next, up, down; over or under, for what covers signs."""
    last: int = NOTHING
    """The last sign that an accent, a brace or a rule covers; the first is the one it hangs on."""


@dataclass
class _Line:
    """A line that is being read."""

    v: int
    on: int
    how: str
    end: int | None = None
    """Its last sign; None while it has none."""

    def beside(self, v: int) -> _Line:
        """A line above or below, at the place that is reached."""
        how = "up" if v < self.v else "down"
        return _Line(v, self.on, f"{self.how} {how}") if self.end is None else _Line(v, self.end, how)


def placed(page: Page) -> list[Placed]:
    """The signs of a page, in reading order, and after them what covers any."""
    root = group(page.box)
    reader = _Reader()
    if root is not None:
        reader.inside(root, _Line(page.baseline, NOTHING, "next"))
    return reader.signs + sorted(reader.covers)


class _Reader:
    """Reads boxes from left to right, and writes down what it sees."""

    def __init__(self) -> None:
        self.signs: list[Placed] = []
        self.middles: list[int] = []
        """Of the signs, from left to right."""
        self.covers: list[Placed] = []
        self.index: Group | None = None
        """The index of a root, read before its sign."""
        self.shaft: Leaf | None = None
        """The last glyph, where it may be a part of a longer arrow."""

    def inside(self, box: Group, line: _Line) -> None:
        if not box.is_on(line.v):
            line = line.beside(box.lines[0].v)
        if box.stack:
            self.stack(box, line)
        else:
            self.row(box.items, line)

    def row(self, items: list[Leaf | Group], line: _Line) -> None:
        covers: list[Leaf | Group] = []
        for item, following in zip(items, [*items[1:], None], strict=True):
            if following is not None and _lies_over(item, following):
                covers += item.items if type(item) is Group and item.stack else [item]
            elif following is not None and _is_index(item, following, line):
                self.index = item
            else:
                start = len(self.signs)
                if type(item) is Group:
                    self.inside(item, line)
                else:
                    self.leaf(item, line)
                for cover in covers:
                    self.cover(cover, start, line, "over")
                covers = []

    def leaf(self, leaf: Leaf, line: _Line) -> None:
        if leaf.kind in (Kind.PLAIN, Kind.SHAFT, Kind.HEAD) and abs(leaf.v - line.v) > SAME_LINE:
            line = line.beside(leaf.v)
        shaft, self.shaft = self.shaft, leaf if leaf.kind in (Kind.SHAFT, Kind.HEAD) else None
        name = leaf.name
        if shaft is not None and self.shaft is not None and leaf.left < shaft.right and Kind.SHAFT in (
                shaft.kind, leaf.kind) and line.end == len(self.signs) - 1 >= 0:
            head = leaf if leaf.kind is Kind.HEAD else shaft
            before = self.signs[-1].name
            if leaf.kind is Kind.SHAFT or not before.startswith("long"):
                if head.kind is Kind.HEAD:
                    self.signs[-1] = self.signs[-1]._replace(name=f"long {head.name}")
                return
        if leaf.kind is Kind.RULE and leaf.right - leaf.left < leaf.bottom - leaf.top:
            name = "upright rule"
        self.write(name, line, leaf)
        if leaf.kind is Kind.ROOT and self.index is not None:
            index, self.index = self.index, None
            self.inside(index, _Line(_line_of(index), line.end, "up"))

    def write(self, name: str, line: _Line, at: Leaf | Group) -> None:
        self.middles.append((at.left + at.right) // 2)
        self.signs.append(Placed(name, line.on, line.how) if line.end is None else Placed(name, line.end, "next"))
        line.end = len(self.signs) - 1

    def cover(self, cover: Leaf | Group, first: int, line: _Line, how: str) -> None:
        """What lies over or under the signs from the first of them on."""
        name, last = _cover(cover), len(self.signs) - 1
        if name in WIDE_ACCENTS:
            last = max([sign for sign in range(first, last + 1) if self.middles[sign] < cover.right], default=last)
        elif type(cover) is Group and cover.kinds == {Kind.COVER} and name != BRACE and line.end is not None:
            last = line.end  # TeX takes the scripts of an accented letter along.
        if first <= last:
            self.covers.append(Placed(name, first, how, last))

    def stack(self, box: Group, line: _Line) -> None:
        items = box.items
        if is_fraction(box):
            self.write("fraction", line, box)
            for item, how in ((items[0], "up"), (items[2], "down")):
                self.inside(item, _Line(_line_of(item), line.end, how))
            return
        main = _main(items, line)
        if main is None:
            self.rows(items, line)
            return
        first = len(self.signs)
        self.inside(items[main], line)
        for number, item in enumerate(items):
            how = "up" if number < main else "down"
            if number == main:
                continue
            if _cover(item):
                self.cover(item, first, line, "over" if number < main else "under")
            else:
                self.inside(item, _Line(_line_of(item), line.on if line.end is None else line.end, how))

    def rows(self, items: list[Leaf | Group], line: _Line) -> None:
        on = line.on if line.end is None else line.end
        first, how = 0, "up"
        for item in items:
            if type(item) is Leaf:
                if how == "up":
                    self.middles.append((item.left + item.right) // 2)
                    self.signs.append(Placed(item.name, on, how))
                else:
                    self.cover(item, first, line, "under")
                continue
            first = len(self.signs)
            self.inside(item, _Line(_line_of(item), on, how))
            how = "down"


def _line_of(item: Leaf | Group) -> int:
    if type(item) is Leaf:
        return item.v
    return item.lines[0].v if item.lines else item.bottom


def _overlap(a: Leaf | Group, b: Leaf | Group) -> bool:
    return min(a.right, b.right) > max(a.left, b.left)


def _lies_over(item: Leaf | Group, following: Leaf | Group) -> bool:
    """Whether a rule or an accent was drawn first, and then what it covers."""
    cover = item.kinds <= {Kind.COVER, Kind.RULE} if type(item) is Group else (
        item.kind is Kind.RULE and type(following) is Group)
    return cover and _overlap(item, following)


def _is_index(item: Leaf | Group, following: Leaf | Group, line: _Line) -> bool:
    """Whether a box is the index of the root after it, which it stands over, above the line."""
    if type(item) is Leaf or type(following) is Leaf or item.is_on(line.v):
        return False
    first: Leaf | Group = following
    while type(first) is Group:
        first = first.items[0]
    return first.kind is Kind.ROOT and item.right > first.left and item.bottom < first.bottom


def _cover(item: Leaf | Group) -> str:
    """The name of what lies over or under others; empty for what is a line of its own."""
    return item.name if type(item) is Leaf else item.cover


def _main(items: list[Leaf | Group], line: _Line) -> int | None:
    """The number of the item of a stack that stands on the line, if any does: the others are smaller, or cover it."""
    groups = [number for number, item in enumerate(items) if type(item) is Group and item.lines]
    bodies = [number for number in groups if not items[number].cover or items[number].is_on(line.v)]
    if len(bodies) == 1:
        return bodies[0]
    for number in bodies:
        if items[number].is_on(line.v) and (len(bodies) == 2 or all(
                items[other].size < items[number].size for other in bodies if other != number)):
            return number
    return None
