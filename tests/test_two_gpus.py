"""The record of two GPUs: rates, computed by hand; a training that was cut off has none."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parent.parent / "benchmarks/two_gpus.py"


def training(folder: Path, processes: int, rates: list[float], *, ended: bool = True) -> None:
    """As `latexocr train` leaves it: a report at the first step and at every tenth."""
    folder.mkdir()
    settings = {"batch": 512, "accumulation": 2 // processes, "processes": processes}
    run = {"settings": settings, "starts": [{"gpu": "NVIDIA H200"}], "steps": 10 * len(rates)}
    run |= {"first_loss": 0.5, "last_loss": 0.25} if ended else {}
    log = [{"step": 1, "loss": 0.5, "memory_gb": 1.0}]
    log += [{"step": 10 * (n + 1), "loss": 0.25, "memory_gb": 2.0, "pictures_per_s": r} for n, r in enumerate(rates)]
    (folder / "run.json").write_text(json.dumps(run))
    (folder / "log.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in [*log, {"train_runtime": 9.0}]))


def test_rates_count_from_the_tenth_step_and_what_was_cut_off_is_left_out(tmp_path):
    training(tmp_path / "train-embedded-1", 1, [100.0, 1000.0, 2000.0])
    training(tmp_path / "train-embedded-2", 2, [100.0, 2000.0, 4000.0])
    training(tmp_path / "train-big-1", 1, [10.0, 20.0])
    training(tmp_path / "train-big-2", 2, [10.0], ended=False)
    contenders = {"served": {"pictures_per_s": 30.0}, "requests": {"failed": "no server"}}
    for number, rate in ((1, 30.0), (2, 60.0)):
        contenders["served"]["pictures_per_s"] = rate
        (tmp_path / f"serve-embedded-{number}.json").write_text(json.dumps(
            {"contenders": contenders, "n": 9, "vllm": "0.26.0", "command": "serving_speed.py"}))
    subprocess.run([sys.executable, SCRIPT, tmp_path], capture_output=True, check=True)
    record = json.loads((tmp_path / "two_gpus.json").read_text())
    # 20 steps of 1,024 pictures, half of them at each rate: 2 / (1/1000 + 1/2000) = 1333.3 and twice that.
    runs = record["runs"]
    assert runs["train-embedded-1"]["pictures_per_s"] == 1333.3 and runs["train-embedded-2"]["pictures_per_s"] == 2666.7
    assert runs["train-embedded-1"]["pictures_a_step"] == runs["train-embedded-2"]["pictures_a_step"] == 1024
    assert "train-big-2" not in runs and runs["train-big-1"]["pictures_per_s"] == 20.0
    assert record["two_gpus_to_one"] == {"train-embedded": 2.0, "serve-embedded": {"served": 2.0, "requests": None}}
