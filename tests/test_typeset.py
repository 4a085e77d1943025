"""TeX draws formulas, and tells where it put which glyph."""

from __future__ import annotations

import numpy as np
import pytest

from latexocr.data.typeset import available, draw, typeset

pytestmark = pytest.mark.skipif(not available(), reason="needs TeX (latex, dvipng)")


@pytest.mark.parametrize("font", ["cm", "lm", "times"])
def test_font_sets_draw(font):
    drawing, = draw([r"\alpha_{1}+\frac{\mathbf{x}}{\mathcal{L}}"], font=font, dpi=100)
    assert np.asarray(drawing.image).min() < 100
    assert len(drawing.glyphs) >= 6


def test_glyphs_lie_on_their_ink():
    drawing, = draw([r"\frac{a+b}{\sqrt{c}}=\left(\begin{matrix}1&2\\3&4\end{matrix}\right)"], dpi=300)
    ink = np.asarray(drawing.image) < 128
    scale = 300 / 72.27
    letters = [g for g in drawing.glyphs if g.font in ("cmr", "cmmi")]
    assert len(letters) >= 8
    for g in letters:
        rows, columns = slice(int(g.top * scale), int(g.bottom * scale) + 1), slice(int(g.left * scale),
                                                                                  int(g.right * scale) + 1)
        assert ink[rows, columns].any(), g
    covered = np.zeros_like(ink)
    for g in letters + [g for g in drawing.glyphs if g.font == "rule"]:
        covered[max(0, int(g.top * scale) - 2) : int(g.bottom * scale) + 3,
                max(0, int(g.left * scale) - 2) : int(g.right * scale) + 3] = True
    assert (ink & covered).sum() > 0.5 * ink.sum()


@pytest.mark.parametrize("bad", [r"x^{2", r"\undefinedcommand", r"a}b", r"\def\x{\x}\x", r"\end{document}",
                                 r"\begin{matrix}a", r"x^2^3"])
def test_a_formula_that_tex_refuses_costs_only_itself(bad, monkeypatch):
    monkeypatch.setattr("latexocr.tex.run.SECONDS_AT_LEAST", 2)  # one of them never ends
    before, refused, after = draw([r"a+b", bad, r"c-d"], dpi=80)
    assert refused is None
    assert before is not None and after is not None


def test_pictures_keep_to_their_formulas_where_others_are_refused_or_make_two_pages():
    formulas = ["1", r"x^2^3", "22", r"\rule{9000pt}{9000pt}", "333", r"x$\end{preview}\begin{preview}$y", "4444", ""]
    found = draw(formulas, dpi=80)
    assert [drawing is None for drawing in found] == [False, True] * 4
    widths = [drawing.image.width for drawing in found[::2]]
    assert np.diff(widths) == pytest.approx(5 * 80 / 72.27, abs=1.01)
    assert [len(drawing.glyphs) for drawing in found[::2]] == [1, 2, 3, 4]


def test_a_picture_that_would_lack_a_glyph_is_refused():
    assert [drawing is None for drawing in draw([r"a\text{\char200}", r"a\text{\char100}"], dpi=80)] == [True, False]


def test_tex_may_not_run_programs_or_read_files(tmp_path):
    target = tmp_path / "made"
    draw([rf"\immediate\write18{{touch {target}}}x", r"\input{/etc/passwd}"], dpi=80)
    assert not target.exists()
    assert typeset([r"\input{/etc/passwd}"], dpi=80) == [None]
