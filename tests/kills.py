"""Kill transcriptions at random moments, continue each, and compare the end with that of an undisturbed one.

    python tests/kills.py 200          # SIGKILL
    python tests/kills.py 200 INT      # Ctrl-C
    python tests/kills.py 200 KILL 2   # of readings in two processes

A transcription reads pictures through a server that answers after a while, and now and then with a fault. It runs in a
process forked from this one, which has all modules loaded. It is killed at a moment between its start and its end, as
the undisturbed one took, or a moment after some picture's line was written; then the same command goes on, and is
killed again, until one gets to its end. Then:

- `results.jsonl`, and the file asked for with --out, are equal to the undisturbed ones, byte by byte;
- at each kill, the whole lines of `results.jsonl` were the beginning of the undisturbed file;
- no picture was asked for again whose line was there.

Fails loudly where one of these is not so. Prints what was done.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
import tqdm  # noqa: F401
from PIL import Image
from servers import Answer, Server, reset, said, serving

from latexocr import cli, model, provenance  # noqa: F401 (all that is loaded before the first fork is not after it)
from latexocr.bench import answered, each, outputs, transcripts  # noqa: F401
from latexocr.data import inputs  # noqa: F401
from latexocr.reading import endpoint, images, served

PICTURES = 60
OUTS = ("folder", "a.jsonl", "a.csv", "a.md", "a.mml", "a.html")
"""What is asked for, in turn. (The page shows how long a run took: it is there, not compared.)"""
endpoint.Retry.__init__.__defaults__ = (5, 0.01, 0.05, 20.0, 60.0, 20)  # waits of a moment
provenance._commit = lambda: (None, None)  # asking git takes longer than reading these pictures


WAITS = os.WEXITED | os.WNOHANG | os.WNOWAIT


def draw(folder: Path) -> None:
    folder.mkdir()
    for i in range(PICTURES):
        pixels = np.full((40, 260), 255, np.uint8)
        for place, bit in enumerate(f"1{i:06b}"):  # a number in squares: none looks like another
            pixels[10 if bit == "1" else 20:30, 10 + 35 * place:30 + 35 * place] = 0
        Image.fromarray(pixels).save(folder / f"{i:02d}.png")


class Formulas:
    """Answers of the server: by the picture alone, however often; every ninth request is answered by a fault."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self._lock = threading.Lock()

    def __call__(self, request: dict, number: int) -> Answer:
        content = request["messages"][0]["content"][0]["image_url"]["url"].encode()
        time.sleep(0.01 + 0.03 * random.random())
        if number % 9 == 5:
            return random.choice([(500, {}, {}), (429, {}, {}), (200, b"<html>", {}), reset])
        name = hashlib.sha256(content).hexdigest()[:8]
        with self._lock:
            self.asked[name] += 1
        return said(rf"\mathrm{{{name}}}", logprobs=[-0.1])


def start(arguments: list[str]) -> int:
    """A process that transcribes; its id."""
    if pid := os.fork():
        return pid
    signal.signal(signal.SIGINT, signal.default_int_handler)
    log = os.open(Path(arguments[-1]).parent / "said", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1), os.dup2(log, 2)
    sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
    code = 70
    try:
        code = cli.main(arguments)
        sys.stdout.flush(), sys.stderr.flush()
    finally:
        os._exit(code)


def results(out: Path) -> Path:
    return (out if out.name == "folder" else out.with_name(out.name + ".run")) / "results.jsonl"


def lines(path: Path) -> bytes:
    """The whole lines of a file."""
    content = path.read_bytes() if path.exists() else b""
    return content[:content.rfind(b"\n") + 1]


class Trial:
    """Transcriptions of the same pictures into one place, until one of them gets to the end."""

    def __init__(self, server: Server, pictures: Path, out: Path) -> None:
        self.server, self.out = server, out
        out.parent.mkdir()
        self.arguments = ["transcribe", str(pictures), "--model", server.url, "--out", str(out)]

    def _wait_for(self, n: int, pid: int) -> None:
        """Until so many lines are written, or the process is at its end."""
        while lines(results(self.out)).count(b"\n") < n and not os.waitid(os.P_PID, pid, WAITS):
            time.sleep(0.001)

    def undisturbed(self) -> float:
        """Seconds that it took."""
        began = time.monotonic()
        _, status = os.waitpid(start(self.arguments), 0)
        assert status == 0, (self.out.parent / "said").read_text()
        return time.monotonic() - began

    def killed(self, how: signal.Signals, seconds: float, expected: bytes) -> bool:
        """Whether it was stopped before its end, which comes after so many seconds if nothing disturbs it."""
        before = {json.loads(line)["latex"][8:-1] for line in lines(results(self.out)).splitlines()}
        self.server.answer.asked.clear()
        pid = start(self.arguments)
        if random.random() < 0.5:
            time.sleep(random.uniform(0, 1.5 * seconds))
        else:
            self._wait_for(random.randint(len(before), PICTURES), pid)
            time.sleep(random.uniform(0, 0.03))
        os.kill(pid, how)
        _, status = os.waitpid(pid, 0)
        spoken = (self.out.parent / "said").read_text() if (self.out.parent / "said").exists() else ""
        assert not before & set(self.server.answer.asked), "a picture was asked for again whose answer was there"
        assert expected.startswith(lines(results(self.out))), "what is written is not the beginning"
        assert "Traceback" not in spoken, spoken
        if how == signal.SIGINT and os.WIFEXITED(status) and os.waitstatus_to_exitcode(status) == 130:
            assert spoken.strip().endswith("latexocr: interrupted; the same command continues where it stopped.")
            return True
        assert os.WIFSIGNALED(status) or status == 0, spoken
        return os.WIFSIGNALED(status)


def main(kills: int, how: signal.Signals = signal.SIGKILL) -> None:
    random.seed(0)
    stopped = trials = 0
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as place, serving(Server(Formulas())) as server:
        draw(Path(place) / "pictures")
        truth = {}
        images.prepare(next((Path(place) / "pictures").iterdir()))
        served.ServedReader(server.url)._connecting()(0).close()
        while stopped < kills:
            name = OUTS[trials % len(OUTS)]
            if name not in truth:
                true = Trial(server, Path(place) / "pictures", Path(place) / f"truth {name}" / name)
                truth[name] = true, true.undisturbed()
            true, seconds = truth[name]
            trial = Trial(server, Path(place) / "pictures", Path(place) / f"trial {trials}" / name)
            expected = results(true.out).read_bytes()
            assert expected.count(b"\n") == PICTURES and expected.count(b'"stop": "end"') == PICTURES
            while trial.killed(how, seconds, expected) and stopped < kills:
                stopped += 1
            trial.undisturbed()
            assert results(trial.out).read_bytes() == expected
            if name.startswith("a.") and not name.endswith(".html"):
                assert trial.out.read_bytes() == true.out.read_bytes()
            assert not list(trial.out.parent.rglob("*.part"))
            trials += 1
    assert len(set(expected.splitlines())) == PICTURES
    print(f"{stopped} times {how.name} in {trials} transcriptions of {PICTURES} pictures; each ended as the "
          f"undisturbed one; {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    if sys.argv[3:]:
        served.PROCESSES, served.MANY = int(sys.argv[3]), 8
    main(int(sys.argv[1]), signal.Signals[f"SIG{sys.argv[2]}"] if sys.argv[2:] else signal.SIGKILL)
