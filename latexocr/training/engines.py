"""Who trains: Unsloth where a CUDA GPU and Unsloth are there, plain PEFT otherwise. Gives a base with a fresh adapter.

Takes a TrainConfig and the folder of a base. Both engines put the same adapter on the same weights. Knows nothing of
data or optimisers.
"""

from __future__ import annotations

import importlib.util
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from latexocr.errors import UserError
from latexocr.reading import ernie_remote
from latexocr.reading.inputs import model_type, needs_remote_code, resolve
from latexocr.reading.local import load_weights, pick_device, pick_dtype
from latexocr.training.settings import TrainConfig
from latexocr.training.targets import targets
from latexocr.training.towers import attend_together

LONGEST = 4096
"""Tokens of picture, prompt and answer together, as Unsloth wants to know them beforehand."""
UNCOMPILED = ("ernie4_5_vl_moe",)
"""Models of which torch, told by Unsloth to follow sizes that depend on values, compiles what stops with a NameError.

Torch 2.11 and 2.13, Unsloth 2026.10.9: going back through the place where ERNIE's block of experts puts together the
rows of words and of pictures (NameError; with torch's own settings it compiles).
"""
IN_FULL = ("patch_embed.proj", "lm_head")
"""Layers that stay in 16 bits: ERNIE's tower turns its pixels into the number format of the first."""


def choose(config: TrainConfig) -> str:
    """ "unsloth", imported, or "peft". Raises UserError where what was asked for is not here."""
    import torch

    cuda, installed = torch.cuda.is_available(), importlib.util.find_spec("unsloth") is not None
    if config.backend == "unsloth" and not (cuda and installed):
        missing = "no CUDA GPU is here" if installed else "it is not installed (pip install 'latexocr[unsloth]')"
        raise UserError(f"Unsloth was asked for, but {missing}. Use --backend peft, which trains anywhere.")
    absent = [package for package in ("trl", "peft", "datasets") if importlib.util.find_spec(package) is None]
    if absent:
        raise UserError(f"Training needs {', '.join(absent)}, not installed here: pip install 'latexocr[train]'.")
    if config.bits == 4 and not (cuda and config.device != "cpu" and importlib.util.find_spec("bitsandbytes")):
        raise UserError("A base in 4 bits needs a CUDA GPU and bitsandbytes (pip install bitsandbytes). Use --bits 16.")
    if config.optimizer == "adamw_8bit" and not importlib.util.find_spec("bitsandbytes"):
        raise UserError("The state of AdamW in 8 bits needs bitsandbytes (pip install bitsandbytes). Use --optimizer "
                        "adamw.")
    wanted = "unsloth" if cuda and installed and config.device != "cpu" else "peft"
    engine = wanted if config.backend == "auto" else config.backend
    if engine == "unsloth":
        _import_unsloth(config.model, config.download)
    return engine


def _import_unsloth(model: str = "", download: bool = False) -> None:
    """The one place that imports Unsloth: before trl, transformers and peft, which it patches when imported."""
    for name, value in _environment(resolve(model, download=download) if model else None).items():
        os.environ.setdefault(name, value)
    try:
        import unsloth  # noqa: F401
    except (ImportError, NotImplementedError) as e:
        reason = (str(e) or type(e).__name__).splitlines()[0]
        raise UserError(f"Unsloth is installed but does not start ({reason}). Use --backend peft.") from e


def _environment(base: Path | None) -> dict[str, str]:
    """Variables under which Unsloth starts for a base, unless they are set."""
    chosen = {"UNSLOTH_DISABLE_STATISTICS": "1",  # It would else ask the hub at every load.
              # It writes Python and imports it: not into the current folder, nor where others could have put some.
              "UNSLOTH_COMPILE_LOCATION": tempfile.mkdtemp(prefix="latexocr-unsloth-")}
    if base and (base / "config.json").is_file() and model_type(base) in UNCOMPILED:
        chosen["UNSLOTH_COMPILE_DISABLE"] = "1"
    return chosen


