"""`latexocr serve`: its guard and its processes by themselves, and everything together against one real vLLM."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import io
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from PIL import Image

from latexocr.cli import example
from latexocr.cli.serve import (
    Serve,
    announce,
    command_line,
    curl,
    digest,
    environment,
    free_port,
    one_at_a_time,
    servable,
    serve,
)
from latexocr.errors import UserError
from latexocr.reading import GenerateConfig
from latexocr.reading.guard.latexocr_guard import LARGEST_BODY, Guard
from latexocr.reading.local import pick_dtype
from latexocr.reading.served import ServedReader
from latexocr.reading.server import reason, running, wait_until_healthy
from latexocr.records import Sample
from tests.conftest import drawn

ROOT = Path(__file__).parent.parent
KEY = "of-the-test-4711"
BEARER = {"Authorization": f"Bearer {KEY}"}


# --- the guard

def guarded(headers: dict[str, str], path: str = "/v1/chat/completions", kind: str = "http") -> list[dict]:
    """What a guarded app sends for a request; the app itself says "through"."""
    sent: list[dict] = []

    async def app(scope, receive, send):
        await send({"type": "through"})

    async def send(message):
        sent.append(message)

    scope = {"type": kind, "path": path, "headers": [(k.lower().encode(), v.encode()) for k, v in headers.items()]}
    asyncio.run(Guard(app)(scope, None, send))
    return sent


@pytest.mark.parametrize(("key", "path", "headers", "status"), [
    ("", "/v1/models", {}, None),
    (KEY, "/v1/models", BEARER, None),
    (KEY, "/v1/models", {"Authorization": f"bearer  {KEY}"}, None),
    (KEY, "/v1/models", {}, 401),
    (KEY, "/v1/models", {"Authorization": KEY}, 401),
    (KEY, "/v1/models", {"Authorization": f"Bearer {KEY}x"}, 401),
    (KEY, "/v1/models", {"Authorization": "Bearer"}, 401),
    (KEY, "/invocations", {}, 401),
    (KEY, "/metrics", {}, 401),
    (KEY, "/health", {}, None),
    ("", "/v1/x", {"Content-Length": str(LARGEST_BODY)}, None),
    ("", "/v1/x", {"Content-Length": str(LARGEST_BODY + 1)}, 413),
    ("", "/health", {"Content-Length": str(LARGEST_BODY + 1)}, 413),
    ("", "/v1/x", {"Transfer-Encoding": "chunked"}, 411),
    (KEY, "/v1/x", {"Content-Length": str(LARGEST_BODY + 1)}, 401),
])
def test_what_passes_the_guard(monkeypatch, key, path, headers, status):
    monkeypatch.setenv("VLLM_API_KEY", key)
    first = guarded(headers, path)[0]
    assert first == {"type": "through"} if status is None else first["status"] == status
    if status:
        assert KEY not in str(guarded(headers, path))


def test_the_guard_says_what_our_client_wants_to_know(monkeypatch):
    """To who has the key."""
    monkeypatch.setenv("VLLM_API_KEY", KEY)
    monkeypatch.setenv("LATEXOCR_SERVED", '{"calibration": null}')
    start, body = guarded(BEARER, "/v1/latexocr")
    assert (start["status"], body["body"]) == (200, b'{"calibration": null}')
    assert guarded({}, "/v1/latexocr")[0]["status"] == 401


def test_the_guard_lets_a_server_start_and_closes_sockets_without_key(monkeypatch):
    monkeypatch.setenv("VLLM_API_KEY", KEY)
    assert guarded({}, kind="lifespan") == [{"type": "through"}]
    assert guarded({}, kind="websocket")[0]["type"] == "websocket.close"


def test_the_guard_needs_python_alone():
    """vLLM loads it in an environment where latexocr need not be."""
    folder = ROOT / "latexocr/reading/guard"
    code = "import sys, latexocr_guard; print([m for m in sys.modules if m.partition('.')[0] == 'latexocr'])"
    done = subprocess.run([sys.executable, "-S", "-P", "-c", code], env={"PYTHONPATH": str(folder)},
                          capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- the process

SERVER = """
import http.server, signal, subprocess, sys
child = subprocess.Popen([sys.executable, "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"])
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
print("child", child.pid, flush=True)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
"""A server with a child that does not listen to SIGTERM."""


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and is not yet looked after does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def ended(pids: list[int]) -> None:
    """Waits for the end of processes that nobody waits for; fails where one goes on."""
    end = time.monotonic() + 15
    while left := [pid for pid in pids if alive(pid)]:
        assert time.monotonic() < end, left
        time.sleep(0.02)


