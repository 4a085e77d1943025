"""A stand-in for ERNIE-4.5-VL's remote code: tiny, and strict about the interface that reading/ernie_remote.py names.

The tests copy this file into a model folder, where transformers finds it by `auto_map`. It reads a picture as the mean
of its patches; what it is for is to refuse inputs of other names, shapes or kinds, and to have what made the real code
fail with transformers 5 when that was run: tensors beside the weights, an output layer that is not in the file, tuples
of keys and values, a processor that cannot be saved once the model has held it.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from transformers import BatchFeature, GenerationMixin, PretrainedConfig, PreTrainedModel
from transformers.image_processing_utils import BaseImageProcessor
from transformers.processing_utils import ProcessorMixin
from transformers.utils import ModelOutput

PATCH = 14
PICTURE = "<|IMAGE_START|><|image@placeholder|><|IMAGE_END|>"


class StandInConfig(PretrainedConfig):
    model_type = "ernie4_5_moe_vl"
    vision_config = SimpleNamespace(embed_dim=16, num_heads=2)


@dataclass
class Output(ModelOutput):
    loss: torch.Tensor | None = None
    logits: torch.Tensor | None = None
    past_key_values: tuple | None = None
    router_loss: torch.Tensor | None = None


class StandInPictures(BaseImageProcessor):
    def __init__(self, rescale_factor: float = 1 / 127.5, **rest: Any) -> None:
        super().__init__(**rest)
        self.rescale_factor = rescale_factor


class Ernie4_5_VLProcessor(ProcessorMixin):
    def __init__(self, image_processor: Any = None, tokenizer: Any = None, chat_template: str | None = None) -> None:
        super().__init__(image_processor, tokenizer, chat_template=chat_template)

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


class Rotary(torch.nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.inv_freq = 1.0 / 100 ** (torch.arange(0, dim, 2) / dim)  # no buffer


class Tower(torch.nn.Module):
    def __init__(self, config: StandInConfig) -> None:
        super().__init__()
        self.fc1 = torch.nn.Linear(3 * PATCH * PATCH, config.hidden_size)
        self.rotary_pos_emb = Rotary(config.vision_config.embed_dim // config.vision_config.num_heads // 2)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        assert self.rotary_pos_emb.inv_freq.sum().isclose(torch.tensor(1.1))
        return self.fc1(pixels).unflatten(0, (-1, 4)).mean(1)


class StandIn(PreTrainedModel, GenerationMixin):
    config_class = StandInConfig
    main_input_name = "pixel_values"
    image_preprocess = None

    def __init__(self, config: StandInConfig) -> None:
        super().__init__(config)
        self.embed_tokens = torch.nn.Embedding(config.vocab_size, config.hidden_size)
        self.vision_model = Tower(config)
        self.q_proj = torch.nn.Linear(config.hidden_size, config.hidden_size)
        self.lm_head = torch.nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    def get_output_embeddings(self) -> torch.nn.Module:
        return self.lm_head

    def get_input_embeddings(self) -> torch.nn.Module:
        return self.embed_tokens

    def add_image_preprocess(self, processor: Any) -> None:
        self.image_preprocess = processor.image_processor
        self.image_preprocess.rescale_factor = torch.tensor(self.image_preprocess.rescale_factor)

    def prepare_inputs_for_generation(self, input_ids: torch.Tensor, images: Any = None, past_key_values: Any = None,
                                      token_type_ids: Any = None, image_type_ids: Any = None, grid_thw: Any = None,
                                      **kwargs: Any) -> dict:
        """Adds the type of the token to come, and takes one token at a time once there are keys and values."""
        assert past_key_values is None or isinstance(past_key_values, tuple), "keys and values are kept as tuples"
        if past_key_values:
            input_ids, token_type_ids = input_ids[:, -1:], token_type_ids[:, -1:]
            image_type_ids = image_type_ids[:, -1:]
        return {"input_ids": input_ids, "attention_mask": None, "images": images, "image_type_ids": image_type_ids,
                "grid_thw": grid_thw, "position_ids": kwargs["position_ids"], "past_key_values": past_key_values,
                "token_type_ids": torch.nn.functional.pad(token_type_ids, (0, 1)), "use_cache": True}

    def _update_model_kwargs_for_generation(self, outputs: Output, model_kwargs: dict,
                                            is_encoder_decoder: bool = False) -> dict:
        types, places = model_kwargs["token_type_ids"], model_kwargs["position_ids"]
        return {**model_kwargs, "past_key_values": outputs.past_key_values,
                "token_type_ids": torch.cat([types, types[:, -1:]], dim=1),
                "position_ids": torch.cat([places, places[:, -1:] + 1], dim=1)}

    def forward(self, input_ids: torch.Tensor, position_ids: torch.Tensor, images: torch.Tensor,
                token_type_ids: torch.Tensor, image_type_ids: torch.Tensor, grid_thw: torch.Tensor,
                attention_mask: None = None, past_key_values: Any = None, use_cache: bool | None = None,
                **rest: Any) -> Output:
        assert attention_mask is None, "padding cannot be masked"
        assert self.image_preprocess is not None and images.dtype == torch.uint8, "the model normalises raw patches"
        assert token_type_ids.shape[1] == input_ids.shape[1] + 1
        assert len(images) == grid_thw.prod(1).sum() and image_type_ids.shape == (len(input_ids), 1)
        assert rest.get("labels") is None, "it gives no loss"
        hidden = self.embed_tokens(input_ids)
        if past_key_values is None:
            assert position_ids.shape == (*input_ids.shape, 3)
            places = input_ids == self.config.im_patch_id
            assert places.sum() * 4 == len(images) and (token_type_ids[:, :-1][places] == 1).all()
            seen = self.vision_model(images.float() * self.image_preprocess.rescale_factor - 1)
            hidden = hidden.masked_scatter(places[..., None], seen)
            before, number = 0, torch.arange(1, hidden.shape[1] + 1)[None, :, None]
        else:
            (before, length), = past_key_values
            number = length + 1
        total = before + hidden.cumsum(1)
        mixed = hidden + torch.tanh(self.q_proj(hidden + total / number))
        cache = ((total[:, -1:], torch.as_tensor(number).reshape(-1)[-1]),) if use_cache else None
        return Output(logits=self.lm_head(mixed if not use_cache else mixed[:, -1:]), past_key_values=cache,
                      router_loss=torch.tensor(0.25))
