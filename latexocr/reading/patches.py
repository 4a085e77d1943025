"""The first layer of a vision tower, as one product of matrices.

transformers hands a tower patches already cut out, and its first layer is a convolution whose window is one patch: a
product of matrices, for which torch's convolution takes 7 times as long on a CPU in float32, and 50 times in bfloat16.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch


def multiply_patches(model: Any) -> None:
    """Let a model's convolutions over whole patches be products of matrices, in place; others stay as they are."""
    for module in model.modules():
        if (isinstance(module, (torch.nn.Conv2d, torch.nn.Conv3d)) and module.groups == 1
                and (module.padding == "valid" or set(module.padding) == {0})):
            module.forward = partial(_multiply, module)


def _multiply(convolution: torch.nn.Conv2d | torch.nn.Conv3d, pixels: torch.Tensor) -> torch.Tensor:
    """What the convolution gives for patches (count, channels, ...) of the size of its window."""
    # A weight's shape is known; where Unsloth compiles this, a module's own numbers are symbols, and in the code that
    # torch 2.11 writes one of them has no value.
    if pixels.shape[1:] != convolution.weight.shape[1:]:
        return type(convolution).forward(convolution, pixels)
    row = torch.nn.functional.linear(pixels.flatten(1), convolution.weight.flatten(1), convolution.bias)
    return row.view(*row.shape, *(1 for _ in convolution.kernel_size))
