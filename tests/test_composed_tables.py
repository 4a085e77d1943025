"""Composed tables: each is a formula of several rows or columns, of the formulas given, that parses."""

from __future__ import annotations

import numpy as np

from latexocr.latex.tokens import tokenize
from latexocr.latex.tree import Unparsable, parse
from latexocr.training.tables import BREAK, table

SHORT = ("x", r"\alpha_{1}", "[2,1]", "*", r"a&b", "-1")
LONGER = ("f(x)=x^{2}", r"\frac{a}{b}\leq c", r"(a,b]", r"p\\q")


def test_tables_parse_and_have_rows_or_columns():
    found = [table(SHORT, LONGER, np.random.default_rng(seed)) for seed in range(300)]
    assert all(BREAK.search(latex) for latex in found)
    assert [latex for latex in found if isinstance(parse(tokenize(latex)), Unparsable)] == []
    kinds = {name for name in ("matrix}", "cases}", "aligned}", "array}") for latex in found if name in latex}
    assert kinds == {"matrix}", "cases}", "aligned}", "array}"}


def test_what_a_row_break_would_take_for_its_own_is_passed_over():
    found = "".join(table(SHORT, LONGER, np.random.default_rng(seed)) for seed in range(300))
    assert "[2,1]" not in found and "a&b" not in found and r"p\\q" not in found
    assert r"\\[" not in found and r"\\*" not in found


def test_the_same_chance_composes_the_same():
    first, second = ([table(SHORT, LONGER, np.random.default_rng(seed)) for seed in range(20)] for _ in range(2))
    assert first == second and len(set(first)) > 10
