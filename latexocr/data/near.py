"""Formulas that are nearly the same: at most a tenth of their tokens differ.

Takes formulas as tokens, gives the nearest of theirs for each of ours. Knows nothing of pictures or samples.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

SHARE = 0.1
"""Most token edits, of the longer formula's length, between two that are nearly the same."""
AT_ONCE = 20_000
"""Formulas of theirs that are looked through together, so that memory stays small."""


@dataclass(frozen=True)
class Near:
    """The nearest formula of theirs."""

    number: int
    edits: int


@dataclass(frozen=True)
class _Segments:
    """Parts of one length of our formulas, sorted by hash."""

    hashes: np.ndarray
    formula: np.ndarray
    offset: np.ndarray


def nearest(ours: Sequence[Sequence[str]], theirs: Sequence[Sequence[str]]) -> list[Near | None]:
    """For each of our formulas the nearest of theirs within SHARE, None where there is none.

    k edits leave one of k + 1 parts of a formula untouched (the pigeonhole principle): only formulas that hold one of
    those parts, nearly at its place, are compared. Exact, not a sample: nothing within SHARE is missed.
    """
    from rapidfuzz.distance import Levenshtein

    numbers: dict[str, int] = {}
    ours, theirs = ([[numbers.setdefault(token, len(numbers) + 1) for token in formula] for formula in formulas]
                    for formulas in (ours, theirs))
    most = np.array([_most_edits(len(formula)) for formula in ours])
    values = np.random.default_rng(0).integers(1, 2**63, size=len(numbers) + 1, dtype=np.uint64)
    segments = _segments(ours, most, values)
    best: list[Near | None] = [None] * len(ours)
    for i, j in _candidates(ours, theirs, most, values, segments):
        longer = max(len(ours[i]), len(theirs[j]))
        limit = min(int(SHARE * longer + 1e-9), best[i].edits - 1 if best[i] else longer)
        if limit >= 0:
            edits = Levenshtein.distance(ours[i], theirs[j], score_cutoff=limit)
            if edits <= limit:
                best[i] = Near(j, edits)
    return best


def _most_edits(length: int) -> int:
    """Most edits within SHARE of a formula and any other: the other may be the longer one."""
    return int(SHARE * length / (1 - SHARE) + 1e-9)


def _hashes(tokens: np.ndarray, length: int) -> np.ndarray:
    """A hash of each run of so many tokens, given as random numbers: a polynomial modulo 2**64."""
    total = np.zeros(max(0, len(tokens) - length + 1), np.uint64)
    for t in range(length):
        total = total * np.uint64(0x9E3779B97F4A7C15) + tokens[t : t + len(total)]
    return total


def _segments(ours: Sequence[Sequence[int]], most: np.ndarray, values: np.ndarray) -> dict[int, _Segments]:
    """By length: the parts of each formula, one more than it may have edits."""
    found: dict[int, list[tuple[int, int, int]]] = {}
    for i, formula in enumerate(ours):
        ends = np.linspace(0, len(formula), most[i] + 2).astype(int)
        coded = values[formula] if len(formula) else values[:0]
        for start, end in pairwise(ends.tolist()):
            if end > start:
                part = int(_hashes(coded[start:end], end - start)[0])
                found.setdefault(end - start, []).append((part, i, start))
    return {length: _sorted(rows) for length, rows in found.items()}


def _sorted(rows: list[tuple[int, int, int]]) -> _Segments:
    hashes = np.array([row[0] for row in rows], np.uint64)
    order = np.argsort(hashes, kind="stable")
    formula, offset = (np.array([row[k] for row in rows])[order] for k in (1, 2))
    return _Segments(hashes[order], formula, offset)


def _candidates(ours: Sequence[Sequence[int]], theirs: Sequence[Sequence[int]], most: np.ndarray, values: np.ndarray,
                segments: dict[int, _Segments]) -> Iterator[tuple[int, int]]:
    """Pairs that share a part at nearly the same place and are of nearly the same length."""
    our_lengths = np.array([len(formula) for formula in ours])
    for first in range(0, len(theirs), AT_ONCE):
        block = theirs[first : first + AT_ONCE]
        lengths = np.array([len(formula) for formula in block])
        starts = np.concatenate([[0], np.cumsum(lengths)])
        coded = values[np.concatenate([np.array(formula, np.int64) for formula in block])]
        pairs = set()
        for length, known in segments.items():
            hashes = _hashes(coded, length)
            left, right = (np.searchsorted(known.hashes, hashes, side) for side in ("left", "right"))
            hits = np.flatnonzero(right > left)
            counts = (right - left)[hits]
            place = np.repeat(hits, counts)
            which = np.repeat(left[hits] - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
            i, j = known.formula[which], np.searchsorted(starts, place, "right") - 1
            shift = np.abs(place - starts[j] - known.offset[which])
            fits = (shift <= most[i]) & (np.abs(our_lengths[i] - lengths[j]) <= most[i])
            pairs.update(zip(i[fits].tolist(), j[fits].tolist()))
        yield from ((i, first + j) for i, j in sorted(pairs))
