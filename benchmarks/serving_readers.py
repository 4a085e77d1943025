"""Our ways of reading, that `serving_speed.py` compares: transformers or vLLM in this process, or a server's client.

Gives the rate, and the times of single pictures, as fields of the record.
"""

from __future__ import annotations

import argparse
import shlex
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from resources import watched
from serving_clients import note, rank, rate

from latexocr import provenance
from latexocr.model import LatexOCRModel
from latexocr.reading import GenerateConfig
from latexocr.records import Sample, write_predictions


def measure(samples: Sequence[Sample], options: argparse.Namespace, roots: Sequence[int]) -> dict[str, Any]:
    """Read with one of the readers in this process; its predictions of the first round go to `options.answers`."""
    name = options.only
    batch = {"transformers": options.batch, "served fixed": options.in_flight[0]}.get(name)
    config = GenerateConfig(max_tokens=options.max_tokens, batch_size=batch)
    note(f"{name}: loads")
    if name == "vllm":
        as_served(options.flags)
    begun = time.perf_counter()
    reader = LatexOCRModel.load(options.url or options.model, engine="vllm" if name == "vllm" else "transformers",
                                dtype=options.dtype, config=config).reader
    loaded = time.perf_counter() - begun
    note(f"{name}: warms up")
    list(reader.read(samples[:options.warm]))
    note(f"{name}: reads")
    with watched(roots) as load:
        predictions = list(reader.read(rounds(samples, options.seconds)))
    latency = getattr(reader, "latency", None)
    under_load = [latency.percentile(part) for part in (0.5, 0.95)] if latency else None
    write_predictions(Path(options.answers), predictions[:len(samples)])
    note(f"{name}: read {len(predictions)} pictures; now {options.alone} alone")
    alone = sorted(timed(reader, sample) for sample in samples[:options.alone])
    one = {"alone_p50_s": rank(alone, 0.5), "alone_p95_s": rank(alone, 0.95)} if alone else {}
    return {**rate(len(predictions), load), "in_flight": batch, "load_s": loaded, "under_load_p50_p95_s": under_load,
            "tokens": sum(p.tokens for p in predictions), "errors": sum(p.stop == "error" for p in predictions),
            **one, "gpu": provenance.gpu(), **torch_memory(name)}


def torch_memory(name: str) -> dict[str, float]:
    """What transformers took of a GPU at most; vLLM takes what it is given."""
    import torch

    here = name == "transformers" and torch.cuda.is_available()
    return {"torch_peak_mb": round(torch.cuda.max_memory_reserved() / 1e6)} if here else {}


def as_served(flags: str) -> None:
    """From now on vLLM starts in this process with what the flags of a server say of its engine."""
    from vllm.engine.arg_utils import EngineArgs
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    from latexocr.reading import vllm as reading

    parser, options = EngineArgs.add_cli_args(FlexibleArgumentParser()), reading.engine_options
    usual, given = vars(parser.parse_args([])), vars(parser.parse_known_args(shlex.split(flags))[0])
    told = {name: value for name, value in given.items() if value != usual[name]}
    reading.engine_options = lambda folder, *, cpu: options(folder, cpu=cpu) | told


def rounds(samples: Sequence[Sample], seconds: float) -> Iterator[Sample]:
    """All samples, and all of them again while so many seconds have not passed."""
    begun, number = time.perf_counter(), 0
    while not number or time.perf_counter() - begun < seconds:
        yield from (replace(sample, id=f"{sample.id}#{number}") if number else sample for sample in samples)
        number += 1


def timed(reader: Any, sample: Sample) -> float:
    begun = time.perf_counter()
    list(reader.read([sample]))
    return time.perf_counter() - begun
