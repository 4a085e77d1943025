"""The reader of OpenAI-compatible servers, against small ones of every bad habit; a real vLLM is in test_serve.py."""

from __future__ import annotations

import base64
import contextlib
import io
import math
import socket
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from PIL import Image
from servers import Answer, Server, dripping, endless, said, serving

from latexocr.errors import UserError
from latexocr.model import LatexOCRModel
from latexocr.reading import GenerateConfig, served
from latexocr.reading.confidence import Calibration, confidence
from latexocr.reading.conversation import PROMPT
from latexocr.reading.decoding import LOOP
from latexocr.reading.endpoint import Retry
from latexocr.reading.images import prepare
from latexocr.reading.served import PREPARING, ServedReader
from latexocr.records import Sample, append, json_line, stream_predictions

QUICK = Retry(tries=3, first_wait_s=0.01, timeout_s=0.5)

@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    with contextlib.ExitStack() as running:
        yield lambda answer, models=None: running.enter_context(serving(Server(answer, models)))


def picture(symbols: int = 3) -> Image.Image:
    """Black squares in a row: the more of them, the wider the prepared picture."""
    pixels = np.full((40, 30 * symbols + 20), 255, np.uint8)
    for number in range(symbols):
        pixels[10:30, 30 * number + 10:30 * number + 30] = 0
    return Image.fromarray(pixels)


def samples(n: int) -> list[Sample]:
    """Samples whose prepared pictures all differ in size."""
    return [Sample(f"s{i}", picture(1 + 5 * i)) for i in range(n)]


def sent_picture(request: dict) -> Image.Image:
    url = request["messages"][0]["content"][0]["image_url"]["url"]
    assert url.startswith("data:image/png;base64,")
    return Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).convert("RGB")  # as servers do


def test_request_and_prediction(serve):
    server = serve(lambda request, _: said("$x^2$", logprobs=[math.log(0.9), math.log(0.4), 0.0]))
    reader = ServedReader(server.url, config=GenerateConfig(max_tokens=33))
    [prediction] = reader.read([Sample("a", picture())])

    assert (prediction.id, prediction.latex, prediction.reply, prediction.stop) == ("a", "x^2", "$x^2$", "end")
    assert prediction.tokens == 2  # the end token is not counted
    assert prediction.confidence == pytest.approx((0.9 * 0.4) ** (1 / 3))
    [request] = server.requests
    assert (request["model"], request["temperature"], request["max_tokens"], request["logprobs"]) == ("m", 0, 33, True)
    assert [part["type"] for part in request["messages"][0]["content"]] == ["image_url", "text"]
    assert request["messages"][0]["content"][1]["text"] == PROMPT
    np.testing.assert_array_equal(np.asarray(sent_picture(request)), np.asarray(prepare(picture())))


@pytest.mark.parametrize(("name", "said_of_it", "expected"), [
    ("latexocr", {"calibration": {"intercept": 1.0, "slope": 2.0}}, Calibration(1.0, 2.0)),
    ("latexocr", {"calibration": None}, None), ("latexocr", {}, None), ("latexocr", [], None),
    ("other", {"calibration": {"intercept": 1.0, "slope": 2.0}}, None),
])
def test_a_confidence_is_calibrated_where_the_server_says_how(serve, name, said_of_it, expected):
    """Which a server does that `latexocr serve` started; others are not asked."""
    server = serve(lambda *_: said("x", logprobs=[-0.5, -0.1]), [name])
    server.about = said_of_it
    [prediction] = ServedReader(server.url).read(samples(1))
    assert prediction.confidence == pytest.approx(confidence([-0.5, -0.1], expected))
    assert len(server.keys) == 1 + (name == "latexocr")


@pytest.mark.parametrize(("fields", "tokens", "sure"), [
    ({"logprobs": {"content": [{"token": "x", "logprob": 1e-6}]}}, 0, 1.0),  # rounded, to above 0
    ({"logprobs": {"content": [{"token": "x", "logprob": math.nan}]}}, 0, None),
    ({"logprobs": {"content": [{"token": "x", "logprob": -math.inf}]}}, 0, 0.0),
    ({"logprobs": {"content": [{"token": "x", "logprob": None}]}}, 6, None),
    ({"logprobs": {"content": [{"token": "x", "logprob": 10 ** 400}]}}, 6, None),
    ({"logprobs": {"tokens": ["x"], "token_logprobs": [-0.1]}}, 6, None),  # of completions, not of chats
    ({"logprobs": [-0.1]}, 6, None),
    ({"usage": {"completion_tokens": -4}}, 0, None),
    ({"usage": {"completion_tokens": "many"}}, 0, None),
    ({"usage": [7]}, 0, None),
])
def test_an_answer_is_one_whatever_its_counts_are(serve, tmp_path, fields, tokens, sure):
    """Probabilities and counts of another form are not known; and what is written can be read again."""
    status, body, headers = said("x")
    choice = body["choices"][0] | {"logprobs": fields.get("logprobs")}
    server = serve(lambda *_: (status, body | fields | {"choices": [choice]}, headers))
    [prediction] = ServedReader(server.url).read(samples(1))
    assert (prediction.latex, prediction.stop, prediction.error) == ("x", "end", "")
    assert (prediction.tokens, prediction.confidence) == (tokens, sure)
    append(tmp_path / "p.jsonl", [json_line(prediction)])
    assert list(stream_predictions(tmp_path / "p.jsonl")) == [prediction]


