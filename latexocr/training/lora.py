"""LoRA on a vision-language model: through Unsloth where a CUDA GPU and Unsloth are there, with plain PEFT otherwise.

Takes a TrainConfig and samples, gives the folder of an adapter. Both ways get the same batches, from `collate`, and
TRL's trainer. Knows nothing of metrics: whether the tuned model is better is for the benchmark to say.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import time
from typing import Any, Literal

from latexocr.errors import UserError
from latexocr.reading.conversation import formula
from latexocr.reading.inputs import BUILTIN, copy_processor, load_processor, resolve
from latexocr.reading.local import end_tokens, load_weights, pick_device, pick_dtype
from latexocr.records import Sample
from latexocr.training import record
from latexocr.training.collate import Collator

NOT_SETTINGS = {"out", "workers", "save_steps", "download"}
"""Fields that do not change what is learned: a run may go on with others."""
LOG_STEPS = 10


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
    """Pictures whose loss is shown at every checkpoint; they are not learned from. Empty: none."""
    rank: int = 16
    """Rank of the LoRA matrices, on every linear layer of vision tower and language model."""
    alpha: int = 32
    """Scale of the adapter: alpha / rank times what the matrices give."""
    dropout: float = 0.0
    """Dropout inside the adapter. Above 0, Unsloth is slower."""
    learning_rate: float = 2e-4
    """Highest learning rate, reached after the warm-up."""
    schedule: Literal["linear", "cosine", "constant_with_warmup"] = "cosine"
    """How the learning rate goes on after the warm-up."""
    warmup: float = 0.05
    """Part of all steps in which the learning rate rises."""
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
    max_tokens: int = 1024
    """Pictures whose formula has more tokens are left out (run.json says how many)."""
    spelling: Literal["canonical", "reference"] = "canonical"
    """How formulas are taught: in one canonical spelling that looks the same, or as the references write them."""
    seed: int = 3407
    """Seed of the adapter's first weights and of the order of pictures."""
    backend: Literal["auto", "unsloth", "peft"] = "auto"
    """What trains: Unsloth (needs a CUDA GPU) or plain PEFT."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where plain PEFT trains."""
    gradient_checkpointing: bool = False
    """Less memory for about a third more time; for models that do not fit otherwise."""
    save_steps: int = 200
    """Steps from one checkpoint to the next."""
    workers: int | None = None
    """Processes that prepare pictures; by default up to 8 on a GPU and none on a CPU."""
    download: bool = False
    """Let the base model be fetched from the hub."""
    trust_remote_code: bool = False
    """Run Python code that the base model's folder brings. Only for models you trust as you trust a program."""


def train(config: TrainConfig, samples: Sequence[Sample] | None = None,
          eval_samples: Sequence[Sample] | None = None) -> Path:
    """Train an adapter and give its folder; a finished run of the same settings is not trained again.

    `samples` and `eval_samples` take the place of `config.data` and `config.eval_data`.
    Raises UserError where the data, the model or the folder cannot be used.
    """
    backend = _backend(config)
    if backend == "unsloth":
        _import_unsloth()
    base = resolve(config.model, download=config.download)
    if not (base / "config.json").is_file():
        raise UserError(f"{base} is an adapter; an adapter is trained on a model. Export it first (latexocr export).")
    samples = _given(samples, config.data, "data")
    eval_samples = _given(eval_samples, config.eval_data, "eval_data", optional=True)
    processor = load_processor(base, trust_remote_code=config.trust_remote_code)
    learned = _usable(samples, config, processor.tokenizer)
    watched = _usable(eval_samples, config, processor.tokenizer) if eval_samples else []
    claim = record.claim(config.out, _settings(config, samples, eval_samples))
    if claim.finished:
        return config.out
    record.note(config.out, {"backend": backend, "base": str(base), "n": len(learned), "n_eval": len(watched),
                             "left_out": len(samples) - len(learned), "overlap": _overlap(eval_samples, samples)})
    model = _unsloth_model(base, config) if backend == "unsloth" else _peft_model(base, config)
    collator = Collator(processor, [*learned, *watched], end_tokens(model, processor))
    trainer = _trainer(model, collator, config, len(learned), backend)
    started = time()
    trainer.train(resume_from_checkpoint=str(claim.checkpoint) if claim.checkpoint else None)
    _save(trainer.accelerator.unwrap_model(trainer.model), base, config)
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    record.finish(config.out, {"seconds": round(time() - started, 1), "steps": trainer.state.global_step,
                               "first_loss": losses[0], "last_loss": losses[-1]})
    return config.out


