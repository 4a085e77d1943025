"""The visual metric: what it sees, what it forgives, and that no formula costs another."""

from __future__ import annotations

import itertools
import os

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from latexocr.errors import UserError
from latexocr.scoring import layout, statistics
from latexocr.scoring.layout import drawings, layouts, tabulate_layouts
from latexocr.tex import run

pytestmark = pytest.mark.skipif(not run.available(), reason="needs TeX (latex, kpsewhich)")

SEEN = [  # reference, prediction, why, F1
    ("3^2", "2^3", "base and exponent changed places: CDM counts glyphs", 0),
    (r"x^{ab}", "x^ab", "b is on the line", 2 / 3),
    (r"\begin{matrix}a&b\\c&d\end{matrix}", r"a\ b\ c\ d", "a matrix is no row", 0.5),
    (r"\begin{pmatrix}a\\b\end{pmatrix}", r"\begin{pmatrix}b\\a\end{pmatrix}", "rows in their order", None),
    (r"\begin{matrix}a&b\\c&d\end{matrix}", r"\begin{matrix}a&c\\b&d\end{matrix}", "cells in their order", None),
    (r"\begin{matrix}a\\b\\c\end{matrix}", r"\begin{matrix}a\\b c\end{matrix}", "one row less", None),
    (r"\sqrt{ab}", r"\sqrt{a}b", "where a root ends", None),
    (r"\sqrt[3]{x}", r"\sqrt{x}", "the index of a root", None),
    (r"2\sqrt[3]{x}", r"2^3\sqrt{x}", "an index is no exponent", None),
    (r"\frac{a}{b}", r"\frac{b}{a}", "above and below", None),
    (r"\frac{a}{b}", r"\binom{a}{b}", "the line of a fraction", None),
    (r"\frac{\frac ab}c", r"\frac a{\frac bc}", "which line is the longer", None),
    (r"\frac{a}{b}c", r"\frac{a}{bc}", "where a fraction ends", None),
    ("x_i", "x^i", "down is not up", 0.5),
    ("x^{a^b}", "{x^a}^b", "an exponent of an exponent", 2 / 3),
    ("a_{b_c}", "a_{bc}", "an index of an index", 2 / 3),
    (r"\sum_i^n", r"\sum_n^i", "limits changed places", None),
    ("{}^{14}C", "C^{14}", "before and after", None),
    (r"\overline{ab}", r"\overline{a}b", "where a line over signs ends", 2 / 3),
    (r"\widehat{ab}", r"\widehat{a}b", "where a wide accent ends", 2 / 3),
    (r"\hat{a}b", r"a\hat{b}", "what an accent lies on", 2 / 3),
    (r"\dot a", r"\ddot a", "which accent", 0.5),
    (r"\bar a", r"\overline{a}", "a bar is an accent", 0.5),
    (r"\vec a", "a", "an accent forgotten", 2 / 3),
    (r"\overbrace{a+b}^n", r"\underbrace{a+b}_n", "over and under", None),
    (r"\underbrace{a+b}_n", r"\underbrace{a}_n+b", "what a brace holds", None),
    ("A", "a", "case", 0),
    (r"\epsilon", r"\varepsilon", "never equal (METRICS.md 7.2)", 0),
    (r"\phi", r"\varphi", "never equal (METRICS.md 7.2)", 0),
    (r"\mathbb{R}", "R", "never equal (METRICS.md 7.2)", 0),
    (r"\mathbf{x}", "x", "another font", 0),
    (r"\sin x", "sin x", "upright letters are a function", None),
    ("(a)", "[a]", "kind of bracket", 1 / 3),
    (r"\left(a\right]", "(a)", "kind of bracket, in any size", None),
    (r"\longrightarrow", r"\rightarrow", "length of an arrow that has two", 0),
    ("f'", "f", "a prime", 2 / 3),
    ("-a", "a", "a sign", 0),
    (r"\cdot", ".", "height of a dot", 0),
    (r"a\tag{1}", "a", "a tag is drawn", None),
    (r"\boxed{x}", "x", "a box is drawn", None),
]
FORGIVEN = [
    (r"\neq", r"\ne", "CDM: .67"), ("x", "{x}", "stray braces"), (r"x^2", "{x}^{{2}}", "stray braces"),
    (r"\notin", r"\not\in", "the same stroke"), (r"\frac12", r"\frac{1}{2}", "braces"),
    (r"{1\over2}", r"\frac{1}{2}", "plain TeX"), ("x_a^b", "x^b_a", "order of scripts"),
    ("f'", r"f^{\prime}", "primes"), (r"\color{red}x", "x", "colour"), (r"\textcolor{red}{x}", "x", "colour"),
    (r"a\,b\quad c", "abc", "spaces"), (r"a\!b~c\hspace{2em}d", "abcd", "spaces"), (r"\phantom{x}a", "a", "no ink"),
    (r"\left(\frac ab\right)", r"(\frac ab)", "size of brackets"), (r"\big(x\big)", "(x)", "size of brackets"),
    (r"\Biggl[x\Biggr\}", r"[x\}", "size of brackets"), (r"\left|x\right|", "|x|", "size of brackets"),
    (r"\left[\begin{array}{c}1\\2\\3\\4\\5\\6\\7\\8\\9\end{array}\right]",
     r"[\begin{array}{c}1\\2\\3\\4\\5\\6\\7\\8\\9\end{array}]", "brackets made of pieces"),
    (r"\left\{\begin{array}{c}1\\2\\3\\4\\5\\6\\7\\8\\9\end{array}\right.",
     r"\{\begin{array}{c}1\\2\\3\\4\\5\\6\\7\\8\\9\end{array}", "brackets made of pieces"),
    (r"\left.\frac{df}{dx}\right|_{x=0}", r"\frac{df}{dx}\bigg|_{x=0}", "an invisible bracket"),
    (r"\dfrac ab", r"\tfrac ab", "style"),
    (r"\textstyle\sum_i^n\frac{\hat x_i}{2}", r"\sum_i^n\frac{\hat x_i}{2}", "style"),
    (r"\sum\limits_i x", r"\sum\nolimits_i x", "place of limits"),
    (r"\lim\limits_{x\to0}", r"\lim_{x\rightarrow 0}", "place of limits, and an alias"),
    (r"\int\limits_a^b", r"\int_a^b", "place of limits"), (r"\underset{x}{\max}", r"\max_x", "the same place"),
    (r"\begin{pmatrix}a&b\\c&d\end{pmatrix}", r"\left(\begin{array}{cc}a&b\\c&d\end{array}\right)", "matrix as array"),
    (r"\begin{array}{lr}a&b\\c&d\end{array}", r"\begin{array}{cc}a&b\\c&d\end{array}", "letters of columns"),
    (r"\begin{cases}a&b\\c&d\end{cases}", r"\left\{\begin{array}{ll}a&b\\c&d\end{array}\right.", "cases as array"),
    (r"\begin{align*}a&=b\\&=c\end{align*}", r"\begin{aligned}a&=b\\&=c\end{aligned}", "kinds of alignment"),
    (r"\begin{aligned}a&=b\\&=c\end{aligned}", r"\begin{gathered}a=b\\=c\end{gathered}", "kinds of alignment"),
    (r"\begin{gather}a\\b\end{gather}", r"a\\b", "lines"), (r"\begin{equation}a\end{equation}", "a", "what wraps"),
    ("$x$", r"\[x\]", "what wraps"), ("x%y", "x", "a comment"), (r"a\label{x}\nonumber", "a", "labels"),
    (r"\operatorname{sin}x", r"\sin x", "a function"), (r"\mathrm{sin}x", r"\text{sin}x", "letters of one font"),
    (r"{P^2}_0", "P^2_0", "METRICS.md 7.2"), (r"M_{{MN}_0}", "M_{MN_0}", "METRICS.md 7.2"),
    (r"\ldots", "...", "dots"), (r"\iint", r"\int\int", "two integrals"),
    (r"\stackrel{a}{=}", r"\overset{a}{=}", "the same place"),
    (r"\text{fine}", r"\mathrm{f}\mathrm{i}\mathrm{n}\mathrm{e}", "ligatures"), ("α≤β", r"\alpha\leq\beta", "Unicode"),
    (r"\widetilde\Phi{}^a_b", r"\widetilde{\Phi}^a_b", "scripts of an accented letter"),
    (r"\textbf{7.1}", r"\mathbf{7}.\mathbf{1}", "stops are not bold"),
    (r"\overrightarrow{AB}", r"\overrightarrow{A\,B}", "arrows of any length"),
]


