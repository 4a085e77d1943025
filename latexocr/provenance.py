"""Where a result comes from: the command, the code, the packages and the machine of one start. Files replaced at once,
and folders that one process writes to.

Gives a dictionary for `run.json`. Knows nothing of models, data or scores.
"""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from latexocr.errors import UserError

PACKAGES = ("latexocr", "torch", "transformers", "peft", "trl", "unsloth", "vllm", "datasets", "accelerate", "numpy",
            "pillow", "sacrebleu", "scipy")


def start() -> dict[str, Any]:
    """This start: command line, time, commit of the code, package versions, processor, and GPU if torch is loaded."""
    commit, changes = _commit()
    return {
        "command": shlex.join(sys.argv),
        "started": now(),
        "commit": commit,
        "uncommitted_changes": None if changes is None else bool(changes),
        "uncommitted_sha256": sha256(changes.encode()).hexdigest() if changes else None,
        "python": platform.python_version(),
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
        "platform": platform.platform(),
        "cpu": _cpu(),
        "cpus": os.cpu_count(),
        "gpu": gpu(),
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _commit() -> tuple[str | None, str | None]:
    """Commit of the checkout this code lies in, and what `git diff HEAD` says; (None, None) for an installed copy."""
    here = Path(__file__).parent

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(here), *arguments]
        return subprocess.run(command, check=True, capture_output=True, encoding="utf-8", errors="replace",
                              timeout=20).stdout.strip()

    try:
        # An environment inside somebody's repository must not pass for a checkout of ours.
        git("ls-files", "--error-unmatch", Path(__file__).name)
        return git("rev-parse", "HEAD"), git("diff", "HEAD")
    except (OSError, subprocess.SubprocessError):
        return None, None


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def gpu() -> str | None:
    """Name of the GPU, where torch is loaded and sees one."""
    return cuda.get_device_name() if (cuda := loaded_cuda()) else None


def loaded_cuda() -> Any:
    """`torch.cuda`, where torch is loaded and sees a GPU; else None."""
    torch = sys.modules.get("torch")  # Never imported for this: a served model or a predictions file needs no torch.
    return torch.cuda if torch is not None and torch.cuda.is_available() else None


def now() -> str:
    """The time, in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def write_text(path: Path, text: str) -> None:
    """Replace a file at once: a kill leaves the old one or the new one, never half of it."""
    beside = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # A name on a command line may be no UTF-8; such bytes are spelled out, in JSON as JSON spells them.
        beside.write_text(text, encoding="utf-8", errors="backslashreplace")
        beside.replace(path)
    except OSError as e:
        with suppress(OSError):
            beside.unlink()
        raise UserError(f"{path}: cannot be written ({e.strerror or e}). Make room, or give another --out.") from e


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_PEAK = Path("/proc/self/clear_refs"), Path("/proc/self/status")
"""Where Linux forgets, and tells, the most memory that this process had."""


def forget_peak_memory() -> None:
    """Let the peaks of memory begin anew, where the system can (Linux; a CUDA GPU)."""
    with suppress(OSError):
        _PEAK[0].write_text("5")
    if cuda := loaded_cuda():
        cuda.reset_peak_memory_stats()


def peak_memory() -> dict[str, float | None]:
    """Peaks of memory in MB (10^6 bytes): of the process, and of what torch holds on the GPU; None where unknown."""
    try:
        lines = dict(line.split(":", 1) for line in _PEAK[1].read_text().splitlines())
        memory = round(int(lines["VmHWM"].split()[0]) * 1024 / 1e6, 1)
    except (OSError, KeyError, ValueError):
        memory = None
    cuda = loaded_cuda()
    return {"memory_mb": memory, "gpu_memory_mb": round(cuda.max_memory_allocated() / 1e6, 1) if cuda else None}


LET_GO_S = 1.0
"""Seconds that a folder is waited for."""


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Refuse a folder that another process is writing to. (Windows has no such lock, and goes without.)"""
    if sys.platform == "win32":
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        _lock(handle, folder)
        yield
    finally:
        os.close(handle)


def _lock(handle: int, folder: Path) -> None:
    """Lock a folder. What was killed a moment ago may hold it for another: a program that it had just started."""
    import fcntl

    end = monotonic() + LET_GO_S
    while True:
        try:
            return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as e:
            if monotonic() > end:
                raise UserError(f"{folder}: another latexocr is writing there now. Wait for it, or give another --out."
                                ) from e
            sleep(0.05)
