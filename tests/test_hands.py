"""Synthetic hands: what is written stands where TeX put it, in strokes; what no hand can write is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from latexocr.data.glyphs import FONTS, PIECES
from latexocr.data.hands import MOST_GLYPHS, write, written
from latexocr.data.signs import LETTERS, SIGNS
from latexocr.data.strokes import Hands, doubled, load_hands, own_shapes
from latexocr.errors import UserError
from latexocr.tex import run
from latexocr.tex.dvi import Glyph

PIXELS_A_POINT = 300 / 72.27
needs_tex = pytest.mark.skipif(not run.available(), reason="needs TeX")


@pytest.fixture(scope="module")
def hands(tmp_path_factory) -> Hands:
    """One hand that knows two letters; the project's own strokes do the rest."""
    path = tmp_path_factory.mktemp("hands") / "hands.npz"
    np.savez(path, points=np.array([(0, 0), (500, 1000), (0, 0), (0, 700), (300, 350)], np.int16),
             sizes=np.array([2, 2, 1], np.int16), strokes=np.array([1, 2], np.int16),
             names=np.array(["one\tx", "one\tQ"]))
    return load_hands(path)


def dark(drawing, glyph: Glyph) -> float:
    """Share of dark pixels in the box of a glyph."""
    box = np.asarray(drawing.image)[int(glyph.top * PIXELS_A_POINT) : int(glyph.bottom * PIXELS_A_POINT) + 1,
                                    int(glyph.left * PIXELS_A_POINT) : int(glyph.right * PIXELS_A_POINT) + 1]
    return float((box < 128).mean())


def middle(glyph: Glyph) -> tuple[float, float]:
    return (glyph.left + glyph.right) / 2, (glyph.top + glyph.bottom) / 2


def test_a_file_of_strokes_is_read(hands: Hands) -> None:
    assert hands.names == ("one",)
    shape = hands.hands[0]["Q"]
    assert len(shape.ends) == 2 and shape.letter
    assert np.allclose((shape.points.min(axis=0), shape.points.max(axis=0)), ((0, 0), (1, 1)))
    assert shape.aspect == pytest.approx(300 / 700, rel=1e-3)


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04broken"])
def test_a_file_that_is_none_says_so(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(UserError, match="not a file of strokes"):
        load_hands(tmp_path / "x.npz")


def test_every_character_of_the_tables_has_strokes_or_is_a_letter_of_fonts() -> None:
    own = own_shapes()
    missing = {c for table in (*FONTS.values(), PIECES) for c in table.values() if c not in own}
    assert all(c.startswith(("bb ", "cal ")) or (c.isascii() and c.isalpha()) for c in missing), missing


def test_strokes_stay_near_their_boxes() -> None:
    for character, ways in own_shapes().items():
        for shape in ways:
            assert shape.points.min() > -0.35 and shape.points.max() < 1.35, character
            assert shape.ends[-1] == len(shape.points) and list(shape.ends) == sorted(set(shape.ends))
    assert not set(LETTERS) & set(SIGNS)


def test_a_blackboard_letter_has_one_stroke_more(hands: Hands) -> None:
    assert len(doubled(hands.hands[0]["x"]).ends) == 2


@needs_tex
def test_writing_keeps_what_stands_where(hands: Hands) -> None:
    formulas = [r"\frac{x}{2}+x^{2}", r"\sqrt{x}", r"\begin{pmatrix}x\\2\\x\\2\end{pmatrix}", r"\sum_{i=1}^{x}2"]
    drawings = write(formulas, hands, np.random.default_rng(3))
    assert all(drawings)
    for drawing in drawings:
        assert all(dark(drawing, glyph) > 0.02 for glyph in drawing.glyphs)
        width, height = (side / PIXELS_A_POINT for side in drawing.image.size)
        assert all(0 <= g.left <= g.right <= width and 0 <= g.top <= g.bottom <= height for g in drawing.glyphs)
    fraction = {(g.font, g.code): g for g in drawings[0].glyphs}
    numerator, bar = drawings[0].glyphs[0], fraction["rule", 0]
    assert (numerator.font, numerator.code) == ("cmmi", ord("x"))
    assert middle(numerator)[1] < middle(bar)[1]
    assert bar.left < middle(numerator)[0] < bar.right
    base, power = drawings[0].glyphs[-2:]
    assert middle(power)[1] < middle(base)[1] and middle(power)[0] > middle(base)[0]
    root, bar, _ = drawings[1].glyphs
    assert abs(root.right - bar.left) < 1 and abs(root.top - bar.top) < 2.5


@needs_tex
def test_hands_differ_and_chance_alone_decides(hands: Hands) -> None:
    once, again, other = (write([r"x+2"], hands, np.random.default_rng(seed))[0] for seed in (1, 1, 2))
    assert once.glyphs == again.glyphs and once.image.tobytes() == again.image.tobytes()
    assert once.glyphs != other.glyphs


@needs_tex
@pytest.mark.parametrize("formula", [r"\frac{", r"\mathbf{x}", r"\mathfrak{g}", r"\mathrm{d}x", r"\phantom{x}"])
def test_what_no_hand_can_write_is_refused(hands: Hands, formula: str) -> None:
    assert [d is not None for d in write([formula, "x"], hands, np.random.default_rng(0))] == [False, True]


def test_no_formula_without_end(hands: Hands) -> None:
    page = [Glyph("cmmi", ord("x"), 6.0 * i, 0, 6.0 * i + 5, 4.3) for i in range(MOST_GLYPHS + 1)]
    assert written(page, hands, np.random.default_rng(0)) is None
    assert written(page[1:], hands, np.random.default_rng(0)) is not None
    assert written([], hands, np.random.default_rng(0)) is None