def names(table: list[tuple]) -> list[str]:
    return [f"{row[0]} / {row[1]}" for row in table]


@pytest.fixture(scope="module")
def compared() -> dict[tuple[str, str], layout.Layout]:
    """Both tables, in one go."""
    pairs = [(row[1], row[0]) for row in SEEN + FORGIVEN]
    return dict(zip(pairs, layouts(pairs), strict=True))


@pytest.mark.parametrize(("reference", "prediction", "why", "f1"), SEEN, ids=names(SEEN))
def test_sees(compared, reference, prediction, why, f1):
    found = compared[prediction, reference]
    assert not found.same and not found.prediction_refused and not found.reference_refused
    assert found.f1 < 1 and (f1 is None or found.f1 == pytest.approx(f1)), why


@pytest.mark.parametrize(("reference", "prediction", "why"), FORGIVEN, ids=names(FORGIVEN))
def test_forgives(compared, reference, prediction, why):
    found = compared[prediction, reference]
    assert found.same and found.f1 == 1, why


def test_a_refused_prediction_scores_nothing_and_a_refused_reference_is_kept():
    good, wrong, lost, both = layouts([("a", "a"), (r"\frac{a", "a"), ("a", r"\frac{a"), (r"}", "}")])
    assert (good.f1, good.same) == (1, True)
    assert (wrong.f1, wrong.prediction_refused, wrong.reference_refused, wrong.expected) == (0, True, False, 1)
    assert (lost.f1, lost.prediction_refused, lost.reference_refused) == (0, False, True)
    assert (both.f1, both.same, both.prediction_refused, both.reference_refused) == (0, False, True, True)


