"""What TeX's own fonts hold where: the character of a code in the Computer Modern and AMS fonts.

Takes the name of a font and a code, gives a character (Unicode; "cal A" and "bb A" for script and double letters), or
None; and makes the pieces of a page whole. Knows nothing of pictures. Source: D. E. Knuth, "Computer Modern Typefaces";
tables in fontmath.ltx, amsfonts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from latexocr.tex.dvi import Glyph

CAPITAL_GREEK = "ΓΔΘΛΞΠΣΥΦΨΩ"
ASCII = {code: chr(code) for code in (*range(48, 58), *range(65, 91), *range(97, 123))}
CMR = {**dict(enumerate(CAPITAL_GREEK)), **ASCII, **{ord(c): c for c in "!()+,-./:;=?[]"},
       16: "i", 37: "%", 18: "grave", 19: "acute", 20: "caron", 21: "breve", 22: "bar", 94: "hat", 95: "dot",
       126: "tilde", 127: "ddot"}
CMMI = {**dict(enumerate(CAPITAL_GREEK)), **dict(enumerate("αβγδϵζηθικλμνξπρστυϕχψωεϑϖϱςφ", 11)),
        **{code: c for code, c in ASCII.items() if code > 57},
        58: ".", 59: ",", 60: "<", 61: "/", 62: ">", 63: "⋆", 64: "∂", 96: "ℓ", 123: "i", 124: "j", 126: "vec"}
CMSY = {**dict(enumerate("−·×∗÷⋄±∓⊕⊖⊗⊘⊙")), 14: "∘", 15: "∙", 17: "≡", 18: "⊆", 19: "⊇", 20: "≤", 21: "≥", 24: "∼",
        25: "≈", 26: "⊂", 27: "⊃", 28: "≪", 29: "≫", 30: "≺", 31: "≻", 32: "←", 33: "→", 34: "↑", 35: "↓", 36: "↔",
        39: "≃", 40: "⇐", 41: "⇒", 44: "⇔", 47: "∝", 48: "′", 49: "∞", 50: "∈", 51: "∋", 52: "△",
        54: "not", 55: "mapsto", 56: "∀", 57: "∃", 58: "¬", 59: "∅", 62: "⊤", 63: "⊥",
        **{code: f"cal {chr(code)}" for code in range(65, 91)},
        91: "∪", 92: "∩", 94: "∧", 95: "∨", 98: "⌊", 99: "⌋", 100: "⌈", 101: "⌉", 102: "{", 103: "}",
        104: "⟨", 105: "⟩", 106: "|", 107: "‖", 110: "∖", 112: "√",
        96: "⊢", 114: "∇", 115: "∫", 121: "†"}
_DELIMITERS = "()[]⌊⌋⌈⌉{}⟨⟩"
_OPERATORS = "∑∏∫⋃⋂⊎⋀⋁"
CMEX = {**dict(enumerate(_DELIMITERS)), 12: "|", 13: "‖", 14: "/", 15: "∖", 16: "(", 17: ")",
        **dict(enumerate(_DELIMITERS, 18)), 30: "/", 31: "∖", **dict(enumerate(_DELIMITERS, 32)), 44: "/", 45: "∖",
        46: "/", 47: "∖", 68: "⟨", 69: "⟩", 72: "∮", 73: "∮", 74: "⊙", 75: "⊙", 76: "⊕", 77: "⊕", 78: "⊗", 79: "⊗",
        **dict(enumerate(_OPERATORS, 80)), **dict(enumerate(_OPERATORS, 88)), 98: "hat", 99: "hat", 100: "hat",
        101: "tilde", 102: "tilde", 103: "tilde",
        **dict(enumerate("[]⌊⌋⌈⌉{}", 104)), **dict.fromkeys(range(112, 116), "√")}
PIECES = {48: "(", 49: ")", 50: "[", 51: "]", 52: "[", 53: "]", 54: "[", 55: "]", 56: "{", 57: "}", 58: "{", 59: "}",
          60: "{", 61: "}", 62: "{", 64: "(", 65: ")", 66: "(", 67: ")", 12: "|", 13: "‖", 116: "√", 117: "√", 118: "√"}
"""Codes of `cmex` that TeX stacks into one tall delimiter or root, and which."""
MSAM = {54: "≤", 62: "≥", 3: "□"}
MSBM = {63: "∅", **{code: f"bb {chr(code)}" for code in range(65, 91)}}
FONTS = {"cmr": CMR, "cmmi": CMMI, "cmsy": CMSY, "cmex": CMEX, "msam": MSAM, "msbm": MSBM}


def character(font: str, code: int) -> str | None:
    """The character at a place of a font; None where the font or the place is not known."""
    return FONTS.get(font, {}).get(code)


def name(glyph: Glyph) -> str | None:
    """The character that a glyph is, or is a piece of; None where it is not known."""
    if glyph.font == "cmex" and glyph.code in PIECES:
        return PIECES[glyph.code]
    return character(glyph.font, glyph.code)


def whole(page: Sequence[Glyph]) -> list[Glyph]:
    """The glyphs, the pieces of a tall delimiter made one."""
    result: list[Glyph] = []
    for glyph in page:
        last = result[-1] if result else None
        if (last and glyph.font == last.font == "cmex" and glyph.code in PIECES
                and PIECES.get(last.code) == PIECES[glyph.code] and abs(glyph.left - last.left) < 2
                and min(abs(glyph.top - last.bottom), abs(glyph.bottom - last.top)) < 3):
            result[-1] = replace(last, left=min(last.left, glyph.left), top=min(last.top, glyph.top),
                                 right=max(last.right, glyph.right), bottom=max(last.bottom, glyph.bottom))
        else:
            result.append(glyph)
    return result