def test_an_answer_cut_at_its_length(serve):
    server = serve(lambda *_: said("x + x +", finish="length"))
    [prediction] = ServedReader(server.url).read(samples(1))
    assert (prediction.latex, prediction.stop, prediction.tokens) == ("x + x +", "length", 7)
    assert prediction.confidence is None


@pytest.mark.parametrize(("written", "tokens", "stop"), [
    (["x", *["-"] * 100], 2, "length"), (["x", *["-"] * (LOOP - 2)], LOOP - 2, "end")])
def test_an_answer_that_goes_in_circles_is_cut_after_the_first_round(serve, written, tokens, stop):
    status, body, headers = said("".join(written), logprobs=[-0.5] * len(written))
    for piece, token in zip(body["choices"][0]["logprobs"]["content"], written, strict=True):
        piece["token"] = token
    [prediction] = ServedReader(serve(lambda *_: (status, body, headers)).url).read(samples(1))
    assert (prediction.tokens, prediction.stop) == (tokens, stop)
    assert prediction.reply == ("".join(written) if stop == "end" else "".join(written[:tokens]))


def test_a_reply_that_is_not_what_its_tokens_spell_stays_whole(serve):
    """Some servers strip it, or decode otherwise than their list of tokens."""
    written = [" x", *["-"] * 100]
    status, body, headers = said("x" + "-" * 100, logprobs=[-0.5] * len(written))
    for piece, token in zip(body["choices"][0]["logprobs"]["content"], written, strict=True):
        piece["token"] = token
    [prediction] = ServedReader(serve(lambda *_: (status, body, headers)).url).read(samples(1))
    assert (prediction.tokens, prediction.stop, prediction.reply) == (2, "length", "x" + "-" * 100)


def test_many_in_flight_and_results_in_order(serve):
    def slow_at_first(request: dict, number: int) -> Answer:
        time.sleep(max(0.02, 0.2 - 0.05 * number))
        return said(str(sent_picture(request).size))

    server = serve(slow_at_first)
    given = samples(9)
    predictions = list(ServedReader(server.url, config=GenerateConfig(batch_size=4)).read(iter(given)))
    assert [(p.id, p.latex) for p in predictions] == [(s.id, str(prepare(s.image).size)) for s in given]
    assert server.most == 4


def test_a_result_is_given_before_the_last_sample_is_taken(serve, monkeypatch):
    monkeypatch.setattr(served, "PROCESSES", 1)  # Whether several pay is known only once many samples are taken.
    taken = []

    def lazily() -> Iterator[Sample]:
        for sample in [Sample(f"s{i}", picture()) for i in range(100)]:
            taken.append(sample.id)
            yield sample

    results = ServedReader(serve(lambda *_: said("x")).url, config=GenerateConfig(batch_size=2)).read(lazily())
    assert next(results).id == "s0"
    assert len(taken) <= 2 * (2 + 3 * PREPARING) < 100
    assert len(list(results)) == 99


def test_tries_again_while_that_may_help(serve):
    troubles = [(500, {"error": "out of memory"}, {}), (429, {}, {"Retry-After": "0.3"})]
    server = serve(lambda _, number: troubles[number] if number < 2 else said("y"))
    start = time.monotonic()
    [prediction] = ServedReader(server.url, retry=QUICK).read(samples(1))
    assert (prediction.latex, prediction.stop, len(server.requests)) == ("y", "end", 3)
    assert time.monotonic() - start >= 0.3


def test_one_failure_among_many(serve):
    def refuse_wide(request: dict, _: int) -> Answer:
        return (400, {}, {}) if sent_picture(request).size == wide else said("x")

    given = samples(5)
    wide = prepare(given[3].image).size
    predictions = list(ServedReader(serve(refuse_wide).url, retry=QUICK).read(given))
    assert [p.stop for p in predictions] == ["end", "end", "end", "error", "end"]


def test_log_probabilities_are_asked_for_until_refused(serve):
    server = serve(lambda request, _: (400, {"error": "logprobs"}, {}) if "logprobs" in request else said("x"))
    given = [Sample(f"s{i}", picture()) for i in range(100)]
    predictions = list(ServedReader(server.url, config=GenerateConfig(batch_size=1)).read(given))
    assert [(p.latex, p.confidence) for p in predictions] == [("x", None)] * 100
    assert 101 <= len(server.requests) <= 101 + 3 * PREPARING  # some were asked before the first success


