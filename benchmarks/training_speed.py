"""How fast a model is tuned: our recipe through Unsloth and plain PEFT, and the recipe of Unsloth's notebooks.

    python benchmarks/training_speed.py OUT.json --data crohme:FOLDER/train [--model builtin] [--pictures 40000]

One run on one machine, each recipe in a process of its own, the same pictures, held-out pictures and learning rate.
Every so often the clock stops and the loss on the held-out pictures is taken, by our collator for all, so that recipes
are compared at equal loss. Seconds count after the first ten steps, in which Unsloth compiles; pictures/s after the
first `--warm`. The notebook's recipe (Unsloth's vision notebooks, which tune on its LaTeX_OCR): its collator, batch
2 x 4, its gradient checkpointing, adamw_8bit. It gets prepared pictures, and `resize="max"`: its default would shrink
formulas to 512 pixels.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
RECIPES = ("ours-unsloth", "ours-peft", "notebook")
COMPILED = 10
"""Steps before the clock runs."""


@dataclass(frozen=True)
class Options:
    out: tyro.conf.Positional[Path]
    data: str
    """Pictures to learn from; the last of them are held out."""
    model: str = "builtin"
    pictures: int = 40_000
    """Seen in training by each recipe."""
    held_out: int = 256
    looks: int = 20
    """How often the loss on the held-out pictures is taken."""
    batch: int = 64
    """Of our recipe; the notebook's is 2 x 4."""
    learning_rate: float = 1e-3
    warm: int = COMPILED
    """Steps before pictures/s counts; far more for the rate that a long run settles at."""
    beside: Path | None = None
    """A record of other recipes on the same machine: they are compared with those of this run."""
    cudnn: bool = False
    """Let torch ask cuDNN first for attention, as it does by itself and our recipe does not: what its plans cost."""
    neighbours: bool = False
    """Let the tower take neighbours of one size in a call, as it does where no flash attention is: what calls cost."""
    recipes: Annotated[tuple[str, ...], tyro.conf.arg(name="recipes")] = RECIPES
    recipe: str = ""
    """Only this one, in this process (used by the script itself)."""


