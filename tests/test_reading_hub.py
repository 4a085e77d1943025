"""From a hub that holds data and model to an adapter, by the command line and the hub's own clients; and without it."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from latexocr.data.sources import load
from tests.conftest import drawn
from tests.reading_hub import ReadingHub

ROOT = Path(__file__).parent.parent
SPEC = "hf:unsloth/LaTeX_OCR:train"


@pytest.fixture
def root(tiny_model, tmp_path) -> Path:
    """A data set with the columns and splits of unsloth/LaTeX_OCR, and a model."""
    from datasets import Dataset, Features, Image, Value

    folder = tmp_path / "hub/datasets/unsloth/LaTeX_OCR/data"
    folder.mkdir(parents=True)
    for split, count in (("train", 12), ("test", 4)):
        rows = [{"image": {"bytes": png(sample.image)}, "text": sample.latex} for sample in drawn(count)]
        features = Features({"image": Image(), "text": Value("string")})
        Dataset.from_list(rows, features).to_parquet(str(folder / f"{split}-00000-of-00001.parquet"))
    shutil.copytree(tiny_model, tmp_path / "hub/me/tiny")
    return tmp_path / "hub"


def png(image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def hub_at(root: Path) -> ReadingHub:
    hub = ReadingHub(root)
    threading.Thread(target=hub.serve_forever, args=(0.01,), daemon=True).start()
    return hub


def runner(hub: ReadingHub, folder: Path) -> Callable[..., subprocess.CompletedProcess]:
    """The command line in a folder, with that hub in place of huggingface.co."""
    def run(*words: str) -> subprocess.CompletedProcess:
        here = {"HF_ENDPOINT": hub.url, "HF_HOME": str(folder / "home"), "HF_HUB_OFFLINE": "0",
                "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        done = subprocess.run([sys.executable, "-m", "latexocr.cli", *words], capture_output=True, text=True,
                              cwd=folder, env={**os.environ, **here})
        assert done.returncode == 0, done.stderr
        return done

    return run


def test_from_a_hub_to_an_adapter_and_then_without_the_hub(root, tmp_path):
    hub = hub_at(root)
    run = runner(hub, tmp_path)

    told = run("train", "--data", SPEC, "--model", "me/tiny", "--download", "--out", "run", "--steps", "2", "--batch",
               "4", "--backend", "peft", "--device", "cpu", "--log-to", "none").stderr
    hub.shutdown()
    hub.server_close()
    assert "hf:unsloth/LaTeX_OCR (default): fetching " in told and "before, train/" in told
    record = json.loads((tmp_path / "run/run.json").read_text())
    assert record["finished"] and record["n"] == 12
    assert json.loads((tmp_path / "run/adapter_config.json").read_text())["base_model_name_or_path"] == "me/tiny"
    assert not [asked for asked in hub.asked if "telemetry" in asked], "nobody is told that something was trained"
    run("data", "convert", SPEC, "--out", "copy")
    assert [sample.latex for sample in load(str(tmp_path / "copy"))] == [sample.latex for sample in drawn(12)]


def test_the_pictures_of_a_folder_on_a_hub_are_read(tmp_path):
    scans = tmp_path / "hub/datasets/me/pictures/scans"
    (scans / "more").mkdir(parents=True)
    for name, place in (("matrix.png", scans), ("dark.png", scans / "more")):
        shutil.copy(ROOT / "examples" / name, place)
    hub = hub_at(tmp_path / "hub")
    told = runner(hub, tmp_path)("transcribe", "hf://datasets/me/pictures/scans", "--out", "read").stdout
    hub.shutdown()
    hub.server_close()
    here = "hf://datasets/me/pictures/scans"
    assert [line.split("\t")[0] for line in told.splitlines()] == [f"{here}/matrix.png", f"{here}/more/dark.png"]
    assert all(line.split("\t")[1].startswith(("\\begin{pmatrix}", "f(x)=")) for line in told.splitlines())
