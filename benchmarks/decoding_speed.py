"""How fast the embedded model reads on the cores of a CPU, where the time goes, and how far that is from the floor.

    python benchmarks/decoding_speed.py --data im2latex:data/im2latex_sample --limit 256 --out runs/decoding
    ... --python PIX2TEX/bin/python --weights weights.pth --glyph-height 11         # beside pix2tex as shipped

All in one run on one machine: OUT/decoding.json has, for each number format and number of cores, seconds a picture by
the clock and of the processor; also as `transcribe` reads, with batches side by side on the cores; and, one batch after
the other, by stage: the tower, the question (picture and prompt in the language model), the
tokens of the answers, and the rest (pictures prepared, templates, words). The floor is what the products of matrices of
these very answers take at the speed of one large product, and at least the time to read the weights once a step, at the
speed at which memory as large as they are is read; both are measured here, with as many threads. On a busy machine only
ratios and seconds of the processor mean something.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from latexocr.bench.run import draw
from latexocr.data.sources import load
from latexocr.errors import UserError
from latexocr.provenance import start, write_text
from latexocr.reading import Reader
from latexocr.records import Sample

STAGES = ("tower", "question", "answer")
PIX2TEX = 12
"""Pictures that pix2tex as shipped reads, at some two seconds each."""


@dataclass(frozen=True)
class Options:
    data: str
    """Pictures of formulas: a data SPEC."""
    out: Path
    """Folder of decoding.json."""
    limit: int | None = 256
    """Take this many, drawn at random but always alike."""
    dtypes: tuple[str, ...] = ("float32", "bfloat16")
    cores: tuple[int, ...] = (1, 2)
    python: Path | None = None
    """The interpreter of pix2tex's environment."""
    weights: Path | None = None
    """weights.pth of pix2tex."""
    glyph_height: float = 11


class Meter:
    """What is spent in each stage of reading, by any measure that only grows; what a stage holds is not its own."""

    def __init__(self, model: Any, measure: Callable[[], np.ndarray]) -> None:
        self.spent: dict[str, np.ndarray] = {stage: 0 * measure() for stage in STAGES}
        self.steps = self.rows = 0
        self._measure, self._inside = measure, [("", measure())]
        self._hooks = [model.model.visual.register_forward_pre_hook(lambda *_: self._enter("tower")),
                       model.model.visual.register_forward_hook(lambda *_: self._leave()),
                       model.register_forward_pre_hook(self._ask, with_kwargs=True),
                       model.register_forward_hook(lambda *_: self._leave())]

    def _ask(self, model: Any, args: Any, kwargs: dict[str, Any]) -> None:
        rows, tokens = kwargs["input_ids"].shape
        if tokens == 1:
            self.steps, self.rows = self.steps + 1, self.rows + rows
        self._enter("answer" if tokens == 1 else "question")

    def _enter(self, stage: str) -> None:
        self._add()
        self._inside.append((stage, self._measure()))

    def _leave(self) -> None:
        self._add()
        self._inside.pop()
        self._inside[-1] = (self._inside[-1][0], self._measure())

    def _add(self) -> None:
        stage, since = self._inside[-1]
        if stage:
            self.spent[stage] = self.spent[stage] + self._measure() - since

    def close(self) -> None:
        for hook in self._hooks:
            hook.remove()


def clocks() -> np.ndarray:
    """Seconds of the clock and of the processor."""
    return np.array([time.perf_counter(), time.process_time()])


@contextmanager
def operations() -> Iterator[Callable[[], np.ndarray]]:
    """A measure that counts the floating-point operations of products and attention."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

    def attention(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
        return sdpa_flop_count(query, key, value)

    on_cpu = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    with FlopCounterMode(display=False, custom_mapping={on_cpu: attention}) as counter:
        yield lambda: np.array([float(counter.get_total_flops())])


@dataclass(frozen=True)
class Machine:
    """What this machine can do in one number format with so many threads."""

    flops: float
    """Operations a second of one large product of matrices."""
    bytes_per_s: float
    """Bytes read a second, of memory as large as the weights."""

    @classmethod
    def measured(cls, dtype: str, weights: int) -> Machine:
        import torch

        size = 2048
        left, right = (torch.randn(size, size).to(getattr(torch, dtype)) for _ in range(2))
        memory = torch.ones(weights // 8, dtype=torch.int64)
        return cls(2 * size**3 / best(lambda: left @ right), weights / best(lambda: memory.sum()))


def best(work: Callable[[], Any], times: int = 7) -> float:
    """Seconds of the clock that it takes, undisturbed."""
    took = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return min(took)


@dataclass(frozen=True)
class Row:
    """How one number format on so many cores read; seconds are a picture's."""

    dtype: str
    cores: int
    seconds: float
    processor_seconds: float
    stages: dict[str, float]
    """Of the clock."""
    steps: float
    """Tokens computed one after the other, over pictures."""
    rows_per_step: float
    machine: Machine
    gflop: dict[str, float]
    floor: dict[str, float]
    """Least seconds on this machine."""
    times_floor: float
    side_by_side: tuple[float, float] | None
    """Seconds of the clock and of the processor with as many batches at once as the reader takes; None on one core."""


