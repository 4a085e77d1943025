"""Reading through a server in several processes: the same answers in the same order, whatever becomes of a process."""

from __future__ import annotations

import hashlib
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from servers import Server, said, serving
from test_served import picture

from latexocr.errors import UserError
from latexocr.reading import GenerateConfig, served
from latexocr.reading.endpoint import Retry
from latexocr.reading.flow import Slots, in_order
from latexocr.reading.latency import Latency
from latexocr.reading.processes import Processes
from latexocr.reading.served import ServedReader
from latexocr.records import Sample

QUICK = Retry(tries=3, first_wait_s=0.01, timeout_s=5, lost_s=0.5, strikes=4)


@pytest.fixture
def two(monkeypatch) -> None:
    """Two processes, for few samples already."""
    monkeypatch.setattr(served, "PROCESSES", 2)
    monkeypatch.setattr(served, "MANY", 8)


def named(request: dict, number: int) -> tuple:
    """An answer that tells which picture was sent; some come late."""
    time.sleep(0.1 if number % 7 == 0 else 0)
    url = request["messages"][0]["content"][0]["image_url"]["url"]
    return said(hashlib.sha256(url.encode()).hexdigest(), logprobs=[-0.5])


def mixed(folder: Path) -> list[Sample]:
    """Files, pictures in memory of several modes, arrays, and some that cannot be read."""
    found: list = []
    for number in range(30):
        image = picture(1 + number % 9)
        path = folder / f"{number}.png"
        image.save(path)
        found += [path, image.convert("RGBA"), Image.open(path), np.asarray(image)]
    (folder / "broken.png").write_bytes((folder / "0.png").read_bytes()[:60])
    found[20:20] = [folder / "broken.png", folder / "away.png", Image.open(folder / "broken.png"),
                    Image.new("L", (50, 50), 255)]
    return [Sample(f"s{number}", image) for number, image in enumerate(found)]


def test_answers_and_their_order_are_those_of_one_process(two, monkeypatch, tmp_path):
    with serving(Server(named)) as server:
        reader = ServedReader(server.url, config=GenerateConfig(batch_size=6))
        several = list(reader.read(mixed(tmp_path)))
        assert 2 <= server.most <= 6 and reader.latency.n == 120
        monkeypatch.setattr(served, "PROCESSES", 1)
        one = list(ServedReader(server.url).read(mixed(tmp_path)))
    apart = [(a, b) for a, b in zip(several, one, strict=True) if a != b]
    assert len({p.latex for p in one}) == 10
    assert [p.id for p in one if p.stop == "error"] == ["s20", "s21", "s22", "s23"]
    # The reason of a broken picture in memory is that of the moment at which it is first looked at.
    assert [a.id for a, _ in apart] == ["s22"] and "truncated" in apart[0][0].error and "truncated" in apart[0][1].error


def test_how_many_are_in_flight_is_found_out_and_complaints_reach_every_process(two):
    lock, now, most, times = threading.Lock(), 0, 0, []

    def answer(_: dict, number: int) -> tuple:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
            times.append(time.monotonic())
        time.sleep(0.1)
        with lock:
            now -= 1
        return (429, {}, {"Retry-After": "1"}) if number == 200 else said("x")

    with serving(Server(answer)) as server:
        answers = ServedReader(server.url, retry=QUICK).read(Sample(f"s{i}", picture()) for i in range(300))
        assert [(p.id, p.latex) for p in answers] == [(f"s{i}", "x") for i in range(300)]
    assert 16 <= most <= 128
    pause = max(b - a for a, b in itertools.pairwise(times))
    assert 0.6 < pause < 2


def test_a_server_that_is_lost_ends_the_run(two):
    def answer(_: dict, number: int) -> tuple:
        if number >= 20:
            threading.Thread(target=server.shutdown).start()
            server.socket.close()
        return said("x")

    with serving(Server(answer)) as server, pytest.raises(UserError, match="has given no answer for"):
        list(ServedReader(server.url, retry=QUICK).read(Sample(f"s{i}", picture()) for i in range(99)))


