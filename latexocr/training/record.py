"""The record of a training: `run.json` in its folder, by which a killed run goes on and another run is refused.

Takes settings and a folder, gives the checkpoint to go on from. Knows nothing of models.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latexocr import provenance
from latexocr.errors import UserError
from latexocr.provenance import write_text

CHECKPOINT_FILES = ("adapter_model.safetensors", "optimizer.pt", "scheduler.pt", "trainer_state.json")
RUN, LOG = "run.json", "log.jsonl"
UNWRITTEN = ("No space left", "quota exceeded", "inline_container", "PytorchStreamWriter")
"""What is said where a file could not be written to its end: by the system, and by torch, which gives no cause."""


@dataclass(frozen=True)
class Claim:
    """What a training folder holds for a run of certain settings."""

    finished: bool
    checkpoint: Path | None
    """The last whole checkpoint; None where training begins at its first step."""


def claim(folder: Path, settings: Mapping[str, Any]) -> Claim:
    """Make a folder this run's, or recognise that it is. Raises UserError naming the settings that differ.

    A run that ended before its first step, refused for its settings perhaps, has nothing to lose: others replace it.
    """
    path = folder / RUN
    if not path.exists():
        if any(folder.iterdir()):
            raise UserError(f"{folder} exists, is not empty and holds no training (no {RUN}). Give another --out.")
        return _begun(path, settings)
    record = read(folder)
    known = record["settings"]
    differing = [f"{name} is {known.get(name)!r} there and {settings.get(name)!r} here"
                 for name in {**known, **settings} if known.get(name) != _as_json(settings.get(name))]
    if differing and not (folder / LOG).exists() and last_checkpoint(folder) is None:
        return _begun(path, settings)
    if differing:
        raise UserError(f"{folder} holds a training of other settings: {'; '.join(differing)}. Give another --out.")
    if record["finished"]:
        return Claim(finished=True, checkpoint=None)
    _write(path, {**record, "starts": [*record["starts"], provenance.start()]})
    return Claim(finished=False, checkpoint=last_checkpoint(folder))


def _begun(path: Path, settings: Mapping[str, Any]) -> Claim:
    _write(path, {"settings": settings, "starts": [provenance.start()], "finished": None})
    return Claim(finished=False, checkpoint=None)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Make a folder and keep other trainings out of it. Raises UserError where that cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise UserError(f"{folder}: cannot be made a folder ({e.strerror or e}). Give another --out.") from e
    with provenance.alone(folder):
        yield


@contextmanager
def room(folder: Path) -> Iterator[None]:
    """Raises UserError where something inside fails for want of room on a disk."""
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as e:  # Each library has its own name for it.
        if not any(words in str(e) for words in UNWRITTEN):
            raise
        left = shutil.disk_usage(folder).free / 1e9
        raise UserError(f"{folder}: a file could not be written to its end ({str(e).splitlines()[0]}); {left:.3f} GB "
                        "are left on that disk. Make room, and give the same command again.") from e


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
