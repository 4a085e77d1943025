"""What programs take of a machine, with all that they start: memory, time of its processors, and how busy a GPU is."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import statistics
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

TICK = 1 / os.sysconf("SC_CLK_TCK")
"""Seconds in which /proc counts."""
LOOK_S = 2.0
"""Between two looks at what every thread has taken: of one that ended since the last the rest is not known."""
WORTH_NAMING = 0.05
"""Of a core: processes that take less are left out of records."""


class Peak(threading.Thread):
    """The most memory that processes and their descendants have had, in MB; of a GPU too, where nvidia-smi is."""

    def __init__(self, *roots: int) -> None:
        super().__init__(daemon=True)
        self.roots, self.mb, self.gpu_mb, self.ended = roots, 0.0, 0.0, threading.Event()

    def run(self) -> None:
        while not self.ended.wait(1.0):
            self.mb = max(self.mb, sum(map(proportional_mb, descendants(self.roots))))
            if shutil.which("nvidia-smi"):
                used = subprocess.run(nvidia_smi("memory.used"), capture_output=True, text=True, check=False).stdout
                self.gpu_mb = max(self.gpu_mb, sum(map(float, used.split())))


def nvidia_smi(query: str) -> list[str]:
    """Asks for numbers of the GPUs that programs started from here see."""
    seen = os.environ.get("CUDA_VISIBLE_DEVICES")
    return ["nvidia-smi", f"--query-gpu={query}", "--format=csv,noheader,nounits", *(["-i", seen] if seen else [])]


def card() -> str | None:
    """The name of the first GPU that programs started from here see, where nvidia-smi is."""
    if not shutil.which("nvidia-smi"):
        return None
    done = subprocess.run(nvidia_smi("name"), capture_output=True, text=True, check=False)
    return next(iter(done.stdout.splitlines()), None)


class Taken(threading.Thread):
    """What programs and their descendants have taken of the cores, those included that end meanwhile."""

    def __init__(self, roots: Sequence[int]) -> None:
        super().__init__(daemon=True)
        self.roots, self.ended = roots, threading.Event()
        self.threads: dict[tuple[int, int], float] = {}
        self.processes: dict[int, float] = {}
        self.titles: dict[int, str] = {}
        self.look()

    def look(self) -> None:
        self.threads |= thread_seconds(self.roots)
        self.processes |= process_seconds(self.roots)
        self.titles |= {pid: name for pid in self.processes if (name := title(pid)) != "ended"}

    def run(self) -> None:
        while not self.ended.wait(LOOK_S):
            self.look()

    def end(self) -> None:
        self.ended.set()
        self.join()
        self.look()


@contextlib.contextmanager
def watched(roots: Sequence[int]) -> Iterator[dict[str, Any]]:
    """How busy the machine is meanwhile; filled in at the end.

    `seconds`; `cpu_s`, what programs and their descendants took of its cores; `cores`, the shares of a core of each
    kind of them and of their busiest thread (1.0 is all that a thread can have); `gpu_percent`, the mean of each GPU's
    utilization: the part of the time in which anything ran on it.
    """
    found: dict[str, Any] = {}
    lines: list[str] = []
    ended = threading.Event()
    threading.Thread(target=ask_gpus, args=(lines, ended), daemon=True).start()
    try:
        taken = Taken(roots)
        before, busy, begun = dict(taken.threads), sum(taken.processes.values()), time.perf_counter()
        taken.start()
        yield found
        seconds = time.perf_counter() - begun
        taken.end()
        found |= {"seconds": seconds, "cpu_s": sum(taken.processes.values()) - busy,
                  "cores": shares(before, taken.threads, seconds, taken.titles)}
    finally:
        ended.set()
    if percent := utilization(lines):
        found["gpu_percent"] = percent


def ask_gpus(lines: list[str], ended: threading.Event) -> None:
    """Twice a second how busy each GPU is, until it is ended."""
    while shutil.which("nvidia-smi") and not ended.wait(0.5):
        done = subprocess.run(nvidia_smi("index,utilization.gpu"), capture_output=True, text=True, check=False)
        lines.extend(done.stdout.splitlines())


def utilization(lines: Iterable[str]) -> dict[str, float]:
    """Mean of each GPU, of lines "INDEX, PERCENT"; what is no number ("[N/A]") is left out."""
    of_gpu = defaultdict(list)
    for line in lines:
        if found := re.fullmatch(r"(\d+), (\d+)\s*", line):
            of_gpu[found[1]].append(float(found[2]))
    return {gpu: round(statistics.fmean(percents), 1) for gpu, percents in of_gpu.items()}


def shares(before: Mapping[tuple[int, int], float], after: Mapping[tuple[int, int], float], seconds: float,
           titles: Mapping[int, str]) -> list[dict[str, Any]]:
    """Of a core, by kind of process, the busiest first: all of that kind, the busiest process, its busiest thread."""
    kinds: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for (process, thread), ticks in after.items():
        kinds[titles.get(process, "ended")][process].append((ticks - before.get((process, thread), 0.0)) / seconds)
    rows = [{"process": kind, "number": len(threads), "all": round(sum(map(sum, threads.values())), 2),
             "busiest": round(max(map(sum, threads.values())), 2),
             "busiest_thread": round(max(map(max, threads.values())), 2)} for kind, threads in kinds.items()]
    return sorted((row for row in rows if row["all"] >= WORTH_NAMING), key=lambda row: -row["busiest_thread"])


def title(pid: int) -> str:
    """What a process is, if it is still there."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_text().strip("\0").split("\0")
    except OSError:
        return "ended"
    return kind(words) if words[0] else "ended"  # Nobody has asked for its end yet.


def kind(words: Sequence[str]) -> str:
    """Of a command line: vLLM names its processes, here without their numbers; of others it is the module or script."""
    if words[0].startswith("VLLM::"):
        return re.sub(r"(_DP|_)?\d*$", "", words[0].strip())
    return next((word for word in words[1:] if not word.startswith("-")), words[0]).rpartition("/")[2][:60]


def thread_seconds(roots: Sequence[int]) -> dict[tuple[int, int], float]:
    """Processor time of every thread of programs and their descendants so far, by process and thread."""
    found = {}
    for pid in descendants(roots):
        for stat in Path(f"/proc/{pid}/task").glob("*/stat"):
            with contextlib.suppress(OSError):
                found[pid, int(stat.parent.name)] = seconds_of(stat)
    return found


def cpu_seconds(roots: Sequence[int]) -> float:
    """Processor time that programs and their descendants have taken so far; on a busy machine the steadier measure."""
    return sum(process_seconds(roots).values())


def process_seconds(roots: Sequence[int]) -> dict[int, float]:
    """The same, of each process that is still there."""
    found = {}
    for pid in descendants(roots):
        with contextlib.suppress(OSError):
            found[pid] = seconds_of(Path(f"/proc/{pid}/stat"))
    return found


def seconds_of(stat: Path) -> float:
    """Of a process or a thread, for itself and for the system. Raises OSError where it has ended."""
    return sum(map(int, stat.read_text().rpartition(")")[2].split()[11:13])) * TICK


def descendants(roots: Sequence[int]) -> set[int]:
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found, more = set(roots), set(roots)
    while more := {pid for pid, parent in parents.items() if parent in more} - found:
        found |= more
    return found


def proportional_mb(pid: int) -> float:
    """Proportional set size: what several processes share counts once."""
    with contextlib.suppress(OSError, StopIteration):
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
    return 0.0
