"""Scores of parts of a data set: by length, depth, structure, rare symbols, size of the picture, subset, and by what
was seen in training.

Takes samples and the counts of one metric, gives a Score for each part and column. Parts are formed from pictures and
references alone, so they are the same for every model. Knows nothing of predictions.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from latexocr.latex.tokens import tokenize
from latexocr.records import Sample
from latexocr.scoring.metrics import Comparison, Metric, Score
from latexocr.scoring.statistics import compare_parts, score
from latexocr.scoring.structure import parts as contents

if TYPE_CHECKING:
    import numpy as np

LENGTHS = ((1, 10), (11, 20), (21, 40), (41, 80), (81, None))
"""Tokens of a reference, both ends included."""

DEPTHS = ("flat", "1 level deep", "2 levels deep", "3 or more levels deep")
"""Scripts, fractions, roots and grids within each other."""

STRUCTURES = {name: re.compile(pattern) for name, pattern in {
    "fraction": r"\\([dtc]?frac|over|[dt]?binom)(?![a-zA-Z])",
    "root": r"\\sqrt(?![a-zA-Z])",
    "sum, product or integral": r"\\(sum|prod|int|iint|iiint|oint|bigcup|bigcap)(?![a-zA-Z])",
    "matrix or array": r"\\(begin\{([bpvBV]?(small)?matrix|array|cases)\*?\}|(matrix|pmatrix|cases)(?![a-zA-Z]))",
    "several rows": r"\\\\",
    "text": r"\\(text|mbox|textrm|textbf|textit|operatorname)(?![a-zA-Z])",
    "accent": r"\\(hat|bar|tilde|vec|dot|ddot|overline|underline|widehat|widetilde)(?![a-zA-Z])",
}.items()}
"""Name -> pattern of a reference that has it. One reference may have several."""

RARE = 0.01
"""A symbol is rare that stands in fewer of the references than this share."""

SIZES = ((10_000, "under 10,000 pixels"), (40_000, "10,000 to 40,000 pixels"), (160_000, "40,000 to 160,000 pixels"),
         (float("inf"), "160,000 or more pixels"))
"""Pixels of a picture as it comes: upper limit, name."""


@dataclass(frozen=True)
class Part:
    """Some of the samples, by their places; `kind` says how the part was formed."""

    kind: str
    name: str
    rows: Sequence[int]


@dataclass(frozen=True)
class Slice:
    """The scores of one part in the headline metric, one Score a column."""

    kind: str
    name: str
    n: int
    scores: Mapping[str, Score]
    comparisons: Mapping[str, Comparison] = field(default_factory=dict)
    """Of each other column with the first; p values are raised for the number of all of them, by Holm's method."""


def parts(samples: Sequence[Sample], *, seen: Mapping[str, Set[str]] | None = None) -> list[Part]:
    """The parts that hold at least one sample, in a fixed order: kinds, then names.

    `seen` has, by column, the ids of samples that were seen in its training; where there are any, they are a part, and
    the others are one.
    """
    kinds = {**KINDS, "subset": _subsets(samples), "symbols": _symbols(samples), "training": _training(seen or {})}
    members: dict[str, dict[str, list[int]]] = {kind: {} for kind in kinds}
    for i, sample in enumerate(samples):
        for kind, named in kinds.items():
            for name in named(sample):
                members[kind].setdefault(name, []).append(i)
    return [Part(kind, name, found[name]) for kind, found in members.items() for name in sorted(found, key=_order)]


def slices(found: Sequence[Part], metric: Metric, tables: Mapping[str, np.ndarray], *, seed: int) -> list[Slice]:
    """The Slice of each part; `tables` has the counts of the metric by column, the first being the base."""
    import numpy as np

    base, *others = tables
    compared: Mapping[tuple[str, int], Comparison] = {}
    if others:  # All columns in one family of tests: one below the other, against as many copies of the base.
        n = len(tables[base])
        rows = {(column, at): [row + n * place for row in part.rows]
                for place, column in enumerate(others) for at, part in enumerate(found)}
        compared = compare_parts(metric, np.vstack([tables[base]] * len(others)),
                                 np.vstack([tables[column] for column in others]), rows, seed=seed)
    return [Slice(part.kind, part.name, len(part.rows),
                  {column: score(metric, table[list(part.rows)], seed=seed) for column, table in tables.items()},
                  {column: compared[column, at] for column in others})
            for at, part in enumerate(found)]


def _length(sample: Sample) -> Iterable[str]:
    n = len(tokenize(sample.latex or ""))
    for low, high in LENGTHS:
        if high is None or n <= high:
            yield f"{low} to {high} tokens" if high else f"{low} or more tokens"
            return


def _depth(sample: Sample) -> Iterable[str]:
    levels = (structure.count("/") + 1 for structure in contents(sample.latex or "").structures)
    return [DEPTHS[min(max(levels, default=0), len(DEPTHS) - 1)]]


def _structure(sample: Sample) -> Iterable[str]:
    found = [name for name, pattern in STRUCTURES.items() if pattern.search(sample.latex or "")]
    return found or ["none of these"]


def _symbols(samples: Sequence[Sample]) -> Callable[[Sample], Iterable[str]]:
    """Whether a sample has a symbol that is rare in these samples; of a set too small to have any, nothing."""
    references = Counter(symbol for sample in samples for symbol in contents(sample.latex or "").symbols)
    rare = {symbol for symbol, n in references.items() if n < RARE * len(samples)}

    def named(sample: Sample) -> Iterable[str]:
        if not rare:
            return []
        return ["common symbols only" if rare.isdisjoint(contents(sample.latex or "").symbols)
                else f"a symbol of fewer than {RARE:.0%} of the references"]

    return named


def _size(sample: Sample) -> Iterable[str]:
    from PIL import Image

    try:
        with Image.open(sample.image) if isinstance(sample.image, Path) else nullcontext(sample.image) as picture:
            pixels = picture.width * picture.height
    except (OSError, ValueError, Image.DecompressionBombError):
        return ["cannot be opened"]
    return [next(name for limit, name in SIZES if pixels < limit)]


def _subsets(samples: Sequence[Sample]) -> Callable[[Sample], Iterable[str]]:
    """The subset of a sample; where all are of one, it is no part of them."""
    several = len({sample.subset for sample in samples}) > 1
    return lambda sample: [sample.subset] if several and sample.subset else []


def _training(seen: Mapping[str, Set[str]]) -> Callable[[Sample], Iterable[str]]:
    return lambda sample: [f"{'' if sample.id in ids else 'not '}seen by {column}"
                           for column, ids in seen.items() if ids]


def _order(name: str) -> tuple[int, str]:
    """Lengths by number, depths, structures and sizes as listed above, the rest by name."""
    if leading := re.match(r"\d+(?= (to|or) \S+ tokens)", name):
        return int(leading.group()), name
    known = [*DEPTHS, *STRUCTURES, "none of these", *(size for _, size in SIZES)]
    return (known.index(name) if name in known else 0), name


KINDS: dict[str, Callable[[Sample], Iterable[str]]] = {
    "length": _length, "depth": _depth, "structure": _structure, "picture": _size}
