"""The embedded model before it has learned anything: its shape, its tokenizer, its chat template.

Takes formulas for the tokenizer, gives an ordinary Qwen3-VL checkpoint folder. transformers loads it without remote
code, Unsloth and PEFT tune it, vLLM serves it natively. Knows nothing of training.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from latexocr.reading.images import HEIGHTS, WIDTHS

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast, Qwen3VLForConditionalGeneration

PAD, START, END, IMAGE_START, IMAGE_END, IMAGE, VIDEO = SPECIAL = (
    "<|pad|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
PIECES = 2048
"""Entries of the vocabulary, a multiple of 64."""
PATCH, MERGE = 8, 2
PIECE = r"\\(?:begin|end)\{[a-zA-Z]+\*?\}|\\[a-zA-Z]+ ?|\\.|[{}_^]+|[a-zA-Z]|[0-9]|."
"""What a piece may not reach beyond: a command with the space after it, an environment, a run of braces and scripts."""
TEMPLATE = (
    "{%- for message in messages -%}"
    "{%- if message['role'] == 'assistant' -%}"
    "{%- if message['content'] is string -%}{{ message['content'] }}"
    "{%- else -%}{%- for part in message['content'] -%}"
    "{%- if part['type'] == 'text' -%}{{ part['text'] }}{%- endif -%}{%- endfor -%}{%- endif -%}"
    "<|im_end|>"
    "{%- elif message['content'] is not string -%}"
    "{%- for part in message['content'] -%}"
    "{%- if part['type'] in ('image', 'image_url') -%}<|vision_start|><|image_pad|><|vision_end|>{%- endif -%}"
    "{%- endfor -%}{%- endif -%}{%- endfor -%}"
)
"""The model knows one task, so its prompt is the picture alone: the words of the prompt cost it nothing."""


def new(folder: Path, formulas: Iterable[str]) -> None:
    """Write an untrained model to a folder: configuration, processor and a tokenizer fitted to the formulas.

    The weights are not written: `load` draws them where none are.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = _tokenizer(formulas)
    tokenizer.save_pretrained(folder)
    config = _config(tokenizer)
    config.architectures = ["Qwen3VLForConditionalGeneration"]
    config.save_pretrained(folder)
    (folder / "chat_template.jinja").write_text(TEMPLATE, encoding="utf-8")
    (folder / "preprocessor_config.json").write_text(json.dumps(_preprocessor(), indent=2) + "\n", encoding="utf-8")
    (folder / "generation_config.json").write_text(json.dumps({
        "do_sample": False, "eos_token_id": config.text_config.eos_token_id,
        "pad_token_id": config.text_config.pad_token_id}, indent=2) + "\n", encoding="utf-8")


def load(folder: Path, *, seed: int) -> Qwen3VLForConditionalGeneration:
    """The model of a folder in float32: its weights, or fresh ones from the seed where the folder has none."""
    import torch
    from transformers import AutoConfig, Qwen3VLForConditionalGeneration

    if list(folder.glob("*.safetensors")):
        return Qwen3VLForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    torch.manual_seed(seed)
    return Qwen3VLForConditionalGeneration(AutoConfig.from_pretrained(folder)).float()


def _tokenizer(formulas: Iterable[str]) -> PreTrainedTokenizerFast:
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    pieces = Tokenizer(models.BPE())
    pieces.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(PIECE), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    pieces.decoder = decoders.ByteLevel()
    pieces.train_from_iterator(formulas, trainers.BpeTrainer(
        vocab_size=PIECES, special_tokens=list(SPECIAL), initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    return PreTrainedTokenizerFast(
        tokenizer_object=pieces, pad_token=PAD, eos_token=END, extra_special_tokens=[*SPECIAL[3:], START],
        chat_template=TEMPLATE, clean_up_tokenization_spaces=False, model_max_length=4096)


def _config(tokenizer: PreTrainedTokenizerFast):
    from transformers import Qwen3VLConfig

    ids = dict(zip(SPECIAL, tokenizer.convert_tokens_to_ids(list(SPECIAL)), strict=True))
    text = {
        "vocab_size": PIECES, "hidden_size": 384, "intermediate_size": 1024, "num_hidden_layers": 6,
        "num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 64, "max_position_embeddings": 4096,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [12, 10, 10],
                            "mrope_interleaved": True},
        "bos_token_id": None, "eos_token_id": ids[END], "pad_token_id": ids[PAD], "tie_word_embeddings": True}
    vision = {
        "depth": 8, "hidden_size": 320, "num_heads": 5, "intermediate_size": 1024, "out_hidden_size": 384,
        "patch_size": PATCH, "spatial_merge_size": MERGE, "temporal_patch_size": 2, "num_position_embeddings": 32 * 32,
        "deepstack_visual_indexes": []}
    return Qwen3VLConfig(
        text_config=text, vision_config=vision, tie_word_embeddings=True, image_token_id=ids[IMAGE],
        video_token_id=ids[VIDEO], vision_start_token_id=ids[IMAGE_START], vision_end_token_id=ids[IMAGE_END])


def _preprocessor() -> dict:
    """Settings under which the processor's own resizing leaves a prepared picture as it is."""
    return {"image_processor_type": "Qwen2VLImageProcessor", "processor_class": "Qwen3VLProcessor",
            "patch_size": PATCH, "merge_size": MERGE, "temporal_patch_size": 2,
            "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5],
            "size": {"shortest_edge": HEIGHTS[0] * WIDTHS[0] // 2, "longest_edge": HEIGHTS[-1] * WIDTHS[-1]}}
