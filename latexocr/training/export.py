"""Adapter and base -> one folder that plain transformers loads and vLLM serves, checked before it gets its name.

Takes the folder of an adapter, gives the folder of a model in 16 bits. Knows nothing of how the adapter was trained.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from latexocr import provenance
from latexocr.errors import UserError
from latexocr.reading import GenerateConfig, ernie_remote, ernie_vllm
from latexocr.reading.confidence import FILE as CALIBRATION
from latexocr.reading.conversation import prompt_names, prompt_text
from latexocr.reading.images import prepare
from latexocr.reading.inputs import (
    copy_processor,
    encode,
    frame,
    load_processor,
    model_type,
    needs_remote_code,
    tuned_with,
)
from latexocr.reading.local import (
    base_folder,
    in_format,
    load_adapter,
    load_model,
    no_progress_bars,
    pick_device,
    reader_of,
)
from latexocr.records import Sample
from latexocr.training.flat import for_vllm
from latexocr.training.memory import for_weights
from latexocr.training.record import RUN, alone, room

CHECKED = 50
"""Pictures on which adapter and export must give the same answers."""
COMPARED = 5
"""Of these, pictures on which the logits of base, adapter and merged model are compared, in float32."""
MERGE_TOLERANCE = 2e-3
"""Most that merging may change a logit in float32, relative to the spread of the logits; rounding is far below it."""
SMALLER = ("It is merged in float32 in main memory, and reads on a GPU where there is one: without that GPU "
           "(CUDA_VISIBLE_DEVICES=), or on a machine with more memory.")
"""What to do where an export does not fit."""
THINKING = "enable_thinking"
"""The variable by which templates of models that think are told not to."""
SILENT = "{%- if enable_thinking is not defined -%}{%- set enable_thinking = false -%}{%- endif -%}"


@dataclass(frozen=True)
class Parity:
    """How near the merged model is to base and adapter, in float32."""

    largest_logit_difference: float
    """Between adapter and merged model, over every place of the conversations looked at."""
    adapter_effect: float
    """Most that the adapter moves a logit of its base there."""


def export(adapter: Path, out: Path, *, samples: Sequence[Sample] | None = None,
           dtype: Literal["bfloat16", "float16"] = "bfloat16", shard_size: str = "4GB",
           download: bool = False, trust_remote_code: bool = False) -> Path:
    """Merge an adapter into its base, write one folder in 16 bits, and give that folder.

    Fails with a UserError, leaving nothing behind, unless the adapter does something, the merge computes what base and
    adapter compute, and the folder, loaded anew, gives the same greedy answers as the adapter on 50 pictures: of
    `samples`, else of the adapter's training data, else drawn. What was seen is in the folder's export.json.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} is already there. Give another folder, or remove it first.")
    if not (adapter / "adapter_config.json").is_file():
        advice = ("Its training has not ended: give that command again." if (adapter / RUN).is_file()
                  else "Give the folder that training wrote.")
        raise UserError(f"{adapter}: no adapter in it (no adapter_config.json). {advice}")
    pictures = _pictures(adapter, samples)
    base = base_folder(adapter, download=download)
    half = out.absolute().with_name(f"{out.absolute().name}.part")
    with alone(half), room(half.parent), for_weights(base, SMALLER):
        try:
            _empty(half)
            parity, answers = _write(adapter, base, half, pictures, dtype=dtype, shard_size=shard_size,
                                     download=download, trust_remote_code=trust_remote_code)
            _compare(half, pictures, answers, dtype=dtype, trust_remote_code=trust_remote_code)
            record = {**provenance.start(), "adapter": str(adapter), "base": str(base), "dtype": dtype,
                      "pictures": len(pictures), **asdict(parity)}
            provenance.write_text(half / "export.json", json.dumps(record, indent=1) + "\n")
            if out.is_dir():
                out.rmdir()
            half.rename(out)
        finally:
            shutil.rmtree(half, ignore_errors=True)
    return out


def _empty(folder: Path) -> None:
    """Remove what an export that was killed has left."""
    for left in folder.iterdir():
        shutil.rmtree(left) if left.is_dir() else left.unlink()


def _write(adapter: Path, base: Path, folder: Path, pictures: list[Sample], *, dtype: str, shard_size: str,
           download: bool, trust_remote_code: bool) -> tuple[Parity, list[str]]:
    """Merge, round to `dtype` and write; gives the parity, and the answers of the merged model in memory."""
    processor = load_processor(base, trust_remote_code=trust_remote_code)
    model = load_adapter(adapter, dtype="float32", download=download, trust_remote_code=trust_remote_code).eval()
    ernie_remote.attach(model.get_base_model(), processor)
    prompt = prompt_text(tuned_with(adapter) or prompt_names(model_type(base))[0])
    parity, merged = _merge(model, processor, pictures[:COMPARED], prompt)
    settings = merged.generation_config
    merged = in_format(merged, dtype)
    device = pick_device("auto")
    reader = reader_of(merged, processor, device=device, dtype=_computing(dtype, device), config=_greedy(),
                       prompt=prompt)
    answers = [prediction.reply for prediction in _shown(reader.read(pictures), "adapter", len(pictures))]
    merged.generation_config = settings
    with no_progress_bars():
        in_format(merged, dtype).to("cpu").save_pretrained(folder, max_shard_size=shard_size)
    _complete(folder, base, adapter)
    return parity, answers


