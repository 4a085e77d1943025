"""A benchmark on data that a model was trained on says so, wherever the result is looked at."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from latexocr.bench.contamination import training_of
from latexocr.bench.judge import evaluate
from latexocr.bench.report import as_json
from latexocr.bench.report_page import page
from latexocr.bench.terminal import table
from latexocr.cli import main
from latexocr.data.sources import content_hash, load
from latexocr.data.write import write_samples
from latexocr.records import Prediction, Sample
from latexocr.training.lora import TrainConfig, train

FORMULAS = [rf"\sum_{{i={a}}}^{{n}} x_{{i}}+{a}y-{a}" for a in range(10)]


def spotted(seed: int, name: str, latex: str) -> Sample:
    rng = np.random.default_rng(seed)
    return Sample(name, Image.fromarray(rng.integers(0, 256, (20, 50), dtype=np.uint8)), latex)


TRAIN = [spotted(i, f"train{i}", FORMULAS[i]) for i in range(6)]
TEST = [spotted(0, "picture", FORMULAS[0]), spotted(51, "formula", FORMULAS[1].replace("^{n}", "^n")),
        spotted(52, "new", r"\alpha\beta"), spotted(53, "other", r"\gamma")]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder with the record of a training on TRAIN."""
    write_samples(tmp_path / "data", TRAIN)
    folder = tmp_path / "model"
    folder.mkdir()
    settings = {"data": str(tmp_path / "data"), "data_sha256": content_hash(load(str(tmp_path / "data")))}
    (folder / "run.json").write_text(json.dumps({"settings": settings, "starts": [], "finished": None}))
    return folder


def test_what_a_model_saw_is_found_by_its_record(model):
    training = training_of(str(model), TEST)
    assert training.seen == {"picture", "formula"} and not training.problem
    assert training.overlap.matches["formula"].kind == "canonical"
    assert training.sentence().startswith(f"Contaminated: trained on {model.parent / 'data'}; 2 of 4 test samples")


def test_clean_test_data_is_said_to_be_clean(model):
    training = training_of(str(model), TEST[2:])
    assert not training.seen and "Contaminated" not in training.sentence()
    assert "None of 2 test samples is among the 6 training samples" in training.sentence()


def test_data_that_changed_or_is_gone_is_said(model):
    index = model.parent / "data" / "samples.jsonl"
    index.write_text(index.read_text().replace(r"\\sum", r"\\prod"))
    assert "that data has changed since" in training_of(str(model), TEST).sentence()
    shutil.rmtree(model.parent / "data")
    gone = training_of(str(model), TEST)
    assert gone.overlap is None and not gone.seen
    assert "is not known" in gone.sentence() and "not found" in gone.sentence()


@pytest.mark.parametrize("record", [None, "no json", "[]", '{"base": {"model": "x"}}', '{"settings": 3}'])
def test_without_a_record_nothing_is_said(tmp_path, record):
    if record is not None:
        (tmp_path / "run.json").write_text(record)
    assert training_of(str(tmp_path), TEST) is None


@pytest.mark.parametrize("name", ["builtin", "predictions.jsonl", "http://localhost:8000/v1", "owner/name"])
def test_models_without_a_folder_have_no_record(name):
    assert training_of(name, TEST) is None


def test_the_report_warns_and_shows_the_rest(model):
    right = [Prediction(s.id, s.latex) for s in TEST]
    wrong = [*right[:3], Prediction("other", "x")]
    trained = {"tuned": training_of(str(model), TEST)}
    report = evaluate(TEST, {"base": wrong, "tuned": right}, {}, trained=trained)
    parts = {s.name: s for s in report.slices if s.kind == "training"}
    assert {name: s.n for name, s in parts.items()} == {"seen by tuned": 2, "not seen by tuned": 2}
    assert [s.value for s in parts["not seen by tuned"].scores.values()] == [0.5, 1.0]
    warning = "On the other 2, exact match (visual): 50.0 % base, 100.0 % tuned."
    assert warning in table(report) and "tuned: Contaminated: trained on" in table(report)
    assert warning in page(report, TEST) and 'class="bad">tuned: Contaminated' in page(report, TEST)
    facts = json.loads(json.dumps(as_json(report)))
    assert facts["trained"]["tuned"]["overlap"]["matches"]["picture"]["train_id"] == "train0"


def test_a_report_without_records_has_no_such_part():
    report = evaluate(TEST, {"base": [Prediction(s.id, s.latex) for s in TEST]}, {})
    assert "trained on" not in table(report) and not [s for s in report.slices if s.kind == "training"]


def test_the_bench_checks_by_itself(model, tiny_model, tmp_path, capsys):
    shutil.copytree(tiny_model, model, dirs_exist_ok=True)
    write_samples(tmp_path / "test", TEST)
    (tmp_path / "base.jsonl").write_text("".join(json.dumps({"id": s.id, "latex": s.latex}) + "\n" for s in TEST))
    command = ["bench", "--data", str(tmp_path / "test"), "--base", str(tmp_path / "base.jsonl"), "--tuned", str(model),
               "--out", str(tmp_path / "out"), "--max-tokens", "4", "--device", "cpu"]
    assert main(command) == 0
    assert "tuned: Contaminated: trained on" in capsys.readouterr().out
    assert "Contaminated" in (tmp_path / "out" / "report.html").read_text()


def test_a_training_notes_what_of_the_watched_data_it_learns(tiny_model, tmp_path, capsys):
    config = TrainConfig(model=str(tiny_model), out=tmp_path / "run", steps=1, batch=2, backend="peft", device="cpu")
    train(config, TRAIN[:3], TRAIN[2:4])
    noted = json.loads((tmp_path / "run" / "run.json").read_text())["overlap"]
    assert noted["contaminated"] and noted["picture"] == 1 and "1 of 2 test samples" in noted["sentence"]
    assert "latexocr: the loss on eval_data will be too good: 1 of 2" in capsys.readouterr().err
