"""TeX sets many formulas a run, and no formula, broken or hostile, costs any other."""

from __future__ import annotations

import os
import subprocess

import pytest

from latexocr.errors import UserError
from latexocr.tex import dvi, harmless, run

pytestmark = pytest.mark.skipif(not run.available(), reason="needs TeX (latex, kpsewhich)")

GOOD = [r"a+b", r"\frac{x}{y}", r"\sqrt{2}", r"\ne\sin\mathbf{z}"]
BROKEN = [r"x^{2", r"a}b", r"\undefinedcommand", r"\end{document}", r"\begin{matrix}a", r"x^2^3", r"a & b", r"$",
          r"$$", r"x$ {$y", r"x$\begin{center}$y", r"\left(", r"\text{a", r"\end{preview}", r"\end", r"{", r"}",
          r"\\end{", r"#1",
          "a\n\nb", r"x$\end{preview}\begin{preview}$y", r"\hbox{$", r"\begingroup", r"\endgroup x", r"\mathchoice{a}",
          r"\hspace{1em", r"\rule{20000pt}{3pt}", r"\rule{3000pt}{3000pt}", "\x00", "\ud800", r"\frac"]
ATTACKS = [
    r"\gdef\frac#1#2{#2}x", r"\begin{gdef}\frac#1#2{#2}\end{gdef}x", r"^^5cgdef^^5cfrac#1#2{#2}x", r"\def\x{\x}\x",
    r"\newcount\n\loop\advance\n1 \expandafter\gdef\csname \the\n\endcsname{xxxxxxxxxxxxxxxx}\ifnum\n>0\repeat",
    r"\def\x{\message{aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}\x}\x", r"\batchmode x", r"\iffalse",
    r"\errorstopmode\read16 to\x x", r"\message{^^J@0 3 0^^J}x", r"\immediate\write18{touch made}x", r"\end{input}",
    r"\input{a.tex}", r"\input{/etc/passwd}", r"\newwrite\f\immediate\openout\f=/tmp/latexocr-made x",
    r"\shipout\hbox{x}", r"\global\count9=3 x", r"\bm{\bm{\bm{\bm{\bm{\bm{\bm{x}}}}}}}", r"\output{}x"]
MORE = [
    r"\global\let\sqrt\relax x", r"\global\catcode`\$=12 x", r"\catcode`\a=13 x", r"\endinput", r"\dump",
    r"\csname gdef\endcsname\frac#1#2{#2}x", r"\begin{global}\def\frac#1#2{#2}", r"\def\x{\x\x}\x", r"\scrollmode x",
    r"\loop\iftrue\repeat", r"\errorstopmode\undefined x", r"\read16 to\x x", r"\typeout{@@end}x", r"\end{csname}",
    r"\input ../../etc/passwd", r"\include{/etc/passwd}", r"\openin5=/etc/passwd \read5 to\x\x",
    r"\fontdimen22\textfont2=30pt x", r"\hyphenchar\font=1 x", r"\count9=2 x", r"\everymath{\global\let\frac\relax}$x$",
    r"\aftergroup\gdef\aftergroup\frac x", r"\AtEndDocument{\gdef\x{}}x", r"\setcounter{page}{3}x",
    r"\special{ps: quit}x", r"\makeatletter\global\let\pr@ship@end\relax x", r"\vfuzz=\maxdimen x",
    r"\global\textwidth=1pt x", r"\everypar{\global\let\sqrt\frac}x", r"\ExplSyntaxOn x", r"\newcommand\x{y}\x",
    r"\renewcommand\frac[2]{#2}", r"\newif\ifx", r"\newbox\x", r"\DeclareMathOperator\x{x}", r"\usepackage{x}",
    r"\uppercase{x}", r"\expandafter\x", r"\verb|x|", r"\edef\x{\x}", r"\setlength\textwidth{1pt}", r"\char`\a",
    r"\setbox0\hbox{x}", r"\parshape1 0pt 1pt", r"\penalty0", r"\insert1{x}", r"\vadjust{x}", r"\everycr{x}"]
"""Kept away from other formulas in the same way, so one look is enough."""


def places(formulas: list[str]) -> list[list[dvi.Glyph] | None]:
    return [page and page.glyphs() for page in run.pages(formulas)]


@pytest.fixture(scope="module")
def good() -> list[list[dvi.Glyph]]:
    """What the good formulas are when nothing else is near."""
    found = places(GOOD)
    assert all(found)
    return found


@pytest.fixture
def quick(monkeypatch):
    """Little patience: many of these never end."""
    monkeypatch.setattr(run, "SECONDS_AT_LEAST", 1)


def test_a_page_a_formula_in_order(good):
    assert [len(page) for page in good] == [3, 3, 3, 6]
    assert places(GOOD[::-1]) == good[::-1]


def test_a_broken_formula_costs_only_itself(good, quick):
    mixed = [formula for broken in BROKEN for formula in (broken, *GOOD)]
    found = places(mixed)
    step = len(GOOD) + 1
    assert {broken: page for broken, page in zip(BROKEN, found[::step], strict=True) if page} == {}
    for start in range(0, len(found), step):
        assert found[start + 1 : start + step] == good, mixed[start]


def test_an_argument_without_end_does_not_reach_the_next_formula(good):
    found = places([r"\text{{a^n", *GOOD, r"b}{c", *GOOD, r"\frac{{x", *GOOD, "d}"])
    assert found[::5] == [None] * 4
    assert found[1:5] == found[6:10] == found[11:15] == good


