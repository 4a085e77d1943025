"""Every bad habit of a server ends in the right prediction or in one clear line; and the key is in neither."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from servers import Server, dripping, endless, free_port, half, reset, said, serving
from test_served import picture, sent_picture

from latexocr.errors import UserError
from latexocr.reading import GenerateConfig, endpoint, served
from latexocr.reading.endpoint import Retry, seconds
from latexocr.reading.flow import Slots
from latexocr.reading.images import prepare
from latexocr.reading.latency import Latency
from latexocr.reading.served import ServedReader
from latexocr.records import Prediction, Sample

QUICK = Retry(tries=3, first_wait_s=0.01, timeout_s=20, lost_s=0.5, strikes=4)
HASTY = replace(QUICK, timeout_s=0.3)
FINE = b'{"choices": [{"message": {"content": "x"}, "finish_reason": "stop"}]}'


def stall(_: dict, __: int) -> None:
    time.sleep(1.5)


def read(server: Server, n: int = 1, **options: object) -> list[Prediction]:
    reader = ServedReader(server.url, retry=options.pop("retry", QUICK), config=GenerateConfig(**options))
    return list(reader.read(Sample(f"s{i}", picture()) for i in range(n)))


FAULTS = {
    "500": (lambda *_: (500, {"error": "out of memory"}, {}), 'server: 500 {"error": "out of memory"} (3 tries)', 3),
    "502 in HTML": (lambda *_: (502, b"<html>\nbad gateway", {}), "server: 502 <html> bad gateway", 3),
    "503": (lambda *_: (503, {"error": "loading"}, {}), '503 {"error": "loading"} (3 tries)', 3),
    "400": (lambda *_: (400, {"error": "picture too large"}, {}), '400 {"error": "picture too large"}', 2),
    "413": (lambda *_: (413, b"", {}), "server: 413", 2),
    "redirect": (lambda *_: (307, b"", {"Location": "http://127.0.0.1:9/"}), "server: 307", 2),
    "200 in HTML": (lambda *_: (200, b"<html>proxy</html>", {}), "not an OpenAI answer: <html>proxy</html>", 3),
    "cut JSON": (lambda *_: (200, FINE[:40], {}), "not an OpenAI answer", 3),
    "no choices": (lambda *_: (200, {"choices": []}, {}), "not an OpenAI answer", 3),
    "a list": (lambda *_: (200, [], {}), "not an OpenAI answer", 3),
    "content is a list": (lambda *_: said(["x"]), "not an OpenAI answer", 3),
    "deep JSON": (lambda *_: (200, b"[" * 100_000, {}), "not an OpenAI answer", 3),
    "no bytes": (lambda *_: (200, b"", {}), "not an OpenAI answer", 3),
    "broken gzip": (lambda *_: (200, b"no gzip", {"Content-Encoding": "gzip"}), "server: DecodingError", 3),
    "hangs up": (lambda *_: None, "RemoteProtocolError", 3),
    "resets": (lambda *_: reset, "server: ", 3),
    "half a stream": (lambda *_: half(FINE[:30], of=len(FINE)), "RemoteProtocolError", 3),
    "half, then nothing": (lambda *_: half(FINE[:30], of=len(FINE), then_s=1.5), "ReadTimeout", 3),
    "a byte at a time": (lambda *_: dripping, "no whole answer within 0.3 s", 3),
    "no end": (lambda *_: endless, "the answer goes on after 16 MiB", 3),
    "stalls": (stall, "ReadTimeout", 3),
    "filtered": (lambda *_: said("", finish="content_filter"), "ended with 'content_filter'", 1),
    "an odd end": (lambda *_: said("x", finish=["stop"]), "an answer of another form", 1),
    "says no end": (lambda *_: said("x", finish=None), "ended with None", 1),
}
SLOW = ("half, then nothing", "a byte at a time", "stalls")


@pytest.mark.parametrize("fault", FAULTS)
def test_a_picture_without_an_answer_fails_with_a_reason_on_one_line(fault):
    answer, reason, requests = FAULTS[fault]
    with serving(Server(answer)) as server:
        [prediction] = read(server, retry=HASTY if fault in SLOW else QUICK)
    assert (prediction.id, prediction.stop, prediction.latex) == ("s0", "error", "")
    assert reason in prediction.error and "\n" not in prediction.error and len(prediction.error) < 400
    assert len(server.requests) == requests


@pytest.mark.parametrize("fault", [name for name in FAULTS if FAULTS[name][2] == 3])
def test_what_passes_costs_nothing(fault):
    """A fault on a first and a second try leaves no trace; neither in this picture nor in those around it."""
    def answer(request: dict, number: int):
        return FAULTS[fault][0](request, number) if number in (1, 2) else said("x")

    with serving(Server(answer)) as server:
        predictions = read(server, 4, batch_size=1, retry=replace(QUICK, timeout_s=1) if fault in SLOW else QUICK)
    assert [(p.id, p.latex, p.stop) for p in predictions] == [(f"s{i}", "x", "end") for i in range(4)]
    assert len(server.requests) == 6 or fault in SLOW


@pytest.mark.parametrize("header", ["0.4", "date"])
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_waited_for_by_all(header, status):
    """No request comes before the time that the server named, neither the refused one again nor another."""
    times: list[float] = []

    def answer(_: dict, number: int):
        times.append(time.monotonic())
        if number:
            return said("x")
        if header == "date":  # in whole seconds
            named = datetime.fromtimestamp(int(time.time()) + 2, UTC)
            return status, {}, {"Retry-After": named.strftime("%a, %d %b %Y %H:%M:%S GMT")}
        return status, {}, {"Retry-After": header}

    with serving(Server(answer)) as server:
        predictions = read(server, 3, batch_size=1, retry=Retry(first_wait_s=0.01, timeout_s=5))
    assert [p.latex for p in predictions] == ["x"] * 3
    assert times[1] - times[0] >= (0.4 if header == "0.4" else 1.0)


@pytest.mark.parametrize(("header", "wait"), [
    (None, 0), ("", 0), ("2", 2), ("1.5", 1.5), ("-3", 0), ("nan", 0), ("inf", 600), ("soon", 0), ("99999", 600),
    ("Fri, 27 Nov 2026 09:00:30 GMT", 30), ("Fri, 27 Nov 2026 08:00:00 GMT", 0),
    ("Fri, 27 Nov 2026 10:00:40 +0100", 40), ("Friday, 27-Nov-26 09:00:20 GMT", 20),
])
def test_the_wait_that_a_header_asks_for(header, wait):
    assert seconds(header, now=lambda: datetime(2026, 11, 27, 9, tzinfo=UTC)) == wait


@pytest.mark.parametrize(("waits", "most"), [(1, 1), (2, 2), (3, 4), (5, 16), (6, 30), (10**6, 30)])
def test_waits_double_up_to_a_limit_and_those_refused_together_do_not_come_back_together(waits, most):
    retry = Retry(first_wait_s=1.0, longest_wait_s=30.0)
    asking = endpoint.Endpoint(lambda _: pytest.fail("asked"), Slots(1), retry, Latency(), None)
    found = [asking._backoff(waits) for _ in range(100)]
    assert most / 2 <= min(found) < 0.7 * most and 0.8 * most < max(found) <= most


def test_too_many_requests_say_nothing_of_a_picture():
    """However often it is told so, no picture fails: the server answers in the end."""
    with serving(Server(lambda _, number: said("x") if number % 5 == 4 else (429, {}, {}))) as server:
        predictions = read(server, 8, retry=Retry(tries=2, first_wait_s=0.001, longest_wait_s=0.02))
    assert [p.latex for p in predictions] == ["x"] * 8


def test_a_server_that_only_complains_ends_the_run():
    with serving(Server(lambda *_: (429, {"error": "quota"}, {}))) as server, pytest.raises(UserError) as e:
        read(server, 8)
    assert "has given no answer for" in str(e.value) and "quota" in str(e.value) and "continues" in str(e.value)


def test_a_server_that_goes_and_comes_back_costs_nothing():
    port = free_port()
    with contextlib.ExitStack() as late:
        def come_back() -> None:
            late.enter_context(serving(Server(lambda *_: said("x"), port=port)))

        def answer(_: dict, number: int):
            if number == 3:
                threading.Thread(target=first.shutdown).start()
                first.socket.close()
                threading.Timer(0.4, come_back).start()
            return said("x") if number < 3 else reset

        first = Server(answer, port=port)
        with serving(first):
            predictions = read(first, 9, batch_size=2, retry=Retry(tries=2, first_wait_s=0.05, lost_s=20))
    assert [(p.id, p.latex) for p in predictions] == [(f"s{i}", "x") for i in range(9)]


def test_a_server_that_does_not_come_back_ends_the_run_with_what_was_answered():
    def answer(_: dict, number: int):
        if number >= 5:
            threading.Thread(target=server.shutdown).start()
            server.socket.close()
        return said("x") if number < 5 else reset

    server, given = Server(answer), []
    with serving(server), pytest.raises(UserError, match=r"has given no answer for .*the same command continues") as e:
        given += ServedReader(server.url, retry=QUICK, config=GenerateConfig(batch_size=1)).read(
            Sample(f"s{i}", picture()) for i in range(30))
    assert "\n" not in str(e.value)


def test_a_server_that_is_waited_for_is_named_once(monkeypatch, capsys):
    monkeypatch.setattr(endpoint, "SAID_AFTER_S", 0.15)
    patient = Retry(tries=2, first_wait_s=0.02, longest_wait_s=0.04, lost_s=30)
    with serving(Server(lambda _, number: said("x") if number % 40 == 30 else (429, {"error": "full"}, {}))) as server:
        assert [p.latex for p in read(server, 2, retry=patient, batch_size=1)] == ["x", "x"]
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 2 and all(line.startswith(f"latexocr: {server.url}/ has given no answer for") for line in told)
    assert all("full" in line and line.endswith("It is waited for, 30 s at most.") for line in told)


@pytest.mark.parametrize("answer", [
    lambda *_: (404, {"error": "no model 'm'"}, {}), lambda *_: (401, {"error": "key"}, {}),
    lambda *_: (500, {"error": "engine dead"}, {}), lambda *_: (200, b"<html>", {}),
], ids=["wrong model", "key withdrawn", "500", "HTML"])
def test_a_server_that_answers_no_picture_is_not_asked_a_million_times(answer, monkeypatch):
    monkeypatch.setattr(served, "PROCESSES", 1)  # Several are in test_processes.
    taken = []

    def stream():
        for i in range(1000):
            taken.append(i)
            yield Sample(f"s{i}", picture())

    with serving(Server(answer)) as server, pytest.raises(UserError, match="none of the last 4 pictures"):
        list(ServedReader(server.url, retry=QUICK).read(stream()))
    assert len(taken) < 200


def test_pictures_that_fail_alone_do_not_end_the_run():
    """Refused for what they are, however many in a row; and failures between answers."""
    with serving(Server(lambda *_: (400, {"error": "too large"}, {}))) as server:
        assert {p.stop for p in read(server, 30)} == {"error"}
    wide = prepare(picture(20)).size

    def answer(request: dict, _: int):
        return (500, {}, {}) if sent_picture(request).size == wide else said("x")

    with serving(Server(answer)) as server:
        reader = ServedReader(server.url, retry=Retry(tries=2, first_wait_s=0.01), config=GenerateConfig(batch_size=1))
        stops = [p.stop for p in reader.read(Sample(f"s{i}", picture(20 if i % 3 else 2)) for i in range(30))]
    assert stops == ["end", "error", "error"] * 10


def test_a_key_that_the_server_repeats_is_not_shown():
    with serving(Server(lambda *_: (400, {"error": "bad key sk-secret"}, {}))) as server:
        reader = ServedReader(server.url, api_key="sk-secret", retry=QUICK)
        [prediction] = reader.read([Sample("a", picture())])
    assert prediction.error == 'server: 400 {"error": "bad key ***"}' and "sk-secret" not in repr(reader)


def test_half_a_character_becomes_a_mark():
    with serving(Server(lambda *_: said("x\ud83d"))) as server:
        assert read(server)[0].latex == "x\ufffd"


def test_answer_times_are_kept():
    with serving(Server(lambda *_: time.sleep(0.05) or said("x"))) as server:
        reader = ServedReader(server.url)
        list(reader.read(Sample(f"s{i}", picture()) for i in range(5)))
    assert reader.latency.n == 5 and 0.04 < reader.latency.percentile(0.5) < 2


@pytest.mark.parametrize(("size", "least", "most"), [(16, 16, 16), (None, 9, 160)], ids=["fixed", "found out"])
def test_more_than_at_first_are_in_flight_where_that_pays(size, least, most):
    """Of a server with many places. Which number is found is in test_flow, by a clock that is not the machine's."""
    lock, now, seen = threading.Lock(), 0, 0

    def answer(*_):
        nonlocal now, seen
        with lock:
            now += 1
            seen = max(seen, now)
        time.sleep(0.25)
        with lock:
            now -= 1
        return said("x")

    with serving(Server(answer)) as server:
        reader = ServedReader(server.url, config=GenerateConfig(batch_size=size))
        assert len(list(reader.read(Sample(f"s{i}", picture()) for i in range(160)))) == 160
    assert least <= seen <= most
