"""Many at once and results in order; and how many at once: found out, against servers of several kinds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from latexocr.reading.flow import FIRST, MOST, WINDOW, Crew, Slots, Stopped, in_order


def test_results_come_in_order_and_one_that_is_slow_holds_up_no_other():
    last_done, waited = threading.Event(), []

    def work(item: int) -> int:
        if item == 0:
            waited.append(last_done.wait(30))
        elif item == 39:
            last_done.set()
        return item * item

    assert list(in_order(Crew(work), range(40), ahead=lambda: 4)) == [i * i for i in range(40)]
    assert waited == [True]


def test_no_more_is_taken_than_wanted_and_nothing_of_an_endless_stream_waits_for_its_end():
    taken = []

    def stream():
        while True:
            taken.append(len(taken))
            yield taken[-1]

    results = in_order(Crew(lambda item: item), stream(), ahead=lambda: 3)
    assert [next(results) for _ in range(5)] == [0, 1, 2, 3, 4]
    assert len(taken) < 5 + WINDOW
    results.close()
    gate, while_blocked = threading.Event(), []
    taken.clear()
    blocked = in_order(Crew(lambda item: gate.wait()), stream(), ahead=lambda: 3)
    threading.Timer(0.1, lambda: while_blocked.append(len(taken)) or gate.set()).start()
    next(blocked)
    assert while_blocked[0] <= 3 + 3  # once the gate is open, many are soon done, and more are taken
    blocked.close()


@pytest.mark.parametrize(("at_once", "most"), [(3, WINDOW), (1000, 8000)])
def test_how_much_is_done_while_the_first_takes_long_goes_by_how_much_is_in_work(at_once, most):
    gate, taken = threading.Event(), []
    results = in_order(Crew(lambda item: item or gate.wait()), (taken.append(item) or item for item in range(9000)),
                       ahead=lambda: at_once)
    first = threading.Thread(target=next, args=(results,))
    first.start()
    before = -1
    while len(taken) > before:  # until nothing more is taken
        before = len(taken)
        first.join(0.5)
    gate.set()
    first.join()
    results.close()
    assert before == most


def test_what_work_raises_is_raised_in_its_place():
    def work(item: int) -> int:
        return 1 // item

    results = in_order(Crew(work), [2, 1, 0, 1], ahead=lambda: 4)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_no_more_is_taken_once_there_is_an_exception():
    """Though it is not its turn: what comes before it takes a while."""
    taken = []

    def stream():
        for number in range(5000):
            taken.append(number)
            yield number

    def work(item: int) -> int:
        if item == 0:
            time.sleep(0.5)
        return 1 // (item - 3)

    results = in_order(Crew(work), stream(), ahead=lambda: 4)
    assert [next(results) for _ in range(3)] == [-1, -1, -1]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert len(taken) <= 4 + 4


def test_what_is_no_longer_wanted_waits_for_nothing():
    """Neither a piece of work that hangs nor one that waits for a slot keeps whoever stops."""
    slots = Slots(1)

    def work(item: int) -> None:
        with slots.slot():
            if item:
                time.sleep(60)

    results = in_order(Crew(work), range(9), ahead=lambda: 9)
    next(results)
    start = time.monotonic()
    slots.stop()
    results.close()
    assert time.monotonic() - start < 5  # The work takes 60.
    with pytest.raises(Stopped), slots.slot():
        pass
    with pytest.raises(Stopped):
        slots.sleep(60)


class Simulated:
    """Time, and a server in it: answers a second by how many are in flight, and complaints above a number."""

    def __init__(self, monkeypatch, rate: Callable[[int], float], refuses_above: int | None = None) -> None:
        self.now, self.rate, self.refuses_above = 0.0, rate, refuses_above
        monkeypatch.setattr("latexocr.reading.flow.time.monotonic", lambda: self.now)

    def answers(self, slots: Slots, n: int) -> list[int]:
        """The limit after each of n answers."""
        limits = []
        for _ in range(n):
            if self.refuses_above and slots.limit > self.refuses_above:
                slots.busy()
            self.now += 1 / self.rate(slots.limit)
            slots.answered()
            limits.append(slots.limit)
        return limits


@pytest.mark.parametrize(("rate", "low", "high"), [
    (lambda limit: limit / 0.2, MOST, MOST),                # any number, 0.2 s each
    (lambda limit: min(limit, 64) / 0.5, 64, 128),          # 64 at a time
    (lambda limit: 5.0, 1, 2 * FIRST),                      # one after the other
    (lambda limit: 100 * limit / (limit + 50), 32, 512),    # batches: ever less is gained
    (lambda limit: limit if limit <= 16 else 200 / limit, 8, 32),  # more than 16 make it slow
], ids=["wide", "64", "one", "batches", "thrashes"])
def test_the_number_in_flight_is_found(monkeypatch, rate, low, high):
    limits = Simulated(monkeypatch, rate).answers(Slots(), 20_000)
    settled = limits[2_000:]
    assert low <= sorted(settled)[len(settled) // 2] <= high


def test_a_server_that_complains_is_spared(monkeypatch):
    """Half as many at once, then one more at a time: around what it takes, neither far above nor far below."""
    limits = Simulated(monkeypatch, lambda limit: limit / 0.1, refuses_above=20).answers(Slots(), 20_000)
    settled = limits[2_000:]
    assert 20 <= max(settled) <= 21 and min(settled) >= 8 and sum(settled) / len(settled) > 12


def test_complaints_about_the_same_requests_are_one(monkeypatch):
    server, slots = Simulated(monkeypatch, lambda limit: 10.0), Slots()
    limits = []
    for seconds in (0, 0.1, 0.5, 1.1, 1.2):
        server.now = seconds
        slots.busy()
        limits.append(slots.limit)
    assert limits == [FIRST // 2] * 3 + [FIRST // 4] * 2


def test_a_server_that_got_faster_is_found_out(monkeypatch):
    server, slots = Simulated(monkeypatch, lambda limit: 10.0), Slots()
    assert max(server.answers(slots, 2_000)[1_000:]) <= 2 * FIRST
    server.rate = lambda limit: limit / 0.1
    assert server.answers(slots, 20_000)[-1] > 100


def test_a_fixed_number_stays(monkeypatch):
    assert set(Simulated(monkeypatch, lambda limit: 9.0, refuses_above=1).answers(Slots(5), 500)) == {5}


def test_nobody_starts_before_the_time_a_server_asked_for():
    slots = Slots(4)
    slots.busy(0.2)
    start = time.monotonic()
    with slots.slot():
        assert time.monotonic() - start >= 0.2


def test_never_more_in_flight_than_the_limit():
    slots, lock, now, most = Slots(3), threading.Lock(), [0], [0]

    def work(_: int) -> None:
        with slots.slot():
            with lock:
                now[0] += 1
                most[0] = max(most[0], now[0])
            time.sleep(0.002)
            with lock:
                now[0] -= 1

    list(in_order(Crew(work), range(60), ahead=lambda: 12))
    assert most == [3]
