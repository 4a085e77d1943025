"""What programs take of a machine, with all that they start: memory, and time of its processors."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path


class Peak(threading.Thread):
    """The most memory that processes and their descendants have had, in MB; of a GPU too, where nvidia-smi is."""

    def __init__(self, *roots: int) -> None:
        super().__init__(daemon=True)
        self.roots, self.mb, self.gpu_mb, self.ended = roots, 0.0, 0.0, threading.Event()

    def run(self) -> None:
        while not self.ended.wait(1.0):
            self.mb = max(self.mb, sum(map(proportional_mb, descendants(self.roots))))
            if shutil.which("nvidia-smi"):
                query = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
                used = subprocess.run(query, capture_output=True, text=True, check=False).stdout.split()
                self.gpu_mb = max(self.gpu_mb, sum(map(float, used)))


def cpu_seconds(roots: Sequence[int]) -> float:
    """Processor time that programs and their descendants have taken so far; on a busy machine the steadier measure."""
    ticks = 0
    for pid in descendants(roots):
        with contextlib.suppress(OSError):
            ticks += sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


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
