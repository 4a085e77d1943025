"""What vLLM wants to find in the configuration of a native ERNIE-4.5-VL: the flat names of Baidu's own code.

Takes the configuration that transformers writes, gives the same with those names beside its own. transformers goes on
reading its nested part, so one folder serves both. Knows nothing of weights: those are written in the hub's layout.
Source of the names: what vllm 0.32 reads in `ernie45_vl.py` and `ernie45_vl_moe.py`.
"""

from __future__ import annotations

from typing import Any

SAME = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
        "hidden_act", "rms_norm_eps", "max_position_embeddings", "vocab_size", "use_bias", "rope_parameters", "moe_k",
        "moe_num_shared_experts", "moe_intermediate_size", "pad_token_id", "bos_token_id", "eos_token_id")
"""Fields of the text part that keep their names."""


def flat(config: dict[str, Any]) -> dict[str, Any]:
    """A configuration of `ernie4_5_vl_moe` that vLLM reads too; of any other model type, unchanged."""
    if config["model_type"] != "ernie4_5_vl_moe":
        return config
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
