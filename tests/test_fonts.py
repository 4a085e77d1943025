"""Sets of fonts of every making draw, and look like none of the others; held-out families stay out."""

from __future__ import annotations

import re

import numpy as np
import pytest

from latexocr.data import fonts
from latexocr.data.fonts import FONTS, available_fonts
from latexocr.data.typeset import available, draw

tex = pytest.mark.skipif(not available(), reason="no TeX on this machine: latex, kpsewhich and dvipng")
FORMULAS = (r"abgkxRQ147", r"\mathbf{x}\mathrm{x}", r"\|x\|", r"\int_{0}^{1}")
WITH_ANY_TEX = ("cm", "lm", "times", "tx", "palatino", "px", "euler", "helvetica", "avantgarde", "bookman", "courier")
"""The sets of texlive-fonts-recommended and lmodern, which tests may count on; the others need texlive-fonts-extra."""


@pytest.fixture(scope="module")
def pictures() -> dict[str, list[np.ndarray]]:
    return {name: [np.asarray(drawing.image) for drawing in draw(FORMULAS, font=name, dpi=100)]
            for name in WITH_ANY_TEX}


@tex
def test_every_font_draws_letters_of_its_own(pictures):
    seen: dict[bytes, str] = {}
    for name, (letters, *_) in pictures.items():
        assert (letters < 128).sum() > 100, name
        other = seen.setdefault(letters.tobytes(), name)
        assert other == name, f"{name} draws the letters of {other}"


@tex
def test_bold_and_upright_letters_differ_where_they_should(pictures):
    for name, (_, pair, *_) in pictures.items():
        ink = (255 - pair.astype(int)).sum(axis=0)
        left, right = ink[: len(ink) // 2].sum(), ink[len(ink) // 2 :].sum()
        assert left > 1.05 * right, f"{name}: bold is not bold"


@tex
def test_a_norm_has_four_bars_and_limits_of_an_integral_stand_beside_it(pictures):
    for name, (_, _, norm, integral) in pictures.items():
        assert norm.shape[1] > 12, f"{name}: bars are missing"
        assert integral.shape[0] < 4 * integral.shape[1], f"{name}: limits above and below"


@tex
def test_what_this_machine_has_is_found_out():
    assert set(WITH_ANY_TEX) <= set(available_fonts()) <= set(FONTS)


def test_held_out_families_are_never_drawn_in_training():
    for name, choice in FONTS.items():
        assert (choice.share == 0) == (choice.family in ("palatino", "charter")), name
    assert {FONTS[name].family for name in ("palatino", "px", "newpx", "kp")} == {"palatino"}
    assert {choice.family for choice in FONTS.values()} >= {"palatino", "charter"}


def test_computer_modern_is_a_third_of_what_is_drawn():
    assert 0.3 < FONTS["cm"].share / sum(choice.share for choice in FONTS.values()) < 0.45


def test_files_of_a_choice_are_those_that_its_preamble_loads():
    assert FONTS["cm"].files == frozenset()
    assert FONTS["px"].files == {"pxfonts.sty"}
    assert FONTS["bookman"].files == {"lmodern.sty", "fontenc.sty", "mathastext.sty", "t1pbk.fd"}
    assert {"newtxmath.sty", "binhex.tex"} < FONTS["scholax"].files


def test_without_tex_only_computer_modern_is_left(monkeypatch):
    monkeypatch.setattr(fonts.shutil, "which", lambda name: None)
    assert available_fonts.__wrapped__() == ("cm",)


def test_names_and_families_are_plain_words():
    for name, choice in FONTS.items():
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) and re.fullmatch(r"[a-z ]+", choice.family)
