"""A data set divided for training and for test, so that nothing of one is known from the other.

Takes samples, gives two lists of them. Whole groups go to one side, by a hash: the same seed gives the same division
anywhere, also when samples are added or come in another order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from latexocr.errors import UserError
from latexocr.latex.canonical import Level, canonical
from latexocr.records import Sample
from latexocr.wording import counted

GROUPS: dict[str, Callable[[Sample], str]] = {
    "formula": lambda sample: canonical(sample.latex or "", Level.VISUAL),
    "subset": lambda sample: sample.subset,
    "folder": lambda sample: sample.id.rpartition("/")[0],
}
"""What stays together: samples of one formula (however spelled), of one subset (a writer, a document, a year), or whose
ids begin with the same folder."""


@dataclass(frozen=True)
class Split:
    train: list[Sample]
    test: list[Sample]


def split(samples: Sequence[Sample], share: float, *, by: str = "formula", seed: int = 0) -> Split:
    """The samples in their order, about `share` of the groups for training and the others for test.

    `by` is one of GROUPS. Raises UserError for another, for a share outside 0 to 1, and where a side would be empty.
    """
    if by not in GROUPS:
        raise UserError(f"Cannot split by '{by}'. Known: {', '.join(GROUPS)}.")
    if not 0 < share < 1:
        raise UserError(f"A share of {share:g} for training leaves nothing for one side. Give one between 0 and 1.")
    groups = [GROUPS[by](sample) for sample in samples]
    sides = {group: _place(group, seed) < share for group in set(groups)}
    parts = Split(*([sample for sample, group in zip(samples, groups, strict=True) if sides[group] is side]
                    for side in (True, False)))
    if not parts.train or not parts.test:
        raise UserError(f"All {counted(len(samples), 'sample')} fell on one side: by {by}, "
                        f"{counted(len(sides), 'group')}. Split by another of {', '.join(GROUPS)}, or with another "
                        "seed.")
    return parts


def _place(group: str, seed: int) -> float:
    """Where a group stands between 0 and 1, by nothing but its name and the seed."""
    digest = hashlib.sha256(f"{seed}\0{group}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
