"""The folder of a model of a published shape with random weights, for measuring speed: random_model.py SHAPE FOLDER

Tokenizer and template are those of the embedded model, so the vocabulary has 2,048 entries and not the shape's own; all
else is as published. Without --weights there is only the configuration: vLLM fills it in by `--load-format dummy`.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

from latexocr.reading.inputs import BUILTIN, resolve

QWEN2_5_VL_3B = {
    "text_config": {"hidden_size": 2048, "intermediate_size": 11008, "num_hidden_layers": 36, "num_attention_heads": 16,
                    "num_key_value_heads": 2, "rope_parameters": {"rope_type": "default", "rope_theta": 1e6,
                                                                  "mrope_section": [16, 24, 24]}},
    "vision_config": {"depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16, "patch_size": 14,
                      "out_hidden_size": 2048, "window_size": 112, "fullatt_block_indexes": [7, 15, 23, 31]}}
"""Qwen2.5-VL-3B-Instruct, by its config.json."""
QWEN3_VL_30B_A3B = {
    "text_config": {"hidden_size": 2048, "intermediate_size": 6144, "moe_intermediate_size": 768, "num_experts": 128,
                    "num_experts_per_tok": 8, "num_hidden_layers": 48, "num_attention_heads": 32, "head_dim": 128,
                    "num_key_value_heads": 4, "rope_parameters": {"rope_type": "default", "rope_theta": 5e6,
                                                                  "mrope_section": [24, 20, 20],
                                                                  "mrope_interleaved": True}},
    "vision_config": {"depth": 27, "hidden_size": 1152, "intermediate_size": 4304, "num_heads": 16, "patch_size": 16,
                      "out_hidden_size": 2048, "deepstack_visual_indexes": [8, 16, 24]}}
"""Qwen3-VL-30B-A3B-Instruct, by its config.json: a mixture of experts of about the size of ERNIE-4.5-VL-28B-A3B, of
which vLLM takes only a checkpoint with its authors' own configuration and code."""
TINY = {"text_config": {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2,
                        "num_key_value_heads": 1, "rope_parameters": {"rope_type": "default", "rope_theta": 1e6,
                                                                      "mrope_section": [6, 5, 5]}},
        "vision_config": {"depth": 2, "hidden_size": 64, "intermediate_size": 128, "num_heads": 2, "patch_size": 14,
                          "out_hidden_size": 64, "window_size": 112, "fullatt_block_indexes": [1]}}
SHAPES = {"qwen2.5-vl-3b": ("Qwen2_5_VL", QWEN2_5_VL_3B), "qwen3-vl-30b-a3b": ("Qwen3VLMoe", QWEN3_VL_30B_A3B),
          "tiny": ("Qwen2_5_VL", TINY)}
"""Name -> family in transformers, and its configuration. "tiny" is for rehearsals."""


def make(shape: str, folder: Path, *, weights: bool) -> None:
    """Write the folder; with `weights`, bfloat16 ones of seed 0."""
    import torch
    import transformers

    family, sizes = SHAPES[shape]
    embedded = resolve(BUILTIN)
    folder.mkdir(parents=True)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json"):
        shutil.copyfile(embedded / name, folder / name)
    known = json.loads((embedded / "config.json").read_text())
    shared = ("vocab_size", "max_position_embeddings", "bos_token_id", "eos_token_id", "pad_token_id")
    text = sizes["text_config"] | {key: known["text_config"][key] for key in shared}
    tokens: dict[str, Any] = {key: known[key] for key in known if key.endswith("_token_id")}
    config = getattr(transformers, f"{family}Config")(
        text_config=text, vision_config=sizes["vision_config"], tie_word_embeddings=True, **tokens)
    model_class = getattr(transformers, f"{family}ForConditionalGeneration")
    config.architectures, config.dtype = [model_class.__name__], torch.bfloat16
    config.save_pretrained(folder)
    patch = sizes["vision_config"]["patch_size"]
    processor = {"image_processor_type": "Qwen2VLImageProcessor", "patch_size": patch, "merge_size": 2,
                 "temporal_patch_size": 2, "size": {"shortest_edge": 4 * patch * patch, "longest_edge": 262144},
                 "processor_class": "Qwen2_5_VLProcessor" if family == "Qwen2_5_VL" else "Qwen3VLProcessor"}
    (folder / "preprocessor_config.json").write_text(json.dumps(processor, indent=1))
    if weights:
        torch.manual_seed(0)
        torch.set_default_dtype(torch.bfloat16)
        model_class(config).save_pretrained(folder, max_shard_size="4GB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shape", choices=SHAPES)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--weights", action="store_true")
    given = parser.parse_args()
    make(given.shape, given.folder, weights=given.weights)