def test_an_attack_costs_only_itself(good, quick, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = places([formula for attack in ATTACKS for formula in (attack, *GOOD)])
    step = len(GOOD) + 1
    for number, attack in enumerate(ATTACKS):
        assert found[number * step + 1 : (number + 1) * step] == good, attack
    assert not os.path.exists("/tmp/latexocr-made") and not os.listdir(tmp_path)


def test_a_formula_inside_a_formula_leaves_the_alphabets_alone():
    r"""LaTeX gives alphabets back at the end of any formula, that of a \big bracket too."""
    plain, big = places([r"\mathsf{J}=[\mathbf{s}]+\mathtt{x}", r"\mathsf{J}=\big[\mathbf{s}\big]+\mathtt{x}"])
    letters = [("cmss", ord("J")), ("cmbx", ord("s")), ("cmtt", ord("x"))]
    for page in (plain, big):
        assert [(g.font, g.code) for g in page if (g.font, g.code) in letters] == letters


def test_bold_ends_with_its_formula():
    alone, = places([r"\mathbb{E}\mathcal{L}x"])
    assert places([r"\boldsymbol{\mathbb{E}\mathcal{L}\mathsf{q}x}", r"\mathbb{E}\mathcal{L}x"])[1] == alone


@pytest.mark.parametrize("attack", [r"\input{/etc/passwd}", r"\input ../../../../etc/passwd", r"\include{/etc/passwd}",
                                    r"\openin5=/etc/passwd \ifeof5 \undefined\fi x",
                                    r"\openin5=|ls \ifeof5 \undefined\fi x",
                                    r"\immediate\openout5=/tmp/latexocr-made x"])
def test_files_outside_are_closed(attack):
    assert run.pages([attack]) == [None]


def test_whatever_could_outlive_itself_is_alone():
    found = harmless.doubtful(ATTACKS + MORE, lambda names: run._defined(names, run.Style()))
    shared = [attack for number, attack in enumerate(ATTACKS + MORE) if number not in found]
    assert shared == [r"\bm{\bm{\bm{\bm{\bm{\bm{\bm{x}}}}}}}"]  # It never ends, which is another matter.


@pytest.mark.parametrize(("formula", "alone"), [
    (r"\frac{a}{b}\\x", False), (r"\begin{pmatrix*}[r]a\end{pmatrix*}", False), (r"\begin {matrix}\end{matrix}", False),
    (r"\gdef", True), (r"\\gdef", False), (r"\nosuchthing", False), (r"\begin{nosuchthing}", False),
    (r"\begin{gdef}", True), (r"\begin\x", True), (r"\begin{{gdef}}", True), (r"x^^5c", True), (r"\end{input}", True),
])
def test_what_is_alone(formula, alone):
    asked = harmless.doubtful([formula], lambda names: run._defined(names, run.Style()))
    assert asked == ({0} if alone else set())


def test_a_formula_that_never_ends_is_stopped(quick, good):
    start = os.times()
    found = places([GOOD[0], r"\def\x{\x}\x", r"\bm{\bm{\bm{\bm{\bm{\bm{\bm{\bm{x}}}}}}}}", *GOOD[1:]])
    assert [found[0], *found[3:]] == good
    assert found[1] is None
    assert os.times().children_user - start.children_user < 20


def test_a_program_is_held_to_its_limits(tmp_path, quick):
    run.limited(["sh", "-c", "while :; do :; done"], tmp_path, 1)
    run.limited(["sh", "-c", "yes > big"], tmp_path, 1)
    assert (tmp_path / "big").stat().st_size <= run.FILE_SIZE
    run.limited(["python3", "-c", "x = bytearray(2 << 30); open('held', 'w')"], tmp_path, 1)
    assert not (tmp_path / "held").exists()


@pytest.mark.parametrize("formula", [
    r"\begin{align}a&=b\\c&=d\end{align}", r"\begin{align*}a&=b\end{align*}", r"\begin{equation}a\end{equation}",
    r"\begin{gather}a\\b\end{gather}", r"\begin{eqnarray*}a&=&b\end{eqnarray*}",
    r"\begin{alignat}{2}a&=b&c\end{alignat}",
    r"a\tag{1}", r"a\tag*{1}", r"\begin{aligned}a\label{x}\nonumber\end{aligned}",
    r"\begin{aligned}&\log a\\&=b\end{aligned}", r"\color{red}a",
    r"\textcolor{red}{a}", r"{\color[rgb]{1,0,0}a}", "a% b", "a%", r"a<b\lt c",
    r"\begin{multline*}a\\b\end{multline*}",
])
def test_formulas_as_they_stand_in_documents(formula):
    page, = run.pages([formula])
    assert page is not None and any(g.font == "cmmi" and g.code == ord("a") for g in page.glyphs())


def test_no_formulas_need_no_tex(monkeypatch):
    assert run.pages([]) == []


def test_without_tex_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(UserError, match=r"No TeX on this machine .*apt-get install"):
        run.pages(["x"])


def test_a_package_that_is_missing_is_named():
    with pytest.raises(UserError, match=r"nosuchpackage\.sty' not found.*apt-get"):
        run.pages(["x"], run.Style(r"\usepackage{nosuchpackage}"))


def test_pages_without_end_are_set_in_several_documents(monkeypatch, good):
    documents = []
    monkeypatch.setattr(run, "LARGEST_DOCUMENT", 3)
    count = subprocess.run
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: documents.append(1) or count(*a, **k))
    assert places(GOOD * 2) == good * 2
    assert len(documents) == 3
