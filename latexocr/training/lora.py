"""LoRA on a vision-language model: through Unsloth where a CUDA GPU and Unsloth are there, with plain PEFT otherwise.

Takes a TrainConfig and samples, gives the folder of an adapter. Both engines get the same batches, from `collate`, in
the same order, from `batches`, and TRL's trainer. Whether the tuned model is better than its base is for the benchmark
to say.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from time import time
from typing import Any

from latexocr.errors import UserError
from latexocr.reading.conversation import prompt_names, prompt_text
from latexocr.reading.inputs import copy_processor, load_processor, model_type, resolve
from latexocr.reading.local import end_tokens
from latexocr.records import Sample
from latexocr.training import engines, examples, memory, record, watch
from latexocr.training.collate import Collator, Example, positions_of
from latexocr.training.settings import NOT_SETTINGS, TrainConfig, refuse_odd
from latexocr.training.trainer import Plan, trainer_of
from latexocr.training.trial import Trial


def train(config: TrainConfig, samples: Sequence[Sample] | None = None,
          eval_samples: Sequence[Sample] | None = None) -> Path:
    """Train an adapter and give its folder; a finished run of the same settings is not trained again.

    `samples` and `eval_samples` take the place of `config.data` and `config.eval_data`.
    Raises UserError where the data, the model or the folder cannot be used.
    """
    refuse_odd(config)
    engine = _ready(config)
    base = _base(config)
    config = replace(config, prompt=config.prompt or prompt_names(model_type(base))[0])
    samples = examples.given(samples, config.data, "data")
    eval_samples = examples.given(eval_samples, config.eval_data, "eval_data", optional=True)
    settings = _settings(config, samples, eval_samples)
    if not eval_samples:
        samples, eval_samples = examples.divided(samples, config)
    made = [examples.material(some, config) for some in (samples, eval_samples)]
    processor = load_processor(base, trust_remote_code=config.trust_remote_code)
    learned = examples.usable(made[0], config, processor.tokenizer)
    watched = examples.usable(made[1], config, processor.tokenizer) if eval_samples else []
    if config.batch > max(len(learned), TrainConfig.batch):
        raise UserError(f"--batch is {config.batch}, and there are {len(learned)} pictures to learn from. Give a batch "
                        f"of at most {max(len(learned), TrainConfig.batch)}.")
    facts = {"backend": engine, "base": str(base), "n": len(learned), "n_eval": len(watched),
             "left_out": len(samples) - len(learned), "overlap": examples.overlap(eval_samples, samples)}
    with _claimed(config, settings, facts) as claim, record.room(config.out), watch.drawing(config):
        if not claim.finished:
            _learn(config, engine, base, processor, (learned, watched), (samples, eval_samples), claim.checkpoint)
    return config.out


@contextmanager
def _claimed(config: TrainConfig, settings: dict[str, Any], facts: dict[str, Any]) -> Iterator[record.Claim]:
    """The folder, this run's alone, claimed once for all its processes."""
    import torch
    from accelerate import PartialState

    state = PartialState(cpu=config.device == "cpu" or not torch.cuda.is_available())
    with record.alone(config.out) if state.is_main_process else nullcontext():
        if state.is_main_process:
            claim = record.claim(config.out, {**settings, "processes": state.num_processes})
            if not claim.finished:
                record.note(config.out, facts)
        state.wait_for_everyone()
        yield claim if state.is_main_process else record.claimed(config.out)


def _learn(config: TrainConfig, engine: str, base: Path, processor: Any, made: tuple[list[Example], list[Example]],
           given: tuple[list[Sample], list[Sample]], checkpoint: Path | None) -> None:
    """Train, from a checkpoint on where there is one, and write the adapter. `made`, `given`: learned, and watched."""
    smaller = "a smaller model." if config.bits == 4 else "--bits 4, which takes a third, or a smaller model."
    with memory.for_weights(base, f"Give {smaller}"):
        model = engines.with_adapter(engine, base, config, processor)
    ends, prompt = end_tokens(model, processor), prompt_text(config.prompt)
    collator = Collator(processor, [*made[0], *made[1]], ends, prompt, positions_of(model.get_base_model()))
    trial = Trial.of(given[1], given[0], processor, ends, prompt, engines.reading_mode(engine, config))
    trainer = trainer_of(model, collator, Plan.of(collator, config, len(made[0])), config, engine, trial)
    started = time()
    try:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        short = False
    except (RuntimeError, MemoryError) as e:
        if not memory.is_short(e):
            raise
        short = True  # Told outside, where nothing holds what the failed step had made.
    if short:
        raise UserError(memory.advice(trainer, collator, config))
    watch.refuse_lost(trainer.model, trainer.state.global_step)
    if trainer.is_world_process_zero():
        _save(trainer.accelerator.unwrap_model(trainer.model), base, config)
        record.finish(config.out, {"seconds": round(time() - started, 1), **_outcome(trainer.state)})
    trainer.accelerator.wait_for_everyone()


def _outcome(state: Any) -> dict[str, Any]:
    """What a finished training's record says of it."""
    losses = [entry["loss"] for entry in state.log_history if "loss" in entry]
    best = Path(state.best_model_checkpoint).name if state.best_model_checkpoint else None
    edits = {f"checkpoint-{entry['step']}": entry["eval_edit_distance"] for entry in state.log_history
             if "eval_edit_distance" in entry}
    return {"steps": state.global_step, "first_loss": losses[0], "last_loss": losses[-1], "best_checkpoint": best,
            "best_edit_distance": edits.get(best)}


def _ready(config: TrainConfig) -> str:
    """The engine, with all that it and the curves need at hand. Raises UserError before any work is done."""
    from huggingface_hub import constants

    # What transformers renames is between it and TRL, not for those who train.
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
    constants.HF_HUB_DISABLE_TELEMETRY = True  # TRL would tell the hub of each training.
    watch.curves(config)
    return engines.choose(config)


def _base(config: TrainConfig) -> Path:
    base = resolve(config.model, download=config.download)
    if not (base / "config.json").is_file():
        raise UserError(f"{base} is an adapter; an adapter is trained on a model. Export it first (latexocr export).")
    return base


def _settings(config: TrainConfig, samples: Sequence[Sample], eval_samples: Sequence[Sample]) -> dict[str, Any]:
    """What decides the adapter, as `run.json` keeps it: of the data as it was given, before some is held out."""
    from latexocr.data.sources import content_hash

    fields = {name: value for name, value in asdict(config).items() if name not in NOT_SETTINGS}
    return {**fields, "data_sha256": content_hash(samples),
            "eval_sha256": content_hash(eval_samples) if eval_samples else None}


def _save(model: Any, base: Path, config: TrainConfig) -> None:
    """The adapter with its base's tokenizer and processor files. It names its base so that other machines find it."""
    adapter = model.peft_config["default"]
    adapter.base_model_name_or_path = str(base) if Path(config.model).expanduser().is_dir() else config.model
    adapter.inference_mode = True
    # Without embeddings: none are trained, and peft would ask the hub about the base.
    model.save_pretrained(str(config.out), save_embedding_layers=False)
    copy_processor(base, config.out)
