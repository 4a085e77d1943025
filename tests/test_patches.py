"""A convolution over whole patches and the product of matrices in its place give the same."""

from __future__ import annotations

import pytest
import torch
from torch.fx.experimental.symbolic_shapes import free_symbols
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VisionPatchEmbed
from transformers.models.qwen3_vl.configuration_qwen3_vl import Qwen3VLVisionConfig
from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLVisionPatchEmbed

from latexocr.reading.patches import multiply_patches

CONV2D, CONV3D = torch.nn.Conv2d, torch.nn.Conv3d


@pytest.mark.parametrize(("convolution", "shape", "multiplied"), [
    (CONV3D(3, 8, (2, 4, 4), stride=(2, 4, 4)), (5, 3, 2, 4, 4), True),
    (CONV3D(3, 8, (2, 4, 4), stride=(2, 4, 4), bias=False), (5, 3, 2, 4, 4), True),
    (CONV2D(3, 8, 4, stride=4), (5, 3, 4, 4), True),
    (CONV2D(3, 8, 4, stride=4, padding="valid"), (5, 3, 4, 4), True),
    (CONV2D(3, 8, 4, stride=4), (5, 3, 8, 12), False),  # whole pictures
    (CONV2D(4, 8, 3, padding=1), (5, 4, 3, 3), False),
    (CONV2D(4, 8, 3, padding="same"), (5, 4, 3, 3), False),
    (CONV2D(4, 8, 3, groups=2), (5, 4, 3, 3), False),
    (CONV2D(4, 8, 2, dilation=2), (5, 4, 3, 3), False),
], ids=lambda value: str(value) if isinstance(value, torch.nn.Module) else "")
def test_patches_are_multiplied_and_all_else_is_convolved(convolution, shape, multiplied, monkeypatch):
    pixels = torch.randn(shape)
    expected = convolution(pixels)
    multiply_patches(torch.nn.Sequential(convolution))
    convolved = []
    forward = type(convolution).forward
    monkeypatch.setattr(type(convolution), "forward", lambda *args: convolved.append(1) or forward(*args))
    found = convolution(pixels)
    assert found.shape == expected.shape and torch.allclose(found, expected, atol=1e-5)
    assert bool(convolved) != multiplied


@pytest.mark.parametrize("embedding", [Qwen3VLVisionPatchEmbed(Qwen3VLVisionConfig(patch_size=8, hidden_size=16)),
                                       Qwen2_5_VisionPatchEmbed(patch_size=6, embed_dim=16)],
                         ids=lambda embedding: type(embedding).__name__)
def test_compiled_for_any_size_as_unsloth_does_no_size_is_a_number_of_the_module(embedding):
    multiply_patches(embedding)
    widths = []

    def look(graph, _):
        for node in graph.graph.nodes:
            if node.target is torch.nn.functional.linear:
                widths.append(free_symbols(node.args[0].meta["example_value"].shape))
            elif node.op == "placeholder" and isinstance(size := node.meta["example_value"], torch.Tensor):
                known.update(free_symbols(size.shape))
        return graph.forward

    known: set = set()
    with torch._dynamo.config.patch(allow_unspec_int_on_nn_module=True):
        compiled = torch.compile(type(embedding).forward, backend=look, fullgraph=True, dynamic=True)
        for count in (5, 12, 1):
            pixels = torch.randn(count, embedding.proj.weight[0].numel())
            assert torch.equal(compiled(embedding, pixels), embedding(pixels))
    assert widths and all(width <= known for width in widths)  # Else torch 2.11 writes code with a NameError.


def test_it_is_found_anywhere_in_a_model(tiny_model):
    from latexocr.reading.local import load_model

    convolutions = [module for module in load_model(tiny_model, device="cpu").model.modules()
                    if isinstance(module, (CONV2D, CONV3D))]
    assert convolutions and all("forward" in vars(module) for module in convolutions)


def test_a_model_in_training_multiplies_too(tiny_model):
    from latexocr.reading.inputs import load_processor
    from latexocr.training.engines import with_adapter
    from latexocr.training.settings import TrainConfig

    config = TrainConfig(model=str(tiny_model), device="cpu")
    model = with_adapter("peft", tiny_model, config, load_processor(tiny_model))
    convolutions = [module for module in model.modules() if isinstance(module, (CONV2D, CONV3D))]
    assert convolutions and all("forward" in vars(module) for module in convolutions)
