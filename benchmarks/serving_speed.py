"""How fast formulas are read, and whether every way of reading gives the same answers.

    python benchmarks/serving_speed.py --data SPEC [--data SPEC] --limit 100 --serve-python .venv-serve/bin/python \\
        --out benchmarks/results/serving/NAME.json

In one run, on one machine, with the same pictures: transformers in this process; vLLM in one process; a vLLM server
through our client; the same requests, made before the clock starts, sent by a client that reads nothing of the answers
(what the server can do); and `vllm bench serve`, which streams. Each is a process of its own. It reads eight pictures
to warm up, then all of them (pictures and processor seconds), then some one at a time (seconds to an answer). Memory is
the largest proportional set size of all processes of a contender, a server's included; of a GPU, what nvidia-smi shows.
Answers are compared with those of transformers. Where one differs, the record has the first token that does, and what
transformers gives as the log probabilities of both: two numbers that are close are a tie that rounding decides.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import random
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from resources import Peak, cpu_seconds
from serving_answers import differences

from latexocr import provenance
from latexocr.model import LatexOCRModel
from latexocr.reading import GenerateConfig
from latexocr.reading.vllm import find_build
from latexocr.records import Sample, read_predictions, write_predictions

READERS = ("transformers", "vllm", "served")
CONTENDERS = (*READERS, "requests", "vllm bench serve")
WARM, ALONE = 8, 30
"""Pictures read before the clock starts, and one at a time."""


def chosen(options: argparse.Namespace) -> list[Sample]:
    """The same pictures in every process: `--limit` of each SPEC, drawn at random; ids say which SPEC."""
    from latexocr.data.sources import load

    samples = []
    for spec in options.data:
        found = load(spec)
        picked = random.Random(0).sample(found, min(options.limit or len(found), len(found)))
        samples += [Sample(f"{spec}/{sample.id}", sample.image, sample.latex) for sample in picked]
    return samples


def measure(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Read with one of the readers in this process; its predictions go to `options.answers`."""
    samples, config = chosen(options), GenerateConfig(
        max_tokens=options.max_tokens, batch_size=options.batch if name == "transformers" else None)
    begun = time.perf_counter()
    reader = LatexOCRModel.load(options.url or options.model, engine="vllm" if name == "vllm" else "transformers",
                                config=config).reader
    loaded = time.perf_counter() - begun
    list(reader.read(samples[:WARM]))
    busy, begun = cpu_seconds(roots := involved(options)), time.perf_counter()
    predictions = list(reader.read(samples))
    seconds, busy = time.perf_counter() - begun, cpu_seconds(roots) - busy
    latency = getattr(reader, "latency", None)
    under_load = [latency.percentile(part) for part in (0.5, 0.95)] if latency else None
    write_predictions(Path(options.answers), predictions)
    alone = sorted(timed(reader, sample) for sample in samples[:options.alone])
    return {"pictures_per_s": len(samples) / seconds, "seconds": seconds, "load_s": loaded,
            "cpu_s_per_picture": busy / len(samples), "tokens": sum(p.tokens for p in predictions),
            "errors": sum(p.stop == "error" for p in predictions),
            "alone_p50_s": rank(alone, 0.5), "alone_p95_s": rank(alone, 0.95), "under_load_p50_p95_s": under_load,
            "gpu": provenance.gpu()}


def involved(options: argparse.Namespace) -> list[int]:
    """The processes that work on it: this one, and a server."""
    return [os.getpid(), *([options.server_pid] if options.server_pid else [])]


def timed(reader: Any, sample: Sample) -> float:
    begun = time.perf_counter()
    list(reader.read([sample]))
    return time.perf_counter() - begun


def rank(seconds: Sequence[float], part: float) -> float:
    """The smallest of sorted times within which `part` of them lie."""
    return seconds[max(0, math.ceil(part * len(seconds)) - 1)] if seconds else math.nan


