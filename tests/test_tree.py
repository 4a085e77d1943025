"""The syntax tree: what it holds, and that what cannot be parsed is a value."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latexocr.latex.nodes import Atom, Call, Environment, Fenced, Group, Scripts, Text
from latexocr.latex.syntax import syntax
from latexocr.latex.tokens import tokenize
from latexocr.latex.tree import MAX_DEPTH, Unparsable, parse
from latexocr.latex.write import write

A, B, X = Atom("a"), Atom("b"), Atom("x")
TWO = Atom("2")


@pytest.mark.parametrize("latex, tree", [
    ("", ()),
    ("ab", (A, B)),
    ("{a}", (Group((A,)),)),
    (r"\frac ab", (Call(r"\frac", ((A,), (B,))),)),
    (r"a\over b", (Call(r"\frac", ((A,), (B,))),)),
    ("x^2_a", (Scripts(X, (A,), (TWO,)),)),
    ("x'^2", (Scripts(X, None, (Atom(r"\prime"), TWO)),)),
    ("^2", (Scripts(None, None, (TWO,)),)),
    (r"\,_a", (Atom(r"\,"), Scripts(None, (A,), None))),
    (r"\sum\limits_a", (Scripts(Atom(r"\sum"), (A,), None, r"\limits"),)),
    (r"\rm a\it b", (Atom("a", "mathrm"), Atom("b", "mathit"))),
    (r"{\rm a}b", (Group((Atom("a", "mathrm"),)), B)),
    (r"{\rm a\over b}", (Group((Call(r"\frac", ((Atom("a", "mathrm"),), (Atom("b", "mathrm"),))),)),)),
    (r"\mathbf{a+\alpha}", (Group((Atom("a", "mathbf"), Atom("+"), Atom(r"\alpha"))),)),
    (r"\mathbf{\hat a}", (Group((Call(r"\hat", ((Atom("a", "mathbf"),),), None, "mathbf"),)),)),
    (r"\sqrt[a]b", (Call(r"\sqrt", ((B,),), (A,)),)),
    (r"\left\lbrace a\right.", (Fenced(r"\{", (A,), "."),)),
    (r"\big{(}", (Call(r"\big", ((Atom("("),),)),)),
    (r"\text{a b}", (Text(r"\text", "a b"),)),
    (r"\begin{array}{c|c}a&b\\[2pt]x\end{array}",
     (Environment("array", "{c|c}", (((A,), (B,)), ((X,),)), (r"\\[2pt]",)),)),
    (r"\substack{a\\b}", (Environment(r"\substack", "", (((A,),), ((B,),)), (r"\\",)),)),
    (r"a\label{x}_b", (Scripts(A, (B,), None),)),
])
def test_tree(latex, tree):
    assert parse(tokenize(latex)) == tree


@pytest.mark.parametrize("latex, reason, unbalanced", [
    ("{a", "without its end", True),
    ("a}", "without its {", True),
    (r"\left(a", "without its end", True),
    (r"a\right)", r"without its \left", True),
    (r"\begin{array}{c}a", "without its end", True),
    (r"\begin{matrix}a\end{array}", r"without its \begin", True),
    (r"\end{array}", r"without its \begin", True),
    (r"\text{a", "without its end", True),
    ("x^2^3", "two superscripts", False),
    ("x_2_3", "two subscripts", False),
    ("x^2'", "two superscripts", False),
    (r"a\over b\over c", r"two of \over", False),
    ("a$b", "a $ within", False),
    ("x^_2", "argument", False),
    (r"\left", "delimiter", False),
    ("a\\", "\\ in a formula", False),
    ("{" * (MAX_DEPTH + 1) + "}" * (MAX_DEPTH + 1), "nesting", False),
    (r"\hat" * 5000 + "x", "nesting", False),
    ("x^{" * 5000, "nesting", False),
])
def test_what_cannot_be_parsed_says_why(latex, reason, unbalanced):
    found = parse(tokenize(latex))
    assert isinstance(found, Unparsable)
    assert reason in found.reason
    assert found.unbalanced is unbalanced


@given(st.text(alphabet="{}^_'&$ab2\\[]()", max_size=30) | st.lists(st.sampled_from(
    [r"\frac", r"\left", r"\right", r"\rm", r"\mathbf", r"\sqrt", "{", "}", "^", "_", r"\begin{array}", r"\end{array}",
     "a", "&", r"\\", r"\over", r"\limits", r"\big", "(", r"\text", "'", "[", "]"]), max_size=25).map(" ".join))
def test_every_text_has_a_tree_or_a_reason_and_a_tree_reads_back(latex):
    tree = parse(tokenize(latex))
    if not isinstance(tree, Unparsable):
        again = parse(write(tree))
        assert not isinstance(again, Unparsable)
        assert write(syntax(again)) == write(syntax(tree))