def _backend(config: TrainConfig) -> str:
    import torch

    cuda, installed = torch.cuda.is_available(), importlib.util.find_spec("unsloth") is not None
    if config.backend == "unsloth" and not (cuda and installed):
        missing = "no CUDA GPU is here" if installed else "it is not installed (pip install 'latexocr[unsloth]')"
        raise UserError(f"Unsloth was asked for, but {missing}. Use --backend peft, which trains anywhere.")
    absent = [package for package in ("trl", "peft", "datasets") if importlib.util.find_spec(package) is None]
    if absent:
        raise UserError(f"Training needs {', '.join(absent)}, not installed here: pip install 'latexocr[train]'.")
    wanted = "unsloth" if cuda and installed and config.device != "cpu" else "peft"
    return wanted if config.backend == "auto" else config.backend


def _import_unsloth() -> None:
    """The one place that imports Unsloth: before trl, transformers and peft, which it patches when imported."""
    os.environ.setdefault("UNSLOTH_DISABLE_STATISTICS", "1")  # It would else ask the hub at every load.
    try:
        import unsloth  # noqa: F401
    except (ImportError, NotImplementedError) as e:
        reason = (str(e) or type(e).__name__).splitlines()[0]
        raise UserError(f"Unsloth is installed but does not start ({reason}). Use --backend peft.") from e


def _given(samples: Sequence[Sample] | None, spec: str, name: str, *, optional: bool = False) -> list[Sample]:
    from latexocr.data.sources import load

    if samples is None and not spec:
        if optional:
            return []
        raise UserError(f"No {name} to train on: give --{name} SPEC (a folder, a JSON-lines file, crohme:FOLDER ...).")
    return load(spec) if samples is None else list(samples)


def _settings(config: TrainConfig, samples: Sequence[Sample], eval_samples: Sequence[Sample]) -> dict[str, Any]:
    """What decides the adapter, as `run.json` keeps it."""
    from latexocr.data.sources import content_hash

    fields = {name: value for name, value in asdict(config).items() if name not in NOT_SETTINGS}
    return {**fields, "data_sha256": content_hash(samples),
            "eval_sha256": content_hash(eval_samples) if eval_samples else None}


def _overlap(eval_samples: Sequence[Sample], samples: Sequence[Sample]) -> dict[str, Any] | None:
    """What of the watched data is learned from, for the record; said on stderr where the loss shown is too good."""
    from latexocr.data.overlap import overlap

    if not eval_samples:
        return None
    found = overlap(eval_samples, samples)
    if found.contaminated:
        print(f"latexocr: the loss on eval_data will be too good: {found.sentence()}", file=sys.stderr)
    return {"sentence": found.sentence(), "contaminated": found.contaminated, **found.counts}


def _usable(samples: Sequence[Sample], config: TrainConfig, tokenizer: Any) -> list[Sample]:
    """The samples that can be learned from, formulas spelled as wanted. Raises UserError where there are none."""
    from latexocr.latex.canonical import Level, canonical

    there = []
    for sample in samples:
        missing = isinstance(sample.image, Path) and not sample.image.is_file()
        latex = formula(sample.latex or "")
        latex = canonical(latex, Level.SYNTAX) if config.spelling == "canonical" else latex
        if latex and not missing:
            there.append(replace(sample, latex=latex))
    tokens = tokenizer([sample.latex for sample in there], add_special_tokens=False)["input_ids"] if there else []
    usable = [sample for sample, ids in zip(there, tokens) if len(ids) <= config.max_tokens]
    if not usable:
        raise UserError(f"None of {len(samples)} samples can be learned from: each needs a picture that exists and a "
                        f"formula of at most {config.max_tokens} tokens.")
    return usable


def _peft_model(base: Path, config: TrainConfig) -> Any:
    import torch
    from peft import LoraConfig, get_peft_model

    device = pick_device(config.device)
    torch.manual_seed(config.seed)
    model = load_weights(base, dtype=pick_dtype("auto", device), trust_remote_code=config.trust_remote_code)
    lora = LoraConfig(r=config.rank, lora_alpha=config.alpha, lora_dropout=config.dropout, bias="none",
                      target_modules=linear_layers(model), task_type="CAUSAL_LM")
    return get_peft_model(model.to(device), lora)