def _complete(folder: Path, base: Path, adapter: Path) -> None:
    """Beside the weights, what `vllm serve FOLDER` reads: configuration, processor, template, a base's own code."""
    if needs_remote_code(folder):  # Whose configuration transformers writes under names of its own.
        written, own = (json.loads((place / "config.json").read_text(encoding="utf-8")) for place in (folder, base))
        own = {name: value for name, value in own.items() if name != "torch_dtype"} | {"dtype": written["dtype"]}
        provenance.write_text(folder / "config.json", json.dumps(own, indent=2) + "\n")
    for_vllm(folder)
    for weights in folder.glob("*.safetensors"):  # Written for their owner alone; a server is often somebody else.
        weights.chmod((folder / "config.json").stat().st_mode)
    copy_processor(base, folder)
    for code in base.glob("*.py"):
        shutil.copyfile(code, folder / code.name)
    ernie_vllm.write_processor(folder)
    template = folder / "chat_template.jinja"
    if template.is_file() and THINKING in template.read_text(encoding="utf-8"):
        # Whoever asks the served model writes what it was taught, without knowing of this switch.
        provenance.write_text(template, SILENT + template.read_text(encoding="utf-8"))
    for name in (RUN, CALIBRATION):  # What it was trained on, which a benchmark asks, and how sure it may be.
        if (adapter / name).is_file():
            shutil.copyfile(adapter / name, folder / name)


def _merge(model: Any, processor: Any, pictures: list[Sample], prompt: str) -> tuple[Parity, Any]:
    """The merged model. Refuses an adapter that does nothing, and a merge that loses part of one, as merging has done
    for mixtures of experts."""
    conversations = [_encoded(processor, sample, prompt) for sample in pictures]
    with model.disable_adapter():
        alone = [_logits(model, inputs) for inputs in conversations]
    before = [_logits(model, inputs) for inputs in conversations]
    merged = model.merge_and_unload()
    after = [_logits(merged, inputs) for inputs in conversations]
    moved, effect = (max(float((a - b).abs().max()) for a, b in zip(before, others)) for others in (after, alone))
    spread = min(float(logits.std()) for logits in before)
    if not effect > spread * MERGE_TOLERANCE:
        raise UserError(f"This adapter changes nothing: with and without it logits differ by at most {effect:.2g} of a "
                        f"spread of {spread:.2g}. Was it trained to its end? Nothing was written.")
    if not moved <= spread * MERGE_TOLERANCE:
        raise UserError(f"Merging this adapter changes what the model computes (logits move by {moved / spread:.2g} of "
                        f"their spread, at most {MERGE_TOLERANCE:g} is rounding). Nothing was written.")
    return Parity(moved, effect), merged


def _encoded(processor: Any, sample: Sample, prompt: str) -> dict[str, Any]:
    """One conversation with its answer, as training shows it."""
    text = frame(processor, prompt).answered(sample.latex or "x")
    inputs = dict(encode(processor, [text], [prepare(sample.image)], side="right"))
    return ernie_remote.for_training(inputs) if "image_type_ids" in inputs else inputs


def _logits(model: Any, inputs: dict[str, Any]) -> Any:
    import torch

    with torch.inference_mode():  # ERNIE's remote code writes into its inputs.
        return model(**{name: value.clone() for name, value in inputs.items()}, use_cache=False).logits.float()


def _compare(folder: Path, pictures: list[Sample], answers: list[str], *, dtype: str, trust_remote_code: bool) -> None:
    """Load the written folder anew and compare its answers. Raises UserError naming the pictures that differ."""
    reader = load_model(folder, dtype=_computing(dtype, pick_device("auto")), config=_greedy(),
                        trust_remote_code=trust_remote_code)
    written = [prediction.reply for prediction in _shown(reader.read(pictures), "export", len(pictures))]
    differing = [sample.id for sample, one, other in zip(pictures, answers, written) if one != other]
    if differing:
        named = ", ".join(differing[:10]) + (", ..." if len(differing) > 10 else "")
        raise UserError(f"The export answers otherwise than the adapter on {len(differing)} of {len(pictures)} "
                        f"pictures: {named}. Nothing was written.")


def _computing(dtype: str, device: str) -> str:
    """What the rounded weights compute in: their own format on a GPU, float32 on a CPU, which holds both formats."""
    return "float32" if device == "cpu" else dtype


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
