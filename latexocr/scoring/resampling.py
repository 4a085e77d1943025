"""The paired bootstrap: what the summed counts of a set would have been, had other pairs been drawn.

Takes tables of counts, gives their sums and 10,000 resampled sums. A set comes in any number of pieces, whose tallies
add up to the tally of the whole, so memory does not grow with the set. All columns are resampled together: the same
pairs are drawn for each metric and each model (Efron and Tibshirani, 1993; paired as in Koehn, 2004).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

RESAMPLES = 10_000
PIECE = 4096
"""Rows that are resampled at a time; the seed's draws belong to such pieces."""
CELLS = 1 << 20
"""Most weights held at a time: 8 MB."""


@dataclass(frozen=True)
class Tally:
    """Sums over the rows of a table, and over each of its resamples."""

    sums: np.ndarray
    """Shape (columns,)."""
    resamples: np.ndarray
    """Shape (RESAMPLES, columns)."""

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.sums + other.sums, self.resamples + other.resamples)

    def of(self, columns: slice) -> Tally:
        """The tally of some of the columns."""
        return Tally(self.sums[columns], self.resamples[:, columns])


def no_tally(columns: int) -> Tally:
    """The tally of no rows, to which others are added."""
    import numpy as np

    return Tally(np.zeros(columns), np.zeros((RESAMPLES, columns)))


def tally(table: np.ndarray, seed: int) -> Tally:
    """The tally of a whole table; reproducible for its order of rows."""
    n = len(table)
    parts = (tally_piece(table[rows_of(piece, n)], piece, n, seed) for piece in range(pieces(n)))
    return sum(parts, no_tally(table.shape[1]))


def pieces(n: int) -> int:
    """Into how many pieces n rows are cut."""
    return -(-n // PIECE)


def rows_of(piece: int, n: int) -> slice:
    """The rows of a piece."""
    return slice(piece * PIECE, min((piece + 1) * PIECE, n))


def tally_piece(rows: np.ndarray, piece: int, n: int, seed: int) -> Tally:
    """The tally of one piece of a table of n rows.

    A resample draws n rows with replacement. How many of them fall into this piece is drawn first, alike for all who
    ask, and then which: so pieces may be tallied anywhere, in any order, and n are drawn in all.
    """
    import numpy as np

    drawn = _drawn(n, seed)[:, piece]
    random = np.random.default_rng([seed, piece])
    counted = np.ascontiguousarray(rows, dtype=np.float32)
    found = np.empty((RESAMPLES, rows.shape[1]), dtype=np.float32)
    step = max(1, CELLS // len(rows))
    for start in range(0, RESAMPLES, step):
        found[start:start + step] = _weights(drawn[start:start + step], len(rows), random) @ counted
    return Tally(rows.sum(axis=0), found)


def _drawn(n: int, seed: int) -> np.ndarray:
    """How many rows each resample takes of each piece; shape (RESAMPLES, pieces), n in each row."""
    import numpy as np

    sizes = np.array([rows_of(piece, n).stop - rows_of(piece, n).start for piece in range(pieces(n))])
    return np.random.default_rng([seed]).multinomial(n, sizes / n, size=RESAMPLES)


def _weights(drawn: np.ndarray, rows: int, random: np.random.Generator) -> np.ndarray:
    """How often each resample takes each row; shape (resamples, rows). As 32-bit floats: whole numbers up to 2^24 are
    exact in them, so sums of counts within a piece are."""
    import numpy as np

    places = random.integers(0, rows, size=int(drawn.sum()), dtype=np.uint16).astype(np.int64)
    places += np.repeat(np.arange(len(drawn)) * rows, drawn)
    return np.bincount(places, minlength=len(drawn) * rows).reshape(len(drawn), rows).astype(np.float32)


def by_group(table: np.ndarray, groups: Sequence[Hashable] | None) -> np.ndarray:
    """Counts summed over each group, in order of first appearance; without groups, the table itself.

    Raises ValueError where there is not one group a row.
    """
    if groups is None:
        return table
    import numpy as np

    if len(groups) != len(table):
        raise ValueError(f"{len(groups)} groups for {len(table)} pairs")
    numbers: dict[Hashable, int] = {}
    index = [numbers.setdefault(group, len(numbers)) for group in groups]
    summed = np.zeros((len(numbers), table.shape[1]))
    np.add.at(summed, index, table)
    return summed
