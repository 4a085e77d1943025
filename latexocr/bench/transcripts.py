"""Transcribe pictures into a folder: `results.jsonl` as answers come, then `results.html` with picture beside formula.

Takes a reader and samples, gives predictions. A folder may grow: pictures that came since are read and added.
Knows nothing of references or scores.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import quote

from latexocr.bench.folder import Run, claim, read_runs, timed
from latexocr.bench.page import render
from latexocr.bench.run import predict
from latexocr.data.sources import content_hash
from latexocr.errors import UserError
from latexocr.provenance import write_text
from latexocr.reading import Reader
from latexocr.records import Prediction, Sample

COLUMN = "results"
UNSURE = 0.9
"""Confidence below which an answer is marked for a second look."""
EMBEDDED = 1000
"""Most pictures that are copied into the page; a page of more links to the files instead, to stay loadable."""


def transcribe(reader: Reader, samples: Sequence[Sample], out: Path, run: Run, *, retry_errors: bool = False,
               show: Callable[[Prediction], None] | None = None) -> list[Prediction]:
    """One prediction for each sample, in order; also as `results.jsonl` and `results.html` in `out`.

    Raises UserError where `out` holds results of another model, other settings or other pictures.
    """
    results = out / f"{COLUMN}.jsonl"
    claim(out, COLUMN, results, run)
    _refuse_changed(samples, out / "pictures.json")
    with timed(out, COLUMN):
        predictions = predict(reader, samples, results, retry_errors=retry_errors, show=show)
    write_text(out / f"{COLUMN}.html", page(samples, predictions, read_runs(out)[COLUMN], out))
    return predictions


def _refuse_changed(samples: Sequence[Sample], known: Path) -> None:
    """Keep the hash of each picture in `known`. Raises UserError where a picture is no longer the one that was read."""
    now = {sample.id: content_hash([sample]) for sample in samples}
    before = json.loads(known.read_text(encoding="utf-8")) if known.exists() else {}
    if changed := [id for id, digest in now.items() if before.get(id, digest) != digest]:
        raise UserError(f"{known.parent} holds results of another {changed[0]!r}"
                        f"{f' (and {len(changed) - 1} more)' if len(changed) > 1 else ''}. Give another --out.")
    write_text(known, json.dumps({**before, **now}, indent=0) + "\n")


def page(samples: Sequence[Sample], predictions: Sequence[Prediction], run: Run, folder: Path) -> str:
    """The page of a transcription, to lie in `folder`."""
    read = [p for p in predictions if p.stop != "error"]
    return render(
        "transcripts.html.jinja", run=run, predictions=list(zip(samples, predictions, strict=True)), threshold=UNSURE,
        failed=len(predictions) - len(read), embedded=len(samples) <= EMBEDDED,
        unsure=sum(p.confidence is not None and p.confidence < UNSURE for p in read),
        link=lambda sample: quote(os.path.relpath(sample.image, folder)) if isinstance(sample.image, Path) else "",
    )
