"""A reader whose model runs in this process, through transformers.

Takes the folder of a model or of an adapter, and samples; gives predictions. Knows nothing of servers, references,
metrics or training.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal

from latexocr.errors import UserError
from latexocr.reading import BATCH, GenerateConfig, ernie_remote
from latexocr.reading.batches import Question, Unreadable, batches, prepared
from latexocr.reading.confidence import Calibration, confidence, read_calibration
from latexocr.reading.conversation import PROMPT, conversation, formula, prompt_names, prompt_text
from latexocr.reading.decoding import Answer, Pieces, decode
from latexocr.reading.inputs import encode, load_processor, model_type, needs_remote_code, render, resolve, tuned_with
from latexocr.reading.parallel import Watch, each
from latexocr.records import Prediction, Sample, failure

if TYPE_CHECKING:
    from PIL.Image import Image
    from transformers import PreTrainedModel, PreTrainedTokenizerBase, ProcessorMixin

Device = Literal["auto", "cpu", "cuda", "mps"]
Dtype = Literal["auto", "float32", "bfloat16", "float16"]
AT_ONCE = 2
"""Batches read at the same time on a CPU."""


def load_model(path: str | Path, *, device: Device = "auto", dtype: Dtype = "auto",
               config: GenerateConfig = GenerateConfig(), download: bool = False,
               trust_remote_code: bool = False) -> LocalReader:
    """The reader of "builtin", a model folder, an adapter folder or a hub name in this machine's cache.

    Raises UserError where there is no such model, or an adapter's base is not here.
    """
    from latexocr.reading.allocation import keep_freed_memory

    folder = resolve(path, download=download)
    device = pick_device(device)
    if device == "cpu":
        keep_freed_memory()
    options = {"download": download, "trust_remote_code": trust_remote_code}
    dtype = pick_dtype(dtype, device)
    if (folder / "adapter_config.json").is_file():
        # Merged in float32 and rounded once, to just what an export holds: on every machine both give the same answers.
        model = in_format(load_adapter(folder, dtype="float32", **options).merge_and_unload(), "bfloat16")
        base = base_folder(folder, download=download)
    else:
        model = load_weights(folder, dtype=dtype, trust_remote_code=trust_remote_code)
        base = folder
    processor = load_processor(base, trust_remote_code=trust_remote_code)
    prompt = prompt_text(config.prompt or tuned_with(folder) or prompt_names(model_type(base))[0])
    return replace(reader_of(model, processor, device=device, dtype=dtype, config=config, prompt=prompt),
                   calibration=read_calibration(folder))


def reader_of(model: PreTrainedModel, processor: ProcessorMixin, *, device: str, dtype: str,
              config: GenerateConfig = GenerateConfig(), prompt: str = PROMPT) -> LocalReader:
    """A reader around weights already in memory; they are moved, cast and set to answer greedily, in place."""
    from transformers import GenerationConfig

    from latexocr.reading.attention import plan_no_shapes
    from latexocr.reading.patches import multiply_patches

    ernie_remote.attach(model, processor)
    ends = end_tokens(model, processor)
    pad = min(ends) if processor.tokenizer.pad_token_id is None else processor.tokenizer.pad_token_id
    # The checkpoint's own settings (sampling, penalties) are not ours: only its tokens are kept.
    model.generation_config = GenerationConfig(eos_token_id=sorted(ends), pad_token_id=pad)
    model = in_format(model, dtype).to(device).eval()
    multiply_patches(model)
    plan_no_shapes()
    return LocalReader(model, processor, frozenset(ends), config, prompt, at_once=AT_ONCE if device == "cpu" else 1)


def in_format(model: PreTrainedModel, dtype: str) -> PreTrainedModel:
    """The model with its weights in another number format, in place.

    What is computed when a model is made stays as precise as it was: rounded, the frequencies of the positions would be
    others than those of the same model loaded in that format. So do the weights that its class keeps in float32: those
    by which ERNIE chooses its experts.
    """
    import torch

    precise = tuple(getattr(model, "_keep_in_fp32_modules_strict", None) or ())
    for name, parameter in model.named_parameters():
        kept = any(part in name for part in precise)
        parameter.data = parameter.data.to(torch.float32 if kept else getattr(torch, dtype))
    return model


def pick_device(device: str) -> str:
    """The device to use: with "auto", a GPU where there is one. Raises UserError where it is not on this machine."""
    import torch

    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if device == "auto":
        return next(name for name, found in there.items() if found)
    if not there.get(device.split(":")[0], False):
        raise UserError(f"Device {device} is not on this machine (found: {', '.join(n for n in there if there[n])}).")
    return device


def pick_dtype(dtype: str, device: str) -> str:
    """Number format to read in on a device. With "auto": 16 bits on a GPU and where a CPU has AMX; else float32.

    A CPU without AMX gains nothing by bfloat16, even where it multiplies such numbers in hardware (AVX512-BF16).
    """
    import torch

    if dtype != "auto":
        return dtype
    if device.startswith("cuda"):
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float16"
    return "bfloat16" if device == "cpu" and torch.cpu._is_amx_tile_supported() else "float32"


def load_weights(folder: Path, *, dtype: str, trust_remote_code: bool = False, **options: Any) -> PreTrainedModel:
    """The model of a folder, on the CPU unless `options`, those of `from_pretrained`, place it elsewhere.

    Raises UserError where transformers cannot load it.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

    remote = needs_remote_code(folder, trusted=trust_remote_code)
    auto = AutoModelForCausalLM if remote else AutoModelForImageTextToText
    try:
        with no_progress_bars():
            model = auto.from_pretrained(folder, dtype=getattr(torch, dtype), local_files_only=True,
                                         trust_remote_code=trust_remote_code, **options)
        ernie_remote.complete(model)
        return model
    except (OSError, ValueError, KeyError, ImportError) as e:
        reason = (str(e).strip() or type(e).__name__).splitlines()[0]
        raise UserError(f"{folder}: transformers cannot load this as an image-to-text model ({reason}).") from e


