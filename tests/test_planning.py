"""The planning table: what is computed from a record's rates, by hand; what failed has no figures."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parent.parent / "benchmarks/planning.py"


def table(*arguments: object) -> list[list[str]]:
    done = subprocess.run([sys.executable, SCRIPT, *map(str, arguments)], capture_output=True, text=True, check=True)
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in done.stdout.splitlines()]


def test_what_is_computed_from_a_record(tmp_path):
    contenders = {"transformers": {"failed": "OutOfMemoryError"},
                  "served": {"pictures_per_s": 1000.0, "pictures": 6000, "tokens": 198000},
                  "requests": {"pictures_per_s": 1100.0}}
    record = {"command": "serving_speed.py --model models/ernie_28b --limit 9", "n": 1198, "cpus": 16, "cpu": "Xeon",
              "gpu": "NVIDIA H100", "contenders": contenders}
    (tmp_path / "h100_x.json").write_text(json.dumps(record))
    head, _, failed, served = table("--price", "h100=2.5", "--price", "cpu=9", tmp_path / "h100_x.json")
    assert failed == ["h100_x", "ernie_28b", "NVIDIA H100", "transformers", "failed", "", "", "", "", ""]
    # 1,000 a second are 3.6 million an hour: 1/3.6 of an hour for a million, at 2.5 an hour.
    assert served == ["h100_x", "ernie_28b", "NVIDIA H100", "served", "6,000", "33", "1,000", "3,600,000", "0.278",
                      "0.69"]
    assert [cell.endswith("(computed)") for cell in head] == [False] * 7 + [True] * 3


def test_every_gpu_counts_and_the_embedded_model_has_one_name(tmp_path):
    contenders = {"served": {"pictures_per_s": 10.0, "pictures": 10, "tokens": 500}}
    record = {"command": "serving_speed.py --model builtin", "n": 10, "cpus": 16, "cpu": "Xeon", "gpu": "NVIDIA H100",
              "flags": "--data-parallel-size 2 --tensor-parallel-size=4", "contenders": contenders}
    (tmp_path / "x.json").write_text(json.dumps(record))
    assert table(tmp_path / "x.json")[2][1:4] == ["embedded, 21 M", "8 x NVIDIA H100", "served"]


def test_published_records_are_rows_without_a_price_without_a_cost():
    rows = table(*sorted((SCRIPT.parent / "results/serving").glob("[ch]*_[0-9]*.json")))[2:]
    assert len(rows) >= 6 and all(row[-1] == "" and float(row[6].replace(",", "")) > 0 for row in rows)
