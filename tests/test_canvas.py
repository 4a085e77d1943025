"""The fast forward pass computes what transformers computes, and a model learns through it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFont

from latexocr.training import architecture
from latexocr.training.canvas import CanvasModel
from latexocr.training.stream import UNPLACED

CLASSES = 10


@pytest.fixture
def canvas_model(untrained_model: Path) -> CanvasModel:
    torch.manual_seed(0)
    return CanvasModel(architecture.load(untrained_model, seed=1), CLASSES)


def pictures(texts: list[str], rows: int, columns: int) -> np.ndarray:
    font = ImageFont.load_default(size=18)
    drawn = []
    for text in texts:
        picture = Image.new("L", (columns, rows), 255)
        ImageDraw.Draw(picture).text((4, rows // 2 - 12), text, fill=0, font=font)
        drawn.append(np.asarray(picture))
    return np.stack(drawn)


def answers(folder: Path, texts: list[str], length: int) -> torch.Tensor:
    """The texts' tokens, the end token, then -100."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokens = torch.full((len(texts), length), -100)
    for row, text in zip(tokens, texts):
        ids = [*tokenizer(text, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
        row[: len(ids)] = torch.tensor(ids)
    return tokens


def stock_logits(model, folder: Path, pixels: np.ndarray, tokens: torch.Tensor) -> torch.Tensor:
    """Scores of every token from transformers' own image processor and forward pass, picture by picture."""
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    processor, config = Qwen2VLImageProcessorPil.from_pretrained(folder), model.config
    rows = []
    for picture, answer in zip(pixels, tokens):
        seen = processor([Image.fromarray(picture).convert("RGB")], return_tensors="pt")
        count = int(seen["image_grid_thw"].prod()) // 4
        ids = torch.tensor([[config.vision_start_token_id, *[config.image_token_id] * count,
                             config.vision_end_token_id, *answer[:-1].clamp(min=0).tolist()]])
        out = model(input_ids=ids, attention_mask=torch.ones_like(ids), **seen,
                    mm_token_type_ids=(ids == config.image_token_id).int())
        rows.append(out.logits[0, 1 + count :])
    return torch.stack(rows)


@pytest.mark.parametrize(("rows", "columns"), [(32, 64), (96, 160), (48, 320), (160, 96)])
def test_the_scores_are_those_of_transformers(canvas_model, untrained_model, rows, columns):
    with torch.no_grad():
        for weight in canvas_model.parameters():
            weight.mul_(6 if weight.ndim > 1 else 1)  # so that every part, positions too, moves the scores
        pixels = np.random.default_rng(0).integers(0, 256, (3, rows, columns), dtype=np.uint8)
        tokens = answers(untrained_model, ["12+x", "x", ""], 8)
        ours = canvas_model.logits(canvas_model.visual_tokens(torch.as_tensor(pixels)), tokens, rows, columns)
        stock = stock_logits(canvas_model.model, untrained_model, pixels, tokens)
    assert ours.shape == (3, 8, architecture.PIECES)
    assert stock.std() > 0.5 and (stock[0, 0] - stock[1, 0]).abs().max() > 0.1
    torch.testing.assert_close(ours, stock, rtol=0, atol=1e-4 * max(1, float(stock.abs().max())))


def test_the_losses_are_means_over_what_is_known(canvas_model, untrained_model):
    pixels, tokens = torch.as_tensor(pictures(["1", "22"], 32, 64)), answers(untrained_model, ["1", "22"], 16)
    glyphs = torch.tensor([[0, 3], [8, 4], [9, 4]])
    text, glyph, right = canvas_model(pixels, tokens, glyphs)
    visual = canvas_model.visual_tokens(pixels)
    likely = canvas_model.logits(visual, tokens, 32, 64).log_softmax(-1)
    known = [(row, place) for row in range(2) for place in range(16) if tokens[row, place] != -100]
    assert text.item() == pytest.approx(np.mean([-likely[r, p, tokens[r, p]].item() for r, p in known]), abs=1e-4)
    cells = canvas_model.glyph_head(visual.reshape(-1, visual.shape[-1])).log_softmax(-1)
    assert glyph.item() == pytest.approx(np.mean([-cells[c, k].item() for c, k in glyphs.tolist()]), abs=1e-4)
    assert right.item() == pytest.approx(np.mean([(likely[r, p].argmax() == tokens[r, p]).item() for r, p in known]))


def test_glyphs_of_no_known_place_bear_no_loss(canvas_model, untrained_model):
    pixels, tokens = torch.as_tensor(pictures(["1", "22"], 32, 64)), answers(untrained_model, ["1", "22"], 16)
    known = torch.tensor([[0, 3], [9, 4]])
    unknown = torch.tensor([[2, UNPLACED], [8, UNPLACED]])
    given = known, torch.cat([known, unknown]), unknown
    losses = [canvas_model(pixels, tokens, glyphs)[1].item() for glyphs in given]
    assert losses[0] == pytest.approx(losses[1]) and losses[0] > 0 and losses[2] == 0


@pytest.mark.parametrize("which", [0, 1], ids=["text", "glyphs"])
def test_each_loss_teaches_every_part_of_the_vision_tower(canvas_model, untrained_model, which):
    pixels, tokens = torch.as_tensor(pictures(["1", "22"], 32, 64)), answers(untrained_model, ["1", "22"], 16)
    canvas_model(pixels, tokens, torch.tensor([[0, 3], [8, 4]]))[which].backward()
    untouched = [name for name, weight in canvas_model.model.model.visual.named_parameters()
                 if weight.grad is None or not weight.grad.abs().sum() > 0]
    assert untouched == []


def test_a_tiny_model_learns_to_read_eight_pictures(canvas_model, untrained_model):
    texts = ["12", "21", "37", "73", "48", "84", "50", "05"]
    pixels, tokens = torch.as_tensor(pictures(texts, 32, 64)), answers(untrained_model, texts, 16)
    glyphs = torch.tensor([[8 * i + 4 * (place > 0) + place, int(digit)]
                           for i, text in enumerate(texts) for place, digit in enumerate(text)])
    optimizer = torch.optim.AdamW(canvas_model.parameters(), lr=3e-3)
    losses = []
    for _ in range(200):
        text, glyph, right = canvas_model(pixels, tokens, glyphs)
        optimizer.zero_grad()
        (text + glyph).backward()
        optimizer.step()
        losses.append((text.item(), glyph.item()))
    assert right.item() == 1.0
    assert losses[-1][0] < 0.1 < losses[0][0] and losses[-1][1] < 0.2 < losses[0][1], losses[::20]
    with torch.no_grad():
        blank = canvas_model(torch.full_like(pixels, 255), tokens, glyphs)
    assert blank[0] > 0.5, "read without looking"
