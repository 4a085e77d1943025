"""Composed tables: each is a formula of several rows or columns, of the formulas given, as long as asked for, and TeX
sets it; together they are spread as those of documents are."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import latexocr.reading
from latexocr.data.typeset import available
from latexocr.latex.canonical import Level, canonical
from latexocr.latex.tokens import tokenize
from latexocr.latex.tree import Unparsable, parse
from latexocr.tex import run
from latexocr.training.tables import BREAK, table

SHORT = ("x", r"\alpha_{1}", "[2,1]", "*", r"a&b", "-1")
LONGER = ("f(x)=x^{2}", r"\frac{a}{b}\leq c", r"(a,b]", r"p\\q")
MATRIX = re.compile(r"\\begin\{(\w*matrix|array)\}(?:\{([clr|]+)\})?(.*?)\\end\{\1\}")


def tables(count: int, first: int = 0, **given) -> list[str]:
    return [table(SHORT, LONGER, np.random.default_rng(seed), **given) for seed in range(first, first + count)]


@pytest.fixture(scope="module")
def found() -> list[str]:
    return tables(1500)


@pytest.fixture(scope="module")
def matrices(found) -> list[tuple[str, list[list[str]]]]:
    """Column specification and cells of each."""
    return [(spec, [row.split("&") for row in body.split(r"\\")])
            for latex in found for _, spec, body in MATRIX.findall(latex)]


def test_tables_parse_and_have_rows_or_columns(found):
    assert all(BREAK.search(latex) for latex in found)
    assert [latex for latex in found if isinstance(parse(tokenize(latex)), Unparsable)] == []


@pytest.mark.parametrize("part", [
    r"\begin{pmatrix}", r"\begin{bmatrix}", r"\begin{vmatrix}", r"\begin{smallmatrix}", r"\begin{cases}",
    r"\begin{aligned}", r"\left(\begin{array}", r"\left\{\begin{array}{l}", r"\left\{\begin{array}{ll}", "{rcl}",
    r"\hline", r"\vdots", r"\ddots", r"\cdots", r"\ldots", r"\text{if }", r"\text{otherwise}", "&&", "^{T}"])
def test_what_documents_have_is_there(found, part):
    assert sum(part in latex for latex in found) > 3


def test_what_a_row_break_would_take_for_its_own_is_passed_over(found):
    together = "".join(found)
    assert "[2,1]" not in together and "a&b" not in together and r"p\\q" not in together
    assert r"\\[" not in together and r"\\*" not in together


def test_rows_of_a_matrix_are_of_one_length_that_is_specified(matrices):
    assert len(matrices) > 1000
    for spec, rows in matrices:
        assert len({len(row) for row in rows}) == 1
        assert not spec or len(spec.replace("|", "")) == len(rows[0]) or {len(row) for row in rows} == {1}


def test_sizes_and_cells_are_spread_as_in_documents(matrices):
    sizes = Counter((len(rows), len(rows[0])) for _, rows in matrices)
    assert 0.15 < sizes[2, 2] / len(matrices) < 0.45
    assert 0.05 < sum(n for (rows, columns), n in sizes.items() if rows * columns > 15) / len(matrices) < 0.25
    assert max(rows for rows, _ in sizes) == 10 and max(columns for _, columns in sizes) == 10
    cells = Counter(cell for _, rows in matrices for row in rows for cell in row)
    for cell, low, high in (("0", 0.15, 0.35), ("1", 0.05, 0.15), ("", 0.02, 0.1), (r"\vdots", 0.01, 0.06)):
        assert low < cells[cell] / cells.total() < high, cell


def test_indices_run_along_rows_and_columns(found):
    running = [latex for latex in found if re.search(r"_\{11\}&.*_\{12\}.*\\\\.*_\{21\}&.*_\{22\}", latex)]
    assert len(running) > 10
    assert any(re.search(r"&\\\w*dots&.*_\{[12][nmNkp]\}\\\\.*\\vdots&\\ddots&\\vdots\\\\.*_\{(.)\1\}\\end", latex)
               for latex in running)


@pytest.mark.parametrize("longest", [48, 64, 256])
def test_none_is_longer_in_tokens_of_the_model_than_asked_for(longest):
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(Path(latexocr.reading.__file__).parent / "builtin" / "tokenizer.json"))
    lengths = [len(tokenizer.encode(canonical(latex, Level.SYNTAX), add_special_tokens=False).ids)
               for latex in tables(300, longest=longest)]
    assert 0.6 * longest < np.percentile(lengths, 99) and np.mean(np.array(lengths) > longest) < 0.01


@pytest.mark.skipif(not available(), reason="needs TeX (latex, dvipng)")
def test_tex_sets_every_one():
    formulas = [canonical(latex, Level.SYNTAX) for latex in tables(300, 5000)]
    assert [latex for latex, page in zip(formulas, run.pages(formulas, run.Style()), strict=True) if page is None] == []


def test_the_same_chance_composes_the_same(found):
    assert tables(20) == found[:20] and len(set(found[:20])) > 10
