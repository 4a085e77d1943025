"""Muon over stacks of matrices: the same steps as torch's own, which takes them one by one."""

from __future__ import annotations

import torch

from latexocr.training.muon import Muon, orthogonal

SHAPES = [(6, 10), (10, 6), (6, 10), (8, 8)]


def test_steps_are_those_of_torch():
    torch.manual_seed(0)
    ours = [torch.nn.Parameter(torch.randn(shape)) for shape in SHAPES]
    theirs = [torch.nn.Parameter(matrix.detach().clone()) for matrix in ours]
    optimizers = (Muon(ours, lr=0.02, weight_decay=0.1),
                  torch.optim.Muon(theirs, lr=0.02, weight_decay=0.1, momentum=0.95, adjust_lr_fn="match_rms_adamw"))
    for _ in range(4):
        for one, other in zip(ours, theirs, strict=True):
            one.grad = torch.randn_like(one)
            other.grad = one.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, atol=2e-3, rtol=0)  # bfloat16 has 8 bits; a step is 0.02 * 0.6


def test_orthogonal_matrices_have_singular_values_near_one():
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonal(torch.randn(3, 12, 40)).float())
    assert values.min() > 0.5 and values.max() < 1.5
