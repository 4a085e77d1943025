"""How the embedded model was made, from formulas alone: TeX draws them as training goes.

    python -m latexocr.training.pretrain new FOLDER --corpus formulas.jsonl.gz
    python -m latexocr.training.pretrain run --model FOLDER --corpus formulas.jsonl.gz --out OUT --minutes 20
    python -m latexocr.training.pretrain validation OUT --corpus formulas.jsonl.gz --model FOLDER

`run` continues from the weights of FOLDER where it has some. Besides the next token, the model learns which glyphs lie
in each visual token's cell, which TeX knows. Earlier models of this size, of another shape and taught the next token
alone, had learned the language of formulas and ignored the picture; what each difference did was not measured apart.
"""

from __future__ import annotations

import itertools
import json
import math
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from latexocr.errors import UserError
from latexocr.training import architecture, ranks, stream
from latexocr.training.checkpoint import Done, Mean, save

BARREN = 20
"""Drawings of 40 formulas without a new one among them, after which `validation` gives up."""


@dataclass(frozen=True)
class PretrainConfig:
    """Settings of one run; a run that continues another repeats them."""

    model: Path
    corpus: Path
    out: Path
    minutes: float = 20.0
    """Length of the training itself, on the clock."""
    learning_rate: float = 1.5e-3
    """Peak, of both optimizers; linear warm-up, constant, then linear to zero over `cooldown`."""
    warmup_steps: int = 300
    cooldown: float = 0.45
    """Last part of the run, 0 to 1, in which the learning rate falls to zero."""
    weight_decay: float = 0.05
    glyph_weight: float = 1.0
    """Weight of the glyph loss at the start; it falls to a tenth of it over the first half of the run."""
    short_seconds: float = 45.0
    """See `stream.Schedule`; 0 for a run that continues another."""
    replay: int = 1
    """See `stream.Schedule`."""
    pixels_a_batch: int = 8_000_000
    """See `stream.Schedule`."""
    hands: Path | None = None
    """Strokes that `benchmarks/hands.py` made: with them, part of the formulas is written by hand."""
    workers: int = 15
    """Processes that draw formulas, for each process that trains."""
    save_every: float = 100.0
    """Seconds between checkpoints."""
    seed: int = 3407
    device: str = "cuda"
    compile: bool = True


def run(config: PretrainConfig) -> None:
    """Train, saving an ordinary checkpoint every `save_every` seconds; log one JSON line every 50 steps.

    Started by torchrun, each process draws and reads batches of its own, on a GPU of its own, and all take one step
    together. OUT/model are the last weights, OUT/mean those of the last steps averaged.
    """
    import torch

    _check(config)
    tokenizer = _tokenizer(config.model)
    config.out.mkdir(parents=True, exist_ok=True)
    corpus = stream.load_corpus(config.corpus)
    if config.workers:
        stream.warm()
    batches = iter(_loader(corpus, tokenizer, config))  # Its processes start here, before CUDA does.
    ranks.join(config.device)
    torch.backends.cuda.matmul.allow_tf32 = True
    arrivals = _to_device(batches, config.device)
    first = next(arrivals)
    from latexocr.reading.attention import plan_no_shapes
    from latexocr.training.canvas import CanvasModel

    plan_no_shapes()
    model = CanvasModel(architecture.load(config.model, seed=config.seed), stream.GLYPH_CLASSES).to(config.device)
    model.train()
    if config.compile:
        model.compile()
    _train(model, itertools.chain([first], arrivals), config)


