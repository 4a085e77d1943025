"""The cache with room ahead holds what that of transformers holds, whatever is added and whoever leaves."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from latexocr.reading.cache import ROOM, RoomyLayer, make_room, retire, rewind, rewinds


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(1, ROOM + 9), st.integers(0, 3)), min_size=1, max_size=5))
def test_it_holds_what_a_plain_one_holds(steps):
    """Tokens added at once, then so many rows leave from the front, five rows at first."""
    plain, roomy = DynamicLayer(), RoomyLayer()
    rows = 5
    for tokens, leaving in steps:
        keys, values = torch.randn(rows, 2, tokens, 4), torch.randn(rows, 2, tokens, 6)
        for expected, found in zip(plain.update(keys, values), roomy.update(keys, values)):
            assert torch.equal(expected, found)
        assert plain.get_seq_length() == roomy.get_seq_length()
        kept = torch.arange(min(leaving, rows - 1), rows)
        plain.reorder_cache(kept)
        roomy.reorder_cache(kept)
        rows = len(kept)


def test_a_token_is_added_where_the_others_lie():
    roomy = RoomyLayer()
    first, _ = roomy.update(torch.ones(2, 1, 3, 4), torch.ones(2, 1, 3, 4))
    then, _ = roomy.update(torch.zeros(2, 1, 1, 4), torch.zeros(2, 1, 1, 4))
    assert first.data_ptr() == then.data_ptr() and then.shape == (2, 1, 4, 4)


@pytest.mark.parametrize(("kwargs", "left"), [
    ({"attention_mask": torch.arange(6).view(3, 2)}, [[0, 1], [4, 5]]),
    ({"position_ids": torch.arange(18).view(3, 3, 2)}, [[[0, 1], [4, 5]], [[6, 7], [10, 11]], [[12, 13], [16, 17]]]),
    ({"position_ids": torch.arange(18).view(3, 2, 3)}, [[[0, 1, 2], [3, 4, 5]], [[12, 13, 14], [15, 16, 17]]]),
    ({"image_grid_thw": torch.arange(3).view(3, 1)}, [[0], [2]]),
    ({"pixel_values": torch.arange(8).view(4, 2)}, [[0, 1], [2, 3], [4, 5], [6, 7]]),
], ids=lambda value: next(iter(value)) if isinstance(value, dict) else "")
def test_rows_leave_whatever_has_them(kwargs, left):
    """Three rows of two tokens, of which the second leaves."""
    cache = DynamicCache()
    cache.update(torch.arange(3.0).view(3, 1, 1, 1), torch.arange(3.0).view(3, 1, 1, 1), 0)
    name, = kwargs
    kwargs = {**kwargs, "past": cache, "use_cache": True}
    assert retire(kwargs, [0, 2], (3, 2))
    assert kwargs[name].tolist() == left and kwargs["use_cache"] is True
    assert cache.layers[0].keys.flatten().tolist() == [0, 2]


def test_without_a_cache_that_was_used_nobody_leaves():
    mask = torch.ones(3, 2)
    for kwargs in ({"attention_mask": mask}, {"attention_mask": mask, "past": DynamicCache()}):
        make_room(kwargs)
        assert not retire(kwargs, [0, 2], (3, 2)) and kwargs["attention_mask"] is mask


def told(*, layer=DynamicLayer, **changed):
    """What a model of two rows is told before its second token is computed: three columns, the first row padded."""
    cache = DynamicCache()
    cache.layers = [layer()] if layer is DynamicLayer else [layer(sliding_window=9)]
    kwargs = {"cache": cache, "attention_mask": torch.tensor([[0, 1, 1], [1, 1, 1]]),
              "position_ids": torch.tensor([[[0, 0, 1], [0, 1, 2]]] * 3), **changed}
    make_room(kwargs)
    return kwargs


@pytest.mark.parametrize(("kwargs", "can"), [
    (told(), True), (told(attention_mask=None), True), (told(position_ids=torch.zeros(2, 3)), True),
    (told(layer=DynamicSlidingWindowLayer), False),  # it would forget others for those that are masked
    (told(cache=None), False), (told(cache=object()), False), (told(position_ids=None), False),
    (told(position_ids=torch.zeros(1, 3)), False), (told(position_ids=torch.zeros(2, 3, 3)), False),
    (told(attention_mask=torch.zeros(2, 1, 3, 3)), False)])
def test_who_can_be_taken_back(kwargs, can):
    assert rewinds(kwargs, (2, 3)) is can


def test_what_is_taken_back_is_masked_and_the_last_left_comes_again():
    kwargs = told()
    kwargs["attention_mask"] = torch.tensor([[0, 1, 1, 1, 1, 1]] * 2)
    kwargs["position_ids"] = torch.tensor([[[0, 0, 1, 2, 3, 4]] * 2] * 3)
    rewind(kwargs, 1, 2)
    assert kwargs["attention_mask"].tolist() == [[0, 1, 1, 1, 1, 1], [0, 1, 1, 0, 0, 1]]
    assert kwargs["position_ids"].tolist() == [[[0, 0, 1, 2, 3, 4], [0, 0, 1, 2, 3, 2]]] * 3
    rewind(kwargs, 1, 1)  # the one just chosen, in the last column, and what comes again is before the masked ones
    assert kwargs["attention_mask"][1].tolist() == [0, 1, 0, 0, 0, 1]
    assert kwargs["position_ids"][0, 1].tolist() == [0, 0, 1, 2, 3, 1]


def test_a_mask_is_made_where_nothing_was_padded():
    kwargs = told(attention_mask=None)
    rewind(kwargs, 0, 1)
    assert kwargs["attention_mask"].tolist() == [[1, 0, 1], [1, 1, 1]]
