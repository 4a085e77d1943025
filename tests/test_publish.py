"""What is published of a run: no reference, no picture; and its table, which is the one that test_readme checks."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from latexocr.bench.folder import Run, describe
from latexocr.bench.run import Recorded, record
from latexocr.data.sources import content_hash, load
from latexocr.data.write import write_samples
from latexocr.records import Prediction, write_predictions
from tests.conftest import drawn

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "benchmarks" / "publish.py"


def script(*words: object) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, SCRIPT, *map(str, words)], cwd=ROOT, capture_output=True, text=True,
                          timeout=120)


def test_references_and_pages_stay_behind(tmp_path):
    run, out = tmp_path / "run", tmp_path / "out"
    run.mkdir()
    (run / "run.json").write_text("{}\n", encoding="utf-8")
    for name in ("predictions-base.jsonl", "predictions-pix2tex.jsonl"):
        (run / name).write_text(f"{{\"{name}\": 1}}\n", encoding="utf-8")
    (run / "report.html").write_text("secret", encoding="utf-8")
    report = {"n": 1, "rows": [{"id": "a", "reference": "secret"}]}
    (run / "report.json").write_text(json.dumps(report), encoding="utf-8")
    assert script(run, out).returncode == 0
    assert {path.name: "secret" in path.read_text() for path in out.iterdir()} == {
        "run.json": False, "predictions-base.jsonl": False, "predictions-pix2tex.jsonl": False, "report.json": False}
    assert json.loads((out / "report.json").read_text()) == {"n": 1, "rows": []}


def test_the_rows_of_the_readme_are_the_table_of_the_published_reports():
    done = script("table", "benchmarks/results/crohme_2014/report.json")
    assert done.returncode == 0, done.stderr
    readme = (ROOT / "README.md").read_text(encoding="utf-8").replace("**", "")
    rows = [line for line in done.stdout.splitlines() if line.startswith("| [crohme_2014]")]
    assert rows
    for line in rows:
        assert line.rpartition(" |")[0] in readme


def test_published_predictions_are_scored_again_without_a_model(tmp_path):
    samples = [replace(sample, latex=f"x^{{{sample.id}}}") for sample in drawn(6)]
    data = write_samples(tmp_path / "data", samples).parent
    predictions = [Prediction(sample.id, sample.latex if number else "y", confidence=0.5)
                   for number, sample in enumerate(load(str(data)))]
    results = tmp_path / "results"
    write_predictions(tmp_path / "answers.jsonl", predictions)
    run = describe(str(tmp_path / "answers.jsonl"), str(data), load(str(data)), {})
    record(Recorded(predictions), load(str(data)), results, "base", run)
    (results / "report.json").write_text('{"costs": {"base": {"n": 6}}}')

    assert script("score", results, data, f"base={data}").returncode == 0
    report = json.loads((results / "report.json").read_text())
    assert report["costs"] == {"base": {"n": 6}}
    found = {score["metric"]: score["value"] for score in report["scores"]["base"]}
    assert found["exact_visual"] == pytest.approx(5 / 6)
    assert report["rows"] == [] and len(report["trained"]["base"]["overlap"]["matches"]) == 6

    (data / "images" / load(str(data))[0].image.name).write_bytes(b"another")
    done = script("score", results, data)
    assert done.returncode == 1 and "not the samples that" in done.stderr


def test_a_column_that_another_run_read_brings_its_record(tmp_path):
    samples = [replace(sample, latex="x") for sample in drawn(4)]
    data = load(str(write_samples(tmp_path / "data", samples).parent))
    answers = [Prediction(sample.id, "x", confidence=0.5) for sample in data]
    read = tmp_path / "peer" / "predictions-base.jsonl"
    for folder, column, model in (("peer", "base", "somebody's model"), ("run", "half", str(read))):
        run = Run(model, "data", content_hash(data), {}, n=4)
        record(Recorded(answers), data, tmp_path / folder, column, run)
    (tmp_path / "run" / "report.json").write_text("{}", encoding="utf-8")
    assert script(tmp_path / "run", tmp_path / "out").returncode == 0
    told = json.loads((tmp_path / "out" / "read.json").read_text())
    assert {column: one["model"] for column, one in told.items()} == {"half": "somebody's model"}


def test_answers_without_an_end_are_counted_and_named(tmp_path):
    answers = [Prediction("a", "x", stop="end"), Prediction("b", "xx", stop="length"), Prediction("c", "", stop="end"),
               Prediction("d", "", stop="error", error="no picture")]
    write_predictions(tmp_path / "predictions.jsonl", answers)
    done = script("endless", tmp_path / "predictions.jsonl")
    assert done.stdout.splitlines() == ["3 of 4 answers cut off or empty: 75.00 % [30.06, 95.44]", "b", "c", "d"]


def test_differences_are_those_of_the_report():
    done = script("differences", "benchmarks/results/crohme_2014/report.json")
    report = json.loads((ROOT / "benchmarks/results/crohme_2014/report.json").read_text())
    rows = [line.strip("|").split(" | ") for line in done.stdout.splitlines()[2:]]
    assert [row[1] for row in rows] == list(report["comparisons"])
    for row, compared in zip(rows, report["comparisons"].values(), strict=True):
        found = next(one for one in compared if one["metric"] == "exact_visual")
        assert row[3] == str(found["n"]) and row[6].strip() == found["verdict"]
        assert float(row[4].split()[0].replace("−", "-")) == pytest.approx(100 * found["delta"], abs=0.051)


@pytest.mark.parametrize("words", [(), ("one",), ("one", "two", "three")])
def test_anything_else_is_refused_with_what_is_expected(words):
    done = script(*words)
    assert done.returncode == 1 and "expected RUN OUT, score RESULTS SPEC, table or differences" in done.stderr


@pytest.mark.parametrize("words", [("nowhere", "out"), ("table", "nowhere/report.json"), ("table", "README.md"),
                                   ("differences", "README.md")])
def test_what_is_no_run_is_said_in_one_line(words, tmp_path):
    done = subprocess.run([sys.executable, SCRIPT, *words], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1 and "not the folder or report" in done.stderr
