"""How many requests in flight: found out by the client, against fixed numbers, on servers of several kinds.

    python benchmarks/requests_in_flight.py 400
    python benchmarks/requests_in_flight.py client 2000 im2latex:im2latex_sample [OUT.json]

Each server answers in a process of its own, after the time that its kind takes; nothing is read by a model. The first
prints seconds for so many pictures (the same one). The second, what our client takes of a machine where the server
answers after 0.1 s: pictures a second, and milliseconds of processors a picture, by processes and requests in flight.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from latexocr import provenance
from latexocr.data.sources import load
from latexocr.provenance import cores
from latexocr.reading import GenerateConfig, served
from latexocr.reading.served import ServedReader
from latexocr.records import Sample

KINDS = {
    "0.1 s, any number at once": (0.1, 10**6, 0.0, 10**6),
    "0.5 s, any number at once": (0.5, 10**6, 0.0, 10**6),
    "2 s, any number at once": (2.0, 10**6, 0.0, 10**6),
    "0.5 s, 4 at once": (0.5, 4, 0.0, 10**6),
    "0.5 s, 64 at once": (0.5, 64, 0.0, 10**6),
    "a batch: 0.3 s, and 10 ms for each beside it": (0.3, 10**6, 0.01, 10**6),
    "0.3 s, refuses (429) more than 12": (0.3, 10**6, 0.0, 12),
}
"""Seconds an answer, how many at once (others wait), seconds more for each other, how many are let in."""
TOKEN = {"token": "x", "logprob": -0.01, "bytes": [120], "top_logprobs": []}
ANSWER = json.dumps({"choices": [{"message": {"content": "xyz" * 11}, "finish_reason": "stop",
                                  "logprobs": {"content": [TOKEN] * 33}}]})
"""Of 33 tokens, as an answer is on the average; its log probabilities are most of it."""
MODELS = json.dumps({"data": [{"id": "m"}]})


async def serve(seconds: float, at_once: int, more: float, let_in: int) -> None:
    places, now = asyncio.Semaphore(at_once), 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal now
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = next((int(line.split(b":")[1]) for line in head.lower().split(b"\r\n")
                           if line.startswith(b"content-length")), 0)
            await reader.readexactly(length)
            status, text = "200 OK", MODELS
            if head.startswith(b"POST"):
                now += 1
                if now > let_in:
                    status, text = "429 Too Many Requests", "{}"
                else:
                    async with places:
                        await asyncio.sleep(seconds + more * now)
                    text = ANSWER
                now -= 1
            writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode())

    server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=1000)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def pictures(n: int) -> Iterator[Sample]:
    return (Sample(str(i), Path(__file__).parent.parent / "examples/fractions.png") for i in range(n))


@contextlib.contextmanager
def serving(kind: str) -> Iterator[str]:
    """The URL of a server of this kind."""
    server = subprocess.Popen([sys.executable, __file__, "serve", kind], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True)
    try:
        yield f"http://127.0.0.1:{server.stdout.readline().strip()}/v1"
    finally:
        server.kill()


def seconds(kind: str, in_flight: int | None, n: int) -> float:
    with serving(kind) as url:
        reader = ServedReader(url, config=GenerateConfig(batch_size=in_flight))
        began = time.monotonic()
        assert sum(p.stop == "end" for p in reader.read(pictures(n))) == n
        return time.monotonic() - began


def cost(processes: int, in_flight: int, samples: Sequence[Sample]) -> dict[str, float]:
    """What reading takes: `main_ms` is of the process that began it, `processor_ms` of it and those it started."""
    served.PROCESSES = processes
    with serving("0.1 s, any number at once") as url:
        reader = ServedReader(url, config=GenerateConfig(batch_size=in_flight))
        before, began = cpu_ms(), time.monotonic()
        assert sum(p.stop == "end" for p in reader.read(samples)) == len(samples)
        took, after = time.monotonic() - began, cpu_ms()
    main, all_of_it = ((b - a) / len(samples) for a, b in zip(before, after))
    return {"processes": processes, "in_flight": in_flight, "pictures_per_s": round(len(samples) / took, 1),
            "main_ms": round(main, 3), "processor_ms": round(all_of_it, 3)}


def cpu_ms() -> tuple[float, float]:
    """Processor time so far: of this process, and with all that have ended of those that it started."""
    own, others = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    mine = own.ru_utime + own.ru_stime
    return 1000 * mine, 1000 * (mine + others.ru_utime + others.ru_stime)


def client(n: int, spec: str, out: Path | None = None) -> None:
    found = list(itertools.islice(itertools.cycle(load(spec)), n))
    samples = [replace(sample, id=str(number)) for number, sample in enumerate(found)]
    rows = []
    for in_flight, processes in itertools.product((64, 256), (1, *(2**i for i in range(1, 5) if 2**i <= cores()))):
        rows.append(cost(processes, in_flight, samples))
        print(*(f"{name} {value}" for name, value in rows[-1].items()), sep=", ", flush=True)
    if out:
        record = provenance.start() | {"n": n, "load_average": os.getloadavg()[0], "rows": rows}
        provenance.write_text(out, json.dumps(record, indent=1) + "\n")


def main(n: int) -> None:
    tried = (16, 64, None)
    print(f"{n} pictures, seconds{'':>32}" + "".join(f"{'found out' if k is None else k:>11}" for k in tried))
    for kind in KINDS:
        took = [seconds(kind, k, n) for k in tried]
        print(f"{kind:<50}" + "".join(f"{t:>11.1f}" for t in took), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        asyncio.run(serve(*KINDS[sys.argv[2]]))
    elif sys.argv[1] == "client":
        client(int(sys.argv[2]), sys.argv[3], *map(Path, sys.argv[4:]))
    else:
        main(int(sys.argv[1]))
