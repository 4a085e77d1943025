"""Which sign a glyph of TeX is, whatever its size: brackets, operators, roots and accents come in many glyphs each.

Takes a font of the Computer Modern and AMS families and a position in it, gives a name; two glyphs of one name are one
sign to a reader. Tables only. Source: D. E. Knuth, "The TeXbook", appendix F.
"""

from __future__ import annotations

from enum import Enum
from functools import cache
from typing import NamedTuple

EXTENSION = "cmex"
"""The font of what grows: operators, big brackets and their pieces."""
ROOT, BRACE = "root", "brace"
WIDE_ACCENTS = frozenset({"wide hat", "wide tilde"})
_TEXT_FONTS = frozenset({"cmr", "cmbx", "cmti", "cmsl", "cmss", "cmssbx", "cmbxti", "cmcsc"})
_SIZES = {
    "(": (0, 16, 18, 32, 48, 64, 66), ")": (1, 17, 19, 33, 49, 65, 67), "[": (2, 20, 34, 104), "]": (3, 21, 35, 105),
    "lfloor": (4, 22, 36, 106), "rfloor": (5, 23, 37, 107), "lceil": (6, 24, 38, 108), "rceil": (7, 25, 39, 109),
    "{": (8, 26, 40, 110, 56, 58, 60), "}": (9, 27, 41, 111, 57, 59, 61), "langle": (10, 28, 42, 68),
    "rangle": (11, 29, 43, 69), "|": (12,), "||": (13,), "/": (14, 30, 44, 46), "\\": (15, 31, 45, 47),
    "sqcup": (70, 71), "oint": (72, 73), "odot": (74, 75), "oplus": (76, 77), "otimes": (78, 79), "sum": (80, 88),
    "prod": (81, 89), "int": (82, 90), "bigcup": (83, 91), "bigcap": (84, 92), "biguplus": (85, 93),
    "bigwedge": (86, 94), "bigvee": (87, 95), "coprod": (96, 97), "wide hat": (98, 99, 100),
    "wide tilde": (101, 102, 103), ROOT: (112, 113, 114, 115, 116, 117, 118), BRACE: (122, 123, 124, 125)}
_BY_PIECES = {(50, 52): "[", (51, 53): "]", (52,): "lfloor", (53,): "rfloor", (50,): "lceil", (51,): "rceil",
              (48, 64): "(", (49, 65): ")", (56, 58, 60): "{", (57, 59, 61): "}", (120,): "up", (121,): "down",
              (120, 121): "updown", (126,): "Up", (127,): "Down", (126, 127): "Updown"}
"""A tall bracket by its pieces, without those that are repeated."""
_REPEATED = frozenset({54, 55, 62, 63, 66, 67, 119})
PIECES = frozenset({12, 13, *range(48, 68), *range(116, 122), 126, 127})
_SIGNS = {(EXTENSION, code): name for name, codes in _SIZES.items() for code in codes} | {
    (font, ord(mark)): mark for font in (*_TEXT_FONTS, "cmtt") for mark in "()[]/.,*:;!?"} | {
    ("cmmi", 61): "/", ("cmmi", 58): ".", ("cmmi", 59): ",", ("cmsy", 3): "*",
    ("cmsy", 54): "/", ("cmsy", 98): "lfloor", ("cmsy", 99): "rfloor", ("cmsy", 100): "lceil", ("cmsy", 101): "rceil",
    ("cmsy", 102): "{", ("cmsy", 103): "}", ("cmsy", 104): "langle", ("cmsy", 105): "rangle", ("cmsy", 106): "|",
    ("cmsy", 107): "||", ("cmsy", 110): "\\", ("cmsy", 112): ROOT, ("cmsy", 115): "int", ("msbm", 91): "wide hat",
    ("msbm", 92): "wide hat", ("msbm", 93): "wide tilde", ("msbm", 94): "wide tilde"}
"""Signs that have several glyphs; any other glyph is a sign of its own."""
_BRACKETS = frozenset({*"()[]{}|", "||", "lfloor", "rfloor", "lceil", "rceil", "langle", "rangle"})
_LIGATURES = {11: "ff", 12: "fi", 13: "fl", 14: "ffi", 15: "ffl"}
"""In the text fonts."""
_ACCENTS = frozenset({(font, code) for font in _TEXT_FONTS for code in (18, 19, 20, 21, 22, 23, 94, 95, 126, 127)} | {
    (font, 126) for font in ("cmmi", "cmmib")})
_COVERS = WIDE_ACCENTS | {BRACE}
_HEADS = frozenset({("cmsy", code) for code in (32, 33, 36, 40, 41, 44)} | {("cmmi", code) for code in range(40, 44)})
"""Arrows along the line; a longer one begins or ends with shafts."""
_SHAFTS = frozenset({("cmsy", 0), ("cmr", 61)})


class Kind(Enum):
    """How a glyph is placed."""

    PLAIN = "on the line"
    BIG = "about the axis of the line: what grows, as brackets and operators"
    ROOT = "hanging from the line above what is under the root"
    COVER = "over, under or across other glyphs: accents, braces, strokes"
    RULE = "a line"
    SHAFT = "a part of an arrow, or a sign of its own"
    HEAD = "an arrow, or the end of a longer one"


class Sign(NamedTuple):
    """What a glyph is."""

    name: str
    kind: Kind
    letters: str
    """Of a ligature; else empty."""


@cache
def sign_of(font: str, code: int) -> Sign:
    """The sign of a glyph: the name of its font without the design size, and its place in it."""
    key = (font, code)
    name = _SIGNS.get(key) or f"{font} {code}"
    if font == "rule":
        return Sign("rule", Kind.RULE, "")
    if name == ROOT:
        kind = Kind.ROOT
    elif key in _ACCENTS or name in _COVERS or font == "line":
        kind = Kind.COVER
    elif font == EXTENSION or name in _BRACKETS:
        kind = Kind.BIG
    elif key in _HEADS or key in _SHAFTS:
        kind = Kind.HEAD if key in _HEADS else Kind.SHAFT
    else:
        kind = Kind.PLAIN
    return Sign(name, kind, _LIGATURES.get(code, "") if font in _TEXT_FONTS else "")


def tall(codes: set[int]) -> str:
    """The bracket that pieces of the font of what grows make, one on top of the other."""
    return _BY_PIECES.get(tuple(sorted(codes - _REPEATED))) or sign_of(EXTENSION, min(codes)).name
