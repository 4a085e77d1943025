"""A stand-in for ERNIE-4.5-VL's remote code: tiny, and strict about the interface that reading/ernie_remote.py names.

The tests copy this file into a model folder, where transformers finds it by `auto_map`. It reads a picture as the mean
of its patches; what it is for is to refuse inputs of other names, shapes or kinds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import BatchFeature, GenerationMixin, PretrainedConfig, PreTrainedModel
from transformers.processing_utils import ProcessorMixin
from transformers.utils import ModelOutput

PATCH = 14
PICTURE = "<|IMAGE_START|><|image@placeholder|><|IMAGE_END|>"


class StandInConfig(PretrainedConfig):
    model_type = "ernie4_5_moe_vl"


@dataclass
class Output(ModelOutput):
    loss: torch.Tensor | None = None
    logits: torch.Tensor | None = None
    router_loss: torch.Tensor | None = None


class Ernie4_5_VLProcessor(ProcessorMixin):
    attributes = ["tokenizer"]  # noqa: RUF012
    tokenizer_class = "AutoTokenizer"

    def __init__(self, tokenizer: Any = None, **_: Any) -> None:
        super().__init__(tokenizer)

    def __call__(self, text: list[str], images: Any = (), videos: Any = (), return_tensors: str = "pt") -> BatchFeature:
        assert len(text) == 1 and len(images) == 1 and not videos, "one text, one picture at a time"
        before, after = text[0].split(PICTURE)
        width, height = (max(2, side // (2 * PATCH) * 2) for side in images[0].size)  # in patches, an even number
        start, end, patch = self.tokenizer.convert_tokens_to_ids(
            ["<|IMAGE_START|>", "<|IMAGE_END|>", "<|IMAGE_PLACEHOLDER|>"])
        words = [self.tokenizer.convert_tokens_to_ids(self.tokenizer.tokenize(part)) for part in (before, after)]
        seen = [start] + [patch] * (width * height // 4) + [end]
        ids = words[0] + seen + words[1]
        kinds = [0] * len(words[0]) + [1] * len(seen) + [0] * len(words[1])
        pixels = np.asarray(images[0].convert("RGB").resize((width * PATCH, height * PATCH)))
        patches = pixels.reshape(height, PATCH, width, PATCH, 3).transpose(0, 2, 4, 1, 3).reshape(height * width, -1)
        return BatchFeature({
            "input_ids": torch.tensor([ids]), "token_type_ids": torch.tensor([kinds]),
            "position_ids": torch.arange(len(ids))[None, :, None].expand(1, -1, 3).contiguous(),
            "images": torch.from_numpy(patches.copy()), "grid_thw": torch.tensor([[1, height, width]]),
            "image_type_ids": torch.tensor([[0]])})


class StandIn(PreTrainedModel, GenerationMixin):
    config_class = StandInConfig
    image_preprocess = None

    def __init__(self, config: StandInConfig) -> None:
        super().__init__(config)
        self.embed_tokens = torch.nn.Embedding(config.vocab_size, config.hidden_size)
        self.fc1 = torch.nn.Linear(3 * PATCH * PATCH, config.hidden_size)
        self.q_proj = torch.nn.Linear(config.hidden_size, config.hidden_size)
        self.lm_head = torch.nn.Linear(config.hidden_size, config.vocab_size)
        self.post_init()

    def get_output_embeddings(self) -> torch.nn.Module:
        return self.lm_head

    def get_input_embeddings(self) -> torch.nn.Module:
        return self.embed_tokens

    def add_image_preprocess(self, processor: Any) -> None:
        self.image_preprocess = processor

    def prepare_inputs_for_generation(self, input_ids: torch.Tensor, images: Any = None, token_type_ids: Any = None,
                                      image_type_ids: Any = None, grid_thw: Any = None, **kwargs: Any) -> dict:
        """Adds the type of the token to come, as the remote code does; without a cache, so all tokens come again."""
        places = kwargs["position_ids"][..., :3]  # transformers lengthens what it takes for a row of tokens
        steps = places[:, -1:] + torch.arange(1, input_ids.shape[1] - places.shape[1] + 1)[None, :, None]
        new = input_ids.shape[1] - token_type_ids.shape[1]
        return {"input_ids": input_ids, "attention_mask": kwargs.get("attention_mask"), "images": images,
                "image_type_ids": image_type_ids, "grid_thw": grid_thw,
                "position_ids": torch.cat([places, steps], dim=1),
                "token_type_ids": torch.nn.functional.pad(token_type_ids, (0, new + 1))}

    def forward(self, input_ids: torch.Tensor, position_ids: torch.Tensor, attention_mask: torch.Tensor,
                images: torch.Tensor, token_type_ids: torch.Tensor, image_type_ids: torch.Tensor,
                grid_thw: torch.Tensor, use_cache: bool | None = None, **rest: Any) -> Output:
        assert self.image_preprocess is not None and images.dtype == torch.uint8, "the model normalises raw patches"
        assert token_type_ids.shape[1] == input_ids.shape[1] + 1 and position_ids.shape == (*input_ids.shape, 3)
        assert attention_mask is None or attention_mask.shape == input_ids.shape
        assert "labels" not in rest
        assert len(images) == grid_thw.prod(1).sum() and len(image_type_ids) == len(grid_thw)
        places = input_ids == self.config.im_patch_id
        assert places.sum() * 4 == len(images) and (token_type_ids[:, :-1][places] == 1).all()
        hidden = self.embed_tokens(input_ids)
        seen = self.fc1(images.float() / 127.5 - 1).unflatten(0, (-1, 4)).mean(1)
        hidden = hidden.masked_scatter(places[..., None], seen)
        shown = hidden.cumsum(1) / torch.arange(1, hidden.shape[1] + 1)[None, :, None]
        return Output(logits=self.lm_head(hidden + torch.tanh(self.q_proj(hidden + shown))),
                      router_loss=torch.tensor(0.25))
