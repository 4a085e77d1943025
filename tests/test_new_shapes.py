"""What a run meets for the first time is counted once, and a fit finds what each of it took."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.new_shapes import CAUSES, fitted, per_step


def counted(lengths, areas, *, batch, steps):
    return per_step(np.array(lengths), np.array(areas), {"batch": batch, "seed": 0}, steps)


def test_a_shape_is_new_once():
    found = counted([7] * 8, [64] * 8, batch=4, steps=4)
    assert found[:, 0].tolist() == [1] * 4 and np.allclose(found[:, 1], 7 * 4 / 1e4)
    assert found[:, 2:].tolist() == [[1, 1, 1], [0, 0, 0], [0, 0, 0], [0, 0, 0]]


def test_a_batch_of_two_sizes_has_two_runs():
    assert counted([7] * 4, [64, 128, 64, 128], batch=4, steps=1)[:, 2:].tolist() == [[1, 2, 1]]


def test_the_fit_finds_what_each_cause_took():
    random = np.random.default_rng(0)
    causes, each = random.uniform(0, 9, (60, len(CAUSES))), np.array([0.1, 0.2, 0.0, 0.3, 0.05])
    found, explained = fitted(causes, causes @ each)
    assert np.allclose(found, each) and explained == pytest.approx(1)