def test_a_server_that_answers_no_picture_is_not_asked_a_million_times(two):
    taken = []

    def stream() -> Iterator[Sample]:
        for number in range(1000):
            taken.append(number)
            yield Sample(f"s{number}", picture())

    answer = (404, {"error": "no model 'm'"}, {})
    with serving(Server(lambda *_: answer)) as server, pytest.raises(UserError, match="none of the last 4 pictures"):
        list(ServedReader(server.url, retry=QUICK).read(stream()))
    assert len(taken) < 120


# --- the processes by themselves

def begin(fatal: tuple[int, ...], slots: Slots, latency: Latency) -> Callable[[int], int]:
    """Squares numbers; some end the process, one is a bug."""
    def square(item: int) -> int:
        with slots.slot():
            time.sleep(0.002)
            latency.add(0.002)
            if item in fatal:
                os.kill(os.getpid(), signal.SIGKILL)
            return 1 // (item - 77) and item * item

    return square


def cannot_begin(slots: Slots, latency: Latency) -> None:
    raise ImportError("no such module")


def squares(start: Callable, items: range, n: int = 2, limit: int = 8) -> Iterator:
    crew = Processes(start, lambda item, reason: (item, reason), Slots(limit), Latency(), n)
    return in_order(crew, items, lambda: limit + 9)


def test_an_item_that_ends_its_process_costs_only_itself():
    fatal, reason = (0, 13, 14), "the process that prepared it ended (exit code -9)"
    assert list(squares(partial(begin, fatal), range(60))) == [(i, reason) if i in fatal else i * i for i in range(60)]


def test_what_goes_wrong_in_a_process_is_raised_here():
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        list(squares(partial(begin, ()), range(90)))


def test_a_process_that_cannot_begin_ends_the_run_with_one_line(capfd):
    with pytest.raises(UserError, match=r"ended as it began \(exit code 1\)") as e:
        list(squares(cannot_begin, range(90)))
    assert "\n" not in str(e.value)
    assert set(capfd.readouterr().err.splitlines()) == {"latexocr: ImportError: no such module"}


PROGRAM = """
import sys
from latexocr.reading import GenerateConfig, served
from latexocr.records import Sample
from test_served import picture
served.PROCESSES, served.MANY = 2, 8
reader = served.ServedReader(sys.argv[1], config=GenerateConfig(batch_size=8))
for prediction in reader.read(Sample(str(i), picture()) for i in range(10**6)):
    print(prediction.id, flush=True)
"""
"""No `if __name__ == "__main__"`: a user's program may lack it."""


def children(parent: int) -> list[int]:
    """Processes that a process has started and that run."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL, signal.SIGTERM])
def test_a_program_that_is_stopped_leaves_no_process(how):
    with serving(Server(lambda *_: said("x"))) as server:
        program = subprocess.Popen([sys.executable, "-c", PROGRAM, server.url], stdout=subprocess.PIPE, text=True,
                                   stderr=subprocess.PIPE, cwd=Path(__file__).parent)
        assert [program.stdout.readline() for _ in range(30)] == [f"{i}\n" for i in range(30)]
        started = children(program.pid)
        program.send_signal(how)
        _, said_then = program.communicate(timeout=20)
    assert len(started) == 2
    assert said_then.count("Traceback") == (how == signal.SIGINT) and "Exception ignored" not in said_then
    end = time.monotonic() + 5
    while left := [pid for pid in started if Path(f"/proc/{pid}").exists()]:
        assert time.monotonic() < end, left
        time.sleep(0.02)


def test_a_reading_that_is_given_up_leaves_no_process(two):
    with serving(Server(lambda *_: said("x"))) as server:
        before = set(children(os.getpid()))
        answers = ServedReader(server.url).read(Sample(str(i), picture()) for i in range(10**6))
        next(answers)
        assert len(set(children(os.getpid())) - before) == 2
        answers.close()
        assert set(children(os.getpid())) - before == set()
