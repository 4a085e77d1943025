"""benchmarks/README.md names every script, suite and result that lies there; run.sh reads the sets that are there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from latexocr.bench.run import draw
from latexocr.data.sources import load
from latexocr.data.write import write_samples
from latexocr.records import Prediction, Sample, write_predictions
from tests.conftest import drawn

FOLDER = Path(__file__).parent.parent / "benchmarks"


def test_every_script_suite_and_result_is_named():
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    scripts = [path.name for path in FOLDER.iterdir() if path.suffix in (".py", ".sh", ".yml")]
    suites = [path.stem for path in (FOLDER / "suites").glob("*.json")]
    results = [path.name for path in (FOLDER / "results").iterdir() if path.is_dir()]
    assert min(map(len, (scripts, suites, results))) > 0
    assert [name for name in (*scripts, *suites, *results) if f"`{name}`" not in page] == []


def test_run_without_its_arguments_says_what_it_expects():
    done = subprocess.run(["sh", FOLDER / "run.sh", "data"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (2, "run.sh: expected DATA OUT [LIMIT]\n")


def test_a_run_reads_what_there_is_and_names_what_is_not(tmp_path):
    samples = [Sample(one.id, one.image, "x", subset="palatino") for one in drawn(3)]
    write_samples(tmp_path / "data" / "validation_200", samples)
    out, model = tmp_path / "out", str(tmp_path / "answers.jsonl")
    write_predictions(Path(model), [Prediction(one.id, "x", confidence=0.5) for one in samples])
    done = subprocess.run(["sh", FOLDER / "run.sh", tmp_path / "data", out, "3"], capture_output=True, text=True,
                          timeout=300, env=os.environ | {"PYTHON": sys.executable, "PEERS": "0", "MODEL": model})
    assert done.returncode == 0, done.stderr
    # Two sets are read at a time, so which of them is named first is chance.
    assert sorted(line.split()[-3] for line in done.stderr.splitlines() if line.endswith(": left out")) == [
        f"{tmp_path}/data/{name}:" for name in ("im2latex_sample", "test2014.jsonl", "train.jsonl")]
    published = {path.parent.name: json.loads(path.read_text()) for path in (out / "published").glob("*/report.json")}
    assert {name: list(report["scores"]) for name, report in published.items()} == {
        "validation_200": ["base"], "validation_200_damaged": ["base", "half", "triple", "inverted", "scan"]}
    assert {one["n"] for scores in published["validation_200_damaged"]["scores"].values() for one in scores[:3]} == {3}
    read = json.loads((out / "published" / "validation_200_damaged" / "read.json").read_text())
    assert list(read) == ["base", "half", "triple", "inverted", "scan"]
    assert {one["model"] for one in read.values()} == {model}
    assert (out / "tables.md").read_text().count("[validation_200_damaged]") == 5


def test_damage_keeps_ids_and_changes_the_pictures_as_it_says(tmp_path):
    pixels = np.full((40, 60), 255, np.uint8)
    pixels[10:30, 10:20] = pixels[10:30, 30:40] = 0
    data = write_samples(tmp_path / "data", [Sample(f"s{n}", Image.fromarray(pixels), "H") for n in range(5)]).parent
    done = subprocess.run([sys.executable, FOLDER / "damaged.py", data, tmp_path / "out", "3"], capture_output=True,
                          text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    sets = {name: load(str(tmp_path / "out" / name)) for name in ("half", "triple", "inverted", "scan")}
    assert {tuple(one.id for one in found) for found in sets.values()} == {
        tuple(one.id for one in draw(load(str(data)), 3))}
    pictures = {name: np.asarray(Image.open(found[0].image).convert("L")) for name, found in sets.items()}
    assert pictures["half"].shape == (20, 30) and pictures["triple"].shape == (120, 180)
    assert np.array_equal(pictures["inverted"], 255 - pixels)
    assert pictures["scan"].shape > pixels.shape and (pictures["scan"] < 128).any()
