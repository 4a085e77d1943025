"""What to lower when memory does not suffice for a training, found by trying.

Takes a trainer that ran out of memory. Knows nothing of data.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from latexocr.errors import UserError
from latexocr.provenance import loaded_cuda
from latexocr.training.collate import Collator
from latexocr.training.settings import TrainConfig

SHORT = ("out of memory", "can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED")
"""What is said where memory did not suffice: by CUDA, by torch on a CPU, by a library that asks for its own."""


def is_short(error: BaseException) -> bool:
    """Whether an error says that memory did not suffice."""
    return isinstance(error, MemoryError) or any(words in str(error) for words in SHORT)


@contextmanager
def for_weights(base: Path, advice: str) -> Iterator[None]:
    """Raises UserError where the model alone, used inside, does not fit into memory."""
    try:
        yield
    except (RuntimeError, MemoryError) as e:
        if not is_short(e):
            raise
        weights = sum(file.stat().st_size for file in base.glob("*.safetensors")) / 1e9
        cuda = loaded_cuda()
        there = "; this GPU has {1:.1f} GB, {0:.1f} of them free".format(
            *(size / 1e9 for size in cuda.mem_get_info())) if cuda else ""
        raise UserError(f"{base}: this model does not fit into memory: its weights take {weights:.1f} GB on disk"
                        f"{there}. {advice}") from e


def advice(trainer: Any, collator: Collator, config: TrainConfig) -> str:
    """One line: which batch fits, if one does, and what else saves memory."""
    trainer.model.zero_grad(set_to_none=True)
    longest = list(trainer.train_dataset["sample"][:config.batch])  # The plan puts the longest samples first.
    parts = [size for size in range(config.batch - 1, 0, -1) if config.batch % size == 0]
    # Of several processes one may be short, and a try would wait for the others, which wait for it.
    tried = trainer.accelerator.num_processes == 1
    batch = next((size for size in parts if not tried or _fits(trainer, collator, longest[:size])), None)
    step = trainer.state.global_step
    full = f"Memory does not suffice for batches of {config.batch} (step {step + 1})"
    other = ", and another --out" if step else ""  # Before the first step nothing is in the folder.
    if batch:
        return (f"{full}; {batch} {'fit' if tried else 'may fit'}. Give --batch {batch} --accumulation "
                f"{config.accumulation * config.batch // batch}, which learns the same{other}"
                f"{'' if config.gradient_checkpointing else '; or keep the batch with --gradient-checkpointing'}.")
    more = [option for option, used in (("--gradient-checkpointing", config.gradient_checkpointing),
                                        ("--bits 4", config.bits == 4), ("--no-vision", not config.vision)) if not used]
    return (f"{full}, and not for one picture either. Give {', '.join(more)} or a smaller model{other}."
            if more else f"{full}, and not for one picture either: this model is too large for it.")


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
    except (RuntimeError, MemoryError) as e:
        if not is_short(e):
            raise
        return False
    finally:
        model.zero_grad(set_to_none=True)
