"""Several servers of one model share the work; when one dies, the others do it, and nothing is lost or out of order."""

from __future__ import annotations

import contextlib
import threading
import time
from itertools import count

import pytest
from servers import Server, free_port, reset, said, serving
from test_served import picture, sent_picture

from latexocr.errors import UserError
from latexocr.reading import GenerateConfig, served
from latexocr.reading.endpoint import Retry
from latexocr.reading.images import prepare
from latexocr.reading.served import ServedReader
from latexocr.records import Sample

PATIENT = Retry(tries=3, first_wait_s=0.02, timeout_s=20, lost_s=20)


@pytest.fixture
def start():
    with contextlib.ExitStack() as running:
        yield lambda answer, models=None: running.enter_context(serving(Server(answer, models)))


def by_width(request: dict, _: int):
    """An answer that tells which picture was asked for; the first ones take longest."""
    width = sent_picture(request).width
    time.sleep(0.03 if width < 200 else 0.005)
    return said(f"w{width}")


def reader(*servers: Server | str, **options: object) -> ServedReader:
    return ServedReader(",".join(getattr(server, "url", server) for server in servers), retry=PATIENT, **options)


def samples(n: int) -> list[Sample]:
    return [Sample(f"s{i}", picture(1 + i % 12)) for i in range(n)]


def expected(asked: list[Sample]) -> list[tuple[str, str, str]]:
    return [(sample.id, f"w{prepare(sample.image).width}", "end") for sample in asked]


@pytest.mark.parametrize("in_flight", [None, 1, 6])
def test_all_are_asked_and_order_is_kept(start, in_flight):
    servers = [start(by_width) for _ in range(3)]
    found = list(reader(*servers, config=GenerateConfig(batch_size=in_flight)).read(asked := samples(40)))
    assert [(p.id, p.latex, p.stop) for p in found] == expected(asked)
    heard = [len(server.requests) for server in servers]
    assert sum(heard) == 40
    assert in_flight == 1 or min(heard) >= 4  # One at a time has one connection.


@pytest.mark.parametrize("last_words", [reset, None, (500, {"error": "EngineDeadError"}, {})],
                         ids=["resets", "hangs up", "500"])
@pytest.mark.parametrize(("in_flight", "processes"), [(None, 1), (4, 1), (8, 2)])
def test_the_others_do_the_work_of_one_that_dies(start, last_words, in_flight, processes, monkeypatch):
    monkeypatch.setattr(served, "PROCESSES", processes)
    monkeypatch.setattr(served, "MANY", 8)
    number = count()

    def dies(request: dict, _: int):
        if (n := next(number)) < 5:
            return by_width(request, 0)
        if n == 5:
            threading.Thread(target=dying.shutdown).start()
            dying.socket.close()
        return last_words

    dying, well = start(dies), start(by_width)
    found = list(reader(dying, well, config=GenerateConfig(batch_size=in_flight)).read(asked := samples(60)))
    assert [(p.id, p.latex, p.stop) for p in found] == expected(asked)
    assert len(well.requests) >= 60 - 5


def test_another_try_goes_to_another_server(start):
    broken, well = start(lambda *_: (500, {"error": "CUDA error"}, {})), start(by_width)
    found = list(reader(broken, well, config=GenerateConfig(batch_size=8)).read(asked := samples(40)))
    assert [(p.id, p.latex, p.stop) for p in found] == expected(asked)
    assert 1 <= len(broken.requests) <= 8  # Whoever met it once does not come back.


def test_one_that_is_away_at_the_beginning_is_named_and_read_without(start, capsys):
    away = f"http://127.0.0.1:{free_port()}/v1"
    found = list(reader(away, start(by_width)).read(asked := samples(20)))
    assert [(p.id, p.latex, p.stop) for p in found] == expected(asked)
    said, = capsys.readouterr().err.splitlines()
    assert said.startswith(f"latexocr: No server answers at {away}") and said.endswith("The others read without it.")
    with pytest.raises(UserError, match=f"No server answers at {away}"):
        list(reader(away, away).read(samples(1)))


def test_all_must_have_the_same_model(start):
    here = start(by_width)
    with pytest.raises(UserError, match=r"found servers of different models \((a, b|b, a)\)"):
        list(reader(start(by_width, ["a"]), start(by_width, ["b"])).read(samples(1)))
    with pytest.raises(UserError, match=r"not an address|protocol"):
        list(reader(here, "localhost:8001").read(samples(1)))
    calibrated, plain = start(by_width, ["latexocr"]), start(by_width, ["latexocr"])
    calibrated.about = {"calibration": {"intercept": 1.0, "slope": 2.0}}
    with pytest.raises(UserError, match="different models"):
        list(reader(calibrated, plain).read(samples(1)))


def test_the_model_is_named_once_for_all(start):
    servers = [start(by_width, ["base", "tuned"]) for _ in range(2)]
    found = list(reader(servers[0], f"{servers[1].url}#tuned").read(asked := samples(4)))
    assert [(p.id, p.latex, p.stop) for p in found] == expected(asked)
    assert {request["model"] for server in servers for request in server.requests} == {"tuned"}
