"""Who is busy while something is measured: shares of a core by kind of process, and a GPU's utilization."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
TURNS = "import sys, time\nprint(flush=True)\nwhile True:\n    {}\n"


def script(name: str):
    """A script of benchmarks/ as a module, without a second way to import it."""
    spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


resources = script("resources")


@pytest.fixture
def turning(tmp_path):
    """Starts a program that does this for ever."""
    started = []

    def start(name: str, what: str) -> int:
        (tmp_path / name).write_text(TURNS.format(what))
        started.append(subprocess.Popen([sys.executable, tmp_path / name], stdout=subprocess.PIPE))
        started[-1].stdout.readline()  # It has begun.
        return started[-1].pid

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_the_busy_one_is_named_and_the_idle_one_left_out(turning):
    roots = [turning("busy.py", "pass"), turning("idle.py", "time.sleep(0.2)")]
    with resources.watched(roots) as load:
        time.sleep(0.8)
    assert [row["process"] for row in load["cores"]] == ["busy.py"]
    row = load["cores"][0]
    assert row["number"] == 1 and row["all"] == row["busiest"] == row["busiest_thread"]
    assert 0.05 < row["all"] < 1.2  # Others may want the core too.
    assert load["cpu_s"] == pytest.approx(row["all"] * load["seconds"], abs=0.1)
    assert 0.8 <= load["seconds"] < 8


def test_one_that_ends_meanwhile_is_counted(turning, monkeypatch):
    monkeypatch.setattr(resources, "LOOK_S", 0.1)
    pid = turning("busy.py", "pass")
    with resources.watched([pid]) as load:
        time.sleep(0.8)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        time.sleep(0.3)
    row, = load["cores"]
    assert row["process"] == "busy.py" and row["all"] > 0.05 and load["cpu_s"] > 0.05


def test_threads_add_up_within_a_process_and_processes_within_their_kind():
    titles = {1: "server", 2: "server", 3: "engine"}
    before = {(1, 1): 10.0, (2, 2): 5.0, (3, 3): 0.0}
    after = {(1, 1): 12.0, (1, 9): 1.0, (2, 2): 6.0, (3, 3): 3.8, (3, 4): 0.01}  # A thread that began meanwhile.
    engine, server = resources.shares(before, after, 4.0, titles)
    assert server == {"process": "server", "number": 2, "all": 1.0, "busiest": 0.75, "busiest_thread": 0.5}
    assert engine == {"process": "engine", "number": 1, "all": 0.95, "busiest": 0.95, "busiest_thread": 0.95}


@pytest.mark.parametrize(("words", "expected"), [
    (["VLLM::EngineCore_DP1"], "VLLM::EngineCore"), (["VLLM::EngineCore"], "VLLM::EngineCore"),
    (["VLLM::ApiServer_12  "], "VLLM::ApiServer"),
    (["/usr/bin/python3", "-P", "-m", "vllm.entrypoints.cli.main", "serve"], "vllm.entrypoints.cli.main"),
    (["python", "/a/b/serving_speed.py", "--data", "x"], "serving_speed.py"), (["/bin/sh"], "sh"),
])
def test_names(words, expected):
    assert resources.kind(words) == expected


def test_utilization_of_each_gpu():
    said = "0, 12\n1, 0\n0, 14\n1, [N/A]\nNo devices were found\n"
    assert resources.utilization(said.splitlines()) == {"0": 13.0, "1": 0.0}


def test_a_gpu_is_watched_where_nvidia_smi_is(tmp_path, monkeypatch):
    fake = tmp_path / "nvidia-smi"
    fake.write_text('#!/bin/sh\necho "$@" > "$(dirname "$0")/asked"\necho "2, 40"\n')
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2")
    with resources.watched([os.getpid()]) as load:
        time.sleep(1.2)
    assert load["gpu_percent"] == {"2": 40.0}
    assert "-i 2" in (tmp_path / "asked").read_text()