def measured(samples: Sequence[Sample], dtype: str, cores: Sequence[int]) -> Iterator[tuple[Row, list[str]]]:
    """The figures of one number format on each number of cores, and the answers."""
    import torch

    from latexocr.reading.local import load_model

    together, n = load_model("builtin", device="cpu", dtype=dtype), len(samples)
    reader = replace(together, at_once=1)
    decoder = sum(parameter.nbytes for parameter in reader.model.model.language_model.parameters())
    with operations() as counted:
        counter = Meter(reader.model, counted)
        list(reader.read(samples))
        counter.close()
    flop = {stage: float(counter.spent[stage][0]) / n for stage in STAGES}
    for threads in cores:
        torch.set_num_threads(threads)
        list(reader.read(samples[:8]))  # warm-up: threads started, kernels chosen
        meter = Meter(reader.model, clocks)
        clock, processor, answers = timed(reader, samples)
        meter.close()
        side_by_side = tuple(round(took, 4) for took in timed(together, samples)[:2]) if threads > 1 else None
        machine = Machine.measured(dtype, decoder)
        floor = {stage: flop[stage] / machine.flops for stage in STAGES}
        floor["answer"] = max(floor["answer"], meter.steps / n * decoder / machine.bytes_per_s)
        stages = {stage: float(meter.spent[stage][0]) / n for stage in STAGES}
        stages["rest"] = clock - sum(stages.values())
        yield Row(dtype, threads, round(clock, 4), round(processor, 4), rounded(stages), round(meter.steps / n, 2),
                  round(meter.rows / meter.steps, 1), machine, rounded({stage: flop[stage] / 1e9 for stage in STAGES}),
                  rounded(floor), round(clock / sum(floor.values()), 2), side_by_side), answers


def timed(reader: Reader, samples: Sequence[Sample]) -> tuple[float, float, list[str]]:
    """Seconds a picture of the clock and of the processor, and the answers."""
    began = clocks()
    answers = [prediction.latex for prediction in reader.read(samples)]
    clock, processor = ((clocks() - began) / len(samples)).tolist()
    return clock, processor, answers


def rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in values.items()}


WORKER = """
import sys, torch
torch.set_num_threads(1)
from latexocr.bench.run import draw
from latexocr.data.sources import load
from latexocr.reading.local import load_model
data, limit, dtype, part, parts = sys.argv[1:]
samples = draw(load(data), int(limit))[int(part)::int(parts)]
reader = load_model("builtin", device="cpu", dtype=dtype)
list(reader.read(samples[:8]))
print("ready", flush=True)
sys.stdin.readline()
print(sum(1 for _ in reader.read(samples)), flush=True)
"""


def a_process_a_core(options: Options, dtype: str, workers: int, n: int) -> float:
    """Seconds a picture where each core has a process of its own with a share of the pictures."""
    commands = [[sys.executable, "-c", WORKER, options.data, str(n), dtype, str(part), str(workers)]
                for part in range(workers)]
    running = [subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
               for command in commands]
    for process in running:
        if process.stdout.readline() != "ready\n":
            raise UserError("a worker did not start; it says why above.")
    began = time.perf_counter()
    for process in running:
        print("go", file=process.stdin, flush=True)
    read = sum(int(process.stdout.readline()) for process in running)
    took = time.perf_counter() - began
    for process in running:
        process.wait()
    assert read == n
    return took / n


def pix2tex(options: Options, samples: Sequence[Sample], cores: int) -> dict[str, float]:
    """Seconds a picture of pix2tex as shipped with so many threads, by the clock and of the processor."""
    from peers import Pix2tex, Worker
    from peers import timed as peer_timed

    reader = Pix2tex(Worker(options.python, options.weights, "shipped", cores), options.glyph_height, batch_size=1)
    list(reader.read(samples[:1]))
    clock, processor, _ = peer_timed(reader, samples[:PIX2TEX])
    n = len(samples[:PIX2TEX])
    return {"n": n, "seconds": round(clock / n, 3), "processor_seconds": round(processor / n, 3)}


def run(options: Options) -> dict[str, Any]:
    began, samples = start(), draw(load(options.data), options.limit)
    rows, answers = [], {}
    for dtype in options.dtypes:
        for row, said in measured(samples, dtype, options.cores):
            rows.append(asdict(row))
            answers[dtype, row.cores] = said
            print(f"{dtype} on {row.cores}: {row.seconds:.3f} s, {row.processor_seconds:.3f} of the processor, "
                  f"{row.times_floor} times the floor; {row.stages}; side by side {row.side_by_side}", flush=True)
    first = next(iter(answers.values()))
    found: dict[str, Any] = {
        "n": len(samples), "rows": rows,
        "a_process_a_core": {dtype: {str(cores): round(a_process_a_core(options, dtype, cores, len(samples)), 4)
                                     for cores in options.cores if cores > 1} for dtype in options.dtypes},
        "answers_unlike_the_first": {f"{dtype} on {cores}": sum(a != b for a, b in zip(first, said))
                                     for (dtype, cores), said in answers.items()}}
    if options.python and options.weights:
        peer = found["pix2tex"] = {str(cores): pix2tex(options, samples, cores) for cores in options.cores}
        found["pix2tex_over_latexocr"] = {f"{row['dtype']} on {row['cores']}": {
            kind: round(peer[str(row["cores"])][kind] / mine, 1) for kind, mine in zip(
                ("seconds", "processor_seconds"), row["side_by_side"] or (row["seconds"], row["processor_seconds"]))}
            for row in rows}
    return found | {"data": options.data, "load": os.getloadavg()[0], "start": began}


if __name__ == "__main__":
    try:
        options = tyro.cli(Options, description=__doc__)
        result = run(options)
        options.out.mkdir(parents=True, exist_ok=True)
        write_text(options.out / "decoding.json", json.dumps(result, indent=1) + "\n")
        print(json.dumps({name: result[name] for name in result if name not in ("rows", "start")}, indent=1))
    except UserError as error:
        raise SystemExit(f"decoding_speed.py: {error}") from error