def send(options: argparse.Namespace) -> dict[str, Any]:
    """The best rate of plain requests over several numbers in flight: nothing is prepared or understood meanwhile."""
    import asyncio

    bodies = [json.dumps(request(sample, options.max_tokens)).encode() for sample in chosen(options)]
    best: dict[str, Any] = {"pictures_per_s": 0.0}
    for in_flight in options.in_flight:
        asyncio.run(flood(options.url, bodies[:WARM], in_flight))
        busy, begun = cpu_seconds(roots := involved(options)), time.perf_counter()
        times = asyncio.run(flood(options.url, bodies, in_flight))
        rate, busy = len(bodies) / (time.perf_counter() - begun), cpu_seconds(roots) - busy
        if rate > best["pictures_per_s"]:
            best = {"pictures_per_s": rate, "seconds": len(bodies) / rate, "in_flight": in_flight,
                    "cpu_s_per_picture": busy / len(bodies),
                    "under_load_p50_p95_s": [rank(sorted(times), part) for part in (0.5, 0.95)]}
    return best


def request(sample: Sample, max_tokens: int) -> dict[str, Any]:
    """What our client asks for a picture."""
    from latexocr.reading.conversation import conversation
    from latexocr.reading.images import prepare
    from latexocr.reading.served import openai_messages

    config = GenerateConfig(max_tokens=max_tokens)
    return {"model": "latexocr", "messages": openai_messages(conversation(prepare(sample.image))), "logprobs": True,
            "max_tokens": config.max_tokens, "temperature": config.temperature, "seed": config.seed}


async def flood(url: str, bodies: Sequence[bytes], in_flight: int) -> list[float]:
    """Seconds to each answer."""
    import asyncio

    import aiohttp

    left, times = iter(bodies), []

    async def client(session: aiohttp.ClientSession) -> None:
        for body in left:
            begun = time.perf_counter()
            async with session.post(f"{url}/chat/completions", data=body) as answer:
                await answer.read()
                answer.raise_for_status()
            times.append(time.perf_counter() - begun)

    headers, connector = {"Content-Type": "application/json"}, aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(headers=headers, connector=connector,
                                     timeout=aiohttp.ClientTimeout(total=None)) as session:
        await asyncio.gather(*(client(session) for _ in range(in_flight)))
    return times


def vllm_bench(options: argparse.Namespace) -> dict[str, Any]:
    """`vllm bench serve` with the same pictures, as many in flight as plain requests did best with."""
    from vllm.benchmarks.serve import add_cli_args, main
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    from latexocr.reading.inputs import resolve

    contents = [request(sample, 1)["messages"][0]["content"] for sample in chosen(options)]
    with tempfile.TemporaryDirectory() as folder:
        lines = Path(folder, "requests.jsonl")
        lines.write_text("".join(json.dumps({"content": content}) + "\n" for content in contents))
        parser = FlexibleArgumentParser()
        add_cli_args(parser)
        flags = {"backend": "openai-chat", "base-url": options.url.removesuffix("/v1"), "model": "latexocr",
                 "endpoint": "/v1/chat/completions", "tokenizer": resolve(options.model), "temperature": 0,
                 "dataset-name": "custom_image", "dataset-path": lines, "num-prompts": len(contents),
                 "custom-output-len": options.max_tokens, "max-concurrency": options.in_flight[0],
                 "percentile-metrics": "e2el", "metric-percentiles": "50,95"}
        words = [word for name, value in flags.items() for word in (f"--{name}", str(value))]
        with contextlib.redirect_stdout(sys.stderr):
            found = main(parser.parse_args([*words, "--disable-shuffle", "--no-oversample", "--disable-tqdm"]))
    if found["completed"] < len(contents):
        sys.exit(f"{found['completed']} of {len(contents)} requests were answered")
    return {"pictures_per_s": found["request_throughput"], "seconds": found["duration"],
            "in_flight": options.in_flight[0],
            "under_load_p50_p95_s": [found["p50_e2el_ms"] / 1000, found["p95_e2el_ms"] / 1000]}


@contextlib.contextmanager
def server(options: argparse.Namespace) -> Iterator[tuple[str, int]]:
    """URL and process of a server as a user starts it."""
    command = [sys.executable, "-m", "latexocr.cli", "serve", options.model, "--port", "0", "--python",
               options.serve_python, "--", *shlex.split(options.flags)]
    with open(os.devnull, "w") as quiet, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=quiet, text=True
                                                          ) as process:
        url = process.stdout.readline().strip()
        if not url:
            sys.exit(f"No server: see what `{shlex.join(command[1:])}` says.")
        try:
            yield url, process.pid
        finally:
            process.terminate()