def test_unreadable_picture(serve, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"not a picture")
    given = [Sample("a", picture()), Sample("b", tmp_path / "broken.png"), Sample("c", tmp_path / "away.png")]
    predictions = list(ServedReader(serve(lambda *_: said("x")).url).read(given))
    assert [(p.id, p.stop) for p in predictions] == [("a", "end"), ("b", "error"), ("c", "error")]
    assert "broken.png" in predictions[1].error


@pytest.mark.parametrize(("url", "message"), [
    ("http://127.0.0.1:9/v1", "No server answers at .*start one"),
    ("http://no-such-host.invalid/v1", "No server answers at .*start one"),
    ("http://[::1/v1", "not an address"),
    ("localhost/v1", "protocol"),
    ("http://me:secret@127.0.0.1:9/v1", "password"),
])
def test_server_away(url, message):
    with pytest.raises(UserError, match=message) as e:
        list(ServedReader(url).read(samples(1)))
    assert "\n" not in str(e.value) and "secret" not in str(e.value)


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "ALL_PROXY", "http_proxy"])
@pytest.mark.parametrize("proxy", ["http", "socks5", "nonsense"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_no_proxy_leads_to_this_machine(serve, monkeypatch, variable, proxy, host):
    monkeypatch.setenv(variable, f"{proxy}://127.0.0.1:9")
    url = serve(lambda *_: said("x")).url.replace("127.0.0.1", host)
    assert [p.latex for p in ServedReader(url).read(samples(1))] == ["x"]


@pytest.mark.parametrize(("proxy", "message"), [
    ("http://127.0.0.1:9", "No server answers at http://gpu.invalid"), ("socks5://127.0.0.1:9", "put gpu.invalid into"),
    ("nonsense://127.0.0.1:9", "put gpu.invalid into"),
])
def test_a_proxy_that_cannot_be_used_is_one_line(monkeypatch, proxy, message):
    monkeypatch.setenv("ALL_PROXY", proxy)
    with pytest.raises(UserError, match=message) as e:
        list(ServedReader("http://gpu.invalid/v1").read(samples(1)))
    assert "\n" not in str(e.value)


def test_a_server_at_an_ipv6_address(serve):
    class Six(Server):
        address_family = socket.AF_INET6

        def __init__(self, answer: Callable) -> None:
            super().__init__(answer, host="::1")

    with serving(Six(lambda *_: said("x"))) as server:
        assert [p.latex for p in ServedReader(f"http://[::1]:{server.server_port}/v1").read(samples(1))] == ["x"]


@pytest.mark.parametrize(("models", "name", "expected"), [
    (["only"], None, "only"),
    (["base", "tuned"], "tuned", "tuned"),
    (["base", "tuned"], "other", UserError("found base, tuned, expected other")),
    ((404, {}, {}), "named", "named"),
    (["base", "tuned"], None, UserError("base, tuned")),
    ([], None, UserError("expected one model")),
    ((404, {}, {}), None, UserError("status 404")),
    ((401, {}, {}), "named", UserError("key")),
    ((200, {"data": [{"id": 1}, {"id": None}]}, {}), None, UserError("status 200 and no list")),
    ((200, b"[" * 100_000, {}), None, UserError("status 200 and no list")),
    ((200, b"gzip?", {"Content-Encoding": "gzip"}), None, UserError("No server answers")),
    (endless, None, UserError("goes on after 16 MiB")),
    (dripping, None, UserError("no whole answer within 0.5 s")),
])
@pytest.mark.parametrize("in_address", [False, True])
def test_which_model(serve, models, name, expected, in_address):
    server = serve(lambda *_: said("x"), models)
    url, apart = (f"{server.url}#{name}", None) if in_address and name else (server.url, name)
    reader = ServedReader(url, apart, retry=QUICK)
    if isinstance(expected, UserError):
        with pytest.raises(UserError, match=str(expected)):
            list(reader.read(samples(1)))
    else:
        list(reader.read(samples(1)))
        assert server.requests[0]["model"] == expected


def test_key(serve):
    server = serve(lambda *_: said("x"))
    list(ServedReader(server.url, api_key="secret").read(samples(1)))
    assert server.keys == ["Bearer secret"]


@pytest.mark.parametrize("key", ["Schlüssel", "two words", "a line\n", "\x7f"])
def test_a_key_that_no_request_can_bring(serve, key):
    with pytest.raises(UserError, match="The key in OPENAI_API_KEY has characters that no request can bring"):
        list(ServedReader(serve(lambda *_: said("x")).url, api_key=key).read(samples(1)))


@pytest.mark.parametrize("key", [None, "secret"])
def test_key_of_the_environment(serve, monkeypatch, key):
    """Where every OpenAI client looks for it; it is not shown with the reader, nor sent where there is none."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    if key:
        monkeypatch.setenv("OPENAI_API_KEY", key)
    server = serve(lambda *_: said("x"))
    model = LatexOCRModel.load(server.url)
    list(model.read(samples(1)))
    assert server.keys == [f"Bearer {key}" if key else None] and "secret" not in repr(model)
