"""Attention of a vision tower over the pictures of a batch in few calls, instead of one call a picture and layer.

Takes a model, changes how its tower attends, not what that gives. transformers hands all pictures of a batch to the
tower in one row; unless the attention is one of the "flash" kind it is called picture by picture: for 64 pictures and 8
layers 512 calls forward and more backward, each so small that a GPU waits for the next. Where flash attention is, one
call a layer takes them all; elsewhere one takes neighbours of one size. Knows nothing of families:
Qwen-VL, PaddleOCR-VL, GLM and ERNIE-4.5-VL call it alike (`is_flash_attention_requested` in transformers' models).
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

NAME = "flash_within_pictures"
"""Our attention among those of transformers; the word "flash" is what it is told all pictures at once by."""


def attend_together(model: Any) -> bool:
    """Let a model's vision tower attend to many pictures in one call. False: no such tower."""
    from transformers import AttentionInterface

    config = getattr(model.config, "vision_config", None)
    if config is None or getattr(config, "_attn_implementation", None) != "sdpa":
        return False
    AttentionInterface.register(NAME, within_pictures)
    shared = {id(module.config): module.config for module in model.modules()
              if type(getattr(module, "config", None)) is type(config)}
    for found in shared.values():
        found._attn_implementation = NAME
    return bool(shared)


def within_pictures(module: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, attention_mask: Any, *,
                    scaling: float, cu_seq_lens_q: torch.Tensor, dropout: float = 0.0,
                    **_: Any) -> tuple[torch.Tensor, None]:
    """Attention within each picture; (1, heads, tokens, width) in, (1, tokens, heads, width) out, for transformers.

    `cu_seq_lens_q`: where each picture (of Qwen2.5-VL: each window) begins among the tokens, and where the last ends.
    """
    import torch

    runs = _runs(cu_seq_lens_q)
    if len(runs) > 1 and (ragged := _ragged(query, key, value, scaling, dropout)):
        longest = max(length for length, _ in runs)
        rows = (states[0].transpose(0, 1) for states in (query, key, value))  # (tokens, heads, width) each
        starts = cu_seq_lens_q.to(torch.int32)
        return ragged(*rows, starts, starts, longest, longest)[None], None
    parts, start = [], 0
    for length, count in runs:
        stop = start + length * count
        q, k, v = (rows[0, :, start:stop].unflatten(1, (count, length)).transpose(0, 1) for rows in (query, key, value))
        # (pictures, heads, tokens of one, width)
        answer = torch.nn.functional.scaled_dot_product_attention(q, k, v, dropout_p=dropout, scale=scaling)
        parts.append(answer.transpose(1, 2).flatten(0, 1))
        start = stop
    return torch.cat(parts)[None], None


def _ragged(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float, dropout: float) -> Any:
    """torch's attention over pieces of any lengths, where it takes such tensors; else None."""
    from torch.backends import cuda

    width = query.shape[-1]
    # It knows no dropout, no other scale, and no width that is not a multiple of eight.
    if dropout or width % 8 or abs(scaling - width**-0.5) > 1e-6 or not query.is_cuda:
        return None
    if not cuda.can_use_flash_attention(cuda.SDPAParams(query, key, value, None, 0.0, False, False)):
        return None
    try:
        from torch.nn.attention.varlen import varlen_attn  # torch 2.10
    except ImportError:
        return None
    return varlen_attn


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
