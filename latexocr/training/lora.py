"""LoRA on a vision-language model: through Unsloth where a CUDA GPU and Unsloth are there, with plain PEFT otherwise.

Takes a TrainConfig and samples, gives the folder of an adapter. Both engines get the same batches, from `collate`, in
the same order, from `batches`, and TRL's trainer. Knows nothing of metrics: whether the tuned model is better is for
the benchmark to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from time import time
from typing import Any

from latexocr.errors import UserError
from latexocr.reading.conversation import prompt_names, prompt_text
from latexocr.reading.inputs import copy_processor, load_processor, model_type, resolve
from latexocr.reading.local import end_tokens
from latexocr.records import Sample
from latexocr.training import engines, examples, record
from latexocr.training.collate import Collator, positions_of
from latexocr.training.settings import NOT_SETTINGS, TrainConfig
from latexocr.training.trainer import Plan, trainer_of


def train(config: TrainConfig, samples: Sequence[Sample] | None = None,
          eval_samples: Sequence[Sample] | None = None) -> Path:
    """Train an adapter and give its folder; a finished run of the same settings is not trained again.

    `samples` and `eval_samples` take the place of `config.data` and `config.eval_data`.
    Raises UserError where the data, the model or the folder cannot be used.
    """
    engine = engines.choose(config)
    base = _base(config)
    config = replace(config, prompt=config.prompt or prompt_names(model_type(base))[0])
    prompt = prompt_text(config.prompt)
    samples = examples.given(samples, config.data, "data")
    eval_samples = examples.given(eval_samples, config.eval_data, "eval_data", optional=True)
    made = [examples.material(some, config) for some in (samples, eval_samples)]
    processor = load_processor(base, trust_remote_code=config.trust_remote_code)
    learned = examples.usable(made[0], config, processor.tokenizer)
    watched = examples.usable(made[1], config, processor.tokenizer) if eval_samples else []
    claim = record.claim(config.out, _settings(config, samples, eval_samples))
    if claim.finished:
        return config.out
    record.note(config.out, {"backend": engine, "base": str(base), "n": len(learned), "n_eval": len(watched),
                             "left_out": len(samples) - len(learned),
                             "overlap": examples.overlap(eval_samples, samples)})
    model = engines.with_adapter(engine, base, config, processor)
    collator = Collator(processor, [*learned, *watched], end_tokens(model, processor), prompt,
                        positions_of(model.get_base_model()))
    trainer = trainer_of(model, collator, Plan.of(collator, config, len(learned)), config, engine)
    started = time()
    trainer.train(resume_from_checkpoint=str(claim.checkpoint) if claim.checkpoint else None)
    _save(trainer.accelerator.unwrap_model(trainer.model), base, config)
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    record.finish(config.out, {"seconds": round(time() - started, 1), "steps": trainer.state.global_step,
                               "first_loss": losses[0], "last_loss": losses[-1]})
    return config.out


def _base(config: TrainConfig) -> Path:
    base = resolve(config.model, download=config.download)
    if not (base / "config.json").is_file():
        raise UserError(f"{base} is an adapter; an adapter is trained on a model. Export it first (latexocr export).")
    return base


def _settings(config: TrainConfig, samples: Sequence[Sample], eval_samples: Sequence[Sample]) -> dict[str, Any]:
    """What decides the adapter, as `run.json` keeps it."""
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
