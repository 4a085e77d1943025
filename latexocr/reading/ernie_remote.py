"""The inputs of ERNIE-4.5-VL's remote code (`trust_remote_code`), whose names and shapes are its own.

Takes its processor, texts and pictures, gives one padded batch. Knows nothing of the native class of transformers,
which needs none of this.

The interface, read in Baidu's modelling and processing code and in Unsloth's notebook for ERNIE-4.5-VL-28B-A3B:

- the processor takes one text at a time, with `<|IMAGE_START|><|image@placeholder|><|IMAGE_END|>` for a picture; it
  adds no begin or end token and gives no attention mask;
- `images` are raw patches (uint8): the model normalises them, once `model.add_image_preprocess(processor)` was called;
- `grid_thw` has one row a picture, `image_type_ids` one number a picture (0: a picture, 1: a frame of a video);
- `position_ids` are (batch, tokens, 3): time, row, column;
- `token_type_ids` (0 text, 1 picture, its start and end among it) choose the experts. `forward` wants them one longer
  than `input_ids`, for the token to come; `generate` adds that one itself.
"""

from __future__ import annotations

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
    """The batch of rendered texts with one picture each, padded on the given side, as `generate` takes it."""
    import torch
    from transformers import BatchFeature

    single = [processor(text=[text], images=[image], videos=[], return_tensors="pt")
              for text, image in zip(texts, images)]
    for inputs in single:
        inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    longest = max(inputs["input_ids"].shape[1] for inputs in single)
    pad = processor.tokenizer.pad_token_id or 0
    batch = {name: torch.cat([_padded(inputs[name], longest, side, pad if name == "input_ids" else 0)
                              for inputs in single]) for name in PADDED}
    batch |= {name: torch.cat([inputs[name] for inputs in single]) for name in JOINED}
    batch["image_type_ids"] = torch.cat([inputs["image_type_ids"].flatten() for inputs in single])
    return BatchFeature(batch)


def attach(model: Any, processor: Any) -> None:
    """Tell a model of the remote code how pixels are normalised; nothing for any other model."""
    if type(processor).__name__ == PROCESSOR:
        model.add_image_preprocess(processor)


def for_training(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A batch as `forward` takes it: with the type of one more token, text."""
    from torch.nn.functional import pad

    return {**batch, "token_type_ids": pad(batch["token_type_ids"], (0, 1))}


def _padded(rows: torch.Tensor, longest: int, side: str, value: int) -> torch.Tensor:
    """Rows of shape (1, tokens) or (1, tokens, 3), filled up to `longest` tokens."""
    import torch

    missing = longest - rows.shape[1]
    filling = torch.full((1, missing, *rows.shape[2:]), value, dtype=rows.dtype)
    return torch.cat([filling, rows] if side == "left" else [rows, filling], dim=1)
