"""What reading costs: pictures and tokens a second, seconds a picture, memory, dollars.

A `Stopwatch` around a reader measures while it reads; what it measured is kept with the start in `run.json`, so that a
run that was continued still has the speed of its longest stretch. Loading is not counted, and neither are the first
batches, where there are many more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from latexocr.bench.folder import Run
from latexocr.provenance import forget_peak_memory, peak_memory
from latexocr.reading import Reader
from latexocr.reading.batches import WINDOW
from latexocr.records import Prediction, Sample


@dataclass(frozen=True)
class Cost:
    """Of the longest stretch of a column; what is not known is None."""

    n: int
    """Pictures that were measured."""
    at_once: int | None
    """Pictures in a batch, or requests in flight; None where the reader chose."""
    pictures_per_s: float
    tokens_per_s: float | None
    p50_s: float | None
    """Of a server with at_once requests in flight: half of the answers came within so many seconds. Pictures of a batch
    come together, so of a model in this process there is no such time but alone."""
    p95_s: float | None
    alone_p50_s: float | None
    """One picture at a time, from taking it to its answer; where --probe asked for it."""
    alone_p95_s: float | None
    memory_mb: float | None
    """Most memory of this process while reading; of a server, nothing is known."""
    gpu_memory_mb: float | None
    dollars_per_1000: float | None
    """For a thousand pictures at this speed, where the price of an hour was given."""


UNKNOWN = 16
"""Pictures that are taken to be read at once where that is not known, for the length of the warm-up alone."""


class Stopwatch:
    """A reader that is timed: `speed` has the figures of what was read through it."""

    def __init__(self, reader: Reader, at_once: int | None) -> None:
        self._reader, self._at_once = reader, at_once
        self._took: list[float] = []
        self._came: list[float] = []
        self._tokens: list[int] = []

    def read(self, samples: Iterable[Sample]) -> Iterator[Prediction]:
        del self._took[len(self._came):]  # Taken by a batch that broke.
        for prediction in self._reader.read(self._taken(samples)):
            self._came.append(perf_counter())
            self._tokens.append(prediction.tokens)
            yield prediction

    def _taken(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        for sample in samples:
            if not self._took:
                forget_peak_memory()  # Now the model is loaded.
            self._took.append(perf_counter())
            yield sample

    def speed(self) -> dict[str, Any] | None:
        """The figures, to be kept as JSON; None where nothing was read."""
        if not self._came:
            return None
        warm_up = WINDOW * (self._at_once or UNKNOWN)
        warm_up *= len(self._came) > 2 * warm_up
        return {"pictures": len(self._came) - warm_up, "tokens": sum(self._tokens[warm_up:]), "warm_up": warm_up,
                "seconds": round(self._came[-1] - (self._came[warm_up - 1] if warm_up else self._took[0]), 4),
                "at_once": self._at_once, **self._waits(warm_up), **peak_memory()}

    def _waits(self, warm_up: int) -> dict[str, float]:
        """Seconds within which half, and 95 %, of the answers came: as a server's client counted them, or as seen from
        here where pictures were read one at a time."""
        latency = getattr(self._reader, "latency", None)
        if latency is not None and latency.n:
            return {"p50_s": latency.percentile(0.5), "p95_s": latency.percentile(0.95)}
        if self._at_once != 1:
            return {}
        import numpy as np

        waited = np.subtract(self._came, self._took[:len(self._came)])[warm_up:]
        return dict(zip(("p50_s", "p95_s"), np.quantile(waited, [0.5, 0.95]).round(4).tolist()))


def cost(run: Run, alone: Run | None, dollars_per_hour: float | None) -> Cost | None:
    """The cost of a column; `alone` is its run one picture at a time. None where no stretch was measured."""
    speed, single = _longest(run), _longest(alone) if alone else None
    if speed is None or speed["seconds"] <= 0:
        return None
    rate = speed["pictures"] / speed["seconds"]
    local = "://" not in run.model
    single = single or {}
    return Cost(speed["pictures"], speed["at_once"], rate, speed["tokens"] / speed["seconds"] or None,
                speed.get("p50_s"), speed.get("p95_s"), single.get("p50_s"), single.get("p95_s"),
                speed["memory_mb"] if local else None, speed["gpu_memory_mb"] if local else None,
                None if dollars_per_hour is None else dollars_per_hour / 3600 / rate * 1000)


def _longest(run: Run) -> dict[str, Any] | None:
    speeds = [start["speed"] for start in run.provenance if start.get("speed")]
    return max(speeds, key=lambda speed: speed["pictures"], default=None)
