"""What several verbs share: how a verb is described, the options that choose a model, the record of a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import arg

from latexocr.errors import UserError
from latexocr.reading import Engine, GenerateConfig

if TYPE_CHECKING:
    from latexocr.bench.folder import Run
    from latexocr.reading import Reader
    from latexocr.records import Sample

Generate = Annotated[GenerateConfig, arg(name="")]
Folder = Annotated[Path, arg(metavar="FOLDER")]


@dataclass(frozen=True)
class Verb:
    """One verb of the command line. Its options, a dataclass, are made when the verb is chosen."""

    summary: str
    example: str
    options: Callable[[], type]
    run: Callable[[Any], int]


@dataclass(frozen=True)
class Loading:
    engine: Engine = "transformers"
    """What runs a model: transformers; vllm, faster for many pictures on a GPU; ray, all nodes of RAY_ADDRESS."""
    device: str = "auto"
    """Where a model runs in this process: auto, cpu, cuda or mps."""
    dtype: str = "auto"
    """Its numbers: float32, bfloat16 or float16. auto: 16 bits on a GPU and on a CPU with AMX, else float32."""
    download: bool = False
    """Let a hub model be fetched."""
    trust_remote_code: bool = False
    """Run Python code that the model's folder brings. Only for models you trust as you trust a program."""


def refuse_below(least: int, **given: int | None) -> None:
    """Raise UserError naming the first option whose number is below the least that means anything."""
    for name, number in given.items():
        if number is not None and number < least:
            raise UserError(f"--{name} {number}: expected at least {least}.")


def load(model: str, generate: GenerateConfig, loading: Loading) -> Reader:
    """The reader that these options ask for; loading it may take seconds."""
    from latexocr.model import LatexOCRModel

    return LatexOCRModel.load(model, config=generate, **asdict(loading))


def run_record(model: str, data: str, samples: Sequence[Sample], generate: GenerateConfig, loading: Loading) -> Run:
    """The run that these options ask for; what changes only the speed is not among its settings."""
    from latexocr.bench.folder import describe

    settings = {**asdict(generate), "dtype": _number_format(model, loading)}
    del settings["batch_size"]
    if not settings["prompt"]:
        del settings["prompt"]  # The model's own choice, as in runs from before there was another.
    if loading.engine == "vllm":  # Ray runs the reader that would read here: only faster.
        settings["engine"] = loading.engine
    return describe(model, data, samples, settings, download=loading.download)


def _number_format(model: str, loading: Loading) -> str:
    """What --dtype comes to on this machine, where a model in this process is what reads.

    With "auto" a run might else be continued on a machine of another kind, and hold answers of two formats unsaid.
    """
    if loading.engine != "transformers" or "://" in model or model.endswith(".jsonl"):
        return loading.dtype
    from latexocr.reading.local import pick_device, pick_dtype

    return pick_dtype(loading.dtype, pick_device(loading.device))