def test_a_server_is_waited_for_and_nothing_of_it_is_left(capfd):
    port = free_port("127.0.0.1", 0)
    with running([sys.executable, "-c", SERVER, str(port)], os.environ) as server:
        wait_until_healthy(server, f"http://127.0.0.1:{port}", "a server starts")
        [child] = [int(line.split()[1]) for line in server._said if line.startswith("child")]
        assert alive(child) and alive(server.process.pid)
    assert not alive(server.process.pid)
    ended([child])
    assert "latexocr: a server starts" in capfd.readouterr().err


PROGRAM = """
import os, sys, time
from latexocr.reading.server import running
with running([sys.executable, "-c", sys.argv[1], sys.argv[2]], os.environ) as server:
    while sum("child" in line or "deaf" in line for line in server._said) < 2:
        time.sleep(0.01)
    print(server.process.pid, *(line.split()[1] for line in server._said if "child" in line), flush=True)
    time.sleep(600)
"""


def test_where_it_is_killed_nothing_of_its_server_is_left():
    """Not even what does not listen to SIGTERM."""
    command = [sys.executable, "-c", PROGRAM, SERVER, str(free_port("127.0.0.1", 0))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        started = [int(pid) for pid in program.stdout.readline().split()]
        assert len(started) == 2 and all(map(alive, started))
        program.kill()
    ended(started)


def test_a_server_that_ends_instead_says_why_in_one_line():
    code = "print('loading'); raise ValueError('no such weights')"
    told = r"ended before it was ready\. ValueError: no such weights\. All it said: "
    with running([sys.executable, "-c", code], os.environ) as server, pytest.raises(UserError, match=told) as e:
        wait_until_healthy(server, "http://127.0.0.1:9", "x")
    log = Path(str(e.value).rpartition(" ")[2])
    assert "loading" in log.read_text() and "Traceback" in log.read_text()
    log.unlink()


@pytest.mark.parametrize(("said", "expected"), [
    (["ValueError: a", "RuntimeError: Engine core initialization failed. See root cause above."], "ValueError: a."),
    (["(EngineCore pid=1) ERROR 11-27 [core.py:1] torch.OutOfMemoryError: CUDA out of memory"],
     "OutOfMemoryError: CUDA out of memory."),
    (["api_server.py: error: unrecognized arguments: --x"], "error: unrecognized arguments: --x."),
    (["TypeError: b", "EngineDeadError: EngineCore encountered an issue. See stack trace (above) for the root cause."],
     "TypeError: b."),
    (["hello"], "It gave no reason."),
    ([], "It gave no reason."),
])
def test_the_reason_that_is_given(said, expected):
    assert reason(said) == expected


# --- what is started

def test_settings_that_a_server_is_started_with(tiny_model):
    words = command_line(tiny_model, Serve("m", flags=("--max-model-len", "99"), api_key=KEY), 81, cpu=True)
    assert words[:2] == ["-m", "vllm.entrypoints.openai.api_server"] and words[-2:] == ["--max-model-len", "99"]
    value = dict(itertools.pairwise(words))
    assert json.loads(value["--limit-mm-per-prompt"]) == {"image": 1, "video": 0}
    assert (value["--model"], value["--host"], value["--port"]) == (str(tiny_model), "127.0.0.1", "81")
    assert value["--dtype"] == pick_dtype("auto", "cpu")
    assert "--no-enable-prefix-caching" in words and KEY not in " ".join(words)
    gpu = command_line(tiny_model, Serve("m"), 81, cpu=False)
    assert gpu[:4] == ["-m", "vllm.entrypoints.cli.main", "serve", str(tiny_model)] and "--model" not in gpu


def test_the_key_is_in_the_environment_alone(tiny_model):
    options = Serve("m", api_key=KEY)
    assert environment(options, tiny_model, cpu=True)["VLLM_API_KEY"] == KEY
    assert KEY not in repr(options)


@pytest.mark.parametrize(("cores", "weights_mb", "flags", "config", "copies", "threads"), [
    (1, 40, (), "{}", 1, "1"), (2, 40, (), "{}", 2, "1"), (16, 40, (), "{}", 4, "4"), (2, 6000, (), "{}", 1, "1"),
    (16, 6000, (), "{}", 1, "15"), (4, 40, ("--data-parallel-size", "2"), "{}", 1, "3"),
    (4, 40, ("--tensor-parallel-size=2",), "{}", 1, "3"),
    (4, 40, (), '{"text_config": {"moe_num_experts": 8}}', 1, "3"),
])
def test_a_small_model_has_a_copy_a_core_and_a_large_one_leaves_a_core_to_requests(
        tmp_path, monkeypatch, cores, weights_mb, flags, config, copies, threads):
    monkeypatch.setattr("latexocr.reading.vllm.cores", lambda: cores)
    monkeypatch.setattr("latexocr.provenance.cores", lambda: cores)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    with (tmp_path / "a.safetensors").open("wb") as file:
        file.truncate(weights_mb << 20)
    (tmp_path / "config.json").write_text(config)
    options = Serve("m", flags=flags)
    words = command_line(tmp_path, options, 81, cpu=True)
    value = dict(itertools.pairwise(words))
    assert value.get("--distributed-executor-backend") == ("uni" if copies > 1 else None)
    if copies > 1:
        assert (value["--data-parallel-size"], value["--kv-cache-memory-bytes"]) == (str(copies), str(2**30 // copies))
    assert environment(options, tmp_path, cpu=True)["OMP_NUM_THREADS"] == threads
    assert "--distributed-executor-backend" not in command_line(tmp_path, options, 81, cpu=False)
    assert "OMP_NUM_THREADS" not in environment(options, tmp_path, cpu=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert environment(options, tmp_path, cpu=True)["OMP_NUM_THREADS"] == "7"


@pytest.mark.parametrize(("options", "message"), [
    (Serve("builtin", python=sys.executable), "No vLLM in the environment of .*pip install 'vllm"),
    (Serve("builtin", python="/no/python"), "/no/python: not a Python interpreter"),
    (Serve("builtin", flags=("--api-key=x",)), "--api-key stands behind"),
    (Serve("builtin", flags=("--port", "3")), "--port stands behind"),
    (Serve("builtin", flags=("models/other",)), "found 'models/other' after builtin; one model is served"),
    (Serve("builtin", api_key="Schlüssel"), "expected ASCII without spaces"),
    (Serve("builtin", api_key="a b"), "expected ASCII without spaces"),
])
def test_what_cannot_be_served_is_one_line(options, message):
    with pytest.raises(UserError, match=message) as e:
        serve(options)
    assert "\n" not in str(e.value)


@pytest.mark.parametrize(("host", "key", "warned"), [
    ("0.0.0.0", "", True), ("0.0.0.0", KEY, False), ("127.0.0.1", "", False), ("::1", "", False), ("::", "", True)])
def test_an_open_door_is_told_of(host, key, warned, monkeypatch, capsys):
    monkeypatch.delenv("VLLM_API_KEY", raising=False)
    announce(Serve("builtin", host=host, api_key=key), "http://127.0.0.1:1", 1.0)
    assert ("whoever reaches" in capsys.readouterr().err) is warned


def test_a_port_that_is_taken_is_one_line():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(UserError, match=f"port {port} .*another --port"):
            free_port("127.0.0.1", port)
    assert free_port("127.0.0.1", port) == port
    with pytest.raises(UserError, match="another --port"):
        free_port("127.0.0.1", 70000)


def test_an_adapter_is_merged_once(tiny_model, tmp_path, monkeypatch):
    """And again when it, or its base, is another."""
    peft = pytest.importorskip("peft")
    from latexocr.reading.local import load_model, load_weights

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("latexocr.training.export.CHECKED", 3)
    config = peft.LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False)
    adapted = peft.get_peft_model(load_weights(tiny_model, dtype="float32"), config)
    adapted.peft_config["default"].base_model_name_or_path = str(tiny_model)
    adapted.save_pretrained(tmp_path / "a")
    merged = servable(Serve(str(tmp_path / "a")))
    made = (merged / "config.json").stat().st_mtime_ns
    assert servable(Serve(str(tmp_path / "a"))) == merged and (merged / "config.json").stat().st_mtime_ns == made
    short = GenerateConfig(max_tokens=8)
    one, other = (load_model(folder, device="cpu", config=short) for folder in (tmp_path / "a", merged))
    assert [p.reply for p in one.read(drawn(3))] == [p.reply for p in other.read(drawn(3))]
    adapted.peft_config["default"].lora_alpha = 99
    adapted.save_pretrained(tmp_path / "a")
    assert digest(tmp_path / "a", tiny_model) != merged.name


def test_servers_of_an_adapter_that_start_together_merge_it_once(tiny_model, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "a").mkdir()
    (tmp_path / "a/adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(tiny_model)}))
    made = []

    def slowly(adapter: Path, out: Path, **_: object) -> None:
        made.append(out)
        time.sleep(0.3)
        out.mkdir()

    monkeypatch.setattr("latexocr.training.export.export", slowly)
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(servable, [Serve(str(tmp_path / "a"))] * 3))
    assert len(made) == 1 and set(found) == {made[0]} and made[0].is_dir()


def test_a_cache_that_cannot_be_written_is_one_line(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot be made .* XDG_CACHE_HOME"), one_at_a_time(tmp_path / "file/x"):
        pass


# --- a real server

@dataclass(frozen=True)
class Served:
    url: str
    curl: str
    process: subprocess.Popen
    errors: Path


@pytest.fixture(scope="module")
def served(serve_python, tmp_path_factory) -> Iterator[Served]:
    """The embedded model, served on this machine's CPU as a user would; afterwards nothing of it may run.

    In float32: where sums are rounded to 16 bits, two orders of summing may choose another of two equal tokens.
    """
    errors = tmp_path_factory.mktemp("serve") / "stderr"
    command = [sys.executable, "-m", "latexocr.cli", "serve", "builtin", "--port", "0", "--", "--dtype", "float32"]
    with errors.open("w") as stderr:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True, cwd=ROOT,
                                   env=os.environ | {"VLLM_API_KEY": KEY, "PYTHON": str(serve_python)})
    url, line = process.stdout.readline().strip(), process.stdout.readline().strip()
    if not line:
        pytest.fail(f"no server: {errors.read_text()[-3000:]}")
    group = groups_of(process.pid)
    assert len(group) > 2, "a server, its engine and its watch"
    names = [Path(f"/proc/{pid}/comm").read_text() for pid in group]
    assert not any("Worker" in name for name in names), "on a CPU the engine computes by itself"
    yield Served(url, line, process, errors)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0
    assert [pid for pid in group if alive(pid)] == []
    assert errors.read_text().rstrip().endswith("latexocr: the server is stopped.")
    assert KEY not in errors.read_text()


def groups_of(parent: int) -> list[int]:
    """The processes of the groups that a process has started."""
    stats = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # one that has just ended
            stats[int(path.parent.name)] = path.read_text().rpartition(")")[2].split()
    leaders = {pid for pid, fields in stats.items() if int(fields[1]) == parent and int(fields[2]) == pid}
    return [pid for pid, fields in stats.items() if int(fields[2]) in leaders]


@pytest.mark.serve
def test_a_served_model_answers_200_pictures_as_the_one_in_this_process(served):
    from latexocr.reading.local import load_model

    pictures = sorted(path for path in (ROOT / "examples").iterdir() if path.suffix in (".png", ".jpg"))
    given = [Sample(path.name, path) for path in pictures]
    given += drawn(200 - len(given), alphabet="0123456789abcxyz+-=", longest=9, seed=4)
    config = GenerateConfig(max_tokens=128)
    there = list(ServedReader(served.url, config=config, api_key=KEY).read(given))
    here = list(load_model("builtin", device="cpu", dtype="float32", config=config).read(given))
    assert [(p.id, p.reply, p.tokens, p.stop) for p in there] == [(p.id, p.reply, p.tokens, p.stop) for p in here]
    assert len({p.reply for p in there}) > len(given) // 2  # the pictures were looked at
    assert [p.confidence for p in there] == pytest.approx([p.confidence for p in here], abs=0.01)  # both calibrated


@pytest.mark.serve
def test_a_server_sees_the_tokens_that_training_showed(served):
    """Of the question, the picture's tokens in their place; those of `transcribe` are compared in test_families.py."""
    from latexocr.reading.conversation import PROMPT, conversation
    from latexocr.reading.images import prepare
    from latexocr.reading.inputs import load_processor, resolve
    from latexocr.reading.served import openai_messages
    from latexocr.training.collate import IGNORED, Collator

    processor = load_processor(resolve("builtin"))
    ends = {processor.tokenizer.eos_token_id}
    pictures = [prepare(ROOT / "examples" / name) for name in ("matrix.png", "wide.png", "hand_roots.jpg")]
    assert len({picture.size for picture in pictures}) == 3
    for picture in pictures:
        body = {"model": "latexocr", "messages": openai_messages(conversation(picture)), "max_tokens": 1,
                "return_token_ids": True}
        answer = httpx.post(f"{served.url}/chat/completions", json=body, headers=BEARER, timeout=60).json()
        batch = Collator(processor, [], ends, PROMPT).batch([picture], ["x"])
        shown = batch["input_ids"][0, :int((batch["labels"][0] != IGNORED).nonzero()[0])]
        assert answer["prompt_token_ids"] == shown.tolist()


@pytest.mark.serve
def test_the_curl_line_works_as_it_is_printed(served):
    done = subprocess.run(served.curl, shell=True, capture_output=True, text=True, timeout=120, check=True,
                          env=os.environ | {"OPENAI_API_KEY": KEY})
    choice = json.loads(done.stdout)["choices"][0]
    assert choice["finish_reason"] == "stop"
    assert choice["message"]["content"] == example.FORMULA
    assert KEY not in served.curl and served.url in served.curl
    assert curl(served.url.removesuffix("/v1"), key=True) == served.curl


@pytest.mark.serve
@pytest.mark.parametrize(("path", "headers", "status"), [
    ("/health", {}, 200), ("/v1/models", BEARER, 200), ("/v1/models", {}, 401),
    ("/v1/models", {"Authorization": "Bearer wrong"}, 401), ("/metrics", {}, 401), ("/metrics", BEARER, 200),
    ("/invocations", {}, 401),
])
def test_a_key_is_needed_everywhere_but_for_health(served, path, headers, status):
    assert httpx.get(served.url.removesuffix("/v1") + path, headers=headers).status_code == status


def ask(served: Served, *urls: str) -> tuple[int, str]:
    parts = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    body = {"model": "latexocr", "messages": [{"role": "user", "content": parts}], "max_tokens": 4}
    answer = httpx.post(f"{served.url}/chat/completions", json=body, headers=BEARER, timeout=60)
    return answer.status_code, answer.text


def blank(width: int, height: int) -> str:
    file = io.BytesIO()
    Image.new("1", (width, height), 1).save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


@pytest.mark.serve
@pytest.mark.parametrize(("pictures", "status", "said"), [
    ([blank(64, 32)], 200, "choices"),
    ([blank(2000, 1500)], 200, "choices"),
    ([blank(6000, 6000)], 400, "exceed the maximum of 25000000 pixels"),
    ([blank(64, 32)] * 2, 400, "At most 1 image"),
    (["data:image/png;base64," + "A" * LARGEST_BODY], 413, "smaller picture"),
    (["http://127.0.0.1:9/x.png"], 400, "allowed domains"),
], ids=["fine", "a photograph", "too many pixels", "two pictures", "too many bytes", "somewhere else"])
def test_pictures_and_bodies_have_limits(served, pictures, status, said):
    found, text = ask(served, *pictures)
    assert found == status and said in text


@pytest.mark.serve
def test_a_body_of_unknown_length_is_refused(served):
    answer = httpx.post(f"{served.url}/chat/completions", content=iter([b"{}"]), headers=BEARER, timeout=30)
    assert answer.status_code == 411
