"""Answers of several ways of reading, compared: how many differ, and where, by the names of their pictures."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from latexocr.model import LatexOCRModel
from latexocr.records import Prediction, write_predictions

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "benchmarks/serving_answers.py"


PICTURES = ("fractions.png", "aligned.png")


def compare(folder: Path, *words: str, **ways: list[Prediction]) -> subprocess.CompletedProcess[str]:
    for way, predictions in ways.items():
        write_predictions(folder / f"{way}.jsonl", predictions)
    command = [sys.executable, SCRIPT, "--data", f"{ROOT}/examples", "--out", folder / "record.json", *words]
    return subprocess.run([*command, *(f"{way}={folder}/{way}.jsonl" for way in ways)], capture_output=True, text=True,
                          check=False)


def test_what_differs_is_counted_and_explained(tmp_path):
    model = LatexOCRModel.load("builtin", device="cpu")
    read = model.transcribe(ROOT / "examples" / name for name in PICTURES)
    right = [replace(prediction, id=name) for name, prediction in zip(PICTURES, read)]
    first = right[0]
    other = replace(first, reply=first.reply.replace("{", "[", 1), id=f"elsewhere/examples/{first.id}")
    done = compare(tmp_path, transformers=right, served=[right[1], other], again=right[:1])
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "record.json").read_text())
    assert [(row["ways"], row["n"], row["differ"]) for row in record["counts"]] == [
        (["transformers", "served"], 2, 1), (["transformers", "again"], 1, 0), (["served", "again"], 1, 1)]
    assert "transformers and served: 1 of 2 differ" in done.stdout
    row, = record["differences"]
    assert row["replies"] == [first.reply, other.reply]
    common = first.reply.partition("{")[0]
    assert row["tokens"][0].startswith("{") or common.endswith(row["tokens"][0].partition("{")[0])
    assert row["log_probabilities"][0] > row["log_probabilities"][1]  # The model said the first.
    assert record["margin_median_and_largest"][1] == pytest.approx(
        row["log_probabilities"][0] - row["log_probabilities"][1])


@pytest.mark.parametrize(("ways", "message"), [
    ({"transformers": [Prediction("fractions.png", "x")]}, "expected two or more"),
    ({"transformers": [Prediction("fractions.png", "x")], "served": [Prediction("aligned.png", "x")]}, "no picture of"),
])
def test_nothing_to_compare(tmp_path, ways, message):
    done = compare(tmp_path, **ways)
    assert done.returncode == 2 and message in done.stderr and not (tmp_path / "record.json").exists()
