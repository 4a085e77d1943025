"""The record of `two_gpus.sh`: pictures/s and loss on one GPU and on two, and their ratio.

    python benchmarks/two_gpus.py FOLDER

Pictures/s of a training are those of all steps after the first ten: the first holds what is made ready once.
"""

from __future__ import annotations

import json
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

from latexocr import provenance


def trained(folder: Path) -> dict[str, Any]:
    """What one training's folder says of it."""
    run = json.loads((folder / "run.json").read_text())
    log = [entry for line in (folder / "log.jsonl").read_text().splitlines() if "loss" in (entry := json.loads(line))]
    counted = [(after["step"] - before["step"], after["pictures_per_s"]) for before, after in pairwise(log)
               if before["step"] >= 10]
    settings = run["settings"]
    pictures_a_step = settings["batch"] * settings["accumulation"] * settings["processes"]
    seconds = sum(steps * pictures_a_step / rate for steps, rate in counted)
    return {"pictures_per_s": round(sum(steps for steps, _ in counted) * pictures_a_step / seconds, 1),
            "steps": run["steps"], "pictures_a_step": pictures_a_step, "first_loss": run["first_loss"],
            "last_loss": run["last_loss"], "memory_gb": log[-1]["memory_gb"], "start": run["starts"][-1]}


def served(path: Path) -> dict[str, Any]:
    """Pictures/s through our client and of the same requests made beforehand, of one server."""
    record = json.loads(path.read_text())
    rates = {name: found.get("pictures_per_s", found.get("failed")) for name, found in record["contenders"].items()}
    return {"pictures_per_s": rates, "n": record["n"], "vllm": record["vllm"], "command": record["command"]}


def ratio(one: Any, two: Any) -> Any:
    """Of the rates of two GPUs to those of one."""
    if isinstance(one, dict):
        return {name: ratio(one[name], two[name]) for name in one.keys() & two.keys()}
    return round(two / one, 2) if isinstance(one, float) and isinstance(two, float) else None


def main(folder: Path) -> None:
    import torch  # noqa: F401  (so that the record names the GPU)

    found: dict[str, Any] = {}
    for path in sorted(folder.glob("train-*/run.json")):
        if "last_loss" in json.loads(path.read_text()):  # It came to its end.
            found[path.parent.name] = trained(path.parent)
    for path in sorted(folder.glob("serve-*.json")):
        found[path.stem] = served(path)
    pairs = {name.removesuffix("-2"): name for name in found if name.endswith("-2")}
    ratios = {what: ratio(found[f"{what}-1"]["pictures_per_s"], found[two]["pictures_per_s"])
              for what, two in pairs.items() if f"{what}-1" in found}
    record = {**provenance.start(), "two_gpus_to_one": ratios, "runs": found}
    provenance.write_text(folder / "two_gpus.json", json.dumps(record, indent=1) + "\n")
    print(json.dumps(ratios, indent=1))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(f"{sys.argv[0]}: expected FOLDER.\n{__doc__}")
    main(Path(sys.argv[1]))
