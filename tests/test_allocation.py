"""Memory of large tensors is used again: a second one costs no page."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys, torch
from latexocr.reading.allocation import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
for _ in range(6):
    torch.zeros(10_000_000).add_(1)
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.zeros(10_000_000).add_(1)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator")
def test_a_second_large_tensor_costs_no_pages():
    faults = {name: int(subprocess.run([sys.executable, "-c", SCRIPT, name], capture_output=True, text=True,
                                       check=True).stdout) for name in ("kept", "returned")}
    pages = 40_000_000 // resource.getpagesize()
    assert faults["kept"] < pages / 10 < pages / 2 < faults["returned"]
