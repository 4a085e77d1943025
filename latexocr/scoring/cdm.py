r"""CDM by its own program: character detection matching, F1 of tokens that lie alike in two pictures. Never a headline.

    cdm             mean over pairs of the F1
    cdm_exprate     share of pairs whose F1, rounded to three decimals as the program does, is 1

Takes pairs of prediction and reference, and the command that starts `evaluation.py` of opendatalab/UniMERNet, folder
cdm (paper 2409.03643): in a Python environment of its own, beside `pdflatex`, `magick` (ImageMagick 7), `gs`, `node`.
What it leaves out is put back: it skips every reference that it cannot draw, and here that pair scores 0. References
and predictions without a picture are told apart by the files of boxes that it writes.

Faults. A wrong pair may score 1 (`2^3` for `3^2`, `x^ab` for `x^{ab}`, a matrix written as a row) and a right one less
(`\ne` for `\neq`); scores move with the version of every program above: they are in the signature.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path

from latexocr.errors import UserError
from latexocr.scoring.metrics import Counts, Metric, share

PROGRAMS = ("pdflatex", "magick", "gs", "node")
"""What CDM draws with."""


@dataclass(frozen=True)
class Matched:
    """What CDM says of a pair."""

    f1: float
    """0 where either has no picture."""
    prediction_refused: bool
    """No token of it was found in a picture."""
    reference_refused: bool


def matched(pairs: Sequence[tuple[str, str]], command: Sequence[str]) -> list[Matched]:
    """What CDM says of each pair, in order. Raises UserError where the command does not do its work."""
    tool(command)
    with tempfile.TemporaryDirectory(prefix="latexocr-") as folder:
        asked = Path(folder, "pairs.json")
        # Numbers for names: of others, the program cuts off what follows a dot.
        asked.write_text(json.dumps([{"img_id": str(number), "gt": reference, "pred": prediction}
                                     for number, (prediction, reference) in enumerate(pairs)]))
        workers = str(os.cpu_count() or 1)
        done = subprocess.run([*command, "-i", asked, "-o", folder, "-p", workers], capture_output=True, check=False)
        result = Path(folder, "pairs", "metrics_res.json")
        if done.returncode or not result.exists():
            told = done.stderr.decode(errors="replace").strip().splitlines() or ["it wrote no metrics_res.json"]
            raise UserError(f"CDM ended with {done.returncode}: {told[-1]} (command: {' '.join(command)}).")
        return _read(result, len(pairs))


def _read(result: Path, n: int) -> list[Matched]:
    """All pairs, from the program's result and the boxes beside it."""
    scores = json.loads(result.read_text(encoding="utf-8"))["details"]
    seen = {side: [_has_boxes(result.parent / side / "bbox" / f"{number}.jsonl") for number in range(n)]
            for side in ("pred", "gt")}
    return [Matched(scores.get(str(number), {}).get("F1_score", 0.0), not prediction, not reference)
            for number, (prediction, reference) in enumerate(zip(seen["pred"], seen["gt"], strict=True))]


def _has_boxes(path: Path) -> bool:
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return any(json.loads(line)["bbox"] for line in lines)


def tool(command: Sequence[str]) -> dict[str, str]:
    """Name -> version of CDM and of what it draws with. Raises UserError where its script is not there."""
    script = Path(command[-1]) if command else Path()
    if not script.is_file():
        raise UserError(f"--cdm {' '.join(command)!r}: no file {str(script)!r}. Expected the command that starts CDM, "
                        "such as '.venv-cdm/bin/python UniMERNet/cdm/evaluation.py'.")
    return {script.name: sha256(script.read_bytes()).hexdigest()[:8]} | {
        program: _version(program) for program in PROGRAMS}


def _version(program: str) -> str:
    if not shutil.which(program):
        return "none"
    told = subprocess.run([program, "--version"], capture_output=True, text=True, errors="replace", check=False).stdout
    return " ".join(told.partition("\n")[0].removeprefix("Version: ").split()[:3])


def cdm_metrics(command: Sequence[str]) -> dict[str, Metric]:
    """The metrics by name, for `statistics`. Raises UserError as `tool`. Their `counts` starts CDM for one pair."""
    settings = {"as": "CDM", **tool(command)}

    def counts(prediction: str, reference: str, name: str) -> Counts:
        return COUNTS[name](matched([(prediction, reference)], command)[0])

    def metric(name: str, of: Mapping[str, str]) -> Metric:
        return Metric(name, "%", True, {**settings, **of}, partial(counts, name=name), share,
                      proportion=name == "cdm_exprate")

    return {"cdm": metric("cdm", {"mean": "F1 of tokens"}), "cdm_exprate": metric("cdm_exprate", {"F1": "1"})}


COUNTS = {"cdm": lambda pair: (pair.f1, 1.0), "cdm_exprate": lambda pair: (float(pair.f1 == 1), 1.0)}
"""Name of the metric -> the counts of a pair."""
