"""Transcriptions killed at random moments end as undisturbed ones: a few here; `tests/kills.py 200` for more."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(("kills", "how", "processes"), [("12", "KILL", ()), ("3", "INT", ()), ("2", "KILL", ("2",))])
def test_what_was_read_before_a_kill_is_neither_lost_nor_read_again(kills, how, processes):
    script = Path(__file__).parent / "kills.py"
    done = subprocess.run([sys.executable, script, kills, how, *processes], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{kills} times SIG{how}")
