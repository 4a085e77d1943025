"""Adapter and base -> one folder that plain transformers loads and vLLM serves, checked before it gets its name.

Takes the folder of an adapter, gives the folder of a model in 16 bits. Knows nothing of how the adapter was trained.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from latexocr.errors import UserError
from latexocr.reading import GenerateConfig
from latexocr.reading.conversation import conversation
from latexocr.reading.images import prepare
from latexocr.reading.inputs import copy_processor, encode, load_processor, render
from latexocr.reading.local import base_folder, in_format, load_adapter, load_model, pick_device, pick_dtype, reader_of
from latexocr.records import Sample
from latexocr.training.record import RUN

CHECKED = 50
"""Pictures on which adapter and export must give the same answers."""
MERGE_TOLERANCE = 2e-3
"""Most that merging may change a logit in float32, relative to the spread of the logits; rounding is far below it."""


def export(adapter: Path, out: Path, *, samples: Sequence[Sample] | None = None,
           dtype: Literal["bfloat16", "float16"] = "bfloat16", shard_size: str = "4GB",
           download: bool = False, trust_remote_code: bool = False) -> Path:
    """Merge an adapter into its base, write one folder in 16 bits, and give that folder.

    Fails with a UserError, leaving nothing behind, unless the merge computes what base and adapter compute, and the
    folder, loaded anew, gives the same greedy answers as the adapter on 50 pictures: of `samples`, else of the
    adapter's training data, else drawn.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} is already there. Give another folder, or remove it first.")
    if not (adapter / "adapter_config.json").is_file():
        raise UserError(f"{adapter}: no adapter in it (no adapter_config.json). Give the folder that training wrote.")
    pictures = _pictures(adapter, samples)
    base = base_folder(adapter, download=download)
    half = out.with_name(out.name + ".part")
    shutil.rmtree(half, ignore_errors=True)
    try:
        answers = _write(adapter, base, half, pictures, dtype=dtype, shard_size=shard_size, download=download,
                         trust_remote_code=trust_remote_code)
        _compare(half, pictures, answers, trust_remote_code=trust_remote_code)
        if out.is_dir():
            out.rmdir()
        half.rename(out)
    finally:
        shutil.rmtree(half, ignore_errors=True)
    return out


def _write(adapter: Path, base: Path, folder: Path, pictures: list[Sample], *, dtype: str, shard_size: str,
           download: bool, trust_remote_code: bool) -> list[str]:
    """Merge, round to `dtype` and write; gives the answers of the merged model in memory."""
    processor = load_processor(base, trust_remote_code=trust_remote_code)
    model = load_adapter(adapter, dtype="float32", download=download, trust_remote_code=trust_remote_code).eval()
    before = _first_logits(model, processor, pictures[0])
    merged = model.merge_and_unload()
    _check_merge(before, _first_logits(merged, processor, pictures[0]))
    settings = merged.generation_config
    merged = in_format(merged, dtype)
    device = pick_device("auto")
    reader = reader_of(merged, processor, device=device, dtype=_computing(dtype, device), config=_greedy())
    answers = [prediction.reply for prediction in _shown(reader.read(pictures), "adapter", len(pictures))]
    merged.generation_config = settings
    in_format(merged, dtype).to("cpu").save_pretrained(folder, max_shard_size=shard_size)
    copy_processor(base, folder)
    if (adapter / RUN).is_file():
        shutil.copyfile(adapter / RUN, folder / RUN)  # What it was trained on: a benchmark asks.
    return answers


def _compare(folder: Path, pictures: list[Sample], answers: list[str], *, trust_remote_code: bool) -> None:
    """Load the written folder anew and compare its answers. Raises UserError naming the pictures that differ."""
    import json

    dtype = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("dtype", "bfloat16")
    reader = load_model(folder, dtype=_computing(dtype, pick_device("auto")), config=_greedy(),
                        trust_remote_code=trust_remote_code)
    written = [prediction.reply for prediction in _shown(reader.read(pictures), "export", len(pictures))]
    differing = [sample.id for sample, one, other in zip(pictures, answers, written) if one != other]
    if differing:
        named = ", ".join(differing[:10]) + (", ..." if len(differing) > 10 else "")
        raise UserError(f"The export answers otherwise than the adapter on {len(differing)} of {len(pictures)} "
                        f"pictures: {named}. Nothing was written.")


def _check_merge(before: Any, after: Any) -> None:
    """Refuse a merge that loses part of an adapter, as merging has done for mixtures of experts."""
    change = float((before - after).abs().max() / before.std())
    if not change <= MERGE_TOLERANCE:
        raise UserError(f"Merging this adapter changes what the model computes (logits move by {change:.2g} of their "
                        f"spread, at most {MERGE_TOLERANCE:g} is rounding). Nothing was written.")


def _first_logits(model: Any, processor: Any, sample: Sample) -> Any:
    """The logits of one conversation with its answer, in float32."""
    import torch

    picture = prepare(sample.image)
    text = render(processor, conversation(picture, sample.latex or "x"), ask=False)
    with torch.inference_mode():
        return model(**encode(processor, [text], [picture], side="right")).logits.float()


def _computing(dtype: str, device: str) -> str:
    """What the rounded weights compute in: their own format on a GPU, float32 on a CPU, as in use."""
    return pick_dtype("auto", device) if device == "cpu" else dtype


def _greedy() -> GenerateConfig:
    return GenerateConfig(max_tokens=256, batch_size=10)


def _shown(predictions: Any, name: str, total: int) -> Any:
    """Predictions, with a bar on a terminal."""
    from tqdm import tqdm

    return tqdm(predictions, desc=f"answers of the {name}", total=total, file=sys.stderr, disable=None)


def _pictures(adapter: Path, samples: Sequence[Sample] | None) -> list[Sample]:
    """The pictures to compare on: readable ones of the samples given, of the training data, or drawn."""
    chosen = []
    for sample in samples or _training_samples(adapter) or _drawn():
        try:
            chosen.append(replace(sample, image=prepare(sample.image)))
        except UserError:
            continue
        if len(chosen) == CHECKED:
            return chosen
    if chosen:
        return chosen
    raise UserError("An export is checked on pictures, and none of these can be read: give others (--data SPEC).")


def _training_samples(adapter: Path) -> list[Sample]:
    """What the adapter was trained on, as its record says; none where that is not here."""
    from latexocr.data.sources import load
    from latexocr.training.record import read

    try:
        spec = read(adapter)["settings"]["data"]
        return load(spec) if spec else []
    except (UserError, KeyError):
        return []


def _drawn() -> list[Sample]:
    """Pictures of short strings: what they say is of no matter, both sides only have to read them alike."""
    from PIL import Image, ImageDraw, ImageFont

    font, samples = ImageFont.load_default(size=28), []
    for number in range(CHECKED):
        text = f"x{number % 7} + {number * number} = {'yzkn'[number % 4]}"[:4 + number % 12]
        picture = Image.new("RGB", (20 + 18 * len(text), 48), "white")
        ImageDraw.Draw(picture).text((10, 6), text, fill="black", font=font)
        samples.append(Sample(text, picture, text))
    return samples
