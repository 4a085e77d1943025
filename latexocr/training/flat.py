"""What vLLM wants to find in the folder of a native ERNIE-4.5-VL: the names of Baidu's own code.

Takes the folder that transformers writes, changes names in it: the configuration gets flat ones beside its nested ones,
and the weights of the vision tower lose a prefix. transformers reads it as before, so one folder serves both.
Source of the names: what vllm 0.32 reads in `ernie45_vl.py` and `ernie45_vl_moe.py`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from latexocr.provenance import write_text

SAME = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
        "hidden_act", "rms_norm_eps", "max_position_embeddings", "vocab_size", "use_bias", "rope_parameters", "moe_k",
        "moe_num_shared_experts", "moe_intermediate_size", "pad_token_id", "bos_token_id", "eos_token_id")
"""Fields of the text part that keep their names."""

TOWER = ("model.vision_model.", "vision_model.")
"""Prefix of the tower's weights as transformers writes them, and as the checkpoint on the hub has them."""


def for_vllm(folder: Path) -> None:
    """Change a model folder so that vLLM reads it too, where it needs that."""
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    if config["model_type"] != "ernie4_5_vl_moe":
        return
    write_text(path, json.dumps(flat(config), indent=2) + "\n")
    for shard in folder.glob("*.safetensors"):
        _rename(shard)
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        parts = json.loads(index.read_text(encoding="utf-8"))
        parts["weight_map"] = {_hub_name(name): file for name, file in parts["weight_map"].items()}
        write_text(index, json.dumps(parts, indent=2) + "\n")


def _rename(shard: Path) -> None:
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    with safe_open(shard, "pt") as file:
        if not any(name.startswith(TOWER[0]) for name in file.keys()):  # noqa: SIM118  it is no mapping
            return
    beside = shard.with_name(shard.name + ".part")
    save_file({_hub_name(name): weight for name, weight in load_file(shard).items()}, beside, metadata={"format": "pt"})
    beside.replace(shard)


def _hub_name(name: str) -> str:
    return TOWER[1] + name.removeprefix(TOWER[0]) if name.startswith(TOWER[0]) else name


def flat(config: dict[str, Any]) -> dict[str, Any]:
    """A configuration of `ernie4_5_vl_moe` that vLLM reads too."""
    text, vision = config["text_config"], config["vision_config"]
    sparse = [number for number, kind in enumerate(text["mlp_layer_types"]) if kind == "sparse"]
    names = {name: text[name] for name in SAME if name in text}
    names |= {
        # Two numbers each: of the experts for text, and of those for pictures.
        "moe_num_experts": [text["moe_num_experts"]] * 2, "moe_layer_start_index": [sparse[0]] * 2,
        "moe_layer_end_index": [sparse[-1]] * 2, "moe_layer_interval": 1, "use_moe": True,
        "freq_allocation": text["rope_parameters"]["mrope_section"][-1], "rope_3d": True,
        "im_patch_id": config["image_token_id"], "spatial_conv_size": vision["spatial_merge_size"],
        "temporal_conv_size": vision["temporal_merge_size"], "use_temporal_conv": True,
        "pixel_hidden_size": vision["hidden_size"]}
    wider = vision["intermediate_size"] / vision["hidden_size"]
    return names | config | {"vision_config": vision | {"embed_dim": vision["hidden_size"], "mlp_ratio": wider}}
