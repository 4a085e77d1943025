"""A reader that is spread over a Ray cluster: Ray Data streams the samples through actors, each with the model.

Takes the name of a model and samples, gives predictions in their order. Which cluster: that of RAY_ADDRESS, or the one
this process is connected to, or else this machine alone. The nodes need this package, the model under the same name,
and the pictures under the same path (a shared folder), or behind a URL. Knows nothing of files of predictions.
"""

from __future__ import annotations

import logging
import os
import pickle
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from typing import Any

from latexocr.errors import UserError
from latexocr.reading import BATCH, GenerateConfig, Reader
from latexocr.reading.inputs import resolve
from latexocr.reading.local import load_model as load_local
from latexocr.reading.local import pick_device
from latexocr.records import Prediction, Sample, failure

IN_A_JOB = 20_000
"""Samples that are handed to Ray together. Their list is in its memory, and each job starts its actors anew."""
LOST_AT_MOST = 3
"""Times that a piece of work may be lost with its node, or end who reads it, before it counts as broken."""


@dataclass(frozen=True)
class RayReader:
    """Reads on all GPUs of a cluster, or on all its CPUs where it has none. What a lost node had in work, others do."""

    load: Callable[[], Reader]
    """Makes the reader of an actor, on its node."""
    at_once: int = BATCH
    """Samples of one piece of work: what a lost node loses."""

    def read(self, samples: Iterable[Sample]) -> Iterator[Prediction]:
        samples = iter(samples)
        with _cluster():
            while job := list(islice(samples, IN_A_JOB)):
                yield from self._whole(job)

    def _whole(self, job: Sequence[Sample]) -> Iterator[Prediction]:
        """An answer for each sample of a job, also of those that end the process of whoever reads them."""
        while job:
            done = 0
            for answer in self._answers(job):
                yield answer
                done += 1
            lost, job = job[done : done + self.at_once], job[done + self.at_once :]
            alone = [next(self._answers([sample]), None) for sample in lost]  # Only what is lost alone is to blame.
            if len(lost) > 1 and not any(alone):
                raise UserError("The readers on the Ray cluster end without an answer. `ray logs` says why.")
            yield from (answer or failure(sample, "whoever reads it is lost")
                        for sample, answer in zip(lost, alone, strict=True))

    def _answers(self, job: Sequence[Sample]) -> Iterator[Prediction]:
        """The answers of a job in order, up to the first that is lost."""
        import ray

        rows = [{"number": number, "sample": pickle.dumps(_from_anywhere(sample))} for number, sample in enumerate(job)]
        data = ray.data.from_items(rows, override_num_blocks=-(-len(rows) // self.at_once))
        needs = {"num_gpus": 1} if ray.cluster_resources().get("GPU") else {"num_cpus": 1}
        with warnings.catch_warnings(action="ignore"):  # That `max_task_retries` goes with 2.64: pyproject.toml knows.
            answers = data.map_batches(_Actor, fn_constructor_args=(self.load,), batch_size=self.at_once, **needs,
                                       compute=ray.data.ActorPoolStrategy(min_size=1), max_task_retries=LOST_AT_MOST)
        for number, row in enumerate(answers.iter_rows()):
            answer = pickle.loads(row["answer"])
            if isinstance(answer, UserError):
                raise answer
            if row["number"] != number:
                return
            yield answer


class _Actor:
    """One reader on a node. What is wrong with it is an answer too: Ray would wrap an exception past recognition."""

    def __init__(self, load: Callable[[], Reader]) -> None:
        self._load = load

    @cached_property
    def _reader(self) -> Reader:
        try:
            return self._load()
        except Exception as e:
            raise UserError(f"A node of the Ray cluster cannot load the model ({e or type(e).__name__}).") from e

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        samples = [pickle.loads(sample) for sample in batch["sample"]]
        try:
            answers: Sequence[Prediction | UserError] = self._read(samples)
        except UserError as e:
            answers = [e] * len(samples)
        return {"number": batch["number"], "answer": [pickle.dumps(answer) for answer in answers]}

    def _read(self, samples: Sequence[Sample]) -> list[Prediction]:
        """The reader's answers; what breaks it costs only itself."""
        try:
            return list(self._reader.read(samples))
        except UserError:
            raise
        except Exception as e:  # Whatever a model's code raises on one picture must not lose the others.
            if len(samples) == 1:
                return [failure(samples[0], f"{type(e).__name__}: {e}")]
            return [prediction for sample in samples for prediction in self._read([sample])]


def load_model(path: str | Path, *, config: GenerateConfig = GenerateConfig(), download: bool = False,
               **options: Any) -> RayReader:
    """The reader of a model that every node of the cluster has; options as for `latexocr.reading.local.load_model`.

    Raises UserError where this machine has no such model, or no Ray.
    """
    try:
        import ray.data  # noqa: F401
    except ImportError as e:
        raise UserError("--engine ray needs Ray Data on every node. Install it: pip install 'latexocr[ray]'.") from e
    folder = resolve(path, download=download)
    name = str(path) if str(path) == "builtin" else str(Path(folder).absolute())
    load = partial(_load_on_node, name, config=config, download=download, **options)
    return RayReader(load, config.batch_size or BATCH)


def _load_on_node(name: str, *, device: str = "auto", dtype: str = "auto", **options: Any) -> Reader:
    """The reader of one node. Those without a GPU may be unlike each other, so all of them compute in float32."""
    device = pick_device(device)
    return load_local(name, device=device, dtype="float32" if (dtype, device) == ("auto", "cpu") else dtype, **options)


@contextmanager
def _cluster() -> Iterator[None]:
    """Connected to the cluster, and quiet; what fails there is one line."""
    import ray
    from ray.exceptions import RayError

    try:
        if not ray.is_initialized():
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # A cluster begun here reports to nobody.
            os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # Its errors are answers, or exceptions.
            ray.init(log_to_driver=False, logging_level="ERROR")
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.execution_options.preserve_order = True
        context.max_errored_blocks = -1  # What is lost is missed, and read alone.
        yield
    except (RayError, ConnectionError) as e:
        said = str(e).strip().splitlines() or [type(e).__name__]
        raise UserError(f"The Ray cluster stopped ({said[-1][:300]}). The same command goes on from here.") from e


def _from_anywhere(sample: Sample) -> Sample:
    """The sample with a path that means the same in another process."""
    return replace(sample, image=sample.image.absolute()) if isinstance(sample.image, Path) else sample
