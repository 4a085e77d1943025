"""Keys and values of earlier tokens, kept so that the next token of a batch is cheap.

Takes what transformers calls a model with while it generates. Importing this imports transformers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

ROOM = 64
"""Tokens for which there is room ahead."""


class RoomyLayer(DynamicLayer):
    """Keys and values of one layer, with room behind them: that of transformers copies all of them at each token."""

    _rooms: tuple[torch.Tensor, torch.Tensor] | None = None

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any,
               **kwargs: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """All keys and values, (batch, heads, tokens, width), the new ones last."""
        start = self.get_seq_length()
        stop = start + key_states.shape[-2]
        if self._rooms is None or self._rooms[0].shape[-2] < stop:
            if start:
                key_states = torch.cat([self.keys, key_states], dim=-2)
                value_states = torch.cat([self.values, value_states], dim=-2)
            else:
                self.lazy_initialization(key_states, value_states)
            self._rooms, start = (_room(key_states), _room(value_states)), 0
        keys, values = self._rooms
        keys[..., start:stop, :], values[..., start:stop, :] = key_states, value_states
        self.keys, self.values = keys[..., :stop, :], values[..., :stop, :]
        return self.keys, self.values

    def reorder_cache(self, beam_idx: torch.Tensor) -> None:
        super().reorder_cache(beam_idx)
        self._rooms = None


def _room(states: torch.Tensor) -> torch.Tensor:
    return states.new_empty((*states.shape[:-2], states.shape[-2] + ROOM, states.shape[-1]))


def make_room(kwargs: dict[str, Any]) -> None:
    """Put roomy layers where an empty cache among `kwargs` has plain ones."""
    cache = _cache(kwargs)
    if cache is not None:
        cache.layers = [RoomyLayer() if type(layer) is DynamicLayer else layer for layer in cache.layers]


def retire(kwargs: dict[str, Any], rows: Sequence[int], shape: Sequence[int]) -> bool:
    """Keep these rows of the batch only, in place; False where the model keeps its state elsewhere than in a cache.

    `shape`: of the tokens so far, (batch, length). A row is cut out of whatever has this shape at its end, such as
    positions (3, batch, length), or else has the batch first.
    """
    cache = _cache(kwargs)
    if cache is None or not cache.get_seq_length():
        return False
    kept = torch.as_tensor(rows, device=cache.layers[0].device)
    cache.reorder_cache(kept)
    for name, value in kwargs.items():
        if isinstance(value, torch.Tensor) and value.shape[-2:] == tuple(shape):
            kwargs[name] = value[..., rows, :]
        elif isinstance(value, torch.Tensor) and value.shape[:1] == tuple(shape[:1]):
            kwargs[name] = value[rows]
    return True


def rewinds(kwargs: dict[str, Any], shape: Sequence[int]) -> bool:
    """Whether tokens of one row can be taken back: where all that the model keeps of them can be masked.

    `shape`: of the tokens so far, (batch, length).
    """
    cache, mask = _cache(kwargs), kwargs.get("attention_mask")
    told = [kwargs.get("position_ids"), *([] if mask is None else [mask])]
    return (cache is not None and all(isinstance(layer, RoomyLayer) for layer in cache.layers)
            and all(isinstance(value, torch.Tensor) and value.shape[-2:] == tuple(shape) for value in told))


def rewind(kwargs: dict[str, Any], row: int, count: int) -> None:
    """Take back the last `count` tokens of a row, in place; the one before them is to be given to the model again.

    That one stands in the last column then, with the position that it had; the columns between are masked.
    """
    positions = kwargs["position_ids"]
    if kwargs.get("attention_mask") is None:  # Transformers has none where nothing is padded.
        kwargs["attention_mask"] = positions.new_ones(positions.shape[-2:])
    mask = kwargs["attention_mask"]
    columns = mask[row].nonzero()[:, 0]
    positions[..., row, -1] = positions[..., row, columns[-1 - count]]
    mask[row, columns[-1 - count:-1]] = 0


def _cache(kwargs: dict[str, Any]) -> DynamicCache | None:
    """The growing cache of transformers; None where a model or an engine brings one of its own."""
    return next((value for value in kwargs.values() if type(value) is DynamicCache), None)
