"""Attention on a GPU without a plan of its own for every shape.

On Hopper and the larger Blackwell cards torch asks cuDNN first where that is above 9.15 (in its wheels from 2.11 on),
and cuDNN makes a plan for every new shape: 0.44 s forward, 0.55 s backward on a B200 (modelscope/FunASR, issue 3704).
Of formulas nearly every batch has a new one: pictures of one size times how many of it lie beside each other.
"""

from __future__ import annotations


def plan_no_shapes() -> None:
    """For the whole process; torch goes on to FlashAttention or its memory-efficient kernel. Nothing without a GPU."""
    import torch

    torch.backends.cuda.enable_cudnn_sdp(False)
