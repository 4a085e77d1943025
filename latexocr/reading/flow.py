"""Many pieces of work at once: as many as pays, and their results in order.

`Slots` says how many requests are in flight. `in_order` works through a stream in threads. Knows nothing of pictures
or servers.

How many: as long as twice as many at once bring a twentieth more answers a second, twice as many are tried; when
they do not, the last number that paid is kept, and tried again after a while, as servers change. A server that says it
is busy halves the number at once; from then on it grows by one (additive increase, multiplicative decrease, as in TCP:
Chiu and Jain, 1989).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from threading import Condition, Event, Thread
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

FIRST, MOST = 8, 512
"""In flight at the beginning, and at most from one process, where the number is not fixed."""
PAYS = 1.05
"""Answers a second with twice as many in flight, over those before, from which on that pays."""
LOOK_AGAIN = 20
"""Windows after which a number that was kept is doubled once more."""
ONE_COMPLAINT_S = 1.0
"""Complaints within this time, or until as many answers came as are in flight, are one: about the same requests."""
WINDOW, LATE = 4096, 8
"""Most results that wait for one before them; or so many times as many as are in work, where that is more: with 1,536
at a server, 4,096 others can be done before a long answer is."""


class Stopped(Exception):
    """The work is no longer wanted."""


class Slots:
    """How many may be in flight; `fixed`, or found out, from `first` on and not more than `most`."""

    def __init__(self, fixed: int | None = None, first: int = FIRST, most: int = MOST) -> None:
        self.limit, self._most = fixed or first, most
        self._fixed = fixed is not None
        self._free = Condition()
        self._taken = 0
        self._not_before, self._halved = 0.0, -ONE_COMPLAINT_S
        self._stop = Event()
        self._began, self._answers = time.monotonic(), 0
        self._rate, self._windows = 0.0, 0
        self._doubled, self._complained = not self._fixed, False

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Wait for a slot and hold it. Raises Stopped when no more is wanted."""
        with self._free:
            while not self._stop.is_set():
                wait = self._not_before - time.monotonic()
                if wait <= 0 and self._taken < self.limit:
                    break
                self._free.wait(wait if wait > 0 else None)
            if self._stop.is_set():
                raise Stopped
            self._taken += 1
        try:
            yield
        finally:
            with self._free:
                self._taken -= 1
                self._free.notify()

    def answered(self) -> None:
        """An answer has come; after as many as are in flight, look whether their number is right."""
        with self._free:
            self._answers += 1
            now = time.monotonic()
            if self._fixed or self._answers < max(self.limit, FIRST) or now <= self._began:
                return
            rate = self._answers / (now - self._began)
            self._began, self._answers = now, 0
            self._adapt(rate)
            self._free.notify_all()

    def _adapt(self, rate: float) -> None:
        """Another limit, after a window with so many answers a second."""
        self._windows += 1
        if self._complained:
            self.limit, self._halved = min(self.limit + 1, self._most), -ONE_COMPLAINT_S
        elif self._doubled and rate < PAYS * self._rate:
            self.limit, self._doubled, self._windows = max(1, self.limit // 2), False, 0
        elif self._doubled or self._windows >= LOOK_AGAIN:
            self._doubled = self.limit < self._most
            self._rate, self.limit = rate, min(2 * self.limit, self._most)

    def busy(self, wait_s: float = 0.0) -> None:
        """The server complains: half as many, and none for `wait_s` seconds, as it may ask."""
        with self._free:
            now = time.monotonic()
            self._not_before = max(self._not_before, now + wait_s)
            if not self._fixed and now - self._halved >= ONE_COMPLAINT_S:
                self.limit, self._halved, self._complained = max(1, self.limit // 2), now, True
                self._began, self._answers = now, 0

    def sleep(self, seconds: float) -> None:
        """Wait without a slot. Raises Stopped when no more is wanted."""
        if self._stop.wait(seconds):
            raise Stopped

    def stop(self) -> None:
        """Nothing more is wanted: whoever waits is woken."""
        self._stop.set()
        with self._free:
            self._free.notify_all()


class Task(Generic[Item, Result]):
    """One item, and what became of it."""

    def __init__(self, item: Item) -> None:
        self.item, self.done = item, False
        self.value: Result | None = None
        self.error: BaseException | None = None

    def result(self) -> Result | None:
        if self.error is not None:
            raise self.error
        return self.value


class Crew(Generic[Item, Result]):
    """Threads that work on tasks; they end with the program: an interruption must not wait for a server's answer.

    (Those of concurrent.futures are waited for when Python ends.)
    """

    def __init__(self, work: Callable[[Item], Result]) -> None:
        self.finished = Condition()
        self.unfinished, self.failed = 0, False
        self._work, self._threads = work, 0
        self._todo: SimpleQueue[Task[Item, Result] | None] = SimpleQueue()

    def start(self, item: Item) -> Task[Item, Result]:
        """A task that is worked on from now on."""
        task: Task[Item, Result] = Task(item)
        with self.finished:
            self.unfinished += 1
            more = self.unfinished > self._threads
            self._threads += more
        self._todo.put(task)
        if more:
            Thread(target=self._run, daemon=True).start()
        return task

    def stop(self) -> None:
        """No more tasks come, and nobody waits for those that are not done."""
        for _ in range(self._threads):
            self._todo.put(None)

    def _run(self) -> None:
        while (task := self._todo.get()) is not None:
            try:
                task.value = self._work(task.item)
            except BaseException as e:  # It is raised where the result is asked for.
                task.error = e
            self._finish(task)

    def _finish(self, task: Task[Item, Result]) -> None:
        with self.finished:
            task.done = True
            self.unfinished -= 1
            self.failed |= task.error is not None
            self.finished.notify()


def in_order(crew: Crew[Item, Any], items: Iterable[Item], ahead: Callable[[], int]) -> Iterator[Any]:
    """The result of each item, in order; at most `ahead()` of them in work, so that a long stream is not read at once.

    One that takes long holds up no other: results wait for it. An exception of the work is raised in its place, and no
    more is taken once there is one.
    """
    waiting, items, more = deque[Task[Item, Any]](), iter(items), True

    def wanted() -> bool:
        return more and not crew.failed and crew.unfinished < ahead() and len(waiting) < max(WINDOW, LATE * ahead())

    try:
        while more or waiting:
            while wanted():
                try:
                    waiting.append(crew.start(next(items)))
                except StopIteration:
                    more = False
            with crew.finished:
                crew.finished.wait_for(lambda: not waiting or waiting[0].done or wanted())
            while waiting and waiting[0].done:
                yield waiting.popleft().result()
    finally:
        crew.stop()
