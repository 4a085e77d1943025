"""The clients that `serving_speed.py` compares ours with: requests made beforehand, and `vllm bench serve`.

Each gives its rate and times as fields of the record.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import math
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from resources import watched

from latexocr.reading import GenerateConfig
from latexocr.records import Sample

BEGAN = time.monotonic()


def note(what: str) -> None:
    """When a phase begins, for the log."""
    print(f"{time.strftime('%H:%M:%S')} {time.monotonic() - BEGAN:6.1f} s  {what}", file=sys.stderr, flush=True)


def rank(seconds: Sequence[float], part: float) -> float:
    """The smallest of sorted times within which `part` of them lie."""
    return seconds[max(0, math.ceil(part * len(seconds)) - 1)] if seconds else math.nan


def send(samples: Sequence[Sample], options: argparse.Namespace, roots: Sequence[int]) -> dict[str, Any]:
    """The best rate of plain requests over several numbers in flight: nothing is prepared or understood meanwhile."""
    note("requests: are made")
    bodies = [json.dumps(request(sample, options.max_tokens)).encode() for sample in samples]
    best: dict[str, Any] = {"pictures_per_s": 0.0}
    clients = max(1, min(4, (os.cpu_count() or 1) // 4))
    with ProcessPoolExecutor(clients) as pool:  # One process sends some 2,000 requests a second.
        for in_flight in options.in_flight:
            def together(n: int, seconds: float, in_flight: int = in_flight) -> list[float]:
                parts = [pool.submit(flood, options.url, bodies, max(1, in_flight // clients), -(-n // clients),
                                     seconds) for _ in range(clients)]
                return [seconds for part in parts for seconds in part.result()]

            together(options.warm, 0.0)
            note(f"requests: {in_flight} in flight")
            with watched(roots) as load:
                times = together(len(bodies), options.seconds)
            found = rate(len(times), load) | {
                "in_flight": in_flight, "under_load_p50_p95_s": [rank(sorted(times), part) for part in (0.5, 0.95)]}
            note(f"requests: {found['pictures_per_s']:.1f} a second")
            best = max(best, found, key=lambda one: one["pictures_per_s"])
    return best


def rate(pictures: int, load: dict[str, Any]) -> dict[str, Any]:
    """Pictures a second, and what was busy meanwhile (`resources.watched`)."""
    busy = {name: load[name] for name in ("cores", "gpu_percent") if name in load}
    return {"pictures_per_s": pictures / load["seconds"], "seconds": load["seconds"], "pictures": pictures,
            "cpu_s_per_picture": load["cpu_s"] / pictures, **busy}


def request(sample: Sample, max_tokens: int) -> dict[str, Any]:
    """What our client asks for a picture."""
    from latexocr.reading.conversation import conversation
    from latexocr.reading.images import prepare
    from latexocr.reading.served import openai_messages

    config = GenerateConfig(max_tokens=max_tokens)
    return {"model": "latexocr", "messages": openai_messages(conversation(prepare(sample.image))), "logprobs": True,
            "max_tokens": config.max_tokens, "temperature": config.temperature, "seed": config.seed}


def flood(url: str, bodies: Sequence[bytes], in_flight: int, n: int, seconds: float) -> list[float]:
    """Seconds to each answer, of `n` requests, or of as many as are answered in so many seconds if those are more."""
    return asyncio.run(_flood(url, bodies, in_flight, n, seconds))


async def _flood(url: str, bodies: Sequence[bytes], in_flight: int, n: int, seconds: float) -> list[float]:
    import aiohttp

    begun = time.perf_counter()
    urls = url.split(",")
    wanted = itertools.takewhile(lambda i: i < n or time.perf_counter() - begun < seconds, itertools.count())
    left, times = (bodies[i % len(bodies)] for i in wanted), []

    async def client(session: aiohttp.ClientSession, number: int) -> None:
        for body in left:
            asked = time.perf_counter()
            async with session.post(f"{urls[number % len(urls)]}/chat/completions", data=body) as answer:
                await answer.read()
                answer.raise_for_status()
            times.append(time.perf_counter() - asked)

    headers, connector = {"Content-Type": "application/json"}, aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(headers=headers, connector=connector,
                                     timeout=aiohttp.ClientTimeout(total=None)) as session:
        await asyncio.gather(*(client(session, number) for number in range(in_flight)))
    return times


def vllm_bench(samples: Sequence[Sample], options: argparse.Namespace, roots: Sequence[int]) -> dict[str, Any]:
    """`vllm bench serve` with the same pictures, as many in flight as plain requests did best with."""
    from vllm.benchmarks.serve import add_cli_args, main
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    from latexocr.reading.inputs import resolve

    contents = [request(sample, 1)["messages"][0]["content"] for sample in samples]
    contents *= max(1, round(options.expect * options.seconds / len(contents)))
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
        note(f"vllm bench serve: {len(contents)} requests, {options.in_flight[0]} in flight")
        with contextlib.redirect_stdout(sys.stderr), watched(roots) as load:
            found = main(parser.parse_args([*words, "--disable-shuffle", "--no-oversample", "--disable-tqdm"]))
    if found["completed"] < len(contents):
        raise RuntimeError(f"{found['completed']} of {len(contents)} requests were answered")
    return {"pictures_per_s": found["request_throughput"], "seconds": found["duration"], "pictures": len(contents),
            "in_flight": options.in_flight[0], "cores": load["cores"],
            "under_load_p50_p95_s": [found["p50_e2el_ms"] / 1000, found["p95_e2el_ms"] / 1000]}
