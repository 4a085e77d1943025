"""Unsloth and plain PEFT over the same small training: do they see the same batches, and come to the same loss?

    python benchmarks/engines.py OUT.json [STEPS [MODEL ...]]

Needs latexocr[unsloth]. Each engine trains tiny random models (tests/families.py; a stand-in of ERNIE's remote code,
ernie4_5_moe_vl, among them) in a process of its own, because Unsloth patches what it finds. What the model is handed is
hashed step by step. Without a CUDA GPU, Unsloth is told that one is there and all runs on the CPU in float32 (its own
switch UNSLOTH_ALLOW_CPU, its compiler off): that tests its patches and its way to the adapter, not its kernels.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from types import SimpleNamespace
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
ENGINES = ("peft", "unsloth")
MODELS = ("qwen3_vl", "qwen2_5_vl", "paddleocr_vl", "ernie4_5_vl_moe", "ernie4_5_moe_vl")
PACKAGES = ("torch", "transformers", "trl", "peft", "unsloth", "unsloth_zoo", "datasets", "bitsandbytes")


def pretend_gpu() -> None:
    """Let Unsloth start without a GPU. To be called before it is imported."""
    import torch

    os.environ |= {"UNSLOTH_ALLOW_CPU": "1", "UNSLOTH_COMPILE_DISABLE": "1", "UNSLOTH_DISABLE_STATISTICS": "1",
                   "UNSLOTH_COMPILE_LOCATION": tempfile.mkdtemp()}
    card = SimpleNamespace(name="none", major=8, minor=0, total_memory=80 << 30, multi_processor_count=1, warp_size=32,
                           gcnArchName="")
    answers: dict[str, Any] = {"get_device_properties": card, "get_device_capability": (8, 0),
                               "get_device_name": "none", "mem_get_info": (80 << 30, 80 << 30)}
    answers |= dict.fromkeys(("synchronize", "empty_cache", "reset_peak_memory_stats", "set_device", "ipc_collect"))
    answers |= dict.fromkeys(("memory_allocated", "max_memory_allocated", "memory_reserved", "max_memory_reserved",
                              "current_device"), 0)
    for name, answer in answers.items():
        setattr(torch.cuda, name, lambda *_, answer=answer, **__: answer)
    from unsloth import FastVisionModel

    load = FastVisionModel.from_pretrained
    FastVisionModel.from_pretrained = staticmethod(
        lambda *a, **k: load(*a, **{**k, "dtype": torch.float32, "device_map": None}))


def digest(inputs: dict[str, Any], *, whole: bool) -> str:
    """A hash of the tensors that a model is handed, whatever the order of their names: of whole numbers, or of pixels.

    Apart, because pixels may differ by a rounding between machines, and tokens, labels, places and kinds may not.
    """
    import torch

    found = hashlib.sha256()
    for name, value in sorted(inputs.items()):
        # A number without dimensions is the count of labels, which the trainer adds; bytes are ERNIE's own raw pixels.
        if not isinstance(value, torch.Tensor) or not value.ndim:
            continue
        if (value.is_floating_point() or value.dtype == torch.uint8) is not whole:
            value = value.detach().cpu().long() if whole else value.detach().cpu().float()
            found.update(f"{name}{tuple(value.shape)}".encode() + value.numpy().tobytes())
    return found.hexdigest()[:16]


def one(engine: str, model: str, steps: int, folder: Path) -> dict[str, Any]:
    """Train one tiny model with one engine; the hash and the loss of every step."""
    import torch

    on_gpu = torch.cuda.is_available()
    from latexocr.training import engines

    if engine == "unsloth" and not on_gpu:
        pretend_gpu()
        engines.choose = lambda config: config.backend  # It would ask for the GPU.
    elif engine == "unsloth":
        if model in engines.UNCOMPILED:  # Its folder is not made yet: that takes transformers.
            os.environ["UNSLOTH_COMPILE_DISABLE"] = "1"
        engines._import_unsloth()  # first, before what it patches
    from latexocr.training import lora, trainer
    from latexocr.training.settings import TrainConfig
    from tests.conftest import drawn
    from tests.families import EVERY, REMOTE

    base, handed, drawn_weights, trainer.LOG_STEPS = folder / "base", [], [], 1
    base.mkdir()
    EVERY[model](base)
    with_adapter = engines.with_adapter

    def watched(*arguments: Any) -> Any:
        adapted = with_adapter(*arguments)
        drawn_weights.append(sum(float(w.abs().sum()) for n, w in adapted.named_parameters() if "lora_A" in n))
        adapted.register_forward_pre_hook(lambda _, __, inputs: handed.append(
            digest(inputs, whole=True) + digest(inputs, whole=False)), with_kwargs=True)
        return adapted

    engines.with_adapter = watched
    out = lora.train(TrainConfig(model=str(base), out=folder / "run", steps=steps, batch=4, accumulation=2,
                                 learning_rate=3e-3, backend=engine, optimizer="adamw", log_to="none", workers=0,
                                 device="auto" if on_gpu else "cpu", trust_remote_code=model == REMOTE), drawn(40))
    losses = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    seen = [found for found, _ in groupby(handed)]  # Unsloth hands the model its first batch twice.
    return {"batches": [found[:16] for found in seen], "pixels": [found[16:] for found in seen],
            "first_weights": round(drawn_weights[0], 4),
            "losses": [round(float(entry["loss"]), 5) for entry in losses if "loss" in entry]}


def main(out: Path, steps: int, models: Sequence[str]) -> None:
    import torch  # noqa: F401  (so that the record names the GPU)

    from latexocr.provenance import gpu, now

    found: dict[str, Any] = {}
    for model in models:
        for engine in ENGINES:
            with tempfile.TemporaryDirectory() as folder:
                done = subprocess.run([sys.executable, __file__, "one", engine, model, str(steps), folder], check=True,
                                      stdout=subprocess.PIPE, text=True, env={**os.environ, "HF_HUB_OFFLINE": "1"})
                found.setdefault(model, {})[engine] = json.loads(done.stdout.splitlines()[-1])
        same = all(found[model]["peft"][part] == found[model]["unsloth"][part] for part in ("batches", "pixels"))
        apart = max(abs(a - b) / a for a, b in zip(*(found[model][engine]["losses"] for engine in ENGINES)))
        print(f"{model}: batches {'the same' if same else 'DIFFER'}, losses differ by at most {apart:.3%}", flush=True)
        print("  ", {engine: found[model][engine]["losses"] for engine in ENGINES}, flush=True)
    from importlib.metadata import version

    record = {"command": shlex.join(["python", *sys.argv]), "finished": now(), "gpu": gpu(),
              "packages": {name: version(name) for name in PACKAGES}, "steps": steps, "models": found}
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:2] == ["one"]:
        print(json.dumps(one(sys.argv[2], sys.argv[3], int(sys.argv[4]), Path(sys.argv[5]))))
    elif len(sys.argv) > 1:
        main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 6, sys.argv[3:] or MODELS)
    else:
        sys.exit(f"{sys.argv[0]}: expected OUT.json [STEPS [MODEL ...]].\n{__doc__}")
