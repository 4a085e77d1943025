"""The ledger of failures: one class for each kind of answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latexocr.latex.aliases import declare
from latexocr.records import Prediction
from latexocr.scoring.assess import assess, score
from latexocr.scoring.failures import CLASSES, Ledger, classify, defect, ledger


def answer(latex, stop="end"):
    return Prediction("1", latex, stop=stop)


@pytest.mark.parametrize("latex, stop, reference, kind", [
    ("x^2", "end", "x^{2}", "ok"),
    (r"\left(x\right)", "end", "(x)", "ok"),
    ("$x$", "length", "x", "ok"),
    ("x^2", "end", "x^{3}", "wrong"),
    ("", "end", "x", "empty"),
    (" $$ $$ ", "end", "x", "empty"),
    ("", "error", "x", "server-error"),
    ("x", "error", "x", "server-error"),
    ("x+y", "length", "x+z", "truncated"),
    (r"\frac{a}{", "length", r"\frac{a}{b}", "truncated"),
    ("0" * 60, "length", "x", "loop"),
    (r"\alpha+" * 30, "end", r"\alpha+\beta", "loop"),
    ("a=b+c-d/e+f^{2}g_{1}" + r"\mu\nu" * 40, "length", "a=b", "loop"),
    ("0&" * 30, "end", "0&" * 29 + "1", "wrong"),
    ("The formula is $x^2$.", "end", "x^2", "prose"),
    ("I'm sorry, but I can't read this image.", "end", "x", "prose"),
    ("x where the value of this is small", "end", "y", "prose"),
    (r"x\text{ where the value of this is small}", "end", "y", "wrong"),
    ("dx dy dz dt du dv", "end", "x", "wrong"),
    (r"\sin x \cos y \tan z \log w", "end", "x", "wrong"),
    (r"\frac{a}{b", "end", r"\frac{a}{b}", "unbalanced"),
    (r"\left(a", "end", "(a)", "unbalanced"),
    (r"\begin{matrix}a", "end", "a", "unbalanced"),
    ("x^2^3", "end", "x", "unparsable"),
    (r"\frac{a}", "end", "x", "unparsable"),
    ("x", "end", "{y", "reference-defect"),
    ("x", "end", "", "reference-defect"),
    ("", "end", "", "reference-defect"),
    ("{y", "end", "{y", "ok"),
])
def test_kind_of_answer(latex, stop, reference, kind):
    assert classify(answer(latex, stop), reference) == kind


@given(st.text(alphabet="xy{}^_\\$& abc", max_size=60), st.sampled_from(["end", "length", "error"]),
       st.text(max_size=10))
def test_every_answer_has_one_kind(latex, stop, reference):
    assert classify(answer(latex, stop), reference) in CLASSES


@pytest.mark.parametrize("reference, why", [("x^2", ""), ("{x", "without its end"), ("", "nothing"),
    ("x^2^3", "superscripts")])
def test_defects_of_references(reference, why):
    found = defect(reference)
    assert (why in found) if why else not found


PAIRS = [("x^2", "x^{2}"), ("y", "z"), ("", "x"), ("{y", "{y"), ("x", "{y"), (r"\frac{a}{", r"\frac{a}{b}"), ("x", "")]


def test_the_ledger_counts_every_pair_once_and_lists_broken_references():
    found = ledger([(answer(prediction), reference) for prediction, reference in PAIRS], start=10)
    assert found.counts == {"ok": 2, "wrong": 1, "empty": 1, "reference-defect": 2, "unbalanced": 1}
    assert found.n == len(PAIRS)
    assert [(defect.place, defect.right) for defect in found.defects] == [(13, True), (14, False), (16, False)]
    assert "without its end" in found.defects[0].reason
    assert found.sound == (1, 4)


def test_broken_references_stay_in_every_score():
    found = assess([reference for _, reference in PAIRS], {"a": [prediction for prediction, _ in PAIRS]})
    exact = next(one for one in found.scores["a"] if one.metric == "exact_visual")
    assert (exact.n, exact.value) == (len(PAIRS), 2 / len(PAIRS))
    assert found.ledgers["a"].n == len(PAIRS)


@given(st.lists(st.tuples(st.text(alphabet="xy{}^_\\ ", max_size=12), st.text(alphabet="xy{}^_\\ ", max_size=8)),
                max_size=6), st.integers(0, 6))
def test_ledgers_of_parts_add_up(pairs, cut):
    answers = [(answer(prediction), reference) for prediction, reference in pairs]
    parts = ledger(answers[:cut]) + ledger(answers[cut:], start=cut)
    assert parts == ledger(answers) + Ledger()
    assert parts.n == len(pairs) and 0 <= parts.sound[0] <= parts.sound[1] <= parts.n


def test_what_counts_as_ok_is_what_the_headline_counts_as_right():
    answers, references = zip(*PAIRS, (r"\epsilon", r"\varepsilon"))
    same = declare({r"\varepsilon": r"\epsilon"})
    for aliases, right in (({}, 2), ({"aliases": same}, 3)):
        assert assess(references, {"a": answers}, **aliases).ledgers["a"].counts["ok"] == right
        assert score(answers, references, **aliases)["exact_visual"].value == right / 8