def _unsloth_model(base: Path, config: TrainConfig) -> Any:
    from unsloth import FastVisionModel

    checkpointing = "unsloth" if config.gradient_checkpointing else False
    model, _ = FastVisionModel.from_pretrained(
        str(base), load_in_4bit=False, max_seq_length=4096, use_gradient_checkpointing=checkpointing,
        trust_remote_code=config.trust_remote_code)
    return FastVisionModel.get_peft_model(
        model, r=config.rank, lora_alpha=config.alpha, lora_dropout=config.dropout, bias="none",
        target_modules=linear_layers(model), random_state=config.seed, use_gradient_checkpointing=checkpointing)


def linear_layers(model: Any) -> list[str]:
    """Full names of the linear layers of vision tower and language model; the output layer is left alone."""
    from torch import nn

    head = model.get_output_embeddings()
    return [name for name, module in model.named_modules() if isinstance(module, nn.Linear) and module is not head]


def _trainer(model: Any, collator: Collator, config: TrainConfig, learned: int, backend: str) -> Any:
    """TRL's trainer over sample numbers: the first `learned` are trained on, the others watched."""
    import torch
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    on_gpu = next(model.parameters()).is_cuda
    workers = config.workers if config.workers is not None else min(8, (os.cpu_count() or 2) - 1) if on_gpu else 0
    bf16 = on_gpu and torch.cuda.is_bf16_supported()
    arguments = SFTConfig(
        output_dir=str(config.out / "checkpoints"), seed=config.seed, data_seed=config.seed, report_to="none",
        learning_rate=config.learning_rate, lr_scheduler_type=config.schedule, warmup_steps=config.warmup,
        weight_decay=config.weight_decay, num_train_epochs=config.epochs, max_steps=config.steps or -1,
        per_device_train_batch_size=config.batch, per_device_eval_batch_size=config.batch,
        gradient_accumulation_steps=config.accumulation, bf16=bf16, fp16=on_gpu and not bf16, use_cpu=not on_gpu,
        # Unsloth brings its own checkpointing with the model.
        gradient_checkpointing=config.gradient_checkpointing and backend == "peft",
        save_strategy="steps", save_steps=config.save_steps, save_total_limit=2,
        logging_steps=LOG_STEPS, logging_first_step=True,
        eval_strategy="steps" if len(collator.samples) > learned else "no", eval_steps=config.save_steps,
        prediction_loss_only=True, dataloader_num_workers=workers, dataloader_pin_memory=on_gpu,
        # The batches are ours: the trainer must neither cut nor rewrite them, nor drop the column they are named by.
        loss_type="nll", max_length=None, remove_unused_columns=False, dataset_kwargs={"skip_prepare_dataset": True})
    if arguments.n_gpu > 1:
        arguments._n_gpu = 1  # DataParallel would split the rows of pixels as if each were a picture.
    numbers = list(range(len(collator.samples)))
    return SFTTrainer(
        model=model, args=arguments, data_collator=collator, processing_class=collator.processor,
        train_dataset=Dataset.from_dict({"sample": numbers[:learned]}),
        eval_dataset=Dataset.from_dict({"sample": numbers[learned:]}) if numbers[learned:] else None,
        callbacks=[_loss_log(config.out / "log.jsonl")])


def _loss_log(path: Path) -> Any:
    """A callback that keeps what the trainer logs, one JSON line a report; a continued run's file has no line twice."""
    from transformers import TrainerCallback

    class LossLog(TrainerCallback):
        def on_log(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            path.write_text("".join(json.dumps(entry) + "\n" for entry in state.log_history), encoding="utf-8")

    return LossLog()


def _save(model: Any, base: Path, config: TrainConfig) -> None:
    """The adapter with its base's tokenizer and processor files. It names its base so that other machines find it."""
    adapter = model.peft_config["default"]
    adapter.base_model_name_or_path = str(base) if Path(config.model).expanduser().is_dir() else config.model
    adapter.inference_mode = True
    # Without embeddings: none are trained, and peft would ask the hub about the base.
    model.save_pretrained(str(config.out), save_embedding_layers=False)
    copy_processor(base, config.out)
