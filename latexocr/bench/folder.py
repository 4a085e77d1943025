"""The record of a run: which model read which data with which settings, where and how long.

A run folder holds `run.json` (column name -> Run) beside one predictions file a column. A folder is continued only by
the run it belongs to; the message of a refusal names the setting that differs. Knows nothing of scores or pages.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from time import time
from typing import Any

from latexocr import provenance
from latexocr.data.sources import content_hash
from latexocr.errors import UserError
from latexocr.provenance import write_text
from latexocr.reading.inputs import resolve
from latexocr.records import Sample

EDGE = 1 << 20
"""Bytes read from either end of each file of a model folder: trained weights differ there; 50 GB need not be read."""


@dataclass(frozen=True)
class Run:
    """One model on one data set: one column of a report."""

    model: str
    data: str
    data_sha256: str
    settings: Mapping[str, Any]
    """What decides the answers besides model and data; a run with other settings is another run."""
    provenance: tuple[Mapping[str, Any], ...] = field(default=())
    """One entry a start: command, time, commit, packages, device. A continued run has several."""
    seconds: float = 0.0
    """Reading time of all starts together, loading included; what a killed start read after its last answer is not."""
    n: int = 0
    """Samples of the run."""


def fingerprint(path: Path) -> str:
    """A sha256 by which a model folder or file is told from another: names, sizes, and both ends of each file.

    Of a folder, the files directly in it count, without what only describes it (*.md, *.jsonl).
    """
    digest = hashlib.sha256()
    files = [path] if path.is_file() else sorted(
        p for p in path.iterdir() if p.is_file() and p.suffix not in (".md", ".jsonl"))
    for file in files:
        size = file.stat().st_size
        digest.update(f"{'' if file == path else file.name}\0{size}\0".encode())
        with file.open("rb") as stream:
            digest.update(stream.read(EDGE))
            if size > EDGE:
                stream.seek(max(EDGE, size - EDGE))
                digest.update(stream.read())
    return digest.hexdigest()


def describe(model: str, data: str, samples: Sequence[Sample], settings: Mapping[str, Any], *,
             download: bool = False) -> Run:
    """The run of a model, a server or a predictions file on samples, not yet started.

    Raises UserError where there is no such model or file.
    """
    if model.endswith(".jsonl"):
        if not Path(model).is_file():
            raise UserError(f"{model}: no such predictions file.")
        settings = {"model_sha256": fingerprint(Path(model))}  # What made it is not for us to say.
    elif "://" not in model:
        settings = {**settings, "model_sha256": fingerprint(resolve(model, download=download))}
    return Run(model, data, content_hash(samples), settings, n=len(samples))


def read_runs(folder: Path) -> dict[str, Run]:
    """Column name -> Run of a run folder; empty where there is no `run.json`."""
    path = folder / "run.json"
    if not path.exists():
        return {}
    try:
        columns = json.loads(path.read_text(encoding="utf-8"))
        return {name: Run(**{**fields, "provenance": tuple(fields["provenance"])}) for name, fields in columns.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as e:
        raise UserError(f"{path}: not the record of a run ({type(e).__name__}: {e}). Give another --out.") from e


def claim(folder: Path, column: str, predictions: Path, run: Run) -> None:
    """Make a folder this run's, or recognise that it is. Raises UserError naming what differs."""
    runs = read_runs(folder)
    known = runs.get(column)
    if known is None and predictions.exists() and predictions.stat().st_size:
        raise UserError(f"{predictions} exists, but {folder / 'run.json'} has no run '{column}'. Give another --out.")
    if known is not None and (differing := _differences(known, run)):
        raise UserError(f"{folder} holds another run '{column}': {'; '.join(differing)}. Give another --out.")
    earlier = tuple(_ended(start, predictions) for start in known.provenance) if known else ()
    _store(folder, {**runs, column: replace(run, provenance=(*earlier, {**provenance.start(), "seconds": None}))})


def _ended(start: Mapping[str, Any], predictions: Path) -> Mapping[str, Any]:
    """A start with its seconds: a killed one ended with the last answer that it wrote."""
    if start.get("seconds") is not None or not predictions.exists():
        return start
    began = datetime.fromisoformat(start["started"]).timestamp()
    return {**start, "seconds": max(0.0, round(predictions.stat().st_mtime - began, 3))}


def _differences(known: Run, run: Run) -> list[str]:
    """What differs, in words. A model or data set that moved elsewhere is still the same: its hash decides."""
    before, now = ({"model": r.model, "data_sha256": r.data_sha256, **r.settings} for r in (known, run))
    if before.get("model_sha256") and before.get("model_sha256") == now.get("model_sha256"):
        before.pop("model"), now.pop("model")
    if before["data_sha256"] != now["data_sha256"] and known.n != run.n:  # as with another --limit
        before["n"], now["n"] = known.n, run.n
    return [f"{name} is {now.get(name)!r} here and {before.get(name)!r} there"
            for name in {**before, **now} if before.get(name) != now.get(name)]


@contextmanager
def timed(folder: Path, column: str, speed: Callable[[], Mapping[str, Any] | None] = lambda: None) -> Iterator[None]:
    """Add the seconds spent inside, and the speed of reading, to the run's last start, also when it ends by an error.
    """
    began = time()
    try:
        yield
    finally:
        runs = read_runs(folder)
        *earlier, last = runs[column].provenance
        last = {**last, "gpu": provenance.gpu(), "seconds": round(time() - began, 3), "speed": speed()}
        starts = (*earlier, last)
        seconds = sum(start["seconds"] or 0.0 for start in starts)
        _store(folder, {**runs, column: replace(runs[column], provenance=starts, seconds=round(seconds, 3))})


def _store(folder: Path, runs: Mapping[str, Run]) -> None:
    text = json.dumps({name: asdict(run) for name, run in runs.items()}, indent=2, ensure_ascii=False)
    write_text(folder / "run.json", text + "\n")
