"""TRL's trainer, set up so that the batches are ours: what is seen in which order, and what counts in the loss.

Takes a model with an adapter, a collator and a plan, gives a trainer. Knows nothing of where samples and models come
from.
"""

from __future__ import annotations

import importlib.util
import math
from dataclasses import dataclass
from typing import Any

from latexocr.provenance import cores
from latexocr.reading import ernie_remote
from latexocr.training import batches, ranks, watch
from latexocr.training.collate import IGNORED, Collator
from latexocr.training.settings import TrainConfig
from latexocr.training.trial import Trial

LOG_STEPS = 10


@dataclass(frozen=True)
class Plan:
    """What a run sees: numbers of examples in the collator's list."""

    learned: list[int]
    """One after the other, for the whole run; `batch` of them go into a forward pass."""
    watched: list[int]
    steps: int
    """Optimiser steps."""
    pictures_a_step: int

    @classmethod
    def of(cls, collator: Collator, config: TrainConfig, count: int) -> Plan:
        """The plan of a run over the collator's first `count` examples; the others are watched."""
        step = config.batch * config.accumulation * ranks.count()
        steps = config.steps or max(1, math.ceil(count * config.epochs / step))
        sizes = [example.picture.width * example.picture.height for example in collator.examples[:count]]
        learned = batches.order(collator.lengths()[:count], sizes, batch=config.batch, step=step, steps=steps,
                                seed=config.seed)
        return cls(learned, list(range(count, len(collator.examples))), steps, step)


def trainer_of(model: Any, collator: Collator, plan: Plan, config: TrainConfig, engine: str, trial: Trial) -> Any:
    """A trainer over example numbers, in the plan's order; the trial says at which checkpoint the model reads best."""
    from datasets import Dataset
    from transformers import PrinterCallback
    from trl import SFTTrainer

    remote = type(collator.processor).__name__ == ernie_remote.PROCESSOR
    kind = _token_by_token(_with_remote_loss(SFTTrainer) if remote else SFTTrainer)
    trainer = watch.watched(kind, trial, plan.pictures_a_step)
    made = trainer(
        model=model, args=_arguments(model, plan, config, engine, remote), data_collator=collator,
        processing_class=collator.processor, train_dataset=Dataset.from_dict({"sample": plan.learned}),
        eval_dataset=Dataset.from_dict({"sample": plan.watched}) if plan.watched else None,
        callbacks=watch.callbacks(config.out / "log.jsonl", trial))
    made.remove_callback(PrinterCallback)
    return made


def _arguments(model: Any, plan: Plan, config: TrainConfig, engine: str, remote: bool) -> Any:
    import torch
    from trl import SFTConfig

    on_gpu = next(model.parameters()).is_cuda
    workers = config.workers if config.workers is not None else min(8, cores() - 1) if on_gpu else 0
    bf16 = on_gpu and torch.cuda.is_bf16_supported()
    # TRL's own choice takes logits in pieces, and of what is learned alone: whole, those of 150,000 tokens fill a GPU.
    # Unsloth brings its own loss, and remote code's is ours.
    loss = {"loss_type": "nll"} if engine == "unsloth" or remote else {}
    arguments = SFTConfig(
        output_dir=str(config.out.resolve() / "checkpoints"), seed=config.seed, data_seed=config.seed,
        report_to=config.log_to, run_name=config.out.resolve().name, disable_tqdm=True,
        ddp_find_unused_parameters=False,
        learning_rate=config.learning_rate, lr_scheduler_type=config.schedule, warmup_steps=config.warmup,
        weight_decay=config.weight_decay, optim=_optimizer(config.optimizer, on_gpu), max_steps=plan.steps,
        train_sampling_strategy="sequential",
        per_device_train_batch_size=config.batch, per_device_eval_batch_size=config.batch,
        gradient_accumulation_steps=config.accumulation, bf16=bf16, fp16=on_gpu and not bf16, use_cpu=not on_gpu,
        # Unsloth brings its own checkpointing with the model.
        gradient_checkpointing=config.gradient_checkpointing and engine == "peft",
        save_strategy="steps", save_steps=config.save_steps, save_total_limit=2,
        logging_steps=LOG_STEPS, logging_first_step=True, logging_nan_inf_filter=False,
        eval_strategy="steps" if plan.watched else "no", eval_steps=config.save_steps,
        load_best_model_at_end=bool(plan.watched), metric_for_best_model="eval_standing", greater_is_better=False,
        prediction_loss_only=True, dataloader_num_workers=workers, dataloader_pin_memory=on_gpu,
        dataloader_persistent_workers=workers > 0, dataloader_prefetch_factor=4 if workers else None,
        # The batches are ours: the trainer must neither cut nor rewrite them, nor drop the column they are named by.
        max_length=None, remove_unused_columns=False, dataset_kwargs={"skip_prepare_dataset": True}, **loss)
    if arguments.n_gpu > 1:
        arguments._n_gpu = 1  # DataParallel would split the rows of pixels as if each were a picture.
    return arguments


def _optimizer(name: str, on_gpu: bool) -> str:
    """transformers' name of an optimiser."""
    if name == "auto":
        name = "adamw_8bit" if on_gpu and importlib.util.find_spec("bitsandbytes") else "adamw"
    return {"adamw": "adamw_torch", "adamw_8bit": "adamw_8bit"}[name]


def _token_by_token(trainer: type) -> type:
    """A trainer in whose steps every token weighs alike, however many passes and processes share them.

    transformers leaves that to the model's loss, and nearly all models that see pictures say that theirs cannot: then
    the means of passes are averaged, and a token of a short one weighs more than one of a long one.
    """

    class TokenByToken(trainer):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self.model_accepts_loss_kwargs = True  # So a step's tokens are counted, and its losses only summed.

        def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None):
            if num_items_in_batch is None or not model.training:  # transformers 5.17 counts in evaluation too.
                return super().compute_loss(model, inputs, return_outputs=return_outputs)
            share = (inputs["labels"][:, 1:] != IGNORED).sum() / num_items_in_batch
            # Gradients become the mean of those of all processes, where their sum is wanted.
            return super().compute_loss(model, inputs) * share * self.accelerator.num_processes

    return TokenByToken


def _with_remote_loss(trainer: type) -> type:
    """A trainer for models whose code gives logits and leaves the loss to its caller: ERNIE's remote code."""

    class RemoteLoss(trainer):
        def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None):
            loss, outputs = remote_loss(model, inputs)
            return (loss, outputs) if return_outputs else loss

    return RemoteLoss


def remote_loss(model: Any, inputs: dict[str, Any]) -> tuple[Any, Any]:
    """Mean cross entropy of the tokens that count, plus the router's loss where there is one; and the outputs."""
    import torch

    outputs = model(**{name: value for name, value in inputs.items() if name != "labels"}, use_cache=False)
    logits = outputs.logits[:, :-1].float()
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), inputs["labels"][:, 1:].flatten().to(logits.device),
                                             ignore_index=IGNORED)
    if outputs.router_loss is not None:
        loss = loss + outputs.router_loss.to(loss.device)
    return loss, outputs