def _train(model, arrivals, config: PretrainConfig) -> None:
    """Steps until the time is over; with several processes, all end after the same step."""
    import torch

    learner, optimizers = ranks.together(model, config.device), _optimizers(model, config)
    mean = Mean(model.model)
    totals = torch.zeros(4, device=config.device)
    started = saved = time.time()
    pictures = step = waited = 0
    while True:
        asked = time.time()
        batch = next(arrivals)
        waited += time.time() - asked
        now, fresh = ranks.total(time.time() - started, len(batch[0]))
        now /= ranks.count()
        progress = now / (60 * config.minutes)
        if progress >= 1:
            break
        rate = config.learning_rate * min(1, (step + 1) / config.warmup_steps, (1 - progress) / config.cooldown)
        totals += _step(learner, batch, optimizers, rate, config.glyph_weight * max(0.1, 1 - 1.8 * progress))
        mean.update(step)
        step += 1
        pictures += int(fresh)
        done = Done(step, pictures, now)
        if step % 50 == 0:
            _log(config, done, rate=rate, waited=waited, totals=totals)
            totals.zero_()
            waited = 0
        if time.time() - saved > config.save_every:
            _save(model.model, mean, config, done)
            saved = time.time()
    _save(model.model, mean, config, Done(step, pictures, now))


def _save(model, mean: Mean, config: PretrainConfig, done: Done) -> None:
    if ranks.rank() == 0:
        save(model, config, done)
        save(model, config, done, name="mean", weights=mean.weights)


def _check(config: PretrainConfig) -> None:
    """Raises UserError where the run cannot begin."""
    import torch

    if config.out.resolve() == config.model.resolve():
        raise UserError(f"{config.out} is the model to begin from. Give another --out.")
    if config.device.startswith("cuda") and not torch.cuda.is_available():
        raise UserError("No CUDA GPU here. --device cpu --no-compile runs, a hundred times slower.")


def _tokenizer(model: Path):
    from transformers import AutoTokenizer

    if not (model / "config.json").is_file():
        raise UserError(f"{model}: no model here (no config.json). `new` writes an untrained one.")
    return AutoTokenizer.from_pretrained(model)


def _step(model, batch, optimizers, rate: float, glyph_weight: float):
    import torch

    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad(set_to_none=True)
    with torch.autocast(batch[0].device.type, torch.bfloat16):
        text, glyph, right = model(*batch)
        loss = text + glyph_weight * glyph
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for optimizer in optimizers:
        optimizer.step()
    return torch.stack([text.detach(), glyph.detach(), right, norm.detach()])


def _optimizers(model, config: PretrainConfig) -> list:
    """Muon for the matrices inside the blocks, AdamW for all else."""
    import torch

    from latexocr.training.muon import Muon

    blocks = [*model.model.model.visual.blocks.parameters(), *model.model.model.visual.merger.parameters(),
              *model.model.model.language_model.layers.parameters()]
    matrices = [p for p in blocks if p.ndim == 2]
    chosen = set(map(id, matrices))
    others = [p for p in model.parameters() if id(p) not in chosen]
    return [Muon(matrices, lr=config.learning_rate, weight_decay=config.weight_decay),
            torch.optim.AdamW(others, lr=config.learning_rate, betas=(0.9, 0.98), weight_decay=config.weight_decay,
                              fused=config.device == "cuda")]


def _loader(corpus: stream.Corpus, tokenizer, config: PretrainConfig):
    from torch.utils.data import DataLoader, IterableDataset, get_worker_info

    from latexocr.data.strokes import load_hands

    hands = load_hands(config.hands) if config.hands else None
    schedule = stream.Schedule(config.short_seconds, config.replay, config.pixels_a_batch)
    started = time.time()

    class Drawings(IterableDataset):
        def __iter__(self) -> Iterator[stream.Batch]:
            worker = get_worker_info()
            number = 100 * ranks.rank() + (worker.id if worker else 0)
            return stream.batches(corpus, tokenizer, schedule, seed=config.seed * 1000 + number, started=started,
                                  hands=hands)

    return DataLoader(Drawings(), batch_size=None, num_workers=config.workers, prefetch_factor=16 if config.workers
                      else None, in_order=False, multiprocessing_context="fork" if config.workers else None)