@contextmanager
def no_progress_bars() -> Iterator[None]:
    """Reading or writing weights often takes a moment; a bar of transformers for it would stay between the results."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def base_folder(adapter: Path, *, download: bool = False) -> Path:
    """The folder of the model that an adapter was trained on. Raises UserError where it is not on this machine."""
    try:
        name = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))["base_model_name_or_path"]
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise UserError(f"{adapter}: adapter_config.json cannot be read, or names no base model ({e}).") from e
    try:
        return resolve(name, download=download)
    except UserError as e:
        raise UserError(f"{adapter}: the base model of this adapter is missing. {e}") from e


def load_adapter(folder: Path, *, dtype: str, download: bool = False, trust_remote_code: bool = False) -> Any:
    """Base and adapter, not merged (a PeftModel), on the CPU."""
    base = base_folder(folder, download=download)
    try:
        from peft import PeftModel
    except ImportError as e:
        raise UserError(f"{folder} is an adapter, and reading it needs peft: pip install 'latexocr[train]'.") from e
    from safetensors import SafetensorError

    model = load_weights(base, dtype=dtype, trust_remote_code=trust_remote_code)
    try:
        with warnings.catch_warnings():  # What transformers renames is between it and PEFT, not for those who read.
            warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
            return PeftModel.from_pretrained(model, str(folder), local_files_only=True)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as e:
        reason = (str(e).strip() or type(e).__name__).splitlines()[0]
        raise UserError(f"{folder}: this adapter does not fit its base model {base} ({reason}).") from e


def end_tokens(model: PreTrainedModel, processor: ProcessorMixin) -> set[int]:
    """The tokens that end an answer, by the model's generation settings and its tokenizer."""
    named = model.generation_config.eos_token_id
    ends = set(named if isinstance(named, list) else [named]) | {processor.tokenizer.eos_token_id}
    ends.discard(None)
    if not ends:
        raise UserError(f"{model.name_or_path}: no end token in generation_config.json or tokenizer_config.json.")
    return ends


