"""How many requests in flight: found out by the client, against fixed numbers, on servers of several kinds.

    python benchmarks/requests_in_flight.py 400

Each server answers in a process of its own, after the time that its kind takes; nothing is read by a model. Prints
seconds for so many pictures (the same one).
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from latexocr.reading import GenerateConfig
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
ANSWER = json.dumps({"choices": [{"message": {"content": "x"}, "finish_reason": "stop"}]})
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


def seconds(kind: str, in_flight: int | None, n: int) -> float:
    server = subprocess.Popen([sys.executable, __file__, "serve", kind], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True)
    try:
        url = f"http://127.0.0.1:{server.stdout.readline().strip()}/v1"
        reader = ServedReader(url, config=GenerateConfig(batch_size=in_flight))
        began = time.monotonic()
        assert sum(p.stop == "end" for p in reader.read(pictures(n))) == n
        return time.monotonic() - began
    finally:
        server.kill()


def main(n: int) -> None:
    tried = (16, 64, None)
    print(f"{n} pictures, seconds{'':>32}" + "".join(f"{'found out' if k is None else k:>11}" for k in tried))
    for kind in KINDS:
        took = [seconds(kind, k, n) for k in tried]
        print(f"{kind:<50}" + "".join(f"{t:>11.1f}" for t in took), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        asyncio.run(serve(*KINDS[sys.argv[2]]))
    else:
        main(int(sys.argv[1]))
