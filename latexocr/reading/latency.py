"""How long answers took: counts by length, in a few hundred numbers however many answers there were.

Takes seconds, gives percentiles. Knows nothing of requests.
"""

from __future__ import annotations

import math
from collections import Counter
from threading import Lock

STEP = 1.02
"""Ratio of neighbouring lengths that are told apart: a percentile is right to 1 %."""
SHORTEST = 1e-6
"""Seconds; anything shorter counts as this."""


class Latency:
    """Seconds of many answers. May be added to from many threads."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self._lock = Lock()

    @property
    def n(self) -> int:
        """Answers so far."""
        return self._counts.total()

    def add(self, seconds: float) -> None:
        """Count one answer."""
        with self._lock:
            self._counts[round(math.log(max(seconds, SHORTEST), STEP))] += 1

    def percentile(self, part: float) -> float:
        """Seconds within which `part` (0 to 1) of the answers came; 0 where there are none."""
        with self._lock:
            wanted, seen = part * self._counts.total(), 0
            for step in sorted(self._counts):
                seen += self._counts[step]
                if seen >= wanted:
                    return STEP**step
        return 0.0
