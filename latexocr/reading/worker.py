"""The worker's side of `processes`: an interpreter that is told through a pipe what to do, item by item.

It is no fork, and does not run the program that started it again (as those of `multiprocessing` do). It ends when its
pipe does, however its parent ended. Knows nothing of pictures or servers.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import sys
from collections.abc import Callable
from threading import Lock, local
from typing import Any

from latexocr.errors import UserError
from latexocr.reading.flow import Crew, Slots
from latexocr.reading.latency import Latency

READY, BUSY = -1, -2
"""What a worker says beside the numbers of tasks that it has done."""
Begin = Callable[[Slots, Latency], Callable[[Any], Any]]
"""Makes what does the work, from what it is to ask before each request and to tell of each answer."""


class _Share(Slots):
    """A worker's part of the slots: how many there are is found out by the parent, which hears of every complaint."""

    def __init__(self, tell: Callable[..., None]) -> None:
        super().__init__(1)
        self._tell = tell

    def set(self, limit: int, wait_s: float) -> None:
        """From now on so many; none for `wait_s` seconds."""
        super().busy(wait_s)
        with self._free:
            self.limit = limit
            self._free.notify_all()

    def busy(self, wait_s: float = 0.0) -> None:
        super().busy(wait_s)
        self._tell(BUSY, None, wait_s)


class _Told(local):
    """Seconds of the answer to the task that a thread has in work."""

    seconds: float | None = None

    def add(self, seconds: float) -> None:
        self.seconds = seconds


def work() -> None:
    """What a worker runs: results go to what was standard output, which is standard error for everybody else."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    inbox, outbox = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    saying = Lock()

    def tell(*message: Any) -> None:
        frame = pickle.dumps(message)
        with saying:
            outbox.write(frame)
            outbox.flush()

    slots, told = _Share(tell), _Told()
    try:
        do = pickle.load(inbox)(slots, told)
    except Exception as e:
        sys.exit(f"latexocr: {type(e).__name__}: {e}")

    def one(task: tuple[int, bytes]) -> None:
        told.seconds = None
        try:
            outcome = do(pickle.loads(task[1]))
        except UserError as e:
            outcome = e
        except BaseException as e:  # Not every exception can be sent.
            outcome = RuntimeError(f"{type(e).__name__}: {e}")
        tell(task[0], outcome, told.seconds)

    crew = Crew(one)
    tell(READY, None, None)
    with contextlib.suppress(EOFError, pickle.UnpicklingError):
        while True:
            number, content = pickle.load(inbox)
            if number < 0:
                slots.set(*content)
            else:
                crew.start((number, content))
    os._exit(0)  # The parent is gone: nobody waits for what is in work.
