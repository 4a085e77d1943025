"""Attention of a vision tower over the pictures of a batch in few calls, instead of one call a picture and layer.

Takes a model, changes how its tower attends, not what that gives. transformers hands all pictures of a batch to the
tower in one row; unless the attention is one of the "flash" kind it is called picture by picture: for 64 pictures and 8
layers 512 calls forward and more backward, each so small that a GPU waits for the next. Knows nothing of families:
Qwen-VL, PaddleOCR-VL, GLM and ERNIE-4.5-VL call it alike (`is_flash_attention_requested` in transformers' models).
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

NAME = "flash_neighbours"
"""Our attention among those of transformers; the word "flash" is what it is told all pictures at once by."""


def attend_together(model: Any) -> bool:
    """Let a model's vision tower attend to neighbouring pictures of one size in one call. False: no such tower."""
    from transformers import AttentionInterface

    config = getattr(model.config, "vision_config", None)
    if config is None or getattr(config, "_attn_implementation", None) != "sdpa":
        return False
    AttentionInterface.register(NAME, neighbours)
    shared = {id(module.config): module.config for module in model.modules()
              if type(getattr(module, "config", None)) is type(config)}
    for found in shared.values():
        found._attn_implementation = NAME
    return bool(shared)


def neighbours(module: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, attention_mask: Any, *,
               scaling: float, cu_seq_lens_q: torch.Tensor, dropout: float = 0.0,
               **_: Any) -> tuple[torch.Tensor, None]:
    """Attention within each picture; (1, heads, tokens, width) in, (1, tokens, heads, width) out, for transformers.

    `cu_seq_lens_q`: where each picture begins among the tokens, and where the last ends.
    """
    import torch

    parts, start = [], 0
    for length, count in _runs(cu_seq_lens_q):
        stop = start + length * count
        q, k, v = (rows[0, :, start:stop].unflatten(1, (count, length)).transpose(0, 1) for rows in (query, key, value))
        # (pictures, heads, tokens of one, width)
        answer = torch.nn.functional.scaled_dot_product_attention(q, k, v, dropout_p=dropout, scale=scaling)
        parts.append(answer.transpose(1, 2).flatten(0, 1))
        start = stop
    return torch.cat(parts)[None], None


_known: Any = None


def _runs(starts: torch.Tensor) -> list[tuple[int, int]]:
    """(length, how many) of neighbouring pictures of one length. Asked of a GPU once a batch, not once a layer."""
    global _known
    from torch.utils.weak import WeakTensorKeyDictionary

    if _known is None:
        _known = WeakTensorKeyDictionary()
    if starts not in _known:
        _known[starts] = [(length, len(list(group))) for length, group in groupby(starts.diff().tolist())]
    return _known[starts]
