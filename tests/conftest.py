"""A tiny model of the embedded one's architecture with random weights, and small pictures of strings, for any test.

The model has every part of a real checkpoint (weights, tokenizer, chat template, image processor) and none of its
size: 0.3 M parameters, made in a moment. Its weights are wide on purpose: a model that answers everything alike would
let a broken batch pass.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from latexocr.records import Sample

settings.register_profile("latexocr", deadline=None)  # Other work on the machine must not fail a test.
settings.load_profile("latexocr")

SPECIAL = ("<|pad|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>",
           "<|video_pad|>")
TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'user' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% else %}{% for part in message['content'] %}{{ part['text'] }}{% endfor %}<|im_end|>{% endif %}"
    "{% endfor %}")
"""As the embedded model's: it knows one task, so the prompt's text is left out."""


@pytest.fixture(scope="session", autouse=True)
def caches_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Pictures that sources keep go to a folder of the tests, not to the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a random Qwen3-VL-shaped model."""
    folder = tmp_path_factory.mktemp("tiny")
    make_tiny_model(folder)
    return folder


def make_tiny_model(folder: Path) -> None:
    import torch
    from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

    vocabulary = _write_tokenizer(folder)
    torch.manual_seed(0)
    config = Qwen3VLConfig(
        vision_config={"depth": 2, "hidden_size": 64, "num_heads": 2, "intermediate_size": 128, "out_hidden_size": 64,
                       "patch_size": 8, "spatial_merge_size": 2, "temporal_patch_size": 2,
                       "num_position_embeddings": 1024, "deepstack_visual_indexes": [], "initializer_range": 0.1},
        text_config={"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1,
                     "head_dim": 32, "intermediate_size": 128, "vocab_size": 320, "max_position_embeddings": 2048,
                     "tie_word_embeddings": True, "initializer_range": 0.1, "pad_token_id": vocabulary["<|pad|>"],
                     "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [6, 5, 5],
                                         "mrope_interleaved": True}},
        tie_word_embeddings=True, initializer_range=0.1, image_token_id=vocabulary["<|image_pad|>"],
        video_token_id=vocabulary["<|video_pad|>"], vision_start_token_id=vocabulary["<|vision_start|>"],
        vision_end_token_id=vocabulary["<|vision_end|>"])
    model = Qwen3VLForConditionalGeneration(config)
    with torch.no_grad():
        model.model.language_model.norm.weight.mul_(4)  # So narrow a model could else never be sure of a token.
    model.generation_config.eos_token_id = vocabulary["<|im_end|>"]
    model.generation_config.pad_token_id = vocabulary["<|pad|>"]
    model.save_pretrained(folder)


@pytest.fixture(scope="session")
def untrained_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `pretrain new` writes, its configuration brought down to 0.4 M parameters. Only to be read."""
    from latexocr.training import architecture

    folder = tmp_path_factory.mktemp("untrained")
    architecture.new(folder, [r"\frac{1}{2}+x^{2}", r"\sum_{i=0}^{n}\alpha_{i}", "0123456789"] * 3)
    config = json.loads((folder / "config.json").read_text())
    config["text_config"] |= {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "head_dim": 32,
                              "num_attention_heads": 2, "num_key_value_heads": 1}
    config["text_config"]["rope_parameters"]["mrope_section"] = [6, 5, 5]
    config["vision_config"] |= {"depth": 2, "hidden_size": 64, "intermediate_size": 128, "num_heads": 2,
                                "out_hidden_size": 64}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture(scope="session")
def serve_python() -> Path:
    """The interpreter that has vLLM. Whether it can be imported, which takes seconds, its first user sees."""
    from latexocr.errors import UserError
    from latexocr.reading.vllm import find_build

    python = Path(__file__).parent.parent / ".venv-serve/bin/python"
    try:
        find_build(python)
    except UserError:
        pytest.skip("no vLLM in .venv-serve: `make test` installs it")
    return python


def _write_tokenizer(folder: Path) -> dict[str, int]:
    """A byte tokenizer, its template and an image processor; gives token -> id."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    pieces = [*SPECIAL, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<|pad|>", eos_token="<|im_end|>",
                                   additional_special_tokens=list(SPECIAL))
    fast.chat_template = TEMPLATE
    fast.save_pretrained(folder)
    Qwen2VLImageProcessorPil(patch_size=8, merge_size=2, temporal_patch_size=2, image_mean=[0.5] * 3,
                             image_std=[0.5] * 3, size={"shortest_edge": 256, "longest_edge": 262144}
                             ).save_pretrained(folder)
    return vocabulary


def drawn(count: int, *, alphabet: str = "0123456789", longest: int = 3, seed: int = 0) -> list[Sample]:
    """Samples of short strings drawn with PIL's own font, in memory; the same for the same arguments."""
    from PIL import Image, ImageDraw, ImageFont

    chance = random.Random(seed)
    font = ImageFont.load_default(size=28)
    samples = []
    for number in range(count):
        text = "".join(chance.choices(alphabet, k=chance.randint(1, longest)))
        picture = Image.new("RGB", (20 + 18 * len(text), 48), "white")
        ImageDraw.Draw(picture).text((10, 6), text, fill="black", font=font)
        samples.append(Sample(f"{number:04d}", picture, text))
    return samples
