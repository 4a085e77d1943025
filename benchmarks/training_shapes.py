"""What tuning a large model costs: full-size shapes with random weights, 20 LoRA steps, rank 8, the guide's modules.

    python benchmarks/training_shapes.py OUT.json [--shapes qwen2_5_vl_3b ernie_28b] [--batches 1 2 4] [--bits 16 4]

For each shape, number format and batch, in a process of its own: peak memory, seconds a step, tokens/s, or that it does
not fit. Then the adapter is saved, read back and merged into one layer, which is compared with W + (alpha / rank) B A
by arithmetic. Pictures are strips of 512 x 64 pixels; the tokenizer is a tiny one (tests/families.py), all else is as
in training. `--tiny` rehearses all of it with tiny shapes on a CPU.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
STEPS, RANK, WARM = 20, 8, 5
FAMILY = {"qwen2_5_vl_3b": "qwen2_5_vl", "ernie_28b": "ernie4_5_vl_moe"}


@dataclass(frozen=True)
class Options:
    out: tyro.conf.Positional[Path]
    shapes: tuple[str, ...] = tuple(FAMILY)
    batches: tuple[int, ...] = (1, 2, 4)
    bits: tuple[int, ...] = (16, 4)
    tiny: bool = False
    one: str = ""
    """SHAPE,BITS,BATCH: only this, in this process (used by the script itself)."""


def full_size(shape: str, small: Any) -> Any:
    """The configuration of the published size, with the token numbers of a small one."""
    from transformers import Ernie4_5_VLMoeConfig, Qwen2_5_VLConfig

    tokens = {name: value for name, value in small.to_dict().items() if name.endswith("_token_id")}
    if shape == "ernie_28b":  # The defaults are those of ERNIE-4.5-VL-28B-A3B.
        rope = {"rope_type": "default", "rope_theta": 500000.0, "mrope_section": [22, 22, 20]}
        return Ernie4_5_VLMoeConfig(text_config={"rope_parameters": rope, "pad_token_id": 0}, **tokens)
    rope = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]}
    text = {"hidden_size": 2048, "intermediate_size": 11008, "num_hidden_layers": 36, "num_attention_heads": 16,
            "num_key_value_heads": 2, "vocab_size": 151936, "rope_parameters": rope, "tie_word_embeddings": True,
            "pad_token_id": 0}  # Qwen2.5-VL-3B-Instruct's config.json
    vision = {"depth": 32, "hidden_size": 1280, "num_heads": 16, "intermediate_size": 3420, "out_hidden_size": 2048,
              "patch_size": 14, "window_size": 112, "fullatt_block_indexes": [7, 15, 23, 31]}
    return Qwen2_5_VLConfig(text_config=text, vision_config=vision, tie_word_embeddings=True, **tokens)


def random_model(config: Any, bits: int, device: str) -> Any:
    """A model of a configuration with random weights, in bfloat16 on a GPU; its linear layers in 4 bits if asked."""
    import torch
    from transformers import AutoModelForImageTextToText

    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    with torch.device(device):
        model = AutoModelForImageTextToText.from_config(config, dtype=dtype)
    if bits == 4:
        from bitsandbytes.nn import Linear4bit, Params4bit

        from latexocr.training.engines import IN_FULL
        from latexocr.training.targets import linear_layers

        for name in (name for name in linear_layers(model) if not name.endswith(IN_FULL)):
            layer = model.get_submodule(name)
            four = Linear4bit(layer.in_features, layer.out_features, bias=layer.bias is not None, device="meta",
                              compute_dtype=dtype, quant_type="nf4")
            four.weight = Params4bit(layer.weight.data.cpu(), requires_grad=False, quant_type="nf4")
            four.bias = layer.bias
            model.set_submodule(name, four.to(device))
        model.is_loaded_in_4bit = True
    return model.requires_grad_(False)


def samples(count: int) -> list[Any]:
    """Strips of 512 x 64 pixels with a line of signs, and 60 characters to learn of each."""
    from PIL import Image, ImageDraw, ImageFont

    from latexocr.records import Sample

    font, made = ImageFont.load_default(size=18), []
    for number in range(count):
        text = f"x^{{{number}}}+\\frac{{a}}{{b}}-y_{{{number}}}=\\sum_{{i=0}}^{{n}}\\alpha_{{i}}z^{{i}}+c"[:60]
        picture = Image.new("RGB", (490, 50), "white")
        ImageDraw.Draw(picture).text((4, 14), text[:52], fill="black", font=font)
        made.append(Sample(str(number), picture, text))
    return made


def one(shape: str, bits: int, batch: int, tiny: bool) -> dict[str, Any]:
    """Tune one shape; what it took."""
    import torch
    from transformers import AutoConfig

    from latexocr.training import engines, lora
    from latexocr.training.settings import TrainConfig
    from latexocr.training.trial import Trial
    from tests.families import FAMILIES

    Trial.show = lambda *_: None  # Random weights have nothing to show, and each token makes W + BA of all experts.
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder) / "base"
        base.mkdir()
        FAMILIES[FAMILY[shape]](base)
        small = AutoConfig.from_pretrained(base)
        model = random_model(small if tiny else full_size(shape, small), bits, device)
        engines._plain_base = lambda *_: model
        started = torch.cuda.memory_allocated() if device == "cuda" else 0
        times, trainer_of = [], lora.trainer_of
        lora.trainer_of = lambda *arguments: _timed(trainer_of(*arguments), times)
        config = TrainConfig(model=str(base), out=Path(folder) / "run", steps=STEPS, batch=batch, rank=RANK, alpha=16,
                             gradient_checkpointing=True, backend="peft", spelling="reference", workers=0,
                             log_to="none")
        adapter = lora.train(config, samples(4 * batch))
        tokens = _tokens(config, adapter, base)
        seconds = (times[-1] - times[WARM - 1]) / (STEPS - WARM)
        return {"parameters": sum(p.numel() for p in model.parameters()), "seconds_a_step": round(seconds, 3),
                "tokens_per_s": round(batch * tokens / seconds, 1), "tokens_a_picture": tokens,
                "weights_gib": round(started / 2**30, 2),
                "peak_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2) if device == "cuda" else None,
                "merge_error": None if bits == 4 else _merge_error(model, adapter)}


def _timed(trainer: Any, times: list[float]) -> Any:
    import torch
    from transformers import TrainerCallback

    class Stopwatch(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            times.append(time.perf_counter())

    trainer.add_callback(Stopwatch())
    return trainer


def _tokens(config: Any, adapter: Path, base: Path) -> int:
    """Tokens of one picture, question and answer."""
    from latexocr.reading.inputs import load_processor
    from latexocr.training import examples
    from latexocr.training.collate import Collator

    processor = load_processor(base)
    made = examples.usable(examples.material(samples(1), config), config, processor.tokenizer)
    return Collator(processor, made, {processor.tokenizer.eos_token_id}).lengths()[0]


def _merge_error(model: Any, adapter: Path) -> dict[str, float | str]:
    """The adapter read back and merged into one attention layer, against W + (alpha / rank) B A in float32."""
    import torch
    from safetensors.torch import load_file

    saved = load_file(adapter / "adapter_model.safetensors")
    name = next(key for key in saved if key.endswith("q_proj.lora_B.weight")).removesuffix(".lora_B.weight")
    layer = model.get_submodule(name.removeprefix("base_model.model."))
    before = layer.base_layer.weight.detach().float().clone()
    a, b = (saved[f"{name}.lora_{side}.weight"].float().to(before.device) for side in "AB")
    layer.merge()
    wanted = before + 16 / RANK * b @ a
    error = (layer.weight.detach().float() - wanted).abs().max()
    return {"layer": name, "largest_change": float((wanted - before).abs().max()), "largest_error": float(error),
            "one_step_of_the_format": float(before.abs().max() * torch.finfo(layer.weight.dtype).eps)}


def main(options: Options) -> None:
    from latexocr import provenance

    if options.one:
        shape, bits, batch = options.one.split(",")
        print(json.dumps(one(shape, int(bits), int(batch), options.tiny)))
        return
    import torch  # noqa: F401  (so that the record names the GPU)

    found: dict[str, Any] = {}
    record = {**provenance.start(), "steps": STEPS, "rank": RANK, "tiny": options.tiny, "runs": found}
    for shape, bits, batch in itertools.product(options.shapes, options.bits, options.batches):
        name = f"{shape},{bits},{batch}"
        done = subprocess.run([sys.executable, *sys.argv, "--one", name], capture_output=True, text=True)
        reason = (done.stderr.strip().splitlines() or ["no word"])[-1][:200]
        found[name] = json.loads(done.stdout.splitlines()[-1]) if not done.returncode else {"failed": reason}
        print(name, json.dumps(found[name]), flush=True)
        provenance.write_text(options.out, json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
