"""Parts of a data set: who is in which, and that the tests of all of them are one family."""

from __future__ import annotations

import random

import numpy as np
import pytest
from PIL import Image

from latexocr.bench.slices import parts, slices
from latexocr.records import Sample
from latexocr.scoring.metrics import METRICS, tabulate
from latexocr.scoring.statistics import compare, holm

EXACT = METRICS["exact_visual"]


def sample(id: str, latex: str, subset: str = "", size: tuple[int, int] = (30, 12)) -> Sample:
    return Sample(id, Image.new("L", size, 255), latex, subset)


def named(samples, kind: str, **more) -> dict[str, list[str]]:
    """Name of each part of a kind, in order -> the ids in it."""
    return {part.name: [samples[row].id for row in part.rows] for part in parts(samples, **more) if part.kind == kind}


@pytest.mark.parametrize(("latex", "kind", "name"), [
    ("x" * 10, "length", "1 to 10 tokens"), ("x" * 11, "length", "11 to 20 tokens"),
    ("x" * 81, "length", "81 or more tokens"),
    ("x+y", "depth", "flat"), ("x^2", "depth", "1 level deep"), (r"\frac{x^2}{y}", "depth", "2 levels deep"),
    (r"\sqrt{\frac{x^{a_b}}{y}}", "depth", "3 or more levels deep"), (r"\mathbf{x}", "depth", "flat"),
    (r"\frac12", "structure", "fraction"), (r"\sqrt2", "structure", "root"), ("x", "structure", "none of these"),
    (r"\begin{pmatrix}a\end{pmatrix}", "structure", "matrix or array"), (r"a\\b", "structure", "several rows"),
    (r"\sum_i", "structure", "sum, product or integral"), (r"\hat x", "structure", "accent"),
    (r"\text x", "structure", "text"), (r"\sqrtx \overline", "structure", "accent"),
])
def test_a_reference_is_in_its_part(latex, kind, name):
    assert named([sample("a", latex)], kind) == {name: ["a"]}


def test_parts_stand_in_the_order_of_what_they_measure():
    lengths = [sample(str(n), "x" * n) for n in (100, 1, 30, 11, 10)]
    assert named(lengths, "length") == {"1 to 10 tokens": ["1", "10"], "11 to 20 tokens": ["11"],
                                        "21 to 40 tokens": ["30"], "81 or more tokens": ["100"]}
    sizes = [sample("c", "x", size=(400, 400)), sample("b", "x", size=(100, 100)), sample("a", "x", size=(99, 100))]
    assert list(named(sizes, "picture").values()) == [["a"], ["b"], ["c"]]


def test_pictures_that_are_no_files_or_broken_have_a_part_too(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    Image.new("L", (500, 500)).save(tmp_path / "large.png")
    samples = [Sample("a", tmp_path / "broken.png", "x"), Sample("b", tmp_path / "gone.png", "x"),
               Sample("c", tmp_path / "large.png", "x")]
    assert named(samples, "picture") == {"160,000 or more pixels": ["c"], "cannot be opened": ["a", "b"]}


@pytest.mark.parametrize(("subsets", "found"), [
    ("aaa", {}), ("aba", {"a": ["0", "2"], "b": ["1"]}), (("a", "a", ""), {"a": ["0", "1"]}), (("", ""), {})])
def test_a_subset_of_all_samples_is_no_part_of_them(subsets, found):
    assert named([sample(str(i), "x", subset) for i, subset in enumerate(subsets)], "subset") == found


def test_rare_symbols_are_those_of_few_references():
    many = [sample(str(i), r"x+\alpha" if i < 2 else "x+y") for i in range(300)]
    assert named(many, "symbols") == {"a symbol of fewer than 1% of the references": ["0", "1"],
                                      "common symbols only": [str(i) for i in range(2, 300)]}
    assert named(many[:100], "symbols") == {}, "of so few, no symbol can be rare"


def test_what_was_seen_in_training_is_a_part_by_column():
    samples = [sample(id, "x") for id in "abc"]
    assert named(samples, "training", seen={"base": set(), "tuned": {"b"}}) == {
        "not seen by tuned": ["a", "c"], "seen by tuned": ["b"]}


def test_every_slice_has_each_column_and_p_values_are_raised_over_all_of_them():
    chance = random.Random(0)
    samples = [sample(str(i), "x" * chance.choice((5, 15, 30)), chance.choice("ab")) for i in range(200)]
    tables = {name: tabulate(EXACT, [("x" * len(s.latex) if chance.random() < share else "y", s.latex)
                                     for s in samples])
              for name, share in (("base", 0.4), ("tuned", 0.6), ("other", 0.42))}
    found = parts(samples)
    every = slices(found, EXACT, tables, seed=0)
    assert [(s.kind, s.name, s.n) for s in every] == [(p.kind, p.name, len(p.rows)) for p in found]
    alone = {(s.name, column): compare(EXACT, tables["base"][list(p.rows)], tables[column][list(p.rows)])
             for s, p in zip(every, found) for column in ("tuned", "other")}
    raised = dict(zip(alone, holm([c.p for c in alone.values()])))
    for s in every:
        assert list(s.scores) == ["base", "tuned", "other"] and list(s.comparisons) == ["tuned", "other"]
        for column, c in s.comparisons.items():
            assert c.p == pytest.approx(raised[s.name, column]) and c.n == s.n
            assert c.delta == pytest.approx(s.scores[column].value - s.scores["base"].value)
    assert sum(s.n for s in every if s.kind == "length") == 200
    assert np.isfinite([c.low for s in every for c in s.comparisons.values()]).all()


def test_one_column_is_compared_with_nothing():
    samples = [sample("a", "x")]
    only, *_ = slices(parts(samples), EXACT, {"base": tabulate(EXACT, [("x", "x")])}, seed=0)
    assert only.comparisons == {} and only.scores["base"].value == 1