def contend(name: str, options: argparse.Namespace, folder: Path, *, url: str = "", server_pid: int = 0,
            in_flight: int = 0) -> dict[str, Any]:
    """Run one contender in a process of its own; its last words where it fails."""
    python = sys.executable if name in ("transformers", "served") else options.serve_python
    command = [python, __file__, *sys.argv[1:], "--only", name, "--url", url,
               "--server-pid", str(server_pid), "--answers", str(folder / f"{name}.jsonl")]
    if in_flight:
        command += ["--in-flight", str(in_flight)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        peak = Peak(process.pid, *([server_pid] if server_pid else []))
        peak.start()
        out, errors = process.communicate()
        peak.ended.set()
    if process.returncode:
        return {"failed": (errors.strip().splitlines() or ["no message"])[-1]}
    memory = {"peak_mb": peak.mb} | ({"gpu_mb": peak.gpu_mb} if peak.gpu_mb else {})
    return json.loads(out.splitlines()[-1]) | memory


def parsed(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", action="append", required=True, metavar="SPEC")
    parser.add_argument("--limit", type=int, help="pictures of each SPEC; all unless given")
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--batch", type=int, help="pictures that transformers reads together")
    parser.add_argument("--max-tokens", type=int, default=GenerateConfig().max_tokens)
    parser.add_argument("--alone", type=int, default=ALONE, help="pictures read one at a time")
    parser.add_argument("--in-flight", type=int, nargs="+", default=[16, 64, 256], help="numbers to try")
    parser.add_argument("--serve-python", default=sys.executable, help="Python of the environment that has vLLM")
    parser.add_argument("--flags", default="", help='more for the server, in one word: --flags="--max-num-seqs 8"')
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=CONTENDERS)
    parser.add_argument("--out", type=Path, help="the record, as JSON")
    parser.add_argument("--only", choices=CONTENDERS, help=argparse.SUPPRESS)
    parser.add_argument("--url", default="", help=argparse.SUPPRESS)
    parser.add_argument("--server-pid", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--answers", default="", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def shown(name: str, found: dict[str, Any]) -> str:
    """A contender's line on the terminal."""
    if "failed" in found:
        return f"{name:<17}failed: {found['failed']}"
    load = found.get("under_load_p50_p95_s")
    busy = f"{found['cpu_s_per_picture']:.3f} CPU s each" if "cpu_s_per_picture" in found else ""
    return (f"{name:<17}{found['pictures_per_s']:>8.2f} pictures/s  {busy:<18} peak {found['peak_mb']:>6.0f} MB"
            + (f"   alone {found['alone_p50_s']:.3f} / {found['alone_p95_s']:.3f} s" if "alone_p50_s" in found else "")
            + (f"   under load {load[0]:.3f} / {load[1]:.3f} s" if load else ""))


def all_of(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """The record of every contender; those that need a server share one."""
    record: dict[str, Any] = {}

    def run(name: str, **where: Any) -> None:
        if name in options.contenders:
            record[name] = contend(name, options, folder, **where) | {"load_average": os.getloadavg()[0]}
            print(shown(name, record[name]), flush=True)

    run("transformers")
    run("vllm")
    if set(options.contenders) - {"transformers", "vllm"}:
        with server(options) as (url, pid):
            run("served", url=url, server_pid=pid)
            run("requests", url=url, server_pid=pid)
            run("vllm bench serve", url=url, server_pid=pid,
                in_flight=record.get("requests", {}).get("in_flight", options.in_flight[0]))
    return record


def main() -> None:
    options = parsed()
    if options.only:
        work = {"requests": send, "vllm bench serve": vllm_bench}.get(options.only)
        print(json.dumps(work(options) if work else measure(options.only, options)))
        return
    samples, record = chosen(options), provenance.start()
    print(f"{len(samples)} pictures, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        record |= {"n": len(samples), "vllm": str(find_build(options.serve_python))}
        record["contenders"] = all_of(options, folder)
        answers = {name: read_predictions(folder / f"{name}.jsonl") for name in READERS
                   if (folder / f"{name}.jsonl").is_file()}
    record["differences"] = {name: differences(options.model, samples, answers["transformers"], other)
                             for name, other in answers.items() if name != "transformers" and "transformers" in answers}
    for name, found in record["differences"].items():
        print(f"{name}: {len(found)} of {len(samples)} answers differ from those of transformers")
    if options.out:
        provenance.write_text(options.out, json.dumps(record, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
