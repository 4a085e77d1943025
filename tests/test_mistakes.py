"""Kinds of error: what is said of a wrong answer, how it moved, which sign was read for which."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latexocr.bench.mistakes import KINDS, confused, kinds_of, misread, moved
from latexocr.latex.canonical import equality_level
from latexocr.records import Prediction
from latexocr.scoring.failures import classify


@pytest.mark.parametrize(("prediction", "reference", "kinds"), [
    ("x+z", "x+y", "wrong symbol"), ("x+", "x+y", "missing symbol"), ("x+yy", "x+y", "extra symbol"),
    (r"\mathcal{A}", "A", "alphabet"), ("sin x", r"\sin x", "alphabet"),
    ("(a]", "(a)", "bracket"), ("a", "(a)", "bracket"), (r"\left(a\right]", "(a)", "bracket"),
    ("x_2", "x^2", "script"), ("x2", "x^2", "script"), ("x^ab", "x^{ab}", "script"), ("x^{a^b}", "x^{ab}", "script"),
    ("ab", r"\frac{a}{b}", "fraction or root"), (r"\frac{a}{b}c", r"\frac{a}{bc}", "fraction or root"),
    (r"\sqrt{ab}", r"\sqrt{a}b", "fraction or root"), ("a/b", r"\frac{a}{b}", "extra symbol, fraction or root"),
    (r"\hat{a}b", r"\hat{ab}", "accent"), (r"\bar{a}", r"\hat{a}", "wrong symbol"), ("a", r"\hat{a}", "missing symbol"),
    (r"\begin{matrix}a&b\\c&d\end{matrix}", r"\begin{matrix}a&b&c&d\end{matrix}", "rows or cells"),
    (r"a\\b", "ab", "rows or cells"), (r"a\\\\b", r"a\\b", "rows or cells"),
    (r"x^3+\mathbf{y}_i", r"x_3+y_i", "alphabet, script"),
    (r"\mathbf{x}", r"\boldsymbol{x}", "notation"), ("x.", "x", "notation"),
    (r"\frac{a", "a", "broken"), ("", "a", "no formula"), ("I cannot read this picture", "a", "no formula"),
    ("x" * 200, "a", "cut off or loop"), ("b", r"\frac{a", "broken reference"),
    ("x^{2}", "x^2", ""), (r"\left(\frac12\right)", r"(\frac{1}{2})", ""),
])
def test_what_is_wrong_with_an_answer(prediction, reference, kinds):
    assert ", ".join(judged(Prediction("a", prediction), reference)) == kinds


def judged(prediction: Prediction, reference: str) -> tuple[str, ...]:
    level = equality_level(reference, prediction.latex)
    return kinds_of(prediction.latex, reference, classify(prediction, reference),
                    None if level is None else level.name.lower())


@pytest.mark.parametrize(("stop", "kind"), [("error", "not read"), ("length", "cut off or loop")])
def test_how_an_answer_ended_is_a_kind_of_error(stop, kind):
    assert judged(Prediction("a", "x+", stop=stop), "x") == (kind,)


PIECES = st.lists(st.sampled_from([r"\frac", "{", "}", "^", "_", "&", r"\\", "x", "y", "2", "(", ")", r"\hat", r"\sqrt",
                                   r"\mathbf", r"\text{a b}", r"\begin{matrix}", r"\end{matrix}", r"\left(",
                                   r"\right)", r"\sum", " ", r"\unknown", "'"]), max_size=9).map("".join)


@settings(max_examples=150, deadline=None)
@given(PIECES, PIECES)
def test_every_answer_has_kinds_if_and_only_if_it_is_wrong(prediction, reference):
    kinds = judged(Prediction("a", prediction), reference)
    assert bool(kinds) == (classify(Prediction("a", prediction), reference) != "ok")
    assert set(kinds) <= set(KINDS) and len(set(kinds)) == len(kinds)


def test_how_kinds_moved_from_the_first_column():
    found = moved({"base": [("script",), ("script", "bracket"), ()], "tuned": [("script",), ("bracket",), ("script",)],
                   "other": [(), (), ()]})
    assert list(found) == ["bracket", "script"]
    counts = {kind: {column: (one.n, one.gone, one.new) for column, one in columns.items()}
              for kind, columns in found.items()}
    assert counts == {"bracket": {"base": (1, 0, 0), "tuned": (1, 0, 0), "other": (0, 1, 0)},
                      "script": {"base": (2, 0, 0), "tuned": (2, 1, 1), "other": (0, 2, 0)}}


def test_confusions_count_answers_and_name_some():
    ids = [f"s{i}" for i in range(6)]
    answers = {"base": ["X+y"] * 5 + ["x+y"], "tuned": ["x+y"] * 5 + ["x"]}
    found = confused(ids, {name: [misread(text, "x+y") for text in column] for name, column in answers.items()})
    first = found[0]
    assert (first.reference, first.read) == ("x", "X")
    assert first.counts == {"base": 5, "tuned": 0} and first.ids == {"base": ("s0", "s1", "s2")}
    rest = {(one.reference, one.read): one.counts for one in found[1:]}
    assert rest == {("+", ""): {"base": 0, "tuned": 1}, ("y", ""): {"base": 0, "tuned": 1}}


@pytest.mark.parametrize(("prediction", "reference", "pairs"), [
    ("x+z", "x+y", [("y", "z")]), ("x", "x+y", [("+", ""), ("y", "")]), ("x^2", "x_2", []), ("x^{2}", "x^2", []),
    (r"\frac{a}{b}", "a", [("", r"\frac"), ("", "b")]),
])
def test_what_is_misread_are_signs(prediction, reference, pairs):
    assert sorted(misread(prediction, reference)) == sorted(pairs)
