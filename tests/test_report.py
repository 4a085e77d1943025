"""Judging and reporting: what a report holds, that its page is safe and self-contained, the bench end to end."""

from __future__ import annotations

import json
import random
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from latexocr import cli
from latexocr.bench.folder import Run
from latexocr.bench.judge import HEADLINE, evaluate
from latexocr.bench.page import Chart, mathml, picture
from latexocr.bench.report import as_json, p_value, shown, signed, table, write_report
from latexocr.bench.report_page import outcome, page
from latexocr.bench.run import draw
from latexocr.bench.slices import slices
from latexocr.bench.transcripts import page as transcript_page
from latexocr.errors import UserError
from latexocr.records import Prediction, Sample, failure, read_predictions, write_predictions
from latexocr.scoring.metrics import METRICS, tabulate

EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'"
REFERENCES = [r"\frac{a}{b}", r"x^2", r"\sqrt{2}", r"\begin{matrix}a&b\\c&d\end{matrix}", r"a<b", r"\sum_{i=1}^n i"]


def sample(id: str, latex: str | None, subset: str = "") -> Sample:
    return Sample(id, Image.new("L", (30, 12), 255), latex, subset)


SAMPLES = [sample(f"s{i}", latex, "odd" if i % 2 else "even") for i, latex in enumerate(REFERENCES)]
RIGHT = [Prediction(s.id, s.latex, confidence=0.9) for s in SAMPLES]
BASE = [RIGHT[0], replace(RIGHT[1], latex=r"x^{2}"), replace(RIGHT[2], latex=r"\sqrt{3}"), failure(SAMPLES[3], "gone"),
        replace(RIGHT[4], latex=""), RIGHT[5]]
TUNED = [replace(RIGHT[0], latex=r"\frac{a}{c}"), *RIGHT[1:3], BASE[3], *RIGHT[4:]]
START = {"command": "latexocr bench", "gpu": None}
RUNS = {name: Run(f"model/{name}", "six", "abc", {"max_tokens": 512}, (START,), 1.5, 6) for name in ("base", "tuned")}


@pytest.fixture(scope="module")
def compared():
    return evaluate(SAMPLES, {"base": BASE, "tuned": TUNED}, RUNS)


def value(report, column: str, metric: str) -> float:
    return next(s.value for s in report.scores[column] if s.metric == metric)


