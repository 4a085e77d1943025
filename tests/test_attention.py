"""Whoever reads or trains leaves torch no attention that plans every shape anew."""

from __future__ import annotations

import pytest
import torch


def read(tiny_model):
    from latexocr.reading.local import load_model

    load_model(tiny_model, device="cpu")


def train(tiny_model):
    from latexocr.reading.inputs import load_processor
    from latexocr.training.engines import with_adapter
    from latexocr.training.settings import TrainConfig

    with_adapter("peft", tiny_model, TrainConfig(model=str(tiny_model), device="cpu"), load_processor(tiny_model))


@pytest.mark.parametrize("loaded", [read, train])
def test_cudnn_is_not_asked_for_attention(loaded, tiny_model):
    torch.backends.cuda.enable_cudnn_sdp(True)
    loaded(tiny_model)
    assert not torch.backends.cuda.cudnn_sdp_enabled()
    assert torch.backends.cuda.flash_sdp_enabled() and torch.backends.cuda.mem_efficient_sdp_enabled()
