"""Transcribe pictures into a folder: `results.jsonl` as answers come, then `results.html` with picture beside formula.

Takes a reader and a listing of samples, which may be a million: neither they nor their predictions are ever held
together. A folder may grow: pictures that came since are read and added. Knows nothing of references or scores.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import quote

import numpy as np

from latexocr.bench.answered import Answered, hashed
from latexocr.bench.each import read_each
from latexocr.bench.folder import Run, claim, read_runs, timed
from latexocr.bench.page import render
from latexocr.errors import UserError
from latexocr.provenance import alone, write_text
from latexocr.reading import Reader
from latexocr.records import Prediction, Sample, append, json_line, mend, stream_predictions

COLUMN = "results"
UNSURE = 0.9
"""Confidence below which an answer is marked for a second look, unless another is asked for."""
EMBEDDED = 1000
"""Most pictures that are copied into the page; a page of more links to the files instead, to stay loadable."""
ON_PAGE = 2000
"""Most pictures on the page."""
TOGETHER = 512
"""Samples that are looked up at a time."""

Listing = Callable[[], Iterator[Sample]]
"""Gives the samples, in the same order each time it is asked."""


@dataclass
class Transcript:
    """What came of a transcription."""

    results: Path
    """The predictions, one a sample, in the order of the listing."""
    n: int
    """Samples."""
    failures: int = 0
    """Among all of them."""
    read: int = 0
    """Read this time; the others had been read before."""
    tokens: int = 0
    """Generated this time."""
    seconds: float = 0.0
    """Spent on reading, this time, the loading of the model not counted."""
    latency: Any = None
    """Of the answers, where the reader keeps it (`reading.latency`)."""


@dataclass
class _Survey:
    """What a listing holds beside what is answered."""

    n: int = 0
    todo: int = 0
    answered: int = 0
    in_order: bool = True
    """Whether the answers so far are the beginning of the listing, in its order."""
    _last: int = field(default=-1, repr=False)

    def note(self, line: int) -> None:
        self.n += 1
        if line < 0:
            self.todo += 1
            return
        self.in_order &= not self.todo and line == self._last + 1
        self._last = line
        self.answered += 1


def transcribe(load: Callable[[], Reader], listing: Listing, out: Path, run: Run, *, retry_errors: bool = False,
               show: Callable[[Prediction], None] | None = None) -> Transcript:
    """One prediction for each sample, in order, as `results.jsonl` in `out`; read are those that it has none of.

    The reader is loaded when there is something to read. Raises UserError where `out` holds results of another model,
    other settings or other pictures, or where the listing names a sample twice.
    """
    results = out / f"{COLUMN}.jsonl"
    _make(out)
    with alone(out):
        if results.exists():
            mend(results)
        known = Answered(results)
        survey = _survey(listing, known, _first_start(out))
        claim(out, COLUMN, results, replace(run, n=survey.n))
        if retry_errors and known.failures:
            _replace(results, known, known.sound())
            known = Answered(results)
            survey = _survey(listing, known, _first_start(out))
        with timed(out, COLUMN):
            done = _read(load, listing, known, survey, show)
        if not survey.in_order:
            everything = Answered(results)
            _replace(results, everything, (line for _, line in _looked_up(listing(), everything)))
        return done


def _make(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise UserError(f"{out}: cannot be made a folder ({e.strerror}). Give another --out.") from e


def _first_start(out: Path) -> float:
    """When the first results of a folder were begun, in seconds since 1970."""
    run = read_runs(out).get(COLUMN)
    return datetime.fromisoformat(run.provenance[0]["started"]).timestamp() if run and run.provenance else 0.0


def _looked_up(samples: Iterator[Sample], known: Answered) -> Iterator[tuple[Sample, int]]:
    """Each sample with the line of its answer, or -1."""
    while together := list(islice(samples, TOGETHER)):
        yield from zip(together, known.lines([sample.id for sample in together]).tolist())


def _survey(listing: Listing, known: Answered, began: float) -> _Survey:
    """Go through a listing once, before anything is read. Raises UserError where it does not go with what is answered.
    """
    survey, seen = _Survey(), bytearray()
    for sample, line in _looked_up(listing(), known):
        survey.note(line)
        seen += hashed([sample.id]).tobytes()
        if line >= 0 and _changed(sample, known.picture(line), began):
            raise UserError(f"{known.path.parent} holds results of another {sample.id!r}. Give another --out.")
    hashes = np.sort(np.frombuffer(bytes(seen), np.uint64))
    if doubled := set(hashes[1:][hashes[1:] == hashes[:-1]].tolist()):
        name = next(sample.id for sample in listing() if int(hashed([sample.id])[0]) in doubled)
        raise UserError(f"{name!r} is named twice. Give each picture once.")
    if survey.answered < len(known):
        raise UserError(f"{known.path}: {known.stranger(hashes)!r} not among the samples. Give the pictures it was "
                        "made from, or another --out.")
    return survey


def _changed(sample: Sample, digest: bytes, began: float) -> bool:
    """Whether a picture is no longer the one that was read. It is looked into only if touched since the run began."""
    if not isinstance(sample.image, Path) or digest == bytes(len(digest)):
        return False
    try:
        status = sample.image.stat()
    except (OSError, ValueError):
        return False
    return max(status.st_mtime, status.st_ctime) >= began and picture_digest(sample) != digest.hex()


def picture_digest(sample: Sample) -> str:
    """The first 64 bits of the SHA-256 of a picture's file, as hex; empty where there is no such file."""
    try:
        content = sample.image.read_bytes() if isinstance(sample.image, Path) else None
    except (OSError, ValueError):
        content = None
    return hashlib.sha256(content).hexdigest()[:16] if content is not None else ""


