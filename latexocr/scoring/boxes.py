"""TeX's boxes, made ready to be read: which lie side by side and which below each other, and where the line of each is.

Takes a box of a DVI page, gives a tree of groups and signs. All lengths are scaled points, y downwards.

The line of a box is where its plain glyphs stand. What grows lies about the axis of its line instead: operators, big
brackets, fractions and matrices; where a box has nothing else, its line is found from that, within a tolerance.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from latexocr.scoring.glyphs import PIECES, Kind, sign_of, tall
from latexocr.tex.dvi import Box, Mark

POINT = 65536
SAME_LINE = int(0.4 * POINT)
"""Glyphs closer than this stand on one line: the smallest script is lowered by a whole point."""
AXIS, NEAR_AXIS = 2 * POINT, int(1.1 * POINT)
"""Height of the axis above a line of unknown size, and how far off that may be: it is a quarter of the size, and sizes
are ten, seven and five points."""
ROWS_APART = 8 * POINT
"""Lines this far apart are rows even where the lower one begins to the right of the upper one."""
TALL = 1.05
"""Height of a glyph, in sizes of its font, from which it is taken for one that grows."""


class Leaf(NamedTuple):
    """One sign."""

    name: str
    kind: Kind
    left: int
    right: int
    top: int
    bottom: int
    v: int
    """Of the line it stands on, or that it lies about the axis of."""
    size: int
    """Of its font; 0 for a rule."""
    code: int
    """Position in its font."""


class Base(NamedTuple):
    """Where a line is, as far as can be told."""

    v: int
    tolerance: int


@dataclass(slots=True)
class Group:
    """A box that holds something."""

    items: list[Leaf | Group]
    left: int
    right: int
    top: int
    bottom: int
    size: int
    """Of the largest sign."""
    names: frozenset[str]
    """Of all its signs but rules."""
    kinds: frozenset[Kind]
    stack: bool
    """Whether its items lie below each other."""
    lines: tuple[Base, ...]
    """What could be its line, the likeliest first; none where nothing tells."""

    def is_on(self, v: int) -> bool:
        """Whether it is, or has, a part of the line at this height."""
        return not self.lines or any(abs(line.v - v) <= line.tolerance for line in self.lines)

    @property
    def cover(self) -> str:
        """The name of what it lies over or under others as: an accent, a brace, an arrow or a rule; else empty."""
        kinds = self.kinds
        if kinds == {Kind.RULE}:
            return "rule"
        if len(self.names) == 1 and kinds <= {Kind.COVER, Kind.RULE}:
            return min(self.names)
        return " ".join(sorted(self.names)) if Kind.HEAD in kinds and kinds <= {Kind.HEAD, Kind.SHAFT} else ""


def group(box: Box) -> Group | None:
    """A box without the boxes that hold nothing or only one box; None where nothing is left."""
    items: list[Leaf | Group] = []
    for item in box:
        if type(item) is Mark:
            items += _leaves(item)
        elif (inner := group(item)) is not None:
            items.append(inner)
    if not items or (len(items) == 1 and type(items[0]) is Group):
        return items[0] if items else None
    if len(items) > 1 and (bracket := _bracket(items)):
        items = [bracket]
    stack = _is_stack(items)
    found = Group(items, min([item.left for item in items]), max([item.right for item in items]),
                  min([item.top for item in items]), max([item.bottom for item in items]),
                  max([item.size for item in items]), _names(items), _kinds(items), stack, ())
    found.lines = _lines_of_stack(found) if stack else _lines_of_row(items)
    return found


def _leaves(mark: Mark) -> list[Leaf]:
    font, code, h, v, width, height, depth = mark
    name, kind, letters = sign_of(font.name, code)
    top, bottom, size = v - height, v + depth, font.size
    if letters:
        step = width // len(letters)
        return [Leaf(sign_of(font.name, ord(letter)).name, kind, h + step * number, h + step * (number + 1), top,
                     bottom, v, size, code) for number, letter in enumerate(letters)]
    if kind is Kind.PLAIN and height + depth > TALL * size:
        kind = Kind.BIG
    if kind is Kind.BIG:
        v = (top + bottom) // 2 + size // 4
    return [Leaf(name, kind, h, h + width, top, bottom, v, size, code)]


def _bracket(items: list[Leaf | Group]) -> Leaf | None:
    """The one bracket that pieces on top of each other make; None where that is not what these are."""
    pieces = []
    for item in items:
        piece = item.items[0] if type(item) is Group and len(item.items) == 1 else item
        if type(piece) is Group or piece.code not in PIECES or piece.kind not in (Kind.BIG, Kind.ROOT):
            return None
        pieces.append(piece)
    if len({piece.left for piece in pieces}) > 1:
        return None
    top, bottom = min(piece.top for piece in pieces), max(piece.bottom for piece in pieces)
    return pieces[0]._replace(name=tall({piece.code for piece in pieces}), top=top, bottom=bottom,
                              v=(top + bottom) // 2 + pieces[0].size // 4)


def _names(items: list[Leaf | Group]) -> frozenset[str]:
    return frozenset().union(*[item.names if type(item) is Group else {item.name} for item in items
                               if type(item) is Group or item.kind is not Kind.RULE])


def _kinds(items: list[Leaf | Group]) -> frozenset[Kind]:
    return frozenset().union(*[item.kinds if type(item) is Group else {item.kind} for item in items])


def _is_stack(items: list[Leaf | Group]) -> bool:
    return len(items) > 1 and all(type(item) is Group or item.kind is Kind.RULE for item in items) and all(
        _is_below(above, below) for above, below in pairwise(items))


def _is_below(above: Leaf | Group, below: Leaf | Group) -> bool:
    apart = min(above.right, below.right) <= max(above.left, below.left)
    if apart and below.top - above.top < ROWS_APART:
        return False
    if type(above) is Group and above.cover and not apart:
        return True
    if type(below) is Group and below.cover:
        return above.bottom <= below.bottom
    return above.bottom <= below.top + POINT


def _lines_of_row(items: list[Leaf | Group]) -> tuple[Base, ...]:
    """Where its plain signs stand; without any, what could be the line of an item, first of the first one."""
    if plain := [item.v for item in items if type(item) is Leaf and item.kind in _ON_THE_LINE]:
        return (Base(plain[0], SAME_LINE),)
    found: dict[Base, None] = {}
    for item in items:
        if type(item) is Group:
            found |= dict.fromkeys(item.lines)
        elif item.kind is Kind.BIG:
            found[Base(item.v, NEAR_AXIS)] = None
    return tuple(found)


_ON_THE_LINE = frozenset({Kind.PLAIN, Kind.SHAFT, Kind.HEAD})


def _lines_of_stack(box: Group) -> tuple[Base, ...]:
    """Of a fraction, from its rule; of what has accents or limits, those of the largest; else from the middle."""
    if is_fraction(box):
        rule = box.items[1]
        return (Base((rule.top + rule.bottom) // 2 + AXIS, NEAR_AXIS),)
    groups = [item for item in box.items if type(item) is Group and item.lines]
    bodies = [item for item in groups if not item.cover] or groups
    if len(bodies) == 1 and all(item.size <= bodies[0].size for item in groups):
        return bodies[0].lines
    middle = Base((box.top + box.bottom) // 2 + POINT * 5 // 2, max(NEAR_AXIS, (box.bottom - box.top) // 4))
    largest = max(groups, key=lambda item: item.size, default=None)
    if largest and all(item is largest or item.size < largest.size for item in groups):
        return (*largest.lines, middle)
    operators = [line for item in groups if item.kinds == {Kind.BIG} for line in item.lines]
    return (*operators, middle)


def is_fraction(box: Group) -> bool:
    """Whether a stack is something above a line and something below it."""
    items = box.items
    return len(items) == 3 and type(items[1]) is Leaf and type(items[0]) is Group and type(items[2]) is Group
