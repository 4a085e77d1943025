"""Counts in sentences: one sample, two samples."""

from __future__ import annotations


def counted(n: int | str, thing: str) -> str:
    """A number and what it counts: "1 sample", "2 samples", "1,000 samples", "no samples"."""
    return f"{n} {thing}" if str(n) == "1" else f"{n} {thing}s"
