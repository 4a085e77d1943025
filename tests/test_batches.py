"""The order of a run: every sample before any again, batches of like length, the same for the same seed."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latexocr.training.batches import order


@given(st.lists(st.integers(1, 2000), min_size=1, max_size=60), st.integers(1, 4), st.integers(1, 3), st.integers(1, 9),
       st.integers(0, 3))
def test_every_sample_is_seen_before_any_is_seen_again(lengths, batch, passes, steps, seed):
    options = {"batch": batch, "step": batch * passes, "steps": steps, "seed": seed}
    numbers = order(lengths, lengths, **options)
    assert len(numbers) == batch * passes * steps
    seen = Counter(numbers)
    assert set(seen) <= set(range(len(lengths)))
    assert max(seen.values()) - min(seen[n] for n in range(len(lengths))) <= 1
    assert order(lengths, lengths, **options) == numbers


def test_another_seed_is_another_order():
    orders = {tuple(order(range(40), range(40), batch=4, step=4, steps=10, seed=seed)) for seed in range(5)}
    assert len(orders) == 5


@pytest.mark.parametrize("accumulation", [1, 2])
def test_little_of_a_batch_is_padding_the_longest_comes_first_and_equal_pictures_are_neighbours(accumulation):
    chance = np.random.default_rng(0)
    sizes = chance.choice([16, 32, 64, 128], 3000)
    lengths = sizes + chance.geometric(0.05, 3000)
    numbers = order(lengths, sizes, batch=16, step=16 * accumulation, steps=150 // accumulation, seed=1)
    passes = lengths[numbers].reshape(-1, 16)
    drawn = lengths[chance.permutation(3000)[:2400]].reshape(-1, 16)

    def padding(rows):
        return 1 - rows.sum() / (rows.max(axis=1) * 16).sum()

    assert padding(passes) < 0.05 < 0.3 < padding(drawn)
    assert passes[:accumulation].max() == lengths[numbers].max()
    assert all((np.diff(sizes[row]) <= 0).all() for row in np.reshape(numbers, (-1, 16)))
    steps = passes.reshape(-1, 16 * accumulation).mean(axis=1)
    assert abs(np.corrcoef(steps[1:-1], steps[2:])[0, 1]) < 0.3, "steps of like length must not follow each other"
