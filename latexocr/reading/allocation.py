"""Memory between two layers: freed, it is used again instead of going back to the system page by page.

By itself glibc asks the system for every tensor of 32 MB and gives it back at once; each page is then fetched anew, and
in a virtual machine from the host: 8,000 pages a picture of a folder read together.
"""

from __future__ import annotations

import ctypes
import sys

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of malloc.h."""
LARGEST = 2**30
"""Bytes up to which memory is kept."""


def keep_freed_memory() -> None:
    """For the whole process; nothing where the C library is not glibc."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(MMAP_THRESHOLD, LARGEST)
        mallopt(TRIM_THRESHOLD, LARGEST)
