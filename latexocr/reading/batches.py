"""Which pictures of a stream are read together: those of like size, so that little is padded.

Takes samples, gives batches of them with their pictures prepared. Knows nothing of models.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from latexocr.errors import UserError
from latexocr.reading.images import prepare
from latexocr.records import Sample

if TYPE_CHECKING:
    from PIL.Image import Image

WINDOW = 2
"""Batches of pictures that are sorted by size together; results of a window come when its pictures are read."""
AREA = 2**21
"""Pixels of a batch, so that large pictures are not too many for memory, and small ones not padded to large ones."""


@dataclass(frozen=True)
class Question:
    """A sample in its place in the stream, and its picture as models see it."""

    place: int
    sample: Sample
    picture: Image

    @property
    def area(self) -> int:
        return self.picture.width * self.picture.height


@dataclass(frozen=True)
class Unreadable:
    """A sample in its place whose picture is none, and why."""

    place: int
    sample: Sample
    reason: UserError


def batches(samples: Iterable[Sample], most: int) -> Iterator[list[Question] | list[Unreadable]]:
    """All samples, each in one batch: of each window first those that are no pictures, then the small ones."""
    numbered = enumerate(samples)
    with ThreadPoolExecutor(max_workers=2) as pool:
        while window := list(itertools.islice(numbered, WINDOW * most)):
            pictures = list(pool.map(prepared, (sample for _, sample in window)))
            if broken := [Unreadable(*one, reason) for one, reason in zip(window, pictures)
                          if isinstance(reason, UserError)]:
                yield broken
            yield from of_like_size([Question(*one, picture) for one, picture in zip(window, pictures)
                                     if not isinstance(picture, UserError)], most)


def prepared(sample: Sample) -> Image | UserError:
    """The picture of a sample as models see it, or why there is none."""
    try:
        return prepare(sample.image)
    except UserError as e:
        return e


def of_like_size(questions: Iterable[Question], most: int) -> Iterator[list[Question]]:
    """Batches of at most `AREA` together when all pictures of one are as large as its largest."""
    batch: list[Question] = []
    for one in sorted(questions, key=lambda one: (one.area, one.picture.size)):
        if len(batch) == most or (batch and (len(batch) + 1) * one.area > AREA):
            yield batch
            batch = []
        batch.append(one)
    if batch:
        yield batch
