"""Batches read at the same time on the cores of a CPU, each by threads of its own.

Of one batch torch divides every product among its threads, and all wait for the slowest, hundreds of times a token.
Where each batch has a thread, they do not wait for each other, nor for a core that another program has just now.
"""

from __future__ import annotations

import copy
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from threading import Event
from typing import Any, TypeVar

from latexocr.reading.flow import Stopped

Batch = TypeVar("Batch")
Result = TypeVar("Result")
Watch = Callable[[Sequence[int]], None]
"""Called at each token of a batch. Raises Stopped when no more is wanted."""


def twin(model: Any) -> Any:
    """The same weights in modules of their own: families note there what belongs to the batch in work."""
    shared = {id(tensor): tensor for tensor in itertools.chain(model.parameters(), model.buffers())}
    return copy.deepcopy(model, shared)


def each(batches: Iterable[Batch], work: Callable[[Batch, Any, Watch], Result], model: Any, at_once: int
         ) -> Iterator[tuple[Batch, Result]]:
    """Each batch with the result of its work, in order; `at_once` at the same time, by that many twins of a model.

    The threads that torch has here are divided among them. A lone batch has them all.
    """
    batches = iter(batches)
    first = list(itertools.islice(batches, 1 if at_once == 1 else 2))
    batches = itertools.chain(first, batches)
    if len(first) == 2:
        yield from _side_by_side(batches, work, [model, *(twin(model) for _ in range(at_once - 1))])
    else:
        for batch in batches:
            yield batch, work(batch, model, lambda tokens: None)


def _side_by_side(batches: Iterable[Batch], work: Callable[[Batch, Any, Watch], Result], models: Sequence[Any]
                  ) -> Iterator[tuple[Batch, Result]]:
    import torch

    free, stopped, threads = SimpleQueue[Any](), Event(), torch.get_num_threads()
    for model in models:
        free.put(model)

    def watch(tokens: Sequence[int]) -> None:
        if stopped.is_set():
            raise Stopped

    def one(batch: Batch) -> Result:
        model = free.get()
        try:
            return work(batch, model, watch)
        finally:
            free.put(model)

    pool = ThreadPoolExecutor(len(models), initializer=torch.set_num_threads, initargs=(threads // len(models),))
    waiting = deque[tuple[Batch, Future[Result]]]()
    try:
        for batch in batches:
            waiting.append((batch, pool.submit(one, batch)))
            if len(waiting) > len(models):  # One is ready to follow, so that none waits for its elder.
                batch, result = waiting.popleft()
                yield batch, result.result()
        while waiting:
            batch, result = waiting.popleft()
            yield batch, result.result()
    finally:  # Also where nobody wants the rest: those in work end at their next token.
        stopped.set()
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)  # New threads of this process would have as few.
