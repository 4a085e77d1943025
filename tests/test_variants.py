r"""Counting as others count: cases worked out from what their sources do, and the libraries that those sources call."""

from __future__ import annotations

import pytest

from latexocr.scoring import score
from latexocr.scoring.metrics import METRICS, tabulate
from latexocr.scoring.variants import KNOWN, VARIANTS, despaced, mathwriting_tokens, unfenced

PAIRS = [
    (r"\frac { a } { b }", r"\frac{a}{b}"), (r"\alpha ^ { 2 } + \beta _ { i } = c", r"\alpha^{2}+\beta_{i}=\delta"),
    (r"$x_{i}$", "x_{i}"), (r"\sin x", r"\sin  y"), ("", "x"), (r"\sum_{i=1}^{n}a_{i}b_{i}",) * 2,
]


def value(name, pairs):
    metric = VARIANTS[name]
    return float(metric.value(tabulate(metric, pairs).sum(axis=0)))


@pytest.mark.parametrize("text, expected", [
    (r"\frac { a } { b }", r"\frac{a}{b}"), (r"\sin x + \cos y", r"\sin x+\cos y"), (r"\alpha \beta", r"\alpha\beta"),
    (r"a \ b", r"a\ b"), (r"\\ x", r"\\ x"), (r"\mathrm {d x}", r"\mathrm{dx}"), (r"\mathrm{d x}", r"\mathrm{d x}"),
    (r"\operatorname * {arg max}", r"\operatorname*{argmax}"), ("a  b", "a b"), ("1 2 3", "123"), ("é x", "é x"),
])
def test_despaced_as_pix2tex_and_unimernet(text, expected):
    assert despaced(text) == expected == despaced(despaced(text))


def test_unfenced_takes_fences_out_wherever_they_stand():
    assert unfenced(r" $x$ \[y\] \(z\) a\\[2pt]b ") == r"x y z a\2pt]b"


@pytest.mark.parametrize("text, expected", [
    (r"\frac{\alpha}{2}", ["\\frac", "{", "\\alpha", "}", "{", "2", "}"]),
    (r"\mathbb{R}\mathbf{R}", ["\\mathbb{R}", "\\mathbf", "{", "R", "}"]),
    (r"\begin{matrix}1&0\\2\end{matrix}", ["\\begin{matrix}", "1", "&", "0", "\\\\", "2", "\\end{matrix}"]),
    (r"\operatorname*{x} y", ["\\operatorname*", "{", "x", "}", " ", "y"]), ("x\\", ["x", "\\"]),
    (r"\,\{", ["\\,", "\\{"]),
])
def test_tokens_of_mathwriting(text, expected):
    assert list(mathwriting_tokens(text)) == expected


def test_mathwriting_counts_its_own_example_as_it_says():
    """5 mistakes for 19 tokens, in the notebook's words."""
    pairs = [(r"\sqrt{2}", r"\sqrt{2}"), (r"\frac{1}{2}", r"\frac{i}{2}"), (r"\alpha^{2}", "a^{2}"), ("abc", "def")]
    assert value("mathwriting_cer", pairs) == pytest.approx(5 / 19, abs=1e-12)


def test_mathwriting_is_the_error_rate_of_jiwer_on_its_tokens():
    import jiwer

    predictions, references = ([" ".join(mathwriting_tokens(text.replace(" ", "␣"))) for text in side]
                               for side in zip(*PAIRS, strict=True))
    assert value("mathwriting_cer", PAIRS) == pytest.approx(jiwer.wer(references, predictions), abs=1e-10)


@pytest.mark.parametrize("name, prepared", [("unimernet_bleu", despaced), ("texify_bleu", unfenced)])
def test_their_bleu_is_that_of_sacrebleu_unsmoothed(name, prepared):
    import sacrebleu

    predictions, references = ([prepared(text) for text in side] for side in zip(*PAIRS, strict=True))
    expected = sacrebleu.corpus_bleu(predictions, [references], tokenize="13a", smooth_method="none", force=True).score
    assert expected > 0
    assert value(name, PAIRS) == pytest.approx(expected / 100, abs=1e-10)
    assert value(name, [("a", "b")]) == 0


def test_13a_is_that_of_sacrebleu_on_text_without_needless_spaces():
    import sacrebleu

    from latexocr.latex.canonical import Level, canonical

    predictions, references = ([canonical(text, Level.SURFACE) for text in side] for side in zip(*PAIRS, strict=True))
    expected = sacrebleu.corpus_bleu(predictions, [references]).score
    assert value("bleu_13a_despaced", PAIRS) == pytest.approx(expected, abs=1e-10)
    assert value("bleu_13a_despaced", PAIRS) == value("bleu_13a_despaced", [(f"$ {a} $", b) for a, b in PAIRS])


@pytest.mark.parametrize("name, prediction, reference, expected", [
    ("unimernet_edit", "x ^ { 2 }", "x^{2}", 0), ("unimernet_edit", "x^2", "x^{2}", 2 / 5),
    ("unimernet_edit", "", "", 0),
    ("texify_edit", "$x^2$", "x^2", 0), ("texify_edit", "x ^ 2", "x^2", 2 / 5), ("texify_edit", r"\(ab\)", "ac", 1 / 2),
    ("pix2tex_edit", "abcdef", "ab", 2), ("pix2tex_edit", "a b", "a  b", 0), ("pix2tex_edit", "x ^ 2", "x^2", 0),
    ("comer_exprate", "x ^ { 2 }", "x ^ { 2 }", 1), ("comer_exprate", "x ^ 2", "x ^ { 2 }", 0),
    ("comer_exprate_1", "x ^ 2", "x ^ { 2 }", 0), ("comer_exprate_2", "x ^ 2", "x ^ { 2 }", 1),
    ("comer_exprate_1", "x ^ 2", "y ^ 2", 1), ("comer_exprate", "x^{2}", "x ^ { 2 }", 0),
    ("mathwriting_cer", r"\dots", r"\ldots", 1), ("mathwriting_cer", "x y", "xy", 1 / 2),
])
def test_a_pair_as_they_count_it(name, prediction, reference, expected):
    assert value(name, [(prediction, reference)]) == pytest.approx(expected)


def test_pix2tex_leaves_empty_references_out():
    assert value("pix2tex_edit", [("a", "ab"), ("x", "")]) == pytest.approx(1 / 2)


@pytest.mark.parametrize("name", VARIANTS)
def test_each_states_its_source_and_its_fault(name):
    metric = VARIANTS[name]
    told = getattr(metric.counts, "func", metric.counts).__doc__
    if name != "bleu_13a_despaced":
        assert "Source: " in told and "Fault: " in told
        assert "as:" in metric.signature and "rules:" not in metric.signature
    assert metric.signature.startswith(f"{name}|") and name not in METRICS and name in KNOWN


def test_variants_are_asked_for_by_name():
    predictions, references = zip(*PAIRS, strict=True)
    found = score(predictions, references, names=["exact_visual", "unimernet_edit"])
    assert list(found) == ["exact_visual", "unimernet_edit"]
    assert found["unimernet_edit"].value == pytest.approx(value("unimernet_edit", PAIRS))
    assert not any(name in VARIANTS for name in score(predictions, references))
