"""Tiny random models of the families that training takes, made on the fly: the same code has to serve all of them.

Each is a whole checkpoint (weights, byte tokenizer, chat template, image processor) of about 0.3 M parameters. Their
templates are written after the published ones: where the picture stands, what begins and ends an answer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.conftest import make_tiny_model

STAND_IN = Path(__file__).parent / "ernie_stand_in.py"
CHAT = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{% for c in m['content'] %}{% if c['type'] == 'image' %}"
    "<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ c['text'] }}{% endif %}{% endfor %}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")
"""Qwen2.5-VL's, without its system message."""
PADDLE = (
    "<|begin_of_sentence|>{% for m in messages %}{% if m['role'] == 'user' %}User: {% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}<|IMAGE_START|><|IMAGE_PLACEHOLDER|><|IMAGE_END|>{% else %}{{ c['text'] }}{% endif %}"
    "{% endfor %}\n{% else %}Assistant:\n{% for c in m['content'] %}{{ c['text'] }}{% endfor %}</s>{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}Assistant:\n{% endif %}")
ERNIE = (
    "<|begin_of_sentence|>{% for m in messages %}{% if m['role'] == 'user' %}User: {% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}Picture 1:<|IMAGE_START|><|IMAGE_PLACEHOLDER|><|IMAGE_END|>{% else %}{{ c['text'] }}"
    "{% endif %}{% endfor %}\n{% else %}Assistant: {% for c in m['content'] %}{{ c['text'] }}{% endfor %}"
    "<|end_of_sentence|>{% endif %}{% endfor %}{% if add_generation_prompt %}Assistant: "
    "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% else %}<think>\n{% endif %}"
    "{% endif %}")
"""Thinks unless told not to; an answer without thoughts is written without the empty part that the question has."""
ROPE = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [6, 5, 5]}
TEXT = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1,
        "intermediate_size": 128, "max_position_embeddings": 2048, "initializer_range": 0.1, "rope_parameters": ROPE,
        "tie_word_embeddings": True}


