"""Runs that share a machine: their contenders take turns."""

from __future__ import annotations

import importlib.util
import sys
import threading
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture
def speed(monkeypatch):
    """The script as a module; its neighbours are found beside it."""
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
    spec = importlib.util.spec_from_file_location("serving_speed", BENCHMARKS / "serving_speed.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("shared", [True, False])
def test_one_waits_while_another_measures_with_the_same_file(speed, tmp_path, shared):
    begun = threading.Event()

    def other() -> None:
        with speed.turn(tmp_path / "turn" if shared else None):
            begun.set()

    with speed.turn(tmp_path / "turn"):
        waiting = threading.Thread(target=other)
        waiting.start()
        assert begun.wait(0.3) is not shared
    assert begun.wait(10)
    waiting.join()


def test_a_contender_that_ends_badly_or_too_late_has_failed(speed):
    def raced(program: str, patience: float = 60.0) -> dict:
        return speed.raced("served", [sys.executable, "-c", program], patience, [])

    assert raced("print('words'); print('{\"pictures_per_s\": 2.0}')")["pictures_per_s"] == 2.0
    assert raced("raise SystemExit(3)")["failed"] == "exit code 3"
    assert raced("import time; time.sleep(60)", 0.5) == {"failed": "no end within 0.5 s"}
