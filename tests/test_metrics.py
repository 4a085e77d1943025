"""Metrics against other implementations, and the properties every score must have."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latexocr.latex.aliases import declare
from latexocr.latex.canonical import Level, canonical
from latexocr.latex.tokens import tokenize
from latexocr.scoring.confusion import confusions
from latexocr.scoring.metrics import METRICS, NOT_RULES, metrics, rules_version, tabulate, tabulate_all
from latexocr.scoring.structure import balanced, parts

PAIRS = [
    (r"\frac{a}{b}", r"\frac ab"), ("x^2+y", "x^{2}+z"), ("", "x"), (r"\sum_{i=1}^{n}x_i", r"\sum_{i=1}^{m}x_{i}"),
    (r"\alpha\beta\gamma\delta\epsilon", r"\alpha\beta\gamma\delta\varepsilon"), ("a=b+c", "a=b+c"), ("x", "x x x x x"),
    (r"\left(a\right)", "(a)"), (r"\int_0^1f(x)\,dx", r"\int_{0}^{1}f(x)dx"),
]
PIECES = ["a", "b", "+", r"\alpha", "{x}", "^2", "_i", r"\frac12", r"\,", r"\le", r"\leq", "'", "=", "("]
formula = st.lists(st.sampled_from(PIECES), max_size=8).map(" ".join)
pairs = st.lists(st.tuples(formula, formula), min_size=1, max_size=6)


def value(name, some_pairs):
    metric = METRICS[name]
    return float(metric.value(tabulate(metric, some_pairs).sum(axis=0)))


def tokens(latex):
    return tokenize(canonical(latex, Level.SYNTAX))


def test_bleu_is_that_of_sacrebleu():
    import sacrebleu

    predictions, references = ([" ".join(tokens(text)) for text in side] for side in zip(*PAIRS, strict=True))
    expected = sacrebleu.corpus_bleu(predictions, [references], tokenize="none", force=True).score
    assert value("bleu", PAIRS) == pytest.approx(expected, abs=1e-10)


@settings(max_examples=30)
@given(pairs)
def test_bleu_and_error_rate_are_those_of_sacrebleu_and_jiwer_on_any_pairs(some_pairs):
    import jiwer
    import sacrebleu

    some_pairs = [(prediction, reference) for prediction, reference in some_pairs if tokens(reference)]
    if some_pairs:
        predictions, references = ([" ".join(tokens(text)) for text in side] for side in zip(*some_pairs, strict=True))
        bleu = sacrebleu.corpus_bleu(predictions, [references], tokenize="none", force=True).score
        assert value("bleu", some_pairs) == pytest.approx(bleu, abs=1e-10)
        assert value("token_error_rate", some_pairs) == pytest.approx(jiwer.wer(references, predictions), abs=1e-10)


def test_token_error_rate_is_the_word_error_rate_of_jiwer():
    import jiwer

    predictions, references = ([" ".join(tokens(text)) for text in side] for side in zip(*PAIRS, strict=True))
    assert value("token_error_rate", PAIRS) == pytest.approx(jiwer.wer(references, predictions), abs=1e-10)


@pytest.mark.parametrize("name, expected", [
    ("exact_identical", 1 / 9), ("exact_surface", 1 / 9), ("exact_syntax", 2 / 9), ("exact_visual", 4 / 9),
    ("exact_lenient", 4 / 9), ("exprate", 2 / 9), ("exprate_1", 7 / 9), ("exprate_2", 8 / 9), ("exprate_3", 8 / 9),
])
def test_shares(name, expected):
    assert value(name, PAIRS) == pytest.approx(expected)


@pytest.mark.parametrize("prediction, reference, distance", [
    ("", "", 0), ("x", "", 1), ("", "x", 1), ("x^2", "x^{2}", 0), ("ab", "ac", 0.5), (r"\alpha", r"\beta", 1),
    ("abcd", "abc", 0.25),
])
def test_edit_distance(prediction, reference, distance):
    assert value("edit_distance", [(prediction, reference)]) == distance


@pytest.mark.parametrize("prediction, reference, distance", [("", "", 0), ("", "xy", 1), ("ab", "ac", 0.5),
    (r"\alpha", r"\alphx", 1 / 6), ("x^2", "x^{2}", 0)])
def test_characters(prediction, reference, distance):
    assert value("char_edit_distance", [(prediction, reference)]) == pytest.approx(distance)


@pytest.mark.parametrize("pairs, median", [
    ([], float("nan")), ([("a", "a")], 0), ([("a", "b")], 1), ([("a", "a")] * 2 + [("a", "b")], 0),
    ([("a", "a"), ("ab", "ac"), ("a", "b")], 0.5), ([("a", "a"), ("a", "b")], 0),
    ([("a" * 150 + "b", "a" * 150 + "c")], 0.01), ([("b" * 150 + "a", "c" * 150 + "a")], 0.99),
])
def test_the_median_is_that_of_distances_to_a_hundredth(pairs, median):
    assert value("median_edit_distance", pairs) == pytest.approx(median, nan_ok=True)


@given(pairs)
def test_the_median_is_near_that_of_numpy(some_pairs):
    distances = [value("edit_distance", [pair]) for pair in some_pairs]
    expected = np.quantile(distances, 0.5, method="inverted_cdf")
    assert value("median_edit_distance", some_pairs) == pytest.approx(expected, abs=0.005 + 1e-9)


def test_a_runaway_is_capped_in_one_rate_only():
    runaway = [("x" * 100, "ab"), ("a", "a")]
    assert value("token_error_rate", runaway) == pytest.approx(100 / 3)
    assert value("token_error_rate_capped", runaway) == pytest.approx(2 / 3)


@given(pairs)
def test_each_level_of_exact_match_contains_the_one_before(some_pairs):
    levels = [value(f"exact_{level.name.lower()}", some_pairs) for level in Level]
    assert levels == sorted(levels)
    rates = [value(name, some_pairs) for name in ("exprate", "exprate_1", "exprate_2", "exprate_3")]
    assert rates == sorted(rates)
    assert rates[0] == levels[Level.SYNTAX]


@given(formula, formula, formula)
def test_edit_distance_is_a_distance(a, b, c):
    distance = value("edit_distance", [(a, b)])
    assert 0 <= distance <= 1
    assert distance == value("edit_distance", [(b, a)])
    assert (distance == 0) == bool(value("exact_syntax", [(a, b)]))
    edits = [tabulate(METRICS["token_error_rate"], [pair])[0, 0] for pair in ((a, b), (b, c), (a, c))]
    assert edits[2] <= edits[0] + edits[1]


@settings(max_examples=30)
@given(pairs, st.randoms())
def test_order_changes_no_score(some_pairs, random):
    shuffled = random.sample(some_pairs, len(some_pairs))
    for name in METRICS:
        assert value(name, shuffled) == pytest.approx(value(name, some_pairs), nan_ok=True)


@settings(max_examples=30)
@given(pairs, pairs)
def test_means_of_joined_sets_are_weighted_means(first, second):
    for name in METRICS:
        if name.startswith(("exact", "exprate")) or name in ("edit_distance", "char_edit_distance"):
            weighted = value(name, first) * len(first) + value(name, second) * len(second)
            assert value(name, first + second) == pytest.approx(weighted / (len(first) + len(second)))


@pytest.mark.parametrize("latex, symbols, structures, grids", [
    (r"\frac{x^2}{y}", "x 2 y", "fraction above/sup", ""),
    (r"{x^2\over y}", "x 2 y", "fraction above/sup", ""),
    (r"\sqrt[3]{a_1}", "3 a 1", "root index root/sub", ""),
    (r"\binom{n}{k}", "n k", "binomial", ""),
    (r"x_{a_{b}}", "x a b", "sub sub/sub", ""),
    (r"\mathbb{R}R\mathrm{d}", r"\mathbbR R \mathrmd", "", ""),
    (r"\begin{pmatrix}a&b\\c&d\end{pmatrix}", "a b c d", "grid", "2x2"),
    (r"\begin{cases}a\\b\\c^2\end{cases}", "a b c 2", "grid grid/sup", "3x1"),
    (r"\left(a,b\right]", "( a , b ]", "", ""), (r"a\,b\quad\displaystyle c", "a b c", "", ""),
    (r"\text{if }x", "i f x", "", ""), ("x^2^3", "x 2 3", "sup sup", ""), ("{{", "", "", ""), ("}x", "x", "", ""),
    (r"\end{matrix}", "", "", ""), (r"\frac", "", "fraction", ""), ("", "", "", ""),
])
def test_parts_of_a_formula(latex, symbols, structures, grids):
    found = parts(latex)
    assert sorted(found.symbols.elements()) == sorted(symbols.split())
    assert sorted(found.structures.elements()) == sorted(structures.split())
    assert sorted(found.grids.elements()) == sorted(grids.split())


@pytest.mark.parametrize("name, prediction, reference, expected", [
    ("symbol_f1", "x+y", "y+x", 1), ("symbol_f1", "x+y", "x+z", 2 / 3), ("symbol_f1", "R", r"\mathbb{R}", 0),
    ("symbol_f1", "", "x", 0), ("symbol_f1", "xx", "x", 2 / 3), ("symbol_f1", "", "", float("nan")),
    ("structure_f1", r"\frac ab", r"\frac cd", 1), ("structure_f1", "x^2", "x_2", 0),
    ("structure_f1", r"\sqrt{2}", r"\sqrt[3]{2}", 2 / 3), ("structure_f1", "a", "b", float("nan")),
    ("structure_f1", r"\frac{a}{b^2}", r"\frac{a^2}{b}", 1 / 2),
    ("grid_shape", r"\begin{matrix}a&b\end{matrix}", r"\begin{pmatrix}x&y\end{pmatrix}", 1),
    ("grid_shape", r"\begin{matrix}a&b\end{matrix}", r"\begin{matrix}a\\b\end{matrix}", 0),
    ("grid_shape", "x", "y", float("nan")), ("grid_shape", "x", r"\begin{matrix}a&b\\c&d\end{matrix}", 0),
    ("balanced", "{x", "x", 0), ("balanced", "x", "{x", 1),
])
def test_structure_of_a_pair(name, prediction, reference, expected):
    assert value(name, [(prediction, reference)]) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize("latex, closes", [
    ("x", True), ("", True), ("{x}", True), ("{x", False), ("x}", False), (r"\{x", True), (r"\left(x\right]", True),
    (r"\left(x", False), (r"x\right)", False), (r"{\left(}\right)", False), (r"\begin{matrix}a\end{matrix}", True),
    (r"\begin{matrix}a\end{array}", False), (r"\end{matrix}", False), ("[0,1)", True), ("x^2^3", True),
])
def test_brackets_that_tex_wants_closed(latex, closes):
    assert balanced(latex) is closes


@given(formula, formula)
def test_f1_is_symmetric_bounded_and_1_for_equal_formulas(a, b):
    for name in ("symbol_f1", "structure_f1"):
        found = value(name, [(a, b)])
        assert found == pytest.approx(value(name, [(b, a)]), nan_ok=True)
        assert np.isnan(found) or 0 <= found <= 1
        same = value(name, [(a, f" {a} ")])
        assert np.isnan(same) or same == 1


def test_confusions_are_those_of_wrong_answers():
    wrong = [("x+1+1", "x+l+l"), ("X^2", "x^2"), ("X_1", "x_1"), ("a", "ab"), (r"\frac12", r"\frac{1}{2}"), ("a+", "a")]
    assert confusions(wrong) == {("l", "1"): 1, ("x", "X"): 2, ("b", ""): 1, ("", "+"): 1}
    assert confusions([(r"\varepsilon", r"\epsilon")], declare({r"\varepsilon": r"\epsilon"})) == {}


def test_confusions_are_told_in_the_order_in_which_they_came():
    letters = "abcdefghijklm"
    assert list(confusions([(letters.upper(), letters)])) == list(zip(letters, letters.upper()))


def test_declared_aliases_are_one_symbol_and_stand_in_the_signature():
    mixed, ours = [(r"\varepsilon_0", r"\epsilon_0")], metrics(declare({r"\varepsilon": r"\epsilon"}))
    for name in ("exact_visual", "exprate", "symbol_f1"):
        assert value(name, mixed) < 1 == ours[name].value(tabulate(ours[name], mixed).sum(axis=0))
        assert r"aliases:\varepsilon=\epsilon" in ours[name].signature and "aliases" not in METRICS[name].signature


def test_values_of_many_sums_are_the_values_of_each():
    for metric in METRICS.values():
        rows = tabulate(metric, PAIRS)
        sums = np.stack([rows.sum(axis=0), *rows])
        np.testing.assert_array_equal(metric.value(sums), [metric.value(row) for row in sums])


def test_tables_made_together_are_those_made_alone():
    together = tabulate_all(METRICS, PAIRS)
    assert list(together) == list(METRICS)
    for name, metric in METRICS.items():
        np.testing.assert_array_equal(together[name], tabulate(metric, PAIRS))


def test_tables_have_a_row_a_pair_of_plain_numbers():
    for metric in METRICS.values():
        table = tabulate(metric, PAIRS)
        assert table.dtype == np.float64
        assert table.shape == (len(PAIRS), tabulate(metric, PAIRS[:1]).shape[1])
        assert tabulate(metric, []).shape == (0, table.shape[1])


def test_a_signature_tells_what_changes_the_number():
    signatures = {name: metric.signature for name, metric in METRICS.items()}
    assert len(set(signatures.values())) == len(METRICS)
    assert all(name in signature and "latexocr:" in signature for name, signature in signatures.items())
    assert all(part in signatures["bleu"] for part in ("level:syntax", "tok:none", "smooth:exp", "sacrebleu:2"))
    assert all(f"rules:{rules_version()}" in signature for signature in signatures.values())


def test_the_version_of_the_rules_is_that_of_their_source(monkeypatch, tmp_path):
    import latexocr.latex.tokens

    assert len(rules_version()) == 8 and rules_version() == rules_version()
    folder = tmp_path / "latex"
    folder.mkdir()
    for source in Path(latexocr.latex.tokens.__file__).parent.glob("*.py"):
        (folder / source.name).write_bytes(source.read_bytes())
    monkeypatch.setattr("importlib.resources.files", lambda name: folder)
    assert rules_version.__wrapped__() == rules_version()
    (folder / "tokens.py").write_text("# another rule\n")
    assert rules_version.__wrapped__() != rules_version()


def test_the_version_of_the_rules_covers_all_that_the_levels_import():
    from latexocr.latex.tokens import __file__ as one

    room, reached, waiting = Path(one).parent, set(), ["canonical"]
    while waiting:
        reached.add(name := waiting.pop())
        for node in ast.walk(ast.parse((room / f"{name}.py").read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("latexocr.latex"):
                inner = node.module.removeprefix("latexocr.latex").lstrip(".")
                waiting += {inner} - reached if inner else {alias.name for alias in node.names} - reached
    assert reached == {module.stem for module in room.glob("*.py") if module.name not in NOT_RULES}


def test_import_is_light():
    """In seconds of the processor: other work must not slow it."""
    code = ("import sys, time; t = time.process_time(); from latexocr.scoring import score; import latexocr.latex;"
            "print(time.process_time() - t);"
            "print([m for m in ('numpy', 'sacrebleu', 'scipy', 'torch', 'rapidfuzz') if m in sys.modules])")
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split("\n")
            for _ in range(3)]
    assert min(float(run[0]) for run in runs) < 0.3 and {run[1] for run in runs} == {"[]"}
