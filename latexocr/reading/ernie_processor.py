"""The processor by which vLLM shows pictures to a native ERNIE-4.5-VL; latexocr writes this file beside the weights.

vLLM (0.26 to 0.32, `model_executor/models/ernie45_vl.py`) asks for the interface of Baidu's own checkpoint: `images` as
raw patches, which vLLM normalises, `grid_thw`, `<|image@placeholder|>` where a picture stands, limits of its size under
other names, two sizes of merging. This class gives that, and leaves pictures and text to the image processor and
tokenizer of transformers. It is found by `auto_map` in processor_config.json, and used with --trust-remote-code alone;
without, `AutoProcessor` gives transformers' own class from the same folder. It needs nothing of latexocr.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import BatchFeature
from transformers.processing_utils import ProcessorMixin

PATCH = "<|IMAGE_PLACEHOLDER|>"
"""The token that a picture becomes, once for each of its patches when merged; transformers' templates write one."""
PICTURE = "<|image@placeholder|>"
"""What vLLM looks for in a rendered question, to put those tokens in its place."""


class Ernie4_5_VLProcessor(ProcessorMixin):
    """Texts and pictures to the tensors that vLLM expects; its template is the folder's, with vLLM's placeholder."""

    spatial_conv_size = 2
    temporal_conv_size = 2

    def __init__(self, image_processor: Any = None, tokenizer: Any = None, chat_template: str | None = None) -> None:
        template = chat_template or tokenizer.chat_template
        super().__init__(image_processor, tokenizer, chat_template=template and template.replace(PATCH, PICTURE))
        self.spatial_conv_size = image_processor.merge_size
        edges = image_processor.size
        self.limits = {"shortest_edge": edges["shortest_edge"], "longest_edge": edges["longest_edge"]}
        image_processor.size = {**self.limits, "min_pixels": self.limits["shortest_edge"],
                                "max_pixels": self.limits["longest_edge"]}

    @classmethod
    def from_pretrained(cls, name: str, **options: Any) -> Ernie4_5_VLProcessor:
        """From a model folder; pictures go through PIL, as they do in training, so that the same pixels are seen."""
        return super().from_pretrained(name, **{**options, "backend": "pil"})

    def __call__(self, text: Any = "", images: Any = (), videos: Any = (), **_: Any) -> BatchFeature:
        """One text: `input_ids` (1, tokens); with pictures also `images` (patches, 3 * patch * patch) as uint8, and
        `grid_thw` (pictures, 3)."""
        if videos:
            raise ValueError("This model was tuned on pictures; its folder says nothing of videos.")
        found: dict[str, Any] = {}
        if images:
            seen = self.image_processor(list(images), size=self.limits, do_rescale=False, do_normalize=False,
                                        return_tensors="pt")
            found = {"images": seen["pixel_values"].to(torch.uint8), "grid_thw": seen["image_grid_thw"]}
        parts = (text if isinstance(text, str) else text[0]).split(PICTURE)
        ids = self.tokenizer(parts[0], add_special_tokens=False)["input_ids"]
        for part, grid in zip(parts[1:], found.get("grid_thw", ()), strict=True):
            ids += [self.tokenizer.convert_tokens_to_ids(PATCH)] * (int(grid.prod()) // self.spatial_conv_size**2)
            ids += self.tokenizer(part, add_special_tokens=False)["input_ids"]
        return BatchFeature({"input_ids": torch.tensor([ids]), **found})
