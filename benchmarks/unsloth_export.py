"""Whose merged export keeps what an adapter learned: Unsloth's, or ours?

    python benchmarks/unsloth_export.py OUT.json

Needs latexocr[unsloth]. A tiny random ERNIE-4.5-VL-MoE and a tiny Qwen2.5-VL (tests/families.py) are tuned through
Unsloth, then merged twice: by Unsloth's `save_pretrained_merged` and by `latexocr.training.export`. A weight that the
adapter is on must differ from the base afterwards. Without a GPU as benchmarks/engines.py does it.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
MODELS = ("ernie4_5_vl_moe", "qwen2_5_vl")


def unchanged(folder: Path, base: Path) -> tuple[int, list[str]]:
    """How many weights of a merged folder are there, and the names of those that are their base's bit for bit."""
    import torch

    from latexocr.reading.local import load_weights

    one, other = (dict(load_weights(path, dtype="float32").named_parameters()) for path in (folder, base))
    rounded = {name: weight.to(torch.bfloat16).float() for name, weight in other.items()}
    same = [name for name, weight in one.items() if weight.equal(other[name]) or weight.equal(rounded[name])]
    return len(one), same


def compare(model: str, folder: Path) -> dict[str, Any]:
    """Tune, merge twice, and name what was lost of the layers that were tuned."""
    import torch

    from benchmarks.engines import pretend_gpu
    from latexocr.training import engines, export, lora
    from latexocr.training.settings import TrainConfig
    from tests.conftest import drawn
    from tests.families import FAMILIES

    if not torch.cuda.is_available():
        pretend_gpu()
        engines.choose = lambda config: config.backend
    base, kept = folder / "base", []
    base.mkdir()
    FAMILIES[model](base)
    with_adapter = engines.with_adapter
    engines.with_adapter = lambda *arguments: kept.append(with_adapter(*arguments)) or kept[-1]
    adapter = lora.train(TrainConfig(model=str(base), out=folder / "run", steps=4, batch=4, learning_rate=5e-3,
                                     backend="unsloth", optimizer="adamw", workers=0), drawn(16))
    kept[0].save_pretrained_merged(str(folder / "theirs"), lora.load_processor(base))
    ours = export.export(adapter, folder / "ours", samples=drawn(4))
    tuned = {name.partition(".lora_B")[0].removeprefix("base_model.model.")
             for name, weight in kept[0].named_parameters() if "lora_B" in name and weight.abs().sum() > 0}
    found: dict[str, Any] = {"tuned_modules": len(tuned)}
    for who, merged in (("unsloth", folder / "theirs"), ("latexocr", ours)):
        weights, same = unchanged(merged, base)
        lost = [name for name in same if any(_on(name, module) for module in tuned)]
        found[who] = {"weights": weights, "tuned_but_unchanged": lost}
        print(f"{model}, merged by {who}: {len(lost)} tuned weights are still the base's {lost[:4]}", flush=True)
    return found


def _on(weight: str, module: str) -> bool:
    """Whether an adapter's module is about a weight; that of fused experts stands on the module that holds both."""
    module = module.removesuffix(".base_layer")
    return weight in (f"{module}.weight", f"{module}.gate_up_proj", f"{module}.down_proj")


def main(out: Path) -> None:
    from importlib.metadata import version

    found = {}
    for model in MODELS:
        with tempfile.TemporaryDirectory() as folder:
            found[model] = compare(model, Path(folder))
    packages = {name: version(name) for name in ("torch", "transformers", "peft", "unsloth", "unsloth_zoo")}
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({"command": f"python benchmarks/unsloth_export.py {out}", "packages": packages,
                               "models": found}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    if len(sys.argv) != 2:
        sys.exit(f"{sys.argv[0]}: expected OUT.json.\n{__doc__}")
    main(Path(sys.argv[1]))