def _to_device(loader, device: str):
    """The loader's batches as tensors on the device.

    They come as arrays, through a pipe: as tensors, in shared memory, they cost a run its loader after 629 seconds
    (connection reset), which arrays had not in 1,016.
    """
    import torch

    for batch in loader:
        tensors = [torch.as_tensor(array) for array in (batch.pixels, batch.tokens, batch.glyphs)]
        if device == "cuda":
            tensors = [tensor.pin_memory().to(device, non_blocking=True) for tensor in tensors]
        yield tensors


def _log(config: PretrainConfig, done: Done, *, rate: float, waited: float, totals) -> None:
    text, glyph, right, norm = (totals / 50).tolist()
    if not math.isfinite(text):
        raise UserError(f"The loss is {text} at step {done.steps}; lower --learning-rate.")
    if ranks.rank():
        return
    line = {"step": done.steps, "pictures": done.pictures, "seconds": round(done.seconds, 1), "loss": round(text, 4),
            "glyph_loss": round(glyph, 4), "token_accuracy": round(right, 4), "gradient": round(norm, 3), "rate": rate,
            "pictures_a_second": round(done.pictures / done.seconds), "seconds_waited": round(waited, 2)}
    with (config.out / "log.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    print(json.dumps(line), flush=True)


def validation(out: Path, /, *, corpus: Path, model: Path, count: int = 2000, longest: int = 40, seed: int = 0,
               fonts: tuple[str, ...] = ()) -> None:
    """Draw formulas of held-out documents as a data set: OUT/samples.jsonl, each picture's font its subset.

    Unless `fonts` names sets of fonts, all that this machine has are drawn alike, trained or not.
    """
    import numpy as np
    from PIL import Image

    from latexocr.data.fonts import available_fonts
    from latexocr.data.write import write_samples
    from latexocr.latex.tokens import tokenize
    from latexocr.reading.images import place
    from latexocr.records import Sample

    rng = np.random.default_rng(seed)
    held_out, tokenizer = stream.load_corpus(corpus, validation=True), _tokenizer(model)
    there = available_fonts()
    if missing := [font for font in fonts if font not in there]:
        raise UserError(f"Fonts that this machine cannot draw: {', '.join(missing)}. It has {', '.join(there)}.")
    fonts = fonts or there
    samples, seen, barren = [], set(), 0
    while len(samples) < count:
        if barren == BARREN:
            raise UserError(f"{corpus}: only {len(samples)} formulas of up to {longest} tokens found in its held-out "
                            "documents. Lower --count.")
        before = len(samples)
        font = fonts[int(rng.integers(len(fonts)))]
        for example in stream.examples(held_out, tokenizer, rng, longest=64 if longest <= 40 else 256, fonts=(font,),
                                       count=40):
            if len(samples) < count and example.latex not in seen and len(tokenize(example.latex)) <= longest:
                seen.add(example.latex)
                picture = Image.fromarray(place(example.pixels))
                samples.append(Sample(f"v{len(samples):05d}", picture, example.latex, subset=font))
        barren = 0 if len(samples) > before else barren + 1
    write_samples(out, samples)


def new(folder: Path, /, *, corpus: Path) -> None:
    """Write an untrained model to FOLDER, its tokenizer fitted to the corpus."""
    from latexocr.latex.canonical import Level, canonical

    groups = stream.load_corpus(corpus).classes
    fair = [formula for group in groups for formula in group[:: max(1, len(group) // 40_000)]]
    architecture.new(folder, [canonical(formula, Level.SYNTAX) for formula in fair])


def main(arguments: list[str] | None = None) -> int:
    """The command line: `new`, `run`, `validation`; the exit code."""
    import tyro

    try:
        tyro.extras.subcommand_cli_from_dict({"new": new, "run": run, "validation": validation}, args=arguments,
                                             prog="python -m latexocr.training.pretrain",
                                             config=(tyro.conf.OmitArgPrefixes,))
    except UserError as e:
        print(f"pretrain: {e}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
