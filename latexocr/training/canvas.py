"""The forward pass of the embedded model over pictures of one canvas, much faster than picture by picture.

Takes the model's own modules and a batch, gives its losses. The same numbers as the stock forward pass (a test compares
them): positions are computed once a canvas, attention runs over (picture, patch) instead of a loop over pictures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from transformers import Qwen3VLForConditionalGeneration

SAMPLES_A_PATCH = 3 * 2
"""Colour channels and frames that a patch repeats: our pictures are grey and still."""


@dataclass(frozen=True)
class Geometry:
    """What depends on the canvas alone."""

    positions: torch.Tensor
    """Learned position of every patch, as rows and weights of the table: (n, 4) and (n, 4)."""
    weights: torch.Tensor
    cos: torch.Tensor
    sin: torch.Tensor
    """Rotation of every patch, (n, head_dim)."""
    places: torch.Tensor
    """Positions of the tokens before the answer in the language model, (3, 1 + n / 4 + 1)."""


class CanvasModel(nn.Module):
    """Losses of a Qwen3-VL model on batches of one canvas, and the head that names the glyphs in each cell."""

    def __init__(self, model: Qwen3VLForConditionalGeneration, glyph_classes: int) -> None:
        super().__init__()
        self.model = model
        self.glyph_head = nn.Linear(model.config.text_config.hidden_size, glyph_classes)
        self._geometry: dict[tuple[int, int], Geometry] = {}
        self._block = vision_block

    def compile(self) -> None:
        """Compile the blocks and the loss for all canvas sizes at once (a minute, once)."""
        torch._dynamo.config.cache_size_limit = 64
        self._block = torch.compile(vision_block, dynamic=True)
        for layer in self.model.model.language_model.layers:
            layer.forward = torch.compile(layer.forward, dynamic=True)

    def visual_tokens(self, pixels: torch.Tensor) -> torch.Tensor:
        """(B, H, W) uint8 -> (B, H / 16 * W / 16, hidden)."""
        visual = self.model.model.visual
        rows, columns = pixels.shape[1:]
        geometry = self.geometry(rows, columns)
        kernel = visual.patch_embed.proj.weight
        kernel = kernel.reshape(kernel.shape[0], SAMPLES_A_PATCH, -1).sum(1)
        x = F.linear(patches(pixels, visual.patch_size, visual.spatial_merge_size), kernel,
                     visual.patch_embed.proj.bias)
        x = x + (visual.pos_embed(geometry.positions) * geometry.weights[..., None]).sum(1).to(x.dtype)
        for block in visual.blocks:
            x = self._block(block, x, geometry.cos, geometry.sin)
        return visual.merger(x.reshape(-1, x.shape[-1])).view(len(pixels), -1, self.glyph_head.in_features)

    def forward(self, pixels: torch.Tensor, tokens: torch.Tensor, glyphs: torch.Tensor
                ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Mean cross entropy of the answer's tokens, the same of the glyphs, and the share of tokens right.

        pixels (B, H, W) uint8; tokens (B, L), the end token last, then -100; glyphs (n, 2): cell in the batch,
        class, -100 where that is unknown.
        """
        visual = self.visual_tokens(pixels)
        logits = self.logits(visual, tokens, pixels.shape[1], pixels.shape[2])
        flat = tokens.reshape(-1)
        text_loss = F.cross_entropy(logits.float().reshape(len(flat), -1), flat)
        named = self.glyph_head(visual.reshape(-1, visual.shape[-1])[glyphs[:, 0]])
        glyph_loss = F.cross_entropy(named.float(), glyphs[:, 1], reduction="sum") / (glyphs[:, 1] >= 0).sum().clamp(1)
        with torch.no_grad():
            known = flat != -100
            right = ((logits.reshape(len(flat), -1).argmax(-1) == flat) & known).sum() / known.sum()
        return text_loss, glyph_loss, right

    def logits(self, visual: torch.Tensor, tokens: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
        """Scores of every next token of the answer, (B, L, vocabulary), given the true tokens before it."""
        config, language = self.model.config, self.model.model.language_model
        embed = language.embed_tokens
        count = visual.shape[1]
        given = F.pad(tokens[:, :-1].clamp(min=0), (1, 0), value=config.vision_end_token_id)
        start = embed(torch.full((len(tokens), 1), config.vision_start_token_id, device=tokens.device))
        embeddings = torch.cat([start.to(visual.dtype), visual, embed(given).to(visual.dtype)], dim=1)
        before = self.geometry(rows, columns).places
        after = before[:, -1:] + torch.arange(1, given.shape[1], device=before.device)
        positions = torch.cat([before, after.expand(3, -1)], dim=1)[:, None].expand(-1, len(tokens), -1)
        hidden = language(inputs_embeds=embeddings, position_ids=positions, use_cache=False).last_hidden_state
        return self.model.lm_head(hidden[:, 1 + count :])

    def geometry(self, rows: int, columns: int) -> Geometry:
        """What the canvas fixes, computed once a canvas by the stock functions of transformers."""
        if (rows, columns) not in self._geometry:
            with torch.no_grad(), torch.autocast(self.glyph_head.weight.device.type, enabled=False):
                self._geometry[rows, columns] = self._compute(rows, columns)
        return self._geometry[rows, columns]

    def _compute(self, rows: int, columns: int) -> Geometry:
        from transformers.vision_utils import get_vision_interpolation_indices_and_weights, get_vision_position_ids

        visual, device = self.model.model.visual, self.glyph_head.weight.device
        merge = visual.spatial_merge_size
        grid = torch.tensor([[1, rows // visual.patch_size, columns // visual.patch_size]], device=device)
        positions, weights = get_vision_interpolation_indices_and_weights(
            grid, num_grid_per_side=visual.num_grid_per_side, mode=visual.interpolation_mode,
            align_corners=visual.interpolation_align_corners, spatial_merge_size=merge)
        cos, sin = visual.rotary_pos_emb(torch.zeros(1, device=device), get_vision_position_ids(grid, merge))
        picture = self.model.model.get_vision_position_ids(1, grid[0], 1, merge, device=device)
        after = 1 + int(grid[0, 1:].max()) // merge
        edge = torch.tensor([[0], [0], [0]], device=device)
        return Geometry(positions, weights, cos, sin, torch.cat([edge, picture, edge + after], dim=1))


def patches(pixels: torch.Tensor, patch: int, merge: int) -> torch.Tensor:
    """(B, H, W) uint8 -> (B, n, patch * patch) in -1 to 1, patches of one visual token side by side."""
    count, rows, columns = pixels.shape
    x = pixels.float() / 127.5 - 1
    x = x.view(count, rows // (patch * merge), merge, patch, columns // (patch * merge), merge, patch)
    return x.permute(0, 1, 4, 2, 5, 3, 6).reshape(count, -1, patch * patch)


def vision_block(block: nn.Module, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """One block of the vision tower over (B, n, hidden), all pictures at once."""
    attention = block.attn
    count, length, _ = x.shape
    states = attention.qkv(block.norm1(x)).view(count, length, 3, attention.num_heads, -1).permute(2, 0, 3, 1, 4)
    query, key, value = states.unbind(0)
    out = F.scaled_dot_product_attention(rotate(query, cos, sin), rotate(key, cos, sin), value)
    x = x + attention.proj(out.transpose(1, 2).reshape(count, length, -1))
    return x + block.mlp(block.norm2(x))


def rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Rotary positions applied in float32 to (B, heads, n, head_dim)."""
    first, second = x.float().chunk(2, dim=-1)
    turned = torch.cat([-second, first], dim=-1)
    return (x.float() * cos + turned * sin).to(x.dtype)
