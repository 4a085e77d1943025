"""What can be chosen for a training: TrainConfig, of which the command line and its help are made.

Holds values and their reasons. Knows nothing of how they are carried out.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args, get_origin, get_type_hints

from latexocr.errors import UserError
from latexocr.reading.inputs import BUILTIN

NOT_SETTINGS = {"out", "workers", "download", "log_to"}
"""Fields that do not change what is learned: a run may go on with others."""


@dataclass(frozen=True)
class TrainConfig:
    """How an adapter is trained. A killed run of the same settings goes on from its last checkpoint."""

    data: str = ""
    """Pictures with formulas to learn from: a folder, a JSON-lines file, im2latex:FOLDER, crohme:FOLDER ..."""
    model: str = BUILTIN
    """The base model: "builtin", a folder, or a hub name in this machine's cache."""
    out: Path = Path("runs/tuned")
    """Folder of the adapter, its record (run.json) and its loss (log.jsonl)."""
    eval_data: str = ""
    """Pictures that are read at every checkpoint and not learned from: the best checkpoint is kept. Empty: held_out."""
    held_out: float = 0.02
    """Part of the formulas of `data` kept for that where there is no eval_data: with 30 pictures or more; 0: none."""
    prompt: str = ""
    """Name of the question that goes with a picture (reading/conversation.py); empty: the base model's first."""
    spelling: Literal["canonical", "reference"] = "canonical"
    """How formulas are taught: in one canonical spelling that looks the same, or as the references write them."""
    max_tokens: int = 1024
    """Pictures whose formula has more tokens are left out (run.json says how many)."""
    skip_unreadable: bool = False
    """Leave pictures out that cannot be read, instead of naming them and stopping before the first step."""

    rank: int = 16
    """Rank of the LoRA matrices."""
    alpha: int = 32
    """Scale of the adapter: alpha / rank times what the matrices give."""
    rslora: bool = False
    """Scale by alpha / sqrt(rank) instead: learns evenly at high ranks (Kalajdzievski 2023, arXiv:2312.03732)."""
    dropout: float = 0.0
    """Dropout inside the adapter. Above 0, Unsloth is slower, and fused experts cannot be tuned."""
    vision: bool = True
    """Tune the vision tower and what joins it to the language model."""
    language: bool = True
    """Tune the language model; its output layer and embeddings are left alone."""
    attention: bool = True
    """Tune the layers of attention."""
    mlp: bool = True
    """Tune the other linear layers, experts among them."""
    modules: tuple[str, ...] = ()
    """Tune layers of these names only (q_proj fc1 ...). ERNIE-4.5-VL has the list of Unsloth's guide by default."""
    bits: Literal[16, 4] = 16
    """Number format of the base: 4 takes a third of the memory (NF4, a CUDA GPU). Fused experts stay in 16 bits."""

    learning_rate: float = 2e-4
    """Highest learning rate, reached after the warm-up."""
    schedule: Literal["linear", "cosine", "constant_with_warmup"] = "linear"
    """How the learning rate goes on after the warm-up."""
    warmup: float = 0.05
    """Part of all steps in which the learning rate rises."""
    optimizer: Literal["auto", "adamw", "adamw_8bit"] = "auto"
    """AdamW, its state in 32 or 8 bits; "auto": 8 where a CUDA GPU and bitsandbytes are."""
    weight_decay: float = 0.01
    """Weight decay of AdamW."""
    epochs: float = 3.0
    """How often each picture is seen."""
    steps: int | None = None
    """Optimiser steps; overrides epochs where given."""
    batch: int = 16
    """Pictures in one forward pass."""
    accumulation: int = 1
    """Forward passes to one optimiser step."""
    gradient_checkpointing: bool = False
    """Less memory for about a third more time; for models that do not fit otherwise."""
    seed: int = 3407
    """Seed of the adapter's first weights and of the order of pictures."""

    backend: Literal["auto", "unsloth", "peft"] = "auto"
    """What trains: Unsloth (needs a CUDA GPU) or plain PEFT."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where plain PEFT trains."""
    save_steps: int = 200
    """Steps from one checkpoint to the next; at each the watched pictures are read."""
    log_to: Literal["tensorboard", "trackio", "wandb", "none"] = "tensorboard"
    """Where curves go beside log.jsonl. `tensorboard --logdir OUT` shows the first."""
    workers: int | None = None
    """Processes that prepare pictures; by default up to 8 on a GPU and none on a CPU."""
    download: bool = False
    """Let the base model be fetched from the hub."""
    trust_remote_code: bool = False
    """Run Python code that the base model's folder brings. Only for models you trust as you trust a program."""


BOUNDS = {"rank": (1, None), "alpha": (1, None), "batch": (1, None), "accumulation": (1, None), "steps": (1, None),
          "save_steps": (1, None), "max_tokens": (0, None), "workers": (0, None), "learning_rate": (0, 1e9),
          "weight_decay": (0, 1e9), "epochs": (0, 1e9), "warmup": (0, 1), "dropout": (0, 0.9), "held_out": (0, 0.9),
          "seed": (0, 2**32 - 1)}
"""Least and greatest value of a field; None: no such bound."""
NUMBERS = {int: int, int | None: (int, type(None)), float: (int, float)}
"""What may stand where a field's type is a number."""
POSITIVE = ("learning_rate", "epochs")
"""Fields whose least value would teach nothing."""


def refuse_odd(config: TrainConfig) -> None:
    """Raise a UserError naming the first value that no training can have; from Python anything may come."""
    for name, kind in get_type_hints(TrainConfig).items():
        value, option = getattr(config, name), f"--{name.replace('_', '-')}"
        if get_origin(kind) is Literal and value not in get_args(kind):
            raise UserError(f"{option} is {value!r}; expected one of {', '.join(map(str, get_args(kind)))}.")
        if kind in NUMBERS and not isinstance(value, NUMBERS[kind]):
            raise UserError(f"{option} is {value!r}; expected a {'' if kind is float else 'whole '}number.")
        if name == "modules" and isinstance(value, str):  # Every part of it would be a name.
            raise UserError(f"{option} is {value!r}; expected a list of names.")
    for name, (least, most) in BOUNDS.items():
        value = getattr(config, name)
        if value is not None and not (value >= least and (most is None or value <= most)):
            expected = f"at least {least}" if most is None else f"{least} to {most}"
            raise UserError(f"--{name.replace('_', '-')} is {value}; expected {expected}.")
        if name in POSITIVE and not value > least:
            raise UserError(f"--{name.replace('_', '-')} is {value}; expected more than {least}.")
