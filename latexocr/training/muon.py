"""Muon for many small matrices: those of one shape are made orthogonal together, in one product each step.

`torch.optim.Muon` takes the matrices one by one, some thousand launches a step for a model of 80 matrices, which a GPU
waits for. The update is the same (a test compares them). Source: K. Jordan et al., "Muon: An optimizer for hidden
layers in neural networks", 2024; the step size is that of J. Liu et al., "Muon is scalable for LLM training", 2025.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable

import torch

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the Newton-Schulz step, by Jordan: its slope at zero is as large as can be."""
MOMENTUM = 0.95
STEPS = 5
SMALLEST = 1e-7


class Muon(torch.optim.Optimizer):
    """Orthogonalised momentum (Nesterov) for matrices, with decoupled weight decay."""

    def __init__(self, matrices: Iterable[torch.Tensor], *, lr: float, weight_decay: float) -> None:
        shapes = defaultdict(list)
        for matrix in matrices:
            shapes[matrix.shape].append(matrix)
        super().__init__([{"params": group} for group in shapes.values()], {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:
        """One step for all matrices; each must have a gradient."""
        for group in self.param_groups:
            matrices = group["params"]
            gradients = torch.stack([matrix.grad for matrix in matrices])
            state = self.state[matrices[0]]
            momentum = state.setdefault("momentum", torch.zeros_like(gradients))
            momentum.lerp_(gradients, 1 - MOMENTUM)
            direction = orthogonal(gradients.lerp(momentum, MOMENTUM))
            rate = 0.2 * math.sqrt(max(direction.shape[-2:])) * group["lr"]
            torch._foreach_mul_(matrices, 1 - group["lr"] * group["weight_decay"])
            torch._foreach_add_(matrices, list(direction.to(matrices[0].dtype).unbind()), alpha=-rate)


def orthogonal(matrices: torch.Tensor) -> torch.Tensor:
    """(n, rows, columns) -> the same in bfloat16, each with singular values near one (0.5 to 1.5)."""
    a, b, c = COEFFICIENTS
    x = matrices.bfloat16()
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT if tall else x
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp(min=SMALLEST)
    for _ in range(STEPS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x
