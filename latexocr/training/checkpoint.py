"""What a run of the pretraining leaves behind: ordinary checkpoints, of the last weights and of their mean.

Takes the model and the settings of the run. Knows nothing of data.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from latexocr.training import ranks

if TYPE_CHECKING:
    from latexocr.training.pretrain import PretrainConfig

SHARD = "15MB"
"""Largest file of weights."""
HORIZON = 1000
"""Steps over which weights are averaged, about."""


@dataclass(frozen=True)
class Done:
    """How far a run is."""

    steps: int
    pictures: int
    """Read by all processes."""
    seconds: float


class Mean:
    """The exponential mean of a model's weights: what a run broken off at a high learning rate should give."""

    def __init__(self, model: torch.nn.Module) -> None:
        state = {name: value.detach() for name, value in model.state_dict().items()}
        self._current = list(state.values())
        self.weights = {name: value.clone() for name, value in state.items()}

    def update(self, step: int) -> None:
        """Take in the weights after a step, counted from 0; the plain mean of all until there are `HORIZON`."""
        torch._foreach_lerp_(list(self.weights.values()), self._current, 1 / min(step + 1, HORIZON))


def save(model, config: PretrainConfig, done: Done, *, name: str = "model",
         weights: dict[str, torch.Tensor] | None = None) -> None:
    """Write the model, or it with other weights, as an ordinary checkpoint in bfloat16: OUT/NAME.

    A run killed here leaves the checkpoint before this one, as OUT/NAME or, between two renames, as OUT/before.
    """
    part, final, old = (config.out / folder for folder in ("part", name, "before"))
    shutil.rmtree(part, ignore_errors=True)
    shutil.copytree(config.model, part, ignore=shutil.ignore_patterns(
        "*.safetensors*", "pretraining.json", "calibration.json"))
    state = {key: value.detach().to(torch.bfloat16) for key, value in (weights or model.state_dict()).items()
             if key != "lm_head.weight"}  # tied to the embeddings
    model.save_pretrained(part, state_dict=state, max_shard_size=SHARD)
    shape = json.loads((part / "config.json").read_text())
    shape["dtype"] = "bfloat16"
    (part / "config.json").write_text(json.dumps(shape, indent=2) + "\n")
    (part / "pretraining.json").write_text(json.dumps(_record(config, done), indent=2) + "\n")
    shutil.rmtree(old, ignore_errors=True)
    if final.exists():
        final.rename(old)
    part.rename(final)
    shutil.rmtree(old, ignore_errors=True)


def _record(config: PretrainConfig, done: Done) -> list[dict]:
    """This run after those that the model had before."""
    settings = {key: str(value) if isinstance(value, Path) else value for key, value in asdict(config).items()}
    known = config.model / "pretraining.json"
    earlier = json.loads(known.read_text()) if known.exists() else []
    return [*earlier, {"steps": done.steps, "pictures": done.pictures, "seconds": round(done.seconds, 1),
                       "processes": ranks.count(), "settings": settings}]
