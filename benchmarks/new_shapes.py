"""What a training spends on shapes that it meets for the first time, from its own log: a fit by least squares.

    python benchmarks/new_shapes.py OUT.json SPEC RUN [RUN ...]

SPEC is the data of the RUNs (folders with run.json and log.jsonl), which held part of it out as `latexocr train` does.
Their order is made anew, and for each ten steps between two reports is counted what had not come before: widths of a
batch, which are shapes of attention in the language model; runs of neighbouring pictures (number of patches, how many),
which are shapes of attention in the tower; and numbers of patches of a batch, which are shapes of its first layer. The
seconds are fitted by these and by steps and tokens, none below 0. What is read at checkpoints is no part of them.
"""

from __future__ import annotations

import json
import sys
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))
CAUSES = ("step", "10,000 tokens", "new width", "new run of pictures", "new number of patches")


def example_sizes(spec: str, config: Any) -> tuple[np.ndarray, np.ndarray]:
    """Tokens and pixels of the examples that a run of this configuration learns from."""
    from latexocr.data.sources import load
    from latexocr.reading.inputs import load_processor, resolve
    from latexocr.training import examples
    from latexocr.training.collate import Collator

    samples = load(spec)
    if config.held_out:
        samples, _ = examples.divided(samples, config)
    processor = load_processor(resolve("builtin"))
    learned = examples.usable(examples.material(samples, config), config, processor.tokenizer)
    lengths = Collator(processor, learned, {processor.tokenizer.eos_token_id}).lengths()
    return np.array(lengths), np.array([one.picture.width * one.picture.height for one in learned])


def per_step(lengths: np.ndarray, areas: np.ndarray, settings: dict[str, Any], steps: int) -> np.ndarray:
    """The causes (steps, 5) of each step's time."""
    from latexocr.training.batches import order

    batch, seen = settings["batch"], [set(), set(), set()]
    rows = np.reshape(order(lengths, areas, batch=batch, step=batch, steps=steps, seed=settings["seed"]), (-1, batch))
    found = []
    for row in rows:
        width, runs = int(lengths[row].max()), {(int(a), len(list(g))) for a, g in groupby(areas[row])}
        shapes = ({width}, runs, {int(areas[row].sum())})
        found.append([1, width * batch / 1e4, *(len(now - before) for now, before in zip(shapes, seen))])
        for now, before in zip(shapes, seen):
            before |= now
    return np.array(found, dtype=float)


def fitted(causes: np.ndarray, seconds: np.ndarray) -> tuple[np.ndarray, float]:
    """Seconds that one of each cause takes, and the part of the variance (R2) that they explain."""
    from scipy.optimize import nnls

    each, _ = nnls(causes, seconds)
    return each, 1 - ((causes @ each - seconds) ** 2).sum() / ((seconds - seconds.mean()) ** 2).sum()


def one(folder: Path, spec: str) -> dict[str, Any]:
    """What a run's log says."""
    from latexocr.training.settings import TrainConfig

    run, log = json.loads((folder / "run.json").read_text()), (folder / "log.jsonl").read_text().splitlines()
    settings, start = run["settings"], run["starts"][0]
    config = TrainConfig(held_out=settings["held_out"], seed=settings["seed"], max_tokens=settings["max_tokens"])
    sizes = example_sizes(spec, config)
    if len(sizes[0]) != run["n"]:
        sys.exit(f"{folder}: learned from {run['n']} pictures, {spec} gives {len(sizes[0])}.")
    steps = per_step(*sizes, settings, run["steps"])
    reports = [(entry["step"], entry["pictures_per_s"]) for entry in map(json.loads, log)
               if "pictures_per_s" in entry and entry["step"] > 10]
    causes = np.array([steps[step - 10:step].sum(0) for step, _ in reports])
    seconds = np.array([10 * settings["batch"] / rate for _, rate in reports])
    each, explained = fitted(causes, seconds)
    without = [fitted(np.delete(causes, n, axis=1), seconds)[1] for n in range(len(CAUSES))]
    return {"backend": run["backend"], "gpu": start["gpu"], "torch": start["packages"]["torch"],
            "started": start["started"], "commit": start["commit"], "reports": len(reports),
            "seconds": round(seconds.sum(), 1), "r2": round(explained, 3),
            "causes": {name: {"seconds_each": round(each[n], 4), "seconds": round(causes[:, n].sum() * each[n], 1),
                              "r2_without": round(without[n], 3)} for n, name in enumerate(CAUSES)}}


def main(out: Path, spec: str, folders: list[Path]) -> None:
    from latexocr import provenance

    record = {**provenance.start(), "runs": {folder.name: one(folder, spec) for folder in folders}}
    provenance.write_text(out, json.dumps(record, indent=1) + "\n")
    for name, run in record["runs"].items():
        print(f"{name}: {run['seconds']} s in {run['reports']} reports, R2 {run['r2']}")
        for cause, found in run["causes"].items():
            print(f"  {cause:22} {found['seconds_each']:.4f} s each, {found['seconds']:6.1f} s in all; "
                  f"R2 without it {found['r2_without']}")


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(f"{sys.argv[0]}: expected OUT.json SPEC RUN [RUN ...].\n{__doc__}")
    main(Path(sys.argv[1]), sys.argv[2], [Path(name) for name in sys.argv[3:]])