@dataclass(frozen=True)
class LocalReader:
    """A model in this process. Batches hold pictures of similar size; results come in the order of the samples."""

    model: PreTrainedModel
    processor: ProcessorMixin
    ends: frozenset[int]
    config: GenerateConfig
    prompt: str = PROMPT
    calibration: Calibration | None = None

    at_once: int = 1
    """Batches read at the same time, where there are as many cores."""
    tokenizing: Lock = field(default_factory=Lock, repr=False, compare=False)
    """Held by who uses the processor: a tokenizer refuses two threads."""

    def read(self, samples: Iterable[Sample]) -> Iterator[Prediction]:
        done: dict[int, Prediction] = {}
        handed = 0
        asked = batches(samples, self.config.batch_size or BATCH)
        for batch, answers in each(asked, self._read_batch, self.model, self._side_by_side()):
            done |= zip((one.place for one in batch), answers)
            while handed in done:
                yield done.pop(handed)
                handed += 1

    def _side_by_side(self) -> int:
        """How many batches at once; one where tokens are drawn, as all threads draw from one source."""
        import torch

        return 1 if self.config.temperature else min(self.at_once, torch.get_num_threads())

    def stream(self, sample: Sample, write: Callable[[str], None]) -> Prediction:
        """The prediction of one sample, whose reply is written piece by piece as the model says it."""
        picture = prepared(sample)
        if isinstance(picture, Exception):
            return failure(sample, picture)
        pieces = Pieces(self.processor.tokenizer, write)
        [answer] = self._generate([picture], self.model, pieces)
        pieces.end(answer.tokens)
        return self._prediction(sample, answer)

    def _read_batch(self, batch: list[Question] | list[Unreadable], model: PreTrainedModel, watch: Watch
                    ) -> list[Prediction]:
        """One answer a picture. What a batch cannot do (memory, one odd picture) its halves try; one alone fails."""
        if isinstance(batch[0], Unreadable):
            return [failure(one.sample, one.reason) for one in batch]
        try:
            answers = self._generate([one.picture for one in batch], model, watch)
            return [self._prediction(one.sample, answer) for one, answer in zip(batch, answers)]
        except (RuntimeError, ValueError) as e:
            if len(batch) == 1:
                return [failure(batch[0].sample, f"{type(e).__name__}: {e}".splitlines()[0])]
        half = len(batch) // 2
        return self._read_batch(batch[:half], model, watch) + self._read_batch(batch[half:], model, watch)

    def _generate(self, pictures: list[Image], model: PreTrainedModel, watch: Watch) -> list[Answer]:
        texts = [render(self.processor, conversation(picture, prompt=self.prompt), ask=True) for picture in pictures]
        with self.tokenizing:
            inputs = encode(self.processor, texts, pictures, side="left").to(model.device, model.dtype)
        return decode(model, inputs, ends=self.ends, config=self.config, watch=watch)

    def _prediction(self, sample: Sample, answer: Answer) -> Prediction:
        with self.tokenizing:
            return answered(sample, answer.tokens, answer.log_probabilities, ended=answer.ended,
                            tokenizer=self.processor.tokenizer, calibration=self.calibration)


def answered(sample: Sample, tokens: Sequence[int], log_probabilities: Sequence[float], *, ended: bool,
             tokenizer: PreTrainedTokenizerBase, calibration: Calibration | None = None) -> Prediction:
    """The prediction of an answer's tokens; `log_probabilities` also has that of the end token, where it `ended`."""
    reply = tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return Prediction(sample.id, formula(reply), reply, tokens=len(tokens), stop="end" if ended else "length",
                      confidence=confidence(log_probabilities, calibration, ended=ended))
