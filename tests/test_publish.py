"""What is published of a run: no reference, no picture; and its table, which is the one that test_readme checks."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from latexocr.bench.folder import describe
from latexocr.bench.run import Recorded, record
from latexocr.data.sources import load
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
    for name in ("run.json", "predictions-base.jsonl", "predictions-pix2tex.jsonl"):
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

    assert script("score", results, data, f"base={data}").returncode == 0
    report = json.loads((results / "report.json").read_text())
    found = {score["metric"]: score["value"] for score in report["scores"]["base"]}
    assert found["exact_visual"] == pytest.approx(5 / 6)
    assert report["rows"] == [] and len(report["trained"]["base"]["overlap"]["matches"]) == 6

    (data / "images" / load(str(data))[0].image.name).write_bytes(b"another")
    done = script("score", results, data)
    assert done.returncode == 1 and "not the samples that" in done.stderr


@pytest.mark.parametrize("words", [(), ("one",), ("one", "two", "three")])
def test_anything_else_is_refused_with_what_is_expected(words):
    done = script(*words)
    assert done.returncode == 1 and "expected RUN OUT, score RESULTS SPEC, or table REPORT..." in done.stderr


@pytest.mark.parametrize("words", [("nowhere", "out"), ("table", "nowhere/report.json"), ("table", "README.md")])
def test_what_is_no_run_is_said_in_one_line(words, tmp_path):
    done = subprocess.run([sys.executable, SCRIPT, *words], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1 and "not the folder or report" in done.stderr
