"""Memory between two layers: freed, it is used again instead of going back to the system page by page.

By itself glibc asks the system for every tensor of 32 MB and gives it back at once; each page is then fetched anew, and
in a virtual machine from the host: 8,000 pages a picture of a folder read together.
"""

from __future__ import annotations

import ctypes
import sys

TRIM_THRESHOLD, MMAP_THRESHOLD, ARENA_MAX = -1, -3, -8
"""M_TRIM_THRESHOLD, M_MMAP_THRESHOLD and M_ARENA_MAX of malloc.h."""
LARGEST = 2**30
"""Bytes up to which memory is kept."""


def keep_freed_memory() -> None:
    """For the whole process, best before it has threads; nothing where the C library is not glibc."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(MMAP_THRESHOLD, LARGEST)
        mallopt(TRIM_THRESHOLD, LARGEST)
        mallopt(ARENA_MAX, 1)  # A thread's own memory is at most 64 MB, and what it freed there serves no other.