def _read(load: Callable[[], Reader], listing: Listing, known: Answered, survey: _Survey,
          show: Callable[[Prediction], None] | None) -> Transcript:
    done = Transcript(known.path, survey.n, known.failures)
    if survey.todo:
        reader = load()
        began, done.latency = monotonic(), getattr(reader, "latency", None)
        todo = (sample for sample, line in _looked_up(listing(), known) if line < 0)
        append(known.path, _lines(read_each(reader, todo), survey, done, show))
        done.seconds = monotonic() - began
    return done


def _lines(pairs: Iterator[tuple[Sample, Prediction]], survey: _Survey, done: Transcript,
           show: Callable[[Prediction], None] | None) -> Iterator[str]:
    from tqdm import tqdm

    # The bar is for a terminal, and makes room there for what is printed; a log has no use for it.
    room = tqdm.external_write_mode if sys.stdout.isatty() else nullcontext
    with tqdm(pairs, initial=survey.answered, total=survey.n, unit=" pictures", dynamic_ncols=True,
              disable=None) as bar:
        for sample, prediction in bar:
            # Resumed after the line is in the file: nothing is shown that a kill could take back.
            yield json_line(prediction, picture=picture_digest(sample))
            done.read += 1
            done.tokens += prediction.tokens
            done.failures += prediction.stop == "error"
            if show is not None:
                with room():
                    show(prediction)


def _replace(results: Path, answered: Answered, lines: Iterable[int]) -> None:
    """Put only these lines into a file, in this order, at once."""
    beside = results.with_name(results.name + ".part")
    beside.unlink(missing_ok=True)
    append(beside, answered.copied(lines))
    beside.replace(results)


def write_page(path: Path, listing: Listing, done: Transcript, run: Run, threshold: float = UNSURE) -> None:
    """The page of a transcription: the first `ON_PAGE` pictures, each beside its answer."""
    samples, predictions = (list(islice(each, ON_PAGE)) for each in (listing(), stream_predictions(done.results)))
    write_text(path, page(samples, predictions, run, path.parent, threshold))


def page(samples: Sequence[Sample], predictions: Sequence[Prediction], run: Run, folder: Path,
         threshold: float = UNSURE) -> str:
    """The page of a transcription, to lie in `folder`."""
    read = [p for p in predictions if p.stop != "error"]
    return render(
        "transcripts.html.jinja", run=run, predictions=list(zip(samples, predictions, strict=True)),
        threshold=threshold, failed=len(predictions) - len(read), embedded=len(samples) <= EMBEDDED,
        unsure=sum(p.confidence is not None and p.confidence < threshold for p in read),
        link=lambda sample: quote(os.fsencode(os.path.relpath(sample.image, folder))) if isinstance(sample.image, Path)
        else "",
    )