def with_adapter(engine: str, base: Path, config: TrainConfig, processor: Any) -> Any:
    """The base model, frozen, with an adapter that has learned nothing yet (a PeftModel)."""
    from latexocr.reading.attention import plan_no_shapes
    from latexocr.reading.patches import multiply_patches

    model = _unsloth_base(base, config) if engine == "unsloth" else _plain_base(base, config)
    ernie_remote.attach(model, processor)
    if engine == "peft" and config.gradient_checkpointing and not model.supports_gradient_checkpointing:
        raise UserError(f"{base}: the code of this model cannot forget what it computed, so --gradient-checkpointing "
                        "does not work. Train it without; a smaller --batch needs less memory too.")
    attend_together(model)
    multiply_patches(model)
    plan_no_shapes()
    chosen = targets(model, config)
    lora = {"r": config.rank, "lora_alpha": config.alpha, "lora_dropout": config.dropout, "bias": "none",
            "use_rslora": config.rslora, "target_modules": chosen.modules,
            "target_parameters": chosen.parameters}
    if engine == "unsloth":
        from unsloth import FastVisionModel

        return FastVisionModel.get_peft_model(model, **lora, random_state=config.seed,
                                              use_gradient_checkpointing=_unsloth_checkpointing(config))
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(config.seed)
    return get_peft_model(model, LoraConfig(**lora, task_type="CAUSAL_LM"))


def _plain_base(base: Path, config: TrainConfig) -> Any:
    device = pick_device(config.device)
    # A CPU learns in float32, also where it reads in bfloat16.
    dtype = pick_dtype("auto", device) if device.startswith("cuda") else "float32"
    if config.bits == 16:
        return load_weights(base, dtype=dtype, trust_remote_code=config.trust_remote_code).to(device)
    import torch
    from peft import prepare_model_for_kbit_training
    from transformers import BitsAndBytesConfig

    four_bits = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
                                   bnb_4bit_compute_dtype=getattr(torch, dtype), llm_int8_skip_modules=list(IN_FULL))
    model = load_weights(base, dtype=dtype, trust_remote_code=config.trust_remote_code,
                         quantization_config=four_bits, device_map={"": device})
    return prepare_model_for_kbit_training(model, use_gradient_checkpointing=config.gradient_checkpointing)


def _unsloth_base(base: Path, config: TrainConfig) -> Any:
    from transformers import AutoModelForCausalLM
    from unsloth import FastVisionModel

    remote = {}
    if needs_remote_code(base):  # As in Unsloth's notebook for ERNIE-4.5-VL; that code has no other attention.
        remote = {"auto_model": AutoModelForCausalLM, "attn_implementation": "eager", "unsloth_force_compile": True}
    model, _ = FastVisionModel.from_pretrained(
        str(base), load_in_4bit=config.bits == 4, max_seq_length=LONGEST, trust_remote_code=config.trust_remote_code,
        use_gradient_checkpointing=_unsloth_checkpointing(config), **remote)
    ernie_remote.complete(model)
    return model


def reading_mode(engine: str, config: TrainConfig) -> Callable[[Any], AbstractContextManager[None]]:
    """In its context a model in training reads pictures; after it, it learns as before."""
    return partial(_unsloth_reads, config=config) if engine == "unsloth" else _plain_reads


@contextmanager
def _plain_reads(model: Any) -> Iterator[None]:
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


@contextmanager
def _unsloth_reads(model: Any, config: TrainConfig) -> Iterator[None]:
    from unsloth import FastVisionModel

    FastVisionModel.for_inference(model)
    try:
        yield
    finally:
        FastVisionModel.for_training(model, use_gradient_checkpointing=_unsloth_checkpointing(config))


def _unsloth_checkpointing(config: TrainConfig) -> str | bool:
    return "unsloth" if config.gradient_checkpointing else False
