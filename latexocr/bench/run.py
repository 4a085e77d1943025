"""Predict, so that a run can be stopped at any moment and continued: one prediction a sample, in a file.

Takes a reader and samples, gives predictions; also pairs the predictions of anybody with samples by id.
Does not know how a model is loaded, nor what a right answer is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path

from latexocr.bench.cost import Stopwatch
from latexocr.bench.each import read_each
from latexocr.bench.folder import Run, claim, timed
from latexocr.errors import UserError
from latexocr.provenance import alone
from latexocr.reading import Reader
from latexocr.reading.latency import Latency
from latexocr.records import Prediction, Sample, mend, read_predictions, write_predictions
from latexocr.wording import counted

LONGEST_ID = 80
"""Characters of an id that are shown in a message."""


class Deferred:
    """A reader whose model is loaded when the first sample is read: a finished run is scored without its model."""

    def __init__(self, load: Callable[[], Reader]) -> None:
        self._load = load

    @cached_property
    def _reader(self) -> Reader:
        return self._load()

    def read(self, samples: Iterable[Sample]) -> Iterator[Prediction]:
        yield from self._reader.read(samples)

    @property
    def latency(self) -> Latency | None:
        """How long a server's answers took; None of a model in this process."""
        return getattr(self.__dict__.get("_reader"), "latency", None)


class Recorded:
    """A reader that repeats the predictions of a file: anybody's output can be a column."""

    def __init__(self, predictions: Iterable[Prediction]) -> None:
        self._by_id = {prediction.id: prediction for prediction in predictions}

    def read(self, samples: Iterable[Sample]) -> Iterator[Prediction]:
        yield from (self._by_id[sample.id] for sample in samples)


def predict(reader: Reader, samples: Sequence[Sample], out: Path, *, label: str = "",
            retry_errors: bool = False, show: Callable[[Prediction], None] | None = None) -> list[Prediction]:
    """One prediction for each sample, in their order, also in the JSON lines file `out`.

    What `out` holds already is not read again; an unfinished last line is dropped; with `retry_errors`, samples that
    failed are read anew. `show` is called with each new prediction as it comes. A progress bar is on stderr.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    with alone(out.parent):
        done = _finished(samples, out, retry_errors=retry_errors)
        todo = [sample for sample in samples if sample.id not in done]
        if todo:
            found = (prediction for _, prediction in read_each(reader, todo))
            write_predictions(out, _watched(found, len(done), len(samples), label, show))
        return _in_order(samples, out)


def record(reader: Reader, samples: Sequence[Sample], folder: Path, column: str, run: Run, *,
           at_once: int | None = None, retry_errors: bool = False) -> list[Prediction]:
    """The predictions of one column of a run folder, made or continued; raises UserError if the folder is another's.

    The speed of a reader that reads is noted; `at_once` is how many pictures it reads together, where that is known.
    """
    out = folder / f"predictions-{column}.jsonl"
    claim(folder, column, out, run)
    stopwatch = Stopwatch(reader, at_once)
    with timed(folder, column, (lambda: None) if isinstance(reader, Recorded) else stopwatch.speed):
        return predict(stopwatch, samples, out, label=column, retry_errors=retry_errors)


def _watched(predictions: Iterator[Prediction], done: int, n: int, label: str,
             show: Callable[[Prediction], None] | None) -> Iterator[Prediction]:
    from tqdm import tqdm

    with tqdm(predictions, desc=label or None, initial=done, total=n, unit=" pictures", dynamic_ncols=True,
              disable=None) as bar:
        for prediction in bar:
            yield prediction  # Resumed after the line is in the file: nothing is shown that a kill could take back.
            if show is not None:
                with tqdm.external_write_mode():
                    show(prediction)


def _finished(samples: Sequence[Sample], out: Path, *, retry_errors: bool) -> set[str]:
    """Ids that `out` holds, after mending its end. Raises UserError on ids doubled or not among the samples."""
    if not out.exists():
        return set()
    mend(out)
    predictions = read_predictions(out)
    kept = [p for p in predictions if not (retry_errors and p.stop == "error")]
    if len(kept) < len(predictions):
        _replace(out, kept)
    _refuse_strangers(samples, kept, str(out))
    return {prediction.id for prediction in kept}


def _in_order(samples: Sequence[Sample], out: Path) -> list[Prediction]:
    """The predictions in the order of the samples; the file is put into it too, where a retry left it otherwise."""
    found = read_predictions(out) if out.exists() else []
    by_id = {prediction.id: prediction for prediction in found}
    ordered = [by_id[sample.id] for sample in samples]
    if [p.id for p in found] != [p.id for p in ordered]:
        _replace(out, ordered)
    return ordered


def _replace(out: Path, predictions: Sequence[Prediction]) -> None:
    beside = out.with_name(out.name + ".part")
    beside.unlink(missing_ok=True)
    write_predictions(beside, predictions)
    beside.replace(out)


def _refuse_strangers(samples: Iterable[Sample], predictions: Iterable[Prediction], where: str) -> None:
    known = {sample.id for sample in samples}
    times = Counter(prediction.id for prediction in predictions)
    if doubled := [id for id, n in times.items() if n > 1]:
        raise UserError(f"{where}: {some(doubled)} twice or more. Each sample needs exactly one prediction.")
    if extra := [id for id in times if id not in known]:
        raise UserError(f"{where}: {some(extra)} not among the samples. Give the data "
                        "it was made from, or another --out.")


def some(ids: Sequence[str]) -> str:
    shown = ", ".join(repr(id if len(id) <= LONGEST_ID else id[:LONGEST_ID] + "...") for id in ids[:3])
    return f"{shown} and {counted(len(ids) - 3, 'more id')}" if len(ids) > 3 else shown


def paired(samples: Sequence[Sample], predictions: Sequence[Prediction], where: str) -> list[Prediction]:
    """The predictions in the order of the samples. Raises UserError, naming `where`, on missing, extra, doubled ids."""
    _refuse_strangers(samples, predictions, where)
    by_id = {prediction.id: prediction for prediction in predictions}
    if missing := [sample.id for sample in samples if sample.id not in by_id]:
        raise UserError(f"{where}: no prediction for {some(missing)}. A failure needs a line too: empty 'latex', "
                        "'stop': 'error'.")
    return [by_id[sample.id] for sample in samples]


def recorded(file: Path, everything: Sequence[Sample], samples: Sequence[Sample]) -> Recorded:
    """A reader of `samples`, a part of `everything`, from a predictions file about the part or the whole."""
    return Recorded(covered(everything, samples, read_predictions(file), str(file)))


def draw(samples: Sequence[Sample], limit: int | None) -> list[Sample]:
    """At most `limit` samples, drawn at random but always alike, in their order; a larger draw holds a smaller one."""
    if limit is None or limit >= len(samples):
        return list(samples)
    if limit < 1:
        raise UserError(f"The limit is {limit}; it must be at least 1.")
    import numpy as np

    return [samples[i] for i in sorted(np.random.default_rng(0).permutation(len(samples))[:limit])]


def covered(everything: Sequence[Sample], samples: Sequence[Sample], predictions: Sequence[Prediction], where: str
            ) -> list[Prediction]:
    """The predictions of `samples`, a part of `everything`, from a file that may be about the part or the whole."""
    _refuse_strangers(everything, predictions, where)
    wanted = {sample.id for sample in samples}
    return paired(samples, [prediction for prediction in predictions if prediction.id in wanted], where)
