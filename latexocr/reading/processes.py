"""Work on a stream of items in processes of its own, as one process keeps one core of a machine busy.

Takes how a worker begins, and items; gives their results to `flow.in_order`. An item that ends its process is
found out, and costs only itself. Knows nothing of pictures or servers.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from threading import Condition, Lock, Thread
from typing import Any

from latexocr.errors import UserError
from latexocr.reading.flow import Crew, Item, Result, Slots, Task
from latexocr.reading.latency import Latency
from latexocr.reading.worker import BUSY, READY, Begin

INSTEAD = "With --batch-size 1 there is none but this one."


class Processes(Crew[Item, Result]):
    """Works on tasks in `n` processes; how many requests they have in flight together, `slots` say.

    `lost` gives the result of an item that cannot be worked on, from the reason. Raises UserError where no process can
    be started.
    """

    def __init__(self, begin: Begin, lost: Callable[[Item, str], Result], slots: Slots, latency: Latency, n: int
                 ) -> None:
        self.finished, self.unfinished, self.failed = Condition(), 0, False
        self.lost, self._slots, self._latency = lost, slots, latency
        self._numbers, self._shared, self._sharing = count(), 0, Lock()
        self._workers = [_Worker(self, pickle.dumps(begin)) for _ in range(n)]

    def start(self, item: Item) -> Task[Item, Result]:
        task: Task[Item, Result] = Task(item)
        with self.finished:
            self.unfinished += 1
        try:
            payload = pickle.dumps(item)
        except Exception as e:  # A picture that is read only now, and is broken, raises whatever it leads to.
            self.done(task, self.lost(item, f"{type(e).__name__}: {e}"))
            return task
        self._share()
        worker = min(self._workers[:self._slots.limit], key=lambda worker: worker.load)
        worker.give(_Given(next(self._numbers), payload, task))
        return task

    def stop(self) -> None:
        for worker in self._workers:
            worker.stop()

    def done(self, task: Task[Item, Result], outcome: Any, seconds: float | None = None) -> None:
        """A task has come to its end; `seconds` to the answer that a worker got for it, if any."""
        if seconds is not None:
            self._latency.add(seconds)
            self._slots.answered()
            self._share()
        task.value, task.error = (None, outcome) if isinstance(outcome, BaseException) else (outcome, None)
        self._finish(task)

    def busy(self, wait_s: float) -> None:
        """A worker was told that a server has too much to do."""
        self._slots.busy(wait_s)
        self._share(wait_s)

    def _share(self, wait_s: float = 0.0) -> None:
        """Tell every worker its part of the slots, where that is new; each has one, and not all are given tasks."""
        with self._sharing:
            limit, n = self._slots.limit, len(self._workers)
            if limit == self._shared and not wait_s:
                return
            self._shared = limit
            for place, worker in enumerate(self._workers):
                worker.allow(max(1, limit * (place + 1) // n - limit * place // n), wait_s)


@dataclass
class _Given:
    """A task that a worker has been given."""

    number: int
    payload: bytes
    task: Task[Any, Any]
    lost: bool = False
    """Whether a process ended that had it in work: then it is worked on alone."""


class _Worker:
    """One process, begun anew when it ends before it is told to."""

    def __init__(self, crowd: Processes[Any, Any], begin: bytes) -> None:
        self._crowd, self._begin = crowd, begin
        self._lock, self._stopped, self._share = Lock(), False, (1, 0.0)
        self._error: UserError | None = None
        self._given: dict[int, _Given] = {}
        self._waiting: deque[_Given] = deque()
        self._process = self._started()
        Thread(target=self._listen, daemon=True).start()

    @property
    def load(self) -> int:
        """Tasks that it has and has not done."""
        return len(self._given) + len(self._waiting)

    def give(self, given: _Given) -> None:
        with self._lock:
            if self._error is None:
                self._waiting.append(given)
                self._hand_on()
                return
        self._crowd.done(given.task, self._error)

    def allow(self, limit: int, wait_s: float) -> None:
        """Let it have so many requests in flight, and none for `wait_s` seconds."""
        with self._lock:
            self._share = (limit, 0.0)
            self._send(READY, (limit, wait_s))

    def stop(self) -> None:
        self._stopped = True
        self._process.kill()
        with self._lock:  # It may just have been begun anew.
            self._process.kill()
            self._end()

    def _started(self) -> subprocess.Popen[bytes]:
        """A process in a group of its own, as Ctrl-C is for its parent; with the modules that are found here."""
        path = os.pathsep.join(place or os.getcwd() for place in sys.path)
        command = [sys.executable, "-P", "-c", "from latexocr.reading.worker import work; work()"]
        try:
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0,
                                       env=os.environ | {"PYTHONPATH": path})
        except OSError as e:
            raise UserError(f"No process can be started that prepares pictures ({e}). {INSTEAD}") from e
        with contextlib.suppress(OSError):
            process.stdin.write(self._begin + pickle.dumps((READY, self._share)))
            process.stdin.flush()
        return process

    def _end(self) -> int:
        """Wait for the end of the process; its exit code."""
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        return self._process.wait()

    def _send(self, number: int, content: Any) -> None:
        with contextlib.suppress(OSError, ValueError):  # It has ended: `_listen` sees to it.
            self._process.stdin.write(pickle.dumps((number, content)))
            self._process.stdin.flush()

    def _hand_on(self) -> None:
        """Send what waits; what was lost before, alone."""
        while self._waiting and not (self._given and (
                self._waiting[0].lost or any(given.lost for given in self._given.values()))):
            given = self._waiting.popleft()
            self._given[given.number] = given
            self._send(given.number, given.payload)

    def _listen(self) -> None:
        """Hear what the process says, and begin it anew where it ends, until it is told to stop."""
        while not self._stopped:
            began = self._hear()
            broken: list[_Given] = []
            with self._lock:
                if self._stopped:
                    return
                code = self._end()
                try:
                    if not began:  # No other would do better.
                        raise UserError(f"A process that prepares pictures ended as it began (exit code {code}). "
                                        f"{INSTEAD}")
                    broken = self._again()
                except UserError as e:
                    self._error = e
            reason = f"the process that prepared it ended (exit code {code})"
            for given in broken:
                self._crowd.done(given.task, self._crowd.lost(given.task.item, reason))
            if self._error is not None:
                for given in (*self._given.values(), *self._waiting):
                    self._crowd.done(given.task, self._error)
                return

    def _hear(self) -> bool:
        """Take what the process says, until it ends; whether it had begun."""
        began = False
        with contextlib.suppress(EOFError, pickle.UnpicklingError), self._process.stdout as said:
            while True:
                number, outcome, seconds = pickle.load(said)
                began = True
                if number == BUSY:
                    self._crowd.busy(seconds)
                elif number != READY:
                    with self._lock:
                        given = self._given.pop(number)
                        self._hand_on()
                    self._crowd.done(given.task, outcome, seconds)
        return began

    def _again(self) -> list[_Given]:
        """Begin anew, with what was in work; what was lost alone, and before, is given back."""
        lost, self._given = list(self._given.values()), {}
        broken = lost if len(lost) == 1 and lost[0].lost else []
        if not broken:
            self._waiting.extendleft(reversed(lost))
        for given in lost:
            given.lost = True
        self._process = self._started()
        self._hand_on()
        return broken
