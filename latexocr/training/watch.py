"""What is seen of a training while it runs: a line or a bar, curves, and how well the model reads at each checkpoint.

Takes what transformers' trainer reports. Knows nothing of batches.
"""

from __future__ import annotations

import importlib.util
import json
import math
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import time
from typing import Any

from latexocr.errors import UserError
from latexocr.provenance import peak_memory
from latexocr.training.settings import TrainConfig
from latexocr.training.trial import Trial, standing, words


def curves(config: TrainConfig) -> None:
    """Make ready where the trainer sends its curves. Raises UserError where the package for that is missing."""
    if config.log_to != "none" and importlib.util.find_spec(config.log_to) is None:
        raise UserError(f"Curves were to go to {config.log_to}, which is not installed: pip install {config.log_to}. "
                        "Or use --log-to none: log.jsonl has the numbers too.")
    os.environ["TENSORBOARD_LOGGING_DIR"] = str(config.out / "tensorboard")


@contextmanager
def drawing(config: TrainConfig) -> Iterator[None]:
    """Raises UserError where the package that curves go to refuses inside: wandb without a key, for one."""
    try:
        yield
    except Exception as e:
        if type(e).__module__.partition(".")[0] != config.log_to:
            raise
        reason = (str(e).strip() or type(e).__name__).splitlines()[0].rstrip(".")
        raise UserError(f"Curves were to go to {config.log_to}, which says: {reason}. Mend that, or use --log-to none: "
                        "log.jsonl has the numbers too.") from e


def watched(trainer: type, trial: Trial, pictures_a_step: int) -> type:
    """The trainer, with the scores of the trial at each evaluation, and speed and memory at each report."""

    class Watched(trainer):
        marked = (0.0, 0)

        def evaluation_loop(self, *args: Any, **options: Any) -> Any:
            output = super().evaluation_loop(*args, **options)
            if trial.samples:
                scores = trial.scores(self.accelerator.unwrap_model(self.model))
                output.metrics.update({f"eval_{name}": score.value for name, score in scores.items()})
                output.metrics["eval_standing"] = standing(scores, self.state.global_step / self.state.max_steps)
                if self.is_world_process_zero():
                    line(f"step {self.state.global_step}: {words(scores)}, loss {output.metrics['eval_loss']:.4f}")
            self.marked = (time(), self.state.global_step)
            return output

        def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
            if "loss" in logs:
                refuse_diverged(logs["loss"], self.state.global_step)
                now, (since, step) = (time(), self.state.global_step), self.marked
                if since and now[1] > step:
                    logs["pictures_per_s"] = round((now[1] - step) * pictures_a_step / (now[0] - since), 1)
                memory = peak_memory()
                logs["memory_gb"] = round((memory["gpu_memory_mb"] or memory["memory_mb"] or 0) / 1000, 2)
                self.marked = now
            super().log(logs, start_time)

    return Watched


def refuse_diverged(loss: float, step: int) -> None:
    """Raise a UserError where the loss is no number any more: nothing that comes after it could be one."""
    if not math.isfinite(loss):
        raise UserError(f"The loss is {loss} by step {step}: what was learned is lost. Give a lower --learning-rate "
                        "or a longer --warmup, and another --out.")


def refuse_lost(model: Any, step: int) -> None:
    """Raise a UserError where a learned weight is no number: not every step's loss is reported."""
    if not all(weight.isfinite().all() for weight in model.parameters() if weight.requires_grad):
        refuse_diverged(math.nan, step)


def callbacks(path: Path, trial: Trial) -> list[Any]:
    """What the trainer calls: the file of reports, the bar, and the answers that are shown."""
    return [_loss_log(path), _bar(), _shown(trial)]


def _loss_log(path: Path) -> Any:
    """Keeps what the trainer reports, one JSON line a report; a continued run's file has no line twice."""
    from transformers import TrainerCallback

    class LossLog(TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.best_model_checkpoint:  # The folder may have been moved since.
                state.best_model_checkpoint = str(Path(args.output_dir) / Path(state.best_model_checkpoint).name)

        def on_log(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.is_world_process_zero:
                path.write_text("".join(json.dumps(entry) + "\n" for entry in state.log_history), encoding="utf-8")

    return LossLog()


def _bar() -> Any:
    """A bar on a terminal, and a line at each report elsewhere, both with the time that is left."""
    from tqdm import tqdm
    from transformers import TrainerCallback

    class Bar(TrainerCallback):
        bar: Any = None

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.is_world_process_zero:
                self.bar = tqdm(desc="train", total=state.max_steps, initial=state.global_step, unit=" steps",
                                file=sys.stderr, dynamic_ncols=True, disable=None)
                self.begun = (time(), state.global_step)

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if self.bar is not None:
                self.bar.update(1)

        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
            if self.bar is None or "loss" not in (logs or {}):
                return
            now = _now(logs)
            if self.bar.disable:
                done = state.global_step - self.begun[1]
                left = (time() - self.begun[0]) / max(done, 1) * (state.max_steps - state.global_step)
                line(f"step {state.global_step} of {state.max_steps}: {now}, {tqdm.format_interval(left)} left")
            else:
                self.bar.set_postfix_str(now)

        def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if self.bar is not None:
                self.bar.close()

    return Bar()


def _now(logs: dict[str, float]) -> str:
    speed = f", {logs['pictures_per_s']:.0f} pictures/s" if "pictures_per_s" in logs else ""
    return f"loss {logs['loss']:.4f}{speed}, {logs['memory_gb']:.1f} GB"


def _shown(trial: Trial) -> Any:
    """Shows answers before the first step, at each checkpoint, and after the last step."""
    from tqdm import tqdm
    from transformers import TrainerCallback

    class Shown(TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
            if not state.global_step:
                self.show(state, model, "before")

        def on_save(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
            if state.global_step < state.max_steps:
                self.show(state, model, f"step {state.global_step}")

        def on_train_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
            self.show(state, model, "after")

        def show(self, state: Any, model: Any, when: str) -> None:
            if state.is_world_process_zero:
                with tqdm.external_write_mode(file=sys.stderr):
                    trial.show(model, when)

    return Shown()


def line(text: str) -> None:
    """A line on stderr, above the bar where there is one."""
    from tqdm import tqdm

    tqdm.write(f"latexocr: {text}", file=sys.stderr)
