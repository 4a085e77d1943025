"""The verbs that make models: train and export."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from tyro.conf import Positional, arg

from latexocr.cli.options import Verb
from latexocr.errors import UserError


@dataclass(frozen=True)
class Export:
    adapter: Annotated[Positional[Path], arg(metavar="ADAPTER")]
    """Folder that `latexocr train` wrote."""
    out: Annotated[Positional[Path], arg(metavar="FOLDER")]
    """Folder of the merged model, for transformers and vLLM."""
    data: str = ""
    """Pictures on which adapter and export must agree; those of the training unless given."""
    dtype: Literal["bfloat16", "float16"] = "bfloat16"
    """Number format of the merged weights."""
    push_to_hub: Annotated[str, arg(metavar="OWNER/NAME")] = ""
    """Also write a model card and upload the folder to the hub; a repository made for it is private."""
    report: Annotated[Path | None, arg(metavar="FOLDER")] = None
    """Folder of a `latexocr bench`, whose scores the card shows; or one of the cards in it."""
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
    from latexocr.training import hub
    from latexocr.training.export import export as export_model

    if options.push_to_hub:
        hub.refuse_odd(options.push_to_hub, options.report)
    elif options.report:
        raise UserError("--report is for the card of an upload: give --push-to-hub OWNER/NAME too.")
    samples = load(options.data) if options.data else None
    folder = export_model(options.adapter, options.out, samples=samples, dtype=options.dtype,
                          download=options.download, trust_remote_code=options.trust_remote_code)
    if options.push_to_hub:
        hub.write_card(folder, options.push_to_hub, options.report)
    print(hub.push(folder, options.push_to_hub) if options.push_to_hub else folder)
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
