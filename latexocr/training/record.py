"""The record of a training: `run.json` in its folder, by which a killed run goes on and another run is refused.

Takes settings and a folder, gives the checkpoint to go on from. Knows nothing of models.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latexocr import provenance
from latexocr.errors import UserError
from latexocr.provenance import write_text

CHECKPOINT_FILES = ("adapter_model.safetensors", "optimizer.pt", "scheduler.pt", "trainer_state.json")
RUN = "run.json"


@dataclass(frozen=True)
class Claim:
    """What a training folder holds for a run of certain settings."""

    finished: bool
    checkpoint: Path | None
    """The last whole checkpoint; None where training begins at its first step."""


def claim(folder: Path, settings: Mapping[str, Any]) -> Claim:
    """Make a folder this run's, or recognise that it is. Raises UserError naming the settings that differ."""
    path = folder / RUN
    if not path.exists():
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UserError(f"{folder} exists, is not empty and holds no training (no {RUN}). Give another --out.")
        _write(path, {"settings": settings, "starts": [provenance.start()], "finished": None})
        return Claim(finished=False, checkpoint=None)
    record = read(folder)
    known = record["settings"]
    differing = [f"{name} is {known.get(name)!r} there and {settings.get(name)!r} here"
                 for name in {**known, **settings} if known.get(name) != _as_json(settings.get(name))]
    if differing:
        raise UserError(f"{folder} holds a training of other settings: {'; '.join(differing)}. Give another --out.")
    if record["finished"]:
        return Claim(finished=True, checkpoint=None)
    _write(path, {**record, "starts": [*record["starts"], provenance.start()]})
    return Claim(finished=False, checkpoint=last_checkpoint(folder))


def claimed(folder: Path) -> Claim:
    """What a folder holds that another process of this run has claimed."""
    return Claim(bool(read(folder)["finished"]), last_checkpoint(folder))


def note(folder: Path, facts: Mapping[str, Any]) -> None:
    """Add facts to the record."""
    _write(folder / RUN, {**read(folder), **facts})


def finish(folder: Path, facts: Mapping[str, Any]) -> None:
    """Mark a training as finished."""
    note(folder, {**facts, "finished": provenance.now()})


def read(folder: Path) -> dict[str, Any]:
    """The record of a training folder. Raises UserError where it is none."""
    path = folder / RUN
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if not {"settings", "starts", "finished"} <= set(record):
            raise ValueError("no training's fields")
    except (OSError, ValueError, TypeError) as e:
        raise UserError(f"{path}: not the record of a training ({e}). Give another --out.") from e
    return record


def last_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint that was written to its end: a killed run may have left half of one."""
    found = sorted(folder.glob("checkpoints/checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]))
    return next((path for path in reversed(found) if _is_whole(path)), None)


def _is_whole(checkpoint: Path) -> bool:
    try:
        json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))  # The last file to be written.
    except (OSError, ValueError):
        return False
    return all((checkpoint / name).is_file() for name in CHECKPOINT_FILES)


def _as_json(value: Any) -> Any:
    return json.loads(json.dumps(value, default=str))


def _write(path: Path, record: Mapping[str, Any]) -> None:
    write_text(path, json.dumps(record, indent=1, ensure_ascii=False, default=str) + "\n")
