"""The inputs of ERNIE-4.5-VL's remote code (`trust_remote_code`), whose names and shapes are its own.

Takes its processor, texts and pictures, gives one padded batch. Knows nothing of the native class of transformers,
which needs none of this.

The interface, read in Baidu's modelling and processing code and in Unsloth's notebook for ERNIE-4.5-VL-28B-A3B, and run
(training/README.md says which code):

- the processor takes one text at a time, with `<|IMAGE_START|><|image@placeholder|><|IMAGE_END|>` for a picture; it
  adds no begin or end token and gives no attention mask;
- `images` are raw patches (uint8): the model normalises them, once `model.add_image_preprocess(processor)` was called;
- `grid_thw` has one row a picture, `image_type_ids` one number (0: a picture, 1: a frame of a video), as (batch, 1);
- `position_ids` are (batch, tokens, 3): time, row, column;
- `token_type_ids` (0 text, 1 picture, its start and end among it) choose the experts. `forward` wants them one longer
  than `input_ids`, for the token to come; `generate` adds that one itself;
- padding cannot be masked: what its attention does with a mask of rows depends on its settings, and is nothing or an
  error. So the rows of a batch that is answered have one length; one that is learned from is padded behind its answers,
  where no token looks;
- keys and values are kept as tuples: transformers must bring no cache of its own.
"""

from __future__ import annotations

import sys
from copy import deepcopy
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image
    from transformers import BatchFeature

PROCESSOR = "Ernie4_5_VLProcessor"
"""Name of the remote class; the native one is `Ernie4_5_VLMoeProcessor`."""
PADDED = ("input_ids", "token_type_ids", "position_ids", "attention_mask")
JOINED = ("images", "grid_thw")


def encode(processor: Any, texts: list[str], images: list[Image], *, side: Literal["left", "right"]) -> BatchFeature:
    """The batch of rendered texts with one picture each: on the left as `generate` takes it, else padded on the right.

    Raises ValueError where rows to be answered are not of one length.
    """
    import torch
    from transformers import BatchFeature

    single = [processor(text=[text], images=[image], videos=[], return_tensors="pt")
              for text, image in zip(texts, images)]
    for inputs in single:
        inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    lengths = {inputs["input_ids"].shape[1] for inputs in single}
    if side == "left" and len(lengths) > 1:
        raise ValueError(f"questions of {sorted(lengths)} tokens cannot be answered together by ERNIE's remote code")
    longest = max(lengths)
    pad = processor.tokenizer.pad_token_id or 0
    batch = {name: torch.cat([_padded(inputs[name], longest, pad if name == "input_ids" else 0)
                              for inputs in single]) for name in PADDED}
    batch |= {name: torch.cat([inputs[name] for inputs in single]) for name in JOINED}
    batch["image_type_ids"] = torch.cat([inputs["image_type_ids"] for inputs in single])
    return BatchFeature({**batch, "use_cache": False} if side == "left" else batch)


def attach(model: Any, processor: Any) -> None:
    """Tell a model of the remote code how pixels are normalised; nothing for any other model."""
    if type(processor).__name__ == PROCESSOR:
        # Of a copy, for it is made to hold tensors, and what holds them cannot be saved with a checkpoint.
        model.add_image_preprocess(SimpleNamespace(image_processor=deepcopy(processor.image_processor)))


def complete(model: Any) -> None:
    """Make good, in place, what transformers 5 does to a model of the remote code when it loads it; nothing for others.

    It makes a model without memory and fills in its weights. An output layer that is that of the embeddings, and so not
    in the file, is random then; the frequencies of the tower's positions, kept beside the weights, have no values.
    """
    if not hasattr(model, "add_image_preprocess"):
        return
    model.main_input_name = "input_ids"  # Its class says pixels, and `generate` would wait for them.
    if getattr(model.config, "tie_word_embeddings", False):
        model.get_output_embeddings().weight.data.copy_(model.get_input_embeddings().weight.data)
    rotary = model.vision_model.rotary_pos_emb
    if rotary.inv_freq.is_meta:
        config = model.config.vision_config
        model.vision_model.rotary_pos_emb = type(rotary)(config.embed_dim // config.num_heads // 2)
    _keep_names(sys.modules[type(model).__module__])


def _keep_names(code: Any) -> None:
    """The code's outputs have a field `past_key_values`, which newer transformers (5.24) hand over as `cache`."""
    from transformers.utils import ModelOutput

    for kind in vars(code).values():
        if isinstance(kind, type) and issubclass(kind, ModelOutput) and hasattr(kind.__init__, "__wrapped__"):
            type.__setattr__(kind, "__init__", kind.__init__.__wrapped__)


def for_training(batch: dict[str, Any]) -> dict[str, torch.Tensor]:
    """A batch as `forward` takes it: with the type of one more token, text, and no mask."""
    from torch.nn.functional import pad

    kept = {name: value for name, value in batch.items() if name not in ("attention_mask", "use_cache")}
    return {**kept, "token_type_ids": pad(batch["token_type_ids"], (0, 1))}


def _padded(rows: torch.Tensor, longest: int, value: int) -> torch.Tensor:
    """Rows of shape (1, tokens) or (1, tokens, 3), filled up behind to `longest` tokens."""
    import torch

    filling = torch.full((1, longest - rows.shape[1], *rows.shape[2:]), value, dtype=rows.dtype)
    return torch.cat([rows, filling], dim=1)
