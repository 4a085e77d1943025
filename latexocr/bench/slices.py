"""Scores of parts of a data set: by length, by structure, by the data set's own subsets.

Takes samples and the counts of one metric, gives a Score for each part and column. Parts are formed from the
references alone, so they are the same for every model. Knows nothing of predictions or files.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING

from latexocr.latex.tokens import tokenize
from latexocr.records import Sample
from latexocr.scoring.metrics import Comparison, Metric, Score
from latexocr.scoring.statistics import compare_parts, score

if TYPE_CHECKING:
    import numpy as np

LENGTHS = ((1, 10), (11, 20), (21, 40), (41, 80), (81, None))
"""Tokens of a reference, both ends included."""

STRUCTURES = {
    "fraction": r"\\[dtc]?frac\b|\\over\b|\\d?binom\b",
    "root": r"\\sqrt\b",
    "sum, product or integral": r"\\(sum|prod|int|iint|iiint|oint|bigcup|bigcap)(?![a-zA-Z])",
    "matrix or array": r"\\begin\{([bpvBV]?(small)?matrix|array|cases)|\\(matrix|pmatrix|cases)\b",
    "several rows": r"\\\\",
    "text": r"\\(text|mbox|textrm|textbf|textit|operatorname)\b",
    "accent": r"\\(hat|bar|tilde|vec|dot|ddot|overline|underline|widehat|widetilde)\b",
}
"""Name -> pattern of a reference that has it. One reference may have several."""


@dataclass(frozen=True)
class Slice:
    """One part of the data: `kind` says how it was formed, `scores` has one Score of the headline metric a column."""

    kind: str
    name: str
    n: int
    scores: Mapping[str, Score]
    comparison: Comparison | None = None
    """Of two columns; its p value is raised for the number of slices, by Holm's method."""


def slices(samples: Sequence[Sample], metric: Metric, tables: Mapping[str, np.ndarray], *, seed: int,
           seen: Mapping[str, Set[str]] | None = None) -> list[Slice]:
    """The slices that hold at least one sample, in a fixed order: kinds, then parts.

    `seen` has, by column, the ids of samples that were seen in its training; where there are any, they are a part, and
    the others are one.
    """
    found: list[tuple[str, str, list[int]]] = []
    for kind, parts in {**KINDS, **_training(seen or {})}.items():
        members: dict[str, list[int]] = {}
        for i, sample in enumerate(samples):
            for part in parts(sample):
                members.setdefault(part, []).append(i)
        found += [(kind, name, members[name]) for name in sorted(members, key=_order)]
    compared: dict[str, Comparison] = {}
    if len(tables) == 2:
        compared = compare_parts(metric, *tables.values(), {f"{kind}:{name}": rows for kind, name, rows in found},
                                 seed=seed)
    return [Slice(kind, name, len(rows), {column: score(metric, table[rows], seed=seed)
                                          for column, table in tables.items()}, compared.get(f"{kind}:{name}"))
            for kind, name, rows in found]


def _length(sample: Sample) -> Iterable[str]:
    n = len(tokenize(sample.latex or ""))
    for low, high in LENGTHS:
        if high is None or n <= high:
            yield f"{low} to {high} tokens" if high else f"{low} or more tokens"
            return


def _structure(sample: Sample) -> Iterable[str]:
    found = [name for name, pattern in STRUCTURES.items() if re.search(pattern, sample.latex or "")]
    return found or ["none of these"]


def _subset(sample: Sample) -> Iterable[str]:
    return [sample.subset] if sample.subset else []


def _training(seen: Mapping[str, Set[str]]) -> dict[str, Callable[[Sample], Iterable[str]]]:
    def parts(sample: Sample) -> Iterable[str]:
        return [f"{'' if sample.id in ids else 'not '}seen by {column}" for column, ids in seen.items() if ids]

    return {"training": parts}


def _order(name: str) -> tuple[int, str]:
    """Lengths by number, structures as listed above, the rest by name."""
    if leading := re.match(r"\d+(?= (to|or) )", name):
        return int(leading.group()), name
    known = [*STRUCTURES, "none of these"]
    return (known.index(name) if name in known else 0), name


KINDS: dict[str, Callable[[Sample], Iterable[str]]] = {"length": _length, "structure": _structure, "subset": _subset}
