"""What to lower when a GPU's memory does not suffice for a training, found by trying.

Takes a trainer that ran out of memory. Knows nothing of data.
"""

from __future__ import annotations

from typing import Any

from latexocr.training.collate import Collator
from latexocr.training.settings import TrainConfig


def advice(trainer: Any, collator: Collator, config: TrainConfig) -> str:
    """One line: which batch fits, if one does, and what else saves memory."""
    trainer.model.zero_grad(set_to_none=True)
    longest = list(trainer.train_dataset["sample"][:config.batch])  # The plan puts the longest samples first.
    batch = next((size for size in _halves(config.batch) if _fits(trainer, collator, longest[:size])), None)
    full = f"This GPU's memory does not suffice for batches of {config.batch} (step {trainer.state.global_step + 1})"
    if batch:
        return (f"{full}; {batch} fit. Give --batch {batch} --accumulation "
                f"{config.accumulation * config.batch // batch}, which learns the same, and another --out"
                f"{'' if config.gradient_checkpointing else '; or keep the batch with --gradient-checkpointing'}.")
    more = [option for option, used in (("--gradient-checkpointing", config.gradient_checkpointing),
                                        ("--bits 4", config.bits == 4), ("--no-vision", not config.vision)) if not used]
    return (f"{full}, and not for one picture either. Give {', '.join(more)} or a smaller model, and another --out."
            if more else f"{full}, and not for one picture either: this model is too large for it.")


def _halves(batch: int) -> list[int]:
    sizes = []
    while batch > 1:
        batch //= 2
        sizes.append(batch)
    return sizes


def _fits(trainer: Any, collator: Collator, numbers: list[int]) -> bool:
    """Whether a forward and a backward pass over these examples go through."""
    import torch

    model = trainer.model
    try:
        torch.cuda.empty_cache()
        inputs = trainer._prepare_inputs(collator([{"sample": number} for number in numbers]))
        with trainer.compute_loss_context_manager():
            loss = trainer.compute_loss(model, inputs)
        loss.backward()
        return True
    except torch.OutOfMemoryError:
        return False
    finally:
        model.zero_grad(set_to_none=True)
