"""The verbs that make models: train and export."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import Positional, arg

from latexocr.cli.options import Verb


@dataclass(frozen=True)
class Export:
    adapter: Annotated[Positional[Path], arg(metavar="ADAPTER")]
    """Folder that `latexocr train` wrote."""
    out: Annotated[Positional[Path], arg(metavar="FOLDER")]
    """Folder of the merged model, for transformers and vLLM."""
    data: str = ""
    """Pictures on which adapter and export must agree; those of the training unless given."""
    download: bool = False
    """Let the base model be fetched from a hub."""
    trust_remote_code: bool = False
    """Run Python code that the model's folder brings. Only for models you trust as you trust a program."""


def train(options: Any) -> int:
    from latexocr.training.lora import train as train_adapter

    print(train_adapter(options))
    return 0


def export(options: Export) -> int:
    from latexocr.data.sources import load
    from latexocr.training.export import export as export_model

    samples = load(options.data) if options.data else None
    print(export_model(options.adapter, options.out, samples=samples, download=options.download,
                       trust_remote_code=options.trust_remote_code))
    return 0


def _train_options() -> type:
    from latexocr.training.lora import TrainConfig

    return TrainConfig


VERBS = {
    "train": Verb("Tune a model on your pictures with LoRA.",
                  "latexocr train --data my.jsonl --out runs/a", _train_options, train),
    "export": Verb("Merge an adapter into its base: one folder that vLLM serves.", "latexocr export runs/a models/a",
                   lambda: Export, export),
}
