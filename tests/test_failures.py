"""The ledger of failures: one class for each kind of answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latexocr.records import Prediction
from latexocr.scoring.failures import classify, defect

CLASSES = {"ok", "wrong", "empty", "prose", "truncated", "loop", "unbalanced", "unparsable", "reference-defect",
           "server-error"}


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