class Tags(HTMLParser):
    """Tags with their attributes, and the text of scripts, as a browser would see them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))


def test_scores_cover_every_metric_with_n_interval_and_signature(compared):
    for column in ("base", "tuned"):
        assert [s.metric for s in compared.scores[column]] == list(METRICS)
        assert all(s.n == (1 if s.metric == "grid_shape" else 6) and s.signature for s in compared.scores[column])
        assert all(s.low <= s.value <= s.high for s in compared.scores[column])
    assert value(compared, "base", HEADLINE) == pytest.approx(3 / 6)
    assert value(compared, "tuned", HEADLINE) == pytest.approx(4 / 6)
    assert value(compared, "base", "exact_identical") == pytest.approx(2 / 6)


def test_the_comparison_counts_wins_losses_and_ties(compared):
    c = next(c for c in compared.comparisons if c.metric == HEADLINE)
    assert (c.wins, c.losses, c.ties, c.n) == (2, 1, 3, 6)
    assert c.delta == pytest.approx(1 / 6) and "no difference" in c.verdict
    outcomes = [outcome(row) for row in compared.rows]
    assert outcomes == ["losses", "both-right", "wins", "both-wrong", "wins", "both-right"]


def test_rows_say_how_each_answer_was_judged(compared):
    answers = {row.id: row.answers["base"] for row in compared.rows}
    assert answers["s0"].level == "identical" and answers["s0"].failure == "ok" and answers["s0"].edit_distance == 0
    assert answers["s1"].level == "syntax" and answers["s1"].correct
    assert answers["s2"].level is None and answers["s2"].failure == "wrong" and 0 < answers["s2"].edit_distance < 1
    assert (answers["s3"].failure, answers["s3"].error, answers["s3"].edit_distance) == ("server-error", "gone", 1)
    assert answers["s4"].failure == "empty"


@settings(max_examples=10, deadline=None)
@given(st.randoms(use_true_random=False))
def test_scores_do_not_depend_on_order(compared, chance: random.Random):
    samples, base = chance.sample(SAMPLES, 6), chance.sample(BASE, 6)
    report = evaluate(samples, {"base": base}, {})
    for metric in METRICS:
        assert value(report, "base", metric) == pytest.approx(value(compared, "base", metric))


@pytest.mark.parametrize("reference", ["", r"\label{a}", "% a comment"])
def test_a_failure_is_wrong_even_where_the_reference_shows_nothing(reference):
    blank = sample("a", reference)
    report = evaluate([blank], {"base": [failure(blank, "gone")]}, {})
    assert value(report, "base", HEADLINE) == 0 and not report.rows[0].answers["base"].correct


@pytest.mark.parametrize(("samples", "predictions", "message"), [
    ([], [], "No samples"),
    ([sample("a", None)], [Prediction("a", "x")], "No reference for 'a'"),
    ([sample("a", "x")], [], "base: no prediction for 'a'"),
    ([sample("a", "x")], [Prediction("a", "x"), Prediction("b", "x")], "'b' not among"),
    ([sample("a", "x")], [Prediction("a", "x"), Prediction("a", "y")], "'a' twice"),
])
def test_what_cannot_be_scored_is_refused(samples, predictions, message):
    with pytest.raises(UserError, match=message):
        evaluate(samples, {"base": predictions}, {})


def test_slices_part_the_references(compared):
    found = {(s.kind, s.name): s for s in compared.slices}
    assert sum(s.n for s in compared.slices if s.kind == "length") == 6
    assert found["structure", "fraction"].n == 1 and found["structure", "matrix or array"].n == 1
    assert found["structure", "none of these"].n == 2
    assert found["subset", "odd"].scores["tuned"].value == pytest.approx(2 / 3)
    assert all(s.comparison.n == s.n and s.comparison.p == 1 for s in compared.slices)  # raised by Holm's method
    assert found["subset", "even"].comparison.delta == pytest.approx(1 / 3)
    lengths = [sample(str(n), "x" * n) for n in (100, 1, 30, 11, 10)]
    tables = {"base": tabulate(METRICS[HEADLINE], [("x", "x")] * 5)}
    named = [(s.name, s.n) for s in slices(lengths, METRICS[HEADLINE], tables, seed=0) if s.kind == "length"]
    assert named == [("1 to 10 tokens", 2), ("11 to 20 tokens", 1), ("21 to 40 tokens", 1), ("81 or more tokens", 1)]


def test_a_report_is_strict_json_and_holds_every_row(compared, tmp_path):
    write_report(compared, SAMPLES, tmp_path)
    endless = evaluate([sample("a", "")], {"base": [Prediction("a", "x")]}, {})  # edits, and no token to divide by

    def refuse(constant):
        raise AssertionError(constant)

    read = json.loads((tmp_path / "report.json").read_text(), parse_constant=refuse)
    assert read == json.loads(json.dumps(as_json(compared)))
    assert json.loads(json.dumps(as_json(endless)), parse_constant=refuse)["scores"]["base"]
    assert "token error rate ↓ %" in table(endless) and "inf" not in table(endless)
    assert [row["answers"]["tuned"]["latex"] for row in read["rows"]] == [p.latex for p in TUNED]
    assert read["runs"]["tuned"]["model"] == "model/tuned" and read["scores"]["base"][0]["n"] == 6


def test_the_terminal_table_has_a_line_a_metric_and_the_verdict(compared):
    lines = table(compared).splitlines()
    assert len(lines) >= len(METRICS) + 4
    assert any("exact" in line and "50.0 [" in line and "66.7 [" in line and "+16.7 [" in line for line in lines)
    assert "n = 6" in table(compared) and "base: 1 of 6 could not be read" in table(compared)
    assert lines[-1].startswith("Exact match (visual): 50.0 % base, 66.7 % tuned") and "no difference" in lines[-1]


def test_the_page_shows_pictures_answers_and_runs_and_loads_nothing(compared):
    text = page(compared, SAMPLES)
    tags = Tags(text).tags
    assert sum(tag == "img" for tag, _ in tags) == 6
    assert all(attributes["src"].startswith("data:image/png;base64,") for tag, attributes in tags if tag == "img")
    assert not [tag for tag, _ in tags if tag in ("link", "iframe", "object", "base", "form", "a")]
    assert not re.search(r"@import|url\(|\bfetch\(|XMLHttpRequest|src=[\"']?http", text)
    assert {"svg", "math", "details", "button"} <= {tag for tag, _ in tags}
    kinds = [attributes["data-kinds"] for tag, attributes in tags if tag == "article"]
    assert sorted(kinds) == sorted(outcome(row) for row in compared.rows)
    for expected in ("model/tuned against model/base", "latexocr bench", "server-error", "gone", "no difference"):
        assert expected in text


def test_text_is_escaped_wherever_it_comes_from():
    evil = sample(EVIL, EVIL, subset=EVIL)
    runs = {name: replace(RUNS[name], model=EVIL, data=EVIL, settings={EVIL: EVIL}, provenance=({"command": EVIL},))
            for name in RUNS}
    predictions = [Prediction(EVIL, rf"\text{{{EVIL}}}", confidence=0.5)]
    report = evaluate([evil], {"base": predictions, "tuned": [failure(evil, EVIL)]}, runs)
    for text in (page(report, [evil]), transcript_page([evil], predictions, runs["base"], Path("."))):
        tags = Tags(text).tags
        assert sum(tag == "script" for tag, _ in tags) == 1
        assert not [attributes for _, attributes in tags if any(name.startswith("on") for name in attributes)]
        assert "<script>alert" not in text and "&lt;script&gt;alert" in text


def test_an_answer_that_cannot_be_drawn_is_said_to_be_such():
    for latex, drawn, said in ((r"\frac{a}{b}", True, False), (r"\frac{\sqrt[2-a}{2a}", False, True),
                               ("", False, False)):
        text = transcript_page(SAMPLES[:1], [Prediction("s0", latex)], RUNS["base"], Path("."))
        assert ("<math" in text, "cannot be drawn" in text) == (drawn, said), latex


def test_a_page_of_one_column_compares_nothing():
    report = evaluate(SAMPLES, {"base": BASE}, {"base": RUNS["base"]})
    text = page(report, SAMPLES)
    assert "<h1>model/base</h1>" in text and "verdict" not in text.split("</style>")[1]
    assert [outcome(row) for row in report.rows].count("right") == 3
    assert "tuned" not in table(report)


def test_a_large_set_shows_some_of_each_outcome_spread_evenly():
    samples = [sample(f"s{i:04d}", "x") for i in range(1000)]
    right = [Prediction(s.id, "x") for s in samples]
    wrong = [replace(p, latex="y") for p in right]
    tuned = [wrong[i] if i < 10 else right[i] for i in range(1000)]
    base = [right[i] if i % 2 else wrong[i] for i in range(1000)]
    report = evaluate(samples, {"base": base, "tuned": tuned}, RUNS)
    shown_ids = re.findall(r"<header><b>(s\d+)</b>", page(report, samples))
    assert len(shown_ids) == len(set(shown_ids)) == 5 + 60 + 5 + 20
    assert shown_ids[:5] == ["s0001", "s0003", "s0005", "s0007", "s0009"]
    assert max(shown_ids[5:65]) > "s0950"


@pytest.mark.parametrize(("latex", "there"), [
    (r"\frac12", "<mfrac>"), (r"a & b \\ c & d", "<mtable"), (r"\begin{aligned}a&=b\\&=c\end{aligned}", "<mtable"),
    (r"\lim_{x\to 0} x", "<munder>"), (r"\label{eq}x", "<mi>x</mi>"), (r"{a\over b}", "<mfrac>"),
    (r"\begin{array}{|c|@{}r}a&b\end{array}", "<mtd"), ("a<b", "&lt;"), (r"\text{<b>}", "&lt;b&gt;"),
])
def test_formulas_become_mathml(latex, there):
    shown = mathml(latex)
    assert shown.startswith("<math") and there in shown
    assert r"\label" not in shown and "|c|" not in shown and "<mi>&amp;" not in shown


@pytest.mark.parametrize("latex", ["", " ", r"\unknowncommand x", r"\frac{", r"\left( a", "}}}{{", "{" * 999, "^" * 99])
def test_what_cannot_be_shown_gives_none_or_mathematics(latex):
    shown = mathml(latex)
    assert shown is None or "unknowncommand" not in shown


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.text(max_size=60), st.lists(st.sampled_from(
    [r"\frac", "{", "}", "^", "_", "&", r"\\", r"\text{<script>}", r"\href{javascript:a}{b}", "<script>", "x",
     r"\style{a:b}{c}", r"\class{x}{y}", r"\left(", r"\begin{matrix}", r"\end{matrix}", r"\color{red'\">}"]),
    max_size=8).map("".join)))
def test_mathml_of_any_text_holds_nothing_but_mathematics(latex):
    shown = mathml(latex)
    if shown is not None:
        for tag, attributes in Tags(shown).tags:
            assert tag[0] == "m" and not {"href", "style", "class", "onclick"} & set(attributes)


def test_pictures_are_shrunk_flattened_and_may_be_missing(tmp_path):
    import base64
    import io

    def back(uri: str) -> Image.Image:
        return Image.open(io.BytesIO(base64.b64decode(uri.removeprefix("data:image/png;base64,"))))

    assert back(picture(Image.new("RGB", (3000, 60), "red"))).size == (900, 18)
    assert back(picture(Image.new("RGBA", (5, 5), (0, 0, 0, 0)))).getpixel((2, 2)) == 255
    assert back(picture(Image.new("L", (5, 5), 7))).mode == "L"
    assert back(picture(Image.new("I;16", (5, 5)))).size == (5, 5)
    (tmp_path / "x.png").write_bytes(b"no picture")
    assert picture(tmp_path / "x.png") is None and picture(tmp_path / "gone.png") is None


def test_a_chart_places_values_between_its_edges():
    chart = Chart("t", "c", ["a", "b"], {"base": [0.0, 0.5], "tuned": [1.0, 0.25]}, "bars")
    assert chart.y(0) == chart.height - 30 and chart.y(1) == 14 and chart.y(0.5) == (chart.y(0) + chart.y(1)) / 2
    assert chart.points("base").split()[0] == f"{chart.x(0):.1f},{chart.y(0):.1f}"
    (left, wide), (right, _) = chart.bar(0, 0), chart.bar(0, 1)
    assert left + wide <= right and right + wide <= chart.x(1)


@pytest.mark.parametrize(("text", "expected"), [
    (shown(0.12345, HEADLINE), "12.3"), (signed(0.0512, HEADLINE), "+5.1"), (signed(-0.0512, HEADLINE), "−5.1"),
    (signed(0.0, HEADLINE), "0.0"), (shown(float("nan"), HEADLINE), "–"), (p_value(0.0004), "< 0.001"),
    (p_value(0.0312), "0.031"), (p_value(float("nan")), "–"),
])
def test_numbers_are_written_with_sense(text, expected):
    assert text == expected


def test_a_draw_is_alike_ordered_and_grows():
    samples = [sample(str(i), "x") for i in range(50)]
    few, more = draw(samples, 10), draw(samples, 20)
    assert few == draw(samples, 10) and {s.id for s in few} < {s.id for s in more}
    assert [int(s.id) for s in more] == sorted(int(s.id) for s in more)
    assert draw(samples, None) == draw(samples, 99) == samples


@pytest.fixture
def workplace(tmp_path, monkeypatch) -> Path:
    """Six pictures with references, and two predictions files of anybody, one in another order."""
    monkeypatch.chdir(tmp_path)
    rows = []
    for s in SAMPLES:
        s.image.save(f"{s.id}.png")
        rows.append(json.dumps({"id": s.id, "image": f"{s.id}.png", "latex": s.latex, "subset": s.subset}))
    Path("data.jsonl").write_text("\n".join(rows) + "\n")
    write_predictions(Path("base.jsonl"), reversed(BASE))
    write_predictions(Path("tuned.jsonl"), TUNED)
    return tmp_path


def test_bench_compares_two_predictions_files_of_anybody(workplace, capsys):
    arguments = ["bench", "--data", "data.jsonl", "--base", "base.jsonl", "--tuned", "tuned.jsonl", "--out", "o"]
    assert cli.main(arguments) == 0
    first = capsys.readouterr().out
    assert "50.0 [" in first and "66.7 [" in first
    assert sorted(path.name for path in Path("o").iterdir()) == [
        "predictions-base.jsonl", "predictions-tuned.jsonl", "report.html", "report.json", "run.json"]
    assert [p.id for p in read_predictions(Path("o/predictions-base.jsonl"))] == [s.id for s in SAMPLES]
    assert cli.main(arguments) == 0 and capsys.readouterr().out == first
    write_predictions(Path("base.jsonl"), [Prediction("s9", "x")])
    assert cli.main(arguments) == 2 and "s9" in capsys.readouterr().err


def test_bench_with_a_limit_takes_its_part_of_the_file(workplace, capsys):
    assert cli.main(["bench", "--data", "data.jsonl", "--base", "base.jsonl", "--out", "o", "--limit", "4"]) == 0
    assert "n = 4" in capsys.readouterr().out
    assert cli.main(["bench", "--data", "data.jsonl", "--base", "base.jsonl", "--out", "o"]) == 2
    assert "data_sha256" in capsys.readouterr().err


def test_bench_without_references_stops_before_it_reads(workplace, capsys):
    Image.new("L", (9, 9)).save("bare.png")
    assert cli.main(["bench", "--data", "bare.png", "--base", "base.jsonl", "--out", "o"]) == 2
    assert "No reference for 'bare.png'" in capsys.readouterr().err and not Path("o").exists()


def test_score_needs_no_run_folder(workplace, capsys):
    assert cli.main(["score", "base.jsonl", "--data", "data.jsonl"]) == 0
    assert "50.0 [" in capsys.readouterr().out
    assert cli.main(["score", "base.jsonl", "tuned.jsonl", "--data", "data.jsonl"]) == 0
    assert "+16.7 [" in capsys.readouterr().out
    write_predictions(Path("tuned.jsonl"), TUNED[:1])
    assert cli.main(["score", "tuned.jsonl", "--data", "data.jsonl"]) == 2
    assert "tuned.jsonl: ids do not pair" in capsys.readouterr().err
