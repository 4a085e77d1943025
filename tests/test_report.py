"""Judging and reporting: what a report holds, what the terminal shows of it, the bench end to end."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from latexocr import cli
from latexocr.bench.folder import Run
from latexocr.bench.judge import HEADLINE, evaluate
from latexocr.bench.report import as_json, p_value, shown, signed, write_report
from latexocr.bench.run import draw
from latexocr.bench.terminal import table
from latexocr.errors import UserError
from latexocr.records import Prediction, Sample, failure, read_predictions, write_predictions
from latexocr.scoring.metrics import METRICS

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


def test_scores_cover_every_metric_with_n_interval_and_signature(compared):
    for column in ("base", "tuned"):
        assert [s.metric for s in compared.scores[column]] == list(METRICS)
        assert all(s.n == (1 if s.metric == "grid_shape" else 6) and s.signature for s in compared.scores[column])
        assert all(s.low <= s.value <= s.high for s in compared.scores[column])
    assert value(compared, "base", HEADLINE) == pytest.approx(3 / 6)
    assert value(compared, "tuned", HEADLINE) == pytest.approx(4 / 6)
    assert value(compared, "base", "exact_identical") == pytest.approx(2 / 6)


def test_the_comparison_counts_wins_losses_and_ties(compared):
    assert list(compared.comparisons) == ["tuned"]
    assert [c.metric for c in compared.comparisons["tuned"]] == list(METRICS)
    c = next(c for c in compared.comparisons["tuned"] if c.metric == HEADLINE)
    assert (c.wins, c.losses, c.ties, c.n) == (2, 1, 3, 6)
    assert c.delta == pytest.approx(1 / 6) and "no difference" in c.verdict
    right = [tuple(answer.correct for answer in row.answers.values()) for row in compared.rows]
    assert right == [(True, False), (True, True), (False, True), (False, False), (False, True), (True, True)]


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
    assert read["schema"] == 2 and next(iter(read)) == "schema"


def test_the_terminal_table_has_a_line_a_metric_and_the_verdict(compared):
    lines = table(compared).splitlines()
    assert len(lines) >= len(METRICS) + 4
    assert any("exact" in line and "50.0 [" in line and "66.7 [" in line and "+16.7 [" in line for line in lines)
    assert "n = 6" in table(compared) and "base: 1 of 6 could not be read" in table(compared)
    assert lines[-1].startswith("Exact match (visual): 50.0 % base, 66.7 % tuned") and "no difference" in lines[-1]


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
        "card-base.md", "card-tuned.md", "predictions-base.jsonl", "predictions-tuned.jsonl",
        "report.html", "report.json", "report.md", "report.tex", "run.json"]
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