def make_qwen2_5_vl(folder: Path) -> None:
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    special = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>",
               "<|video_pad|>")
    ids = write_tokenizer(folder, special, CHAT, pad="<|endoftext|>", eos="<|im_end|>")
    _save_model(folder, Qwen2_5_VLForConditionalGeneration, Qwen2_5_VLConfig(
        text_config=TEXT | {"vocab_size": 320, "pad_token_id": ids["<|endoftext|>"]}, tie_word_embeddings=True,
        vision_config={"depth": 2, "hidden_size": 64, "num_heads": 2, "intermediate_size": 128, "out_hidden_size": 64,
                       "patch_size": 14, "window_size": 56, "fullatt_block_indexes": [1], "initializer_range": 0.1},
        image_token_id=ids["<|image_pad|>"], video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"], vision_end_token_id=ids["<|vision_end|>"]), ids["<|im_end|>"])
    Qwen2VLImageProcessorPil(patch_size=14, merge_size=2, temporal_patch_size=2,
                             size={"shortest_edge": 3136, "longest_edge": 262144}).save_pretrained(folder)


def make_paddleocr_vl(folder: Path) -> None:
    from transformers import PaddleOCRVLConfig, PaddleOCRVLForConditionalGeneration
    from transformers.models.paddleocr_vl.image_processing_pil_paddleocr_vl import PaddleOCRVLImageProcessorPil

    special = ("<unk>", "<|begin_of_sentence|>", "</s>", "<|IMAGE_START|>", "<|IMAGE_END|>", "<|IMAGE_PLACEHOLDER|>",
               "<|video_pad|>")
    ids = write_tokenizer(folder, special, PADDLE, pad="<unk>", eos="</s>", bos="<|begin_of_sentence|>",
                           named={"image_token": "<|IMAGE_PLACEHOLDER|>"})
    _save_model(folder, PaddleOCRVLForConditionalGeneration, PaddleOCRVLConfig(
        text_config=TEXT | {"vocab_size": 320, "head_dim": 32, "pad_token_id": ids["<unk>"]}, tie_word_embeddings=True,
        vision_config={"num_hidden_layers": 2, "hidden_size": 64, "num_attention_heads": 2, "intermediate_size": 128,
                       "patch_size": 14, "image_size": 112, "spatial_merge_size": 2, "temporal_patch_size": 1},
        image_token_id=ids["<|IMAGE_PLACEHOLDER|>"], video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|IMAGE_START|>"], vision_end_token_id=ids["<|IMAGE_END|>"]), ids["</s>"])
    PaddleOCRVLImageProcessorPil(patch_size=14, merge_size=2, temporal_patch_size=1,
                                 size={"shortest_edge": 3136, "longest_edge": 262144}).save_pretrained(folder)


def make_ernie(folder: Path) -> None:
    from transformers import Ernie4_5_VLMoeConfig, Ernie4_5_VLMoeForConditionalGeneration
    from transformers.models.ernie4_5_vl_moe.image_processing_pil_ernie4_5_vl_moe import Ernie4_5_VLMoeImageProcessorPil

    special = ("<unk>", "<|begin_of_sentence|>", "<|end_of_sentence|>", "<|IMAGE_START|>", "<|IMAGE_END|>",
               "<|IMAGE_PLACEHOLDER|>", "<|VIDEO_START|>", "<|VIDEO_END|>", "<|VIDEO_PLACEHOLDER|>")
    named = {f"{kind}_{part}token": f"<|{kind.upper()}_{word}|>" for kind in ("image", "video")
             for part, word in (("", "PLACEHOLDER"), ("start_", "START"), ("end_", "END"))}
    ids = write_tokenizer(folder, special, ERNIE, pad="<unk>", eos="<|end_of_sentence|>", bos="<|begin_of_sentence|>",
                           named=named)
    tokens = {f"{name}_id": ids[token] for name, token in named.items()}
    _save_model(folder, Ernie4_5_VLMoeForConditionalGeneration, Ernie4_5_VLMoeConfig(
        text_config=TEXT | {"vocab_size": 320, "num_hidden_layers": 3, "moe_num_experts": 4, "moe_k": 2,
                            "moe_num_shared_experts": 1, "moe_intermediate_size": [64, 32],
                            "rope_parameters": ROPE | {"mrope_section": [5, 5, 6]},
                            "pad_token_id": ids["<unk>"]},
        vision_config={"depth": 2, "hidden_size": 64, "num_heads": 2, "intermediate_size": 128, "patch_size": 14,
                       "initializer_range": 0.1}, tie_word_embeddings=True, **tokens), ids["<|end_of_sentence|>"])
    Ernie4_5_VLMoeImageProcessorPil(patch_size=14, merge_size=2,
                                    size={"shortest_edge": 3136, "longest_edge": 262144}).save_pretrained(folder)


def make_ernie_remote(folder: Path) -> None:
    """A folder with code of its own (`auto_map`), as Baidu's checkpoint is: a stand-in of ours (ernie_stand_in.py)."""
    special = ("<unk>", "<|begin_of_sentence|>", "</s>", "<|IMAGE_START|>", "<|IMAGE_END|>", "<|IMAGE_PLACEHOLDER|>")
    template = ERNIE.replace("<|IMAGE_PLACEHOLDER|>", "<|image@placeholder|>").replace("<|end_of_sentence|>", "</s>")
    ids = write_tokenizer(folder, special, template, pad="<unk>", eos="</s>", bos="<|begin_of_sentence|>")
    classes = {"AutoConfig": "StandInConfig", "AutoModelForCausalLM": "StandIn",
               "AutoProcessor": "Ernie4_5_VLProcessor", "AutoImageProcessor": "StandInPictures"}
    auto_map = {name: f"ernie_stand_in.{kind}" for name, kind in classes.items()}
    (folder / "config.json").write_text(json.dumps({
        "model_type": "ernie4_5_moe_vl", "architectures": ["StandIn"], "auto_map": auto_map, "vocab_size": 320,
        "hidden_size": 32, "num_hidden_layers": 1, "im_patch_id": ids["<|IMAGE_PLACEHOLDER|>"],
        "tie_word_embeddings": True}))
    (folder / "preprocessor_config.json").write_text(json.dumps({
        "processor_class": "Ernie4_5_VLProcessor", "image_processor_type": "StandInPictures", "auto_map": auto_map}))
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": 2, "pad_token_id": 0}))
    (folder / STAND_IN.name).write_text(STAND_IN.read_text())
    _save_remote_weights(folder)


def _save_remote_weights(folder: Path) -> None:
    import torch
    from safetensors.torch import save_file
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    config = AutoConfig.from_pretrained(folder, trust_remote_code=True)
    model = AutoModelForCausalLM.from_config(config, trust_remote_code=True)
    for parameter in model.parameters():  # Wide apart, so that pictures are told apart.
        torch.nn.init.normal_(parameter, std=0.5)
    weights = model.state_dict()
    weights.pop("lm_head.weight")  # That of the embeddings, says the configuration.
    save_file({name: weight.contiguous() for name, weight in weights.items()}, folder / "model.safetensors",
              metadata={"format": "pt"})


FAMILIES: dict[str, Callable[[Path], None]] = {
    "qwen3_vl": make_tiny_model, "qwen2_5_vl": make_qwen2_5_vl, "paddleocr_vl": make_paddleocr_vl,
    "ernie4_5_vl_moe": make_ernie}
REMOTE = "ernie4_5_moe_vl"
EVERY = {**FAMILIES, REMOTE: make_ernie_remote}
"""With the one whose code has to be trusted."""


def _save_model(folder: Path, model_class: type, config: Any, end: int) -> None:
    import torch

    torch.manual_seed(0)
    model = model_class(config)
    with torch.no_grad():
        model.model.language_model.norm.weight.mul_(4)  # So narrow a model could else never be sure of a token.
    model.generation_config.eos_token_id = end
    model.generation_config.pad_token_id = config.text_config.pad_token_id
    model.save_pretrained(folder)


def write_tokenizer(folder: Path, special: Sequence[str], template: str, *, pad: str, eos: str, bos: str | None = None,
                     named: dict[str, str] | None = None) -> dict[str, int]:
    """A byte tokenizer and its template; gives token -> id."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    pieces = [*special, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token=pad, eos_token=eos, bos_token=bos,
                                   extra_special_tokens=named or list(special))
    fast.chat_template = template
    fast.save_pretrained(folder)
    return vocabulary