def clock(held_out: Any, steps: int, batch: int, options: Options) -> Any:
    """A callback that takes time, pictures and held-out loss; looking does not count as time."""
    import torch
    from transformers import TrainerCallback

    every, warm = max(1, steps // options.looks), options.warm

    class Clock(TrainerCallback):
        def __init__(self) -> None:
            self.seconds, self.since, self.looks = 0.0, 0.0, []
            self.settled = 0.0  # seconds until pictures/s counts

        def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            now = time.perf_counter()
            if state.global_step > COMPILED:
                self.seconds += now - self.since
            if state.global_step == warm:
                self.settled = self.seconds
            if state.global_step == 1 or state.global_step % every == 0:
                loss = sum(float(held_out(model, part)) for part in range(held_out.parts)) / held_out.parts
                self.looks.append({"step": state.global_step, "pictures": state.global_step * batch,
                                   "seconds": round(self.seconds, 2), "held_out_loss": round(loss, 5)})
                print(self.looks[-1], file=sys.stderr, flush=True)
            self.since = time.perf_counter()

    return Clock()


class HeldOut:
    """The loss of a model on pictures that it does not learn from, by our collator."""

    def __init__(self, collator: Any, size: int = 32) -> None:
        numbers = sorted(range(len(collator.examples)), key=lambda n: collator.examples[n].picture.width)
        self.batches = [collator([{"sample": number} for number in numbers[start:start + size]])
                        for start in range(0, len(numbers), size)]
        self.parts = len(self.batches)

    def __call__(self, model: Any, part: int) -> Any:
        import torch

        device, training = next(model.parameters()).device, model.training
        batch = {name: value.to(device) for name, value in self.batches[part].items()}
        model.eval()
        with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            loss = model(**batch).loss
        model.train(training)
        return loss


def one(options: Options) -> dict[str, Any]:
    """Run one recipe; what its clock saw."""
    import torch

    on_gpu = torch.cuda.is_available()
    from latexocr.training import engines

    if "peft" not in options.recipe:
        if on_gpu:
            engines._import_unsloth()
        else:
            from benchmarks.engines import pretend_gpu

            pretend_gpu()
            engines.choose = lambda config: config.backend
    from latexocr.data.sources import load
    from latexocr.reading import attention
    from latexocr.training import towers

    if options.neighbours:
        towers._ragged = lambda *_: None
    if options.cudnn:
        attention.plan_no_shapes = lambda: None
    samples = load(options.data)
    learned, held = samples[:-options.held_out], samples[-options.held_out:]
    run = notebook if options.recipe == "notebook" else ours
    watch, batch = run(options, learned, held)
    seen, last = watch.looks, watch.looks[-1]
    timed = last["pictures"] - options.warm * batch
    seconds = last["seconds"] - watch.settled
    return {"pictures_per_s": round(timed / max(seconds, 1e-9), 1), "warm": options.warm, "batch": batch, "looks": seen,
            "peak_memory_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2) if on_gpu else None}


def ours(options: Options, learned: Any, held: Any) -> tuple[Any, int]:
    from latexocr.training import lora
    from latexocr.training.settings import TrainConfig

    made, trainer_of = [], lora.trainer_of
    steps = max(options.warm + 2, options.pictures // options.batch)

    def watched(*arguments: Any) -> Any:
        trainer, collator, config = trainer_of(*arguments), arguments[1], arguments[3]
        made.append(clock(HeldOut(_held(collator, held, config)), steps, options.batch, options))
        trainer.add_callback(made[0])
        return trainer

    lora.trainer_of = watched
    with tempfile.TemporaryDirectory() as folder:
        lora.train(TrainConfig(model=options.model, out=Path(folder) / "run", steps=steps, batch=options.batch,
                               learning_rate=options.learning_rate, save_steps=10**9, held_out=0, log_to="none",
                               backend=options.recipe.partition("-")[2]), learned)
    return made[0], options.batch


def _held(collator: Any, held: Any, config: Any) -> Any:
    from dataclasses import replace

    from latexocr.training import examples

    return replace(collator, examples=examples.usable(examples.material(held, config), config,
                                                      collator.processor.tokenizer))


def notebook(options: Options, learned: Any, held: Any) -> tuple[Any, int]:
    """Unsloth's recipe as its notebooks have it."""
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer
    from unsloth import FastVisionModel
    from unsloth.trainer import UnslothVisionDataCollator

    from latexocr.reading.conversation import conversation
    from latexocr.reading.inputs import load_processor, resolve
    from latexocr.reading.local import end_tokens
    from latexocr.training import examples
    from latexocr.training.collate import Collator
    from latexocr.training.settings import TrainConfig

    base, config = resolve(options.model), TrainConfig(model=options.model)
    model, _ = FastVisionModel.from_pretrained(str(base), load_in_4bit=False,
                                               use_gradient_checkpointing=_gpu("unsloth"))
    model = FastVisionModel.get_peft_model(model, r=16, lora_alpha=16, lora_dropout=0, bias="none", random_state=3407,
                                           use_gradient_checkpointing=_gpu("unsloth"))
    processor = load_processor(base)
    taught = examples.usable(examples.material(learned, config), config, processor.tokenizer)
    rows = [{"messages": conversation(example.picture.image(), example.latex)} for example in taught]
    steps = max(options.warm + 2, options.pictures // 8)
    collator = Collator(processor, (), end_tokens(model, processor))
    watch = clock(HeldOut(_held(collator, held, config)), steps, 8, options)
    FastVisionModel.for_training(model)
    collate = UnslothVisionDataCollator(model, processor, resize="max")
    with tempfile.TemporaryDirectory() as folder:
        SFTTrainer(model=model, processing_class=processor, callbacks=[watch],
                   data_collator=lambda batch: collate([rows[row["row"]] for row in batch]),
                   train_dataset=Dataset.from_dict({"row": list(range(len(rows)))}), args=SFTConfig(
                       per_device_train_batch_size=2, gradient_accumulation_steps=4, warmup_steps=5, max_steps=steps,
                       learning_rate=options.learning_rate, logging_steps=10, optim=_gpu("adamw_8bit", "adamw_torch"),
                       weight_decay=0.001, lr_scheduler_type="linear", seed=3407, output_dir=folder, report_to="none",
                       save_strategy="no", remove_unused_columns=False, max_length=None, bf16=_gpu(True),
                       fp16=False, use_cpu=not _gpu(True), gradient_checkpointing=False,
                       dataset_kwargs={"skip_prepare_dataset": True})).train()
    return watch, 8


def _gpu(there: Any, otherwise: Any = False) -> Any:
    import torch

    return there if torch.cuda.is_available() else otherwise


def ratios(found: dict[str, Any]) -> dict[str, Any]:
    """Each recipe against the notebook: pictures/s, and seconds to the lowest loss that both reach."""
    seen: dict[str, Any] = {}
    for name, result in found.items():
        if name == "notebook" or "notebook" not in found:
            continue
        level = max(min(look["held_out_loss"] for look in found[one]["looks"]) for one in (name, "notebook"))
        mine, theirs = (next(look["seconds"] for look in found[one]["looks"] if look["held_out_loss"] <= level)
                        for one in (name, "notebook"))
        seen[name] = {"pictures_per_s": round(result["pictures_per_s"] / found["notebook"]["pictures_per_s"], 2),
                      "equal_loss": level, "seconds": mine, "notebook_seconds": theirs}
    return seen


def main(options: Options) -> None:
    from latexocr import provenance

    if options.recipe:
        print(json.dumps(one(options)))
        return
    import torch  # noqa: F401  (so that the record names the GPU)

    begun, found, failed = provenance.start(), {}, []
    if options.beside:
        found |= json.loads(options.beside.read_text())["recipes"]
    for recipe in options.recipes:
        done = subprocess.run([sys.executable, *sys.argv, "--recipe", recipe], stdout=subprocess.PIPE, text=True)
        if done.returncode:
            failed.append(recipe)
            continue
        found[recipe] = json.loads(done.stdout.splitlines()[-1])
        print(f"{recipe}: {found[recipe]['pictures_per_s']} pictures/s, held-out loss "
              f"{found[recipe]['looks'][-1]['held_out_loss']}", flush=True)
        record = {**begun, "recipes": found, "against_notebook": ratios(found)}
        provenance.write_text(options.out, json.dumps(record, indent=1) + "\n")
    if failed:
        sys.exit(f"Failed: {', '.join(failed)}.")


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