def test_nothing_is_nothing():
    both, forgotten, made_up = layouts([("", r"\,"), ("", "a"), ("a", "")])
    assert (both.f1, both.same) == (1, True)
    assert (forgotten.f1, made_up.f1) == (0, 0)


def test_an_attack_leaves_the_others_their_scores(monkeypatch):
    monkeypatch.setattr(run, "SECONDS_AT_LEAST", 1)
    attacks = [r"\input{/etc/passwd}", r"\immediate\write18{touch /tmp/latexocr-made}x", r"\loop\iftrue\repeat",
               r"\def\x{\x\x}\x", r"\gdef\frac#1#2{#2}x", r"\end{document}", r"\text{a"]
    fair = [(r"\frac{a}{b}", r"\frac{a}{b}\,"), ("x^{2}", "x^{3}")]
    expected = list(layouts(fair))
    found = list(layouts([pair for attack in attacks for pair in ((attack, "x"), *fair)]))
    for number, attack in enumerate(attacks):
        assert found[3 * number + 1 : 3 * number + 3] == expected, attack
    assert [pair.prediction_refused for pair in found[::3]] == [True, False, True, True, False, True, True]
    assert not os.path.exists("/tmp/latexocr-made")


PIECES = ["a", "b", "x^{2}", "x_{i}", r"\frac{a}{b}", r"\sqrt{x}", "+", "=", r"\hat{y}", "(", ")", r"\sum_{i}^{n}",
          r"\left[\frac{1}{2}\right]", r"\begin{matrix}a&b\\c&d\end{matrix}", r"\mathbf{v}", r"\int_{0}^{1}", "'"]
QUICK = settings(max_examples=5, deadline=None, derandomize=True, phases=[Phase.generate],
                 suppress_health_check=list(HealthCheck))
"""Each example is a run of TeX: few, of many formulas, and not made smaller where one fails."""
formulas = st.lists(st.sampled_from(PIECES), min_size=1, max_size=7).map(" ".join)


@QUICK
@given(st.lists(formulas, min_size=8, max_size=8, unique=True))
def test_properties(texts):
    pairs = list(itertools.product(texts, repeat=2))
    there = dict(zip(pairs, layouts(pairs), strict=True))
    for (a, b), found in there.items():
        back = there[b, a]
        assert 0 <= found.f1 <= 1 and found.f1 == back.f1 and found.same == back.same
        assert found.same == (found.f1 == 1)
        assert a != b or found.same or found.prediction_refused
        assert found.matched <= min(found.predicted, found.expected)


@QUICK
@given(st.lists(st.tuples(formulas, st.sampled_from([r"\,", r"\quad ", "{}", r"\displaystyle ", r"\textstyle "])),
                min_size=30, max_size=30))
def test_spaces_and_styles_around_change_nothing(rows):
    for (text, space), found in zip(rows, layouts([(space + "{" + text + "}" + r"\;", text) for text, space in rows]),
                                    strict=True):
        assert found.same or found.reference_refused, (text, space)


def test_every_sign_hangs_on_one_before_it():
    for signs in drawings(row[0] for row in SEEN + FORGIVEN).values():
        for number, sign in enumerate(signs):
            assert sign.on < number and (sign.last == -1 or sign.on <= sign.last < number)


def test_the_order_of_pairs_and_the_size_of_runs_change_nothing(monkeypatch, compared):
    pairs = list(compared)
    monkeypatch.setattr(layout, "AT_ONCE", 30)
    assert list(layouts(pairs[::-1])) == [compared[pair] for pair in pairs[::-1]]


def test_tables_for_statistics(compared):
    found = list(compared.values())
    tables = tabulate_layouts(found)
    assert {name: table.shape for name, table in tables.items()} == {
        "layout_f1": (len(found), 2), "layout_same": (len(found), 2)}
    metrics = layout.layout_metrics()
    scores = {name: statistics.score(metric, tables[name]) for name, metric in metrics.items()}
    assert scores["layout_same"].value == pytest.approx(len(FORGIVEN) / len(found))
    assert scores["layout_f1"].value == pytest.approx(np.mean([pair.f1 for pair in found]))
    assert "TeX Live" in scores["layout_f1"].signature
    assert metrics["layout_f1"].counts("x^ab", "x^{ab}") == pytest.approx((2 / 3, 1))
    assert {name: table.shape for name, table in tabulate_layouts([]).items()} == {
        "layout_f1": (0, 2), "layout_same": (0, 2)}


def test_what_is_refused_is_not_drawn_alike():
    assert [pair.same for pair in layouts([(r"\ne", r"\neq"), ("a", "b"), ("}", "}")])] == [True, False, False]


def test_deep_nesting_is_refused_or_read_but_no_traceback():
    deep = "{" * 150 + r"x^{" * 60 + "y" + "}" * 210
    roots = r"\sqrt{" * 120 + "x" + "}" * 120
    for found in layouts([(deep, deep), (roots, roots)]):
        assert found.same or found.prediction_refused


def test_without_tex_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(UserError, match="No TeX on this machine"):
        list(layouts([("a", "a")]))
