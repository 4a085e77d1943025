"""Which weights of a model an adapter is put on, for any family.

Takes a model and a TrainConfig, gives names. Knows nothing of how the adapter is made or trained.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from latexocr.errors import UserError
from latexocr.training.settings import TrainConfig

GUIDE = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "fc1", "fc2")
"""The list of Unsloth's notebook for ERNIE-4.5-VL-28B-A3B; its vision tower's attention (qkv, proj) is not in it."""
NAMED = {"ernie4_5_vl_moe": GUIDE, "ernie4_5_moe_vl": GUIDE}
"""Modules to tune where none are named, by model type; every linear layer of the other types."""
FUSED = {"gate_up_proj": {"gate_proj", "up_proj", "gate_up_proj"}, "down_proj": {"down_proj"}}
"""Weights that transformers keeps for all experts in one tensor, and the names by which they are asked for."""


@dataclass(frozen=True)
class Targets:
    """Full names within a model."""

    modules: list[str]
    """Linear layers."""
    parameters: list[str]
    """Weights of fused experts, (experts, rows, columns), which are no modules of their own."""


def targets(model: Any, config: TrainConfig) -> Targets:
    """What a TrainConfig tunes of a model. Raises UserError where that is nothing, or cannot be done.

    A layer belongs to the language model if that contains it, else to the vision side. It is one of attention if its
    path says so, else one of the MLPs. The output layer, and the routers of experts, are never tuned.
    """
    wanted = config.modules or NAMED.get(model.config.model_type, ())
    found = Targets([name for name in linear_layers(model) if not wanted or name.rpartition(".")[2] in wanted],
                    [name for name in fused_experts(model)
                     if not wanted or FUSED[name.rpartition(".")[2]] & set(wanted)])
    parts = {id(module) for module in model.get_decoder().modules()}
    inside = {name for name, module in model.named_modules() if id(module) in parts}
    chosen = Targets(*([name for name in names if _asked_for(name, inside, config)]
                       for names in (found.modules, found.parameters)))
    if not chosen.modules and not chosen.parameters:
        ends = sorted({name.rpartition(".")[2] for name in (*linear_layers(model), *fused_experts(model))})
        raise UserError(f"Nothing of this model would be tuned (modules: {' '.join(wanted) or 'all'}). Its linear "
                        f"layers are named {' '.join(ends)}; see --modules, --vision, --language, --attention, --mlp.")
    if chosen.parameters and config.dropout:
        raise UserError("The experts of this model are fused, and an adapter on them cannot have dropout: give "
                        "--dropout 0, or name other --modules.")
    return chosen


def _asked_for(name: str, language: set[str], config: TrainConfig) -> bool:
    side = config.language if name in language or name.rpartition(".")[0] in language else config.vision
    return side and (config.attention if "attn" in name or "attention" in name else config.mlp)


def linear_layers(model: Any) -> list[str]:
    """Full names of the linear layers of vision tower and language model; the output layer is left alone."""
    from torch import nn

    head = model.get_output_embeddings()
    return [name for name, module in model.named_modules() if isinstance(module, nn.Linear) and module is not head]


def fused_experts(model: Any) -> list[str]:
    """Full names of the three-dimensional weights of experts."""
    return [name for name, weight in model.named_parameters()
            if weight.ndim == 3 and name.rpartition(".")[2] in FUSED]
