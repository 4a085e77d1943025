"""The order in which a run sees its samples: batches of like length, the same from the same seed on every engine.

Takes the length of each sample, gives sample numbers. Knows nothing of pictures, tensors or trainers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

POOL = 50
"""Optimiser steps whose samples are sorted together: enough for batches of one length, few enough to stay random."""


def order(lengths: Sequence[int], sizes: Sequence[int], *, batch: int, step: int, steps: int, seed: int) -> list[int]:
    """Sample numbers of a whole run: `steps` times `step` of them, those of one optimiser step beside each other.

    Samples come in random order, all of them before any again. Then those of 50 steps at a time are sorted by length
    and cut into steps, which are shuffled, so that little of a batch is padding. The step of the longest samples comes
    first: it shows whether the memory suffices. Within a forward pass (`batch` samples) pictures are sorted by size.

    On 3,200 pictures of CROHME, of the embedded model's tokens in batches of 64 padding was 72 % in random order and
    6 % in this; pictures of one size come in runs, 8 a batch instead of 58 (benchmarks/batches.py).
    """
    random = np.random.default_rng(seed)
    count, known, areas = step * steps, np.asarray(lengths), np.asarray(sizes)
    epochs = [random.permutation(len(known)) for _ in range(math.ceil(count / len(known)))]
    numbers = np.concatenate(epochs)[:count]
    cut = []
    for start in range(0, count, POOL * step):
        pool = numbers[start:start + POOL * step]
        pool = pool[np.argsort(-known[pool], kind="stable")].reshape(-1, step)
        cut.extend(random.permutation(pool))
    longest = max(range(steps), key=lambda place: (known[cut[place]].max(), -place))
    cut[0], cut[longest] = cut[longest], cut[0]
    passes = np.concatenate(cut).reshape(-1, batch)
    return np.take_along_axis(passes, np.argsort(-areas[passes], axis=1, kind="stable"), axis=1).ravel().tolist()
