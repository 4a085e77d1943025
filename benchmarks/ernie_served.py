"""A native ERNIE-4.5-VL, tuned and exported, read by vLLM: the log-probabilities of transformers and of vLLM.

    python benchmarks/ernie_served.py FOLDER OUT.json --vllm .venv-serve/bin/python

Makes a tiny random ERNIE-4.5-VL-MoE (tests/families.py), tunes it, exports it, and compares the first token of 4
answers: the log-probabilities of the 20 likeliest. vLLM reads the exported configuration and weights; for pictures it
wants the processor of Baidu's checkpoint (remote code), not ours to ship, so a stand-in of its interface is put beside
them (PROCESSOR below). In an export of Baidu's checkpoint, that checkpoint's own code is there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
PICTURES, LIKELIEST = 4, 20
PROCESSOR = '''
import torch
from transformers import BatchFeature
from transformers.processing_utils import ProcessorMixin

PICTURE = "<|IMAGE_START|><|image@placeholder|><|IMAGE_END|>"


class Ernie4_5_VLProcessor(ProcessorMixin):
    attributes = ["image_processor", "tokenizer"]
    image_processor_class, tokenizer_class = "AutoImageProcessor", "AutoTokenizer"
    spatial_conv_size = temporal_conv_size = 2

    def __init__(self, image_processor=None, tokenizer=None, **_):
        super().__init__(image_processor, tokenizer)
        self.bounds = {"shortest_edge": image_processor.size["shortest_edge"],
                       "longest_edge": image_processor.size["longest_edge"]}
        image_processor.size = self.bounds | {"min_pixels": self.bounds["shortest_edge"],
                                              "max_pixels": self.bounds["longest_edge"]}

    def __call__(self, text, images=(), videos=(), **_):
        text = text if isinstance(text, str) else text[0]
        ids, found = [], {}
        images = list(images or ())
        if images:
            seen = self.image_processor(images, size=self.bounds, do_normalize=False, do_rescale=False,
                                        return_tensors="pt")
            found = {"images": seen["pixel_values"].to(torch.uint8), "grid_thw": seen["image_grid_thw"]}
        for number, part in enumerate(text.split("<|image@placeholder|>")):
            if number:
                patch = self.tokenizer.convert_tokens_to_ids("<|IMAGE_PLACEHOLDER|>")
                ids += [patch] * (int(found["grid_thw"][number - 1].prod()) // 4)
            ids += self.tokenizer(part, add_special_tokens=False)["input_ids"]
        return BatchFeature({"input_ids": torch.tensor([ids])} | found)
'''


def prepare(folder: Path) -> Path:
    """A tiny ERNIE, tuned and exported, with vLLM's processor beside it."""
    from latexocr.training.export import export
    from latexocr.training.lora import train
    from latexocr.training.settings import TrainConfig
    from tests.conftest import drawn
    from tests.families import FAMILIES

    base = folder / "base"
    base.mkdir(parents=True)
    FAMILIES["ernie4_5_vl_moe"](base)
    samples = drawn(32, longest=2)
    adapter = train(TrainConfig(model=str(base), out=folder / "run", steps=12, batch=8, learning_rate=5e-3,
                                backend="peft", device="cpu"), samples)
    out = export(adapter, folder / "export", samples=samples[:4])
    config = json.loads((out / "config.json").read_text())
    (out / "config.json").write_text(json.dumps(config | {"dtype": "float32"}))  # Else pixels would be rounded.
    (out / "ernie_vllm.py").write_text(PROCESSOR)
    (out / "processor_config.json").write_text(json.dumps({
        "processor_class": "Ernie4_5_VLProcessor", "auto_map": {"AutoProcessor": "ernie_vllm.Ernie4_5_VLProcessor"}}))
    return out


def by_transformers(folder: Path) -> list[dict[str, Any]]:
    """Question, picture file and log-probabilities of the first token, of each picture."""
    import torch

    from latexocr.reading.conversation import conversation
    from latexocr.reading.images import prepare as prepared
    from latexocr.reading.inputs import encode, load_processor, render
    from latexocr.reading.local import load_weights
    from tests.conftest import drawn

    model, processor = load_weights(folder, dtype="float32").eval(), load_processor(folder.parent / "base")
    rows = []
    for number, sample in enumerate(drawn(PICTURES, longest=6, seed=7)):
        picture = prepared(sample.image)
        picture.save(folder.parent / f"{number}.png")
        question = render(processor, conversation(picture), ask=True)
        with torch.inference_mode():
            logits = model(**encode(processor, [question], [picture], side="left")).logits[0, -1].log_softmax(-1)
        rows.append({"question": question.replace("<|IMAGE_PLACEHOLDER|>", "<|image@placeholder|>"),
                     "picture": str(folder.parent / f"{number}.png"), "log_probabilities": logits.tolist()})
    return rows


def by_vllm(folder: Path, rows: list[dict[str, Any]]) -> list[dict[int, float]]:
    """Run in vLLM's environment: log-probabilities of the likeliest first tokens of each row."""
    from PIL import Image
    from vllm import LLM, SamplingParams
    from vllm.model_executor.layers.rotary_embedding.ernie45_vl_rope import Ernie4_5_VLRotaryEmbedding as Rope

    # On a CPU vllm 0.32 hands ERNIE's rotary embedding an argument that its class does not take (on CUDA it does not).
    Rope.forward_cpu = lambda self, positions, query, key=None, offsets=None: self.forward_native(positions, query, key)
    model = LLM(str(folder), trust_remote_code=True, dtype="float32", enforce_eager=True, max_model_len=512,
                max_num_seqs=1, limit_mm_per_prompt={"image": 1, "video": 0}, distributed_executor_backend="uni")
    asked = [{"prompt": row["question"], "multi_modal_data": {"image": Image.open(row["picture"])}} for row in rows]
    answers = model.generate(asked, SamplingParams(temperature=0, max_tokens=1, logprobs=LIKELIEST))
    return [{token: found.logprob for token, found in answer.outputs[0].logprobs[0].items()} for answer in answers]


def main(folder: Path, out: Path, python: str) -> None:
    from latexocr import provenance

    exported = prepare(folder)
    rows = by_transformers(exported)
    (folder / "rows.json").write_text(json.dumps(rows))
    environment = os.environ | {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind",
                                "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1",
                                "VLLM_ENABLE_V1_MULTIPROCESSING": "0"}
    done = subprocess.run([python, __file__, "vllm", str(exported), str(folder / "rows.json")], env=environment,
                          check=True, stdout=subprocess.PIPE, text=True)
    served = json.loads(done.stdout.splitlines()[-1])
    apart = [max(abs(row["log_probabilities"][int(token)] - value) for token, value in answer.items())
             for row, answer in zip(rows, served, strict=True)]
    print(f"largest difference of a log-probability, {LIKELIEST} likeliest tokens of {len(rows)} answers: "
          f"{max(apart):.2g}")
    out.parent.mkdir(parents=True, exist_ok=True)
    provenance.write_text(out, json.dumps({**provenance.start(), "largest_differences": apart}, indent=1) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["vllm"]:
        print(json.dumps(by_vllm(Path(sys.argv[2]), json.loads(Path(sys.argv[3]).read_text()))))
    elif len(sys.argv) == 5 and sys.argv[3] == "--vllm":
        main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[4])
    else:
        sys.exit(f"{sys.argv[0]}: expected FOLDER OUT.json --vllm PYTHON.\n{__doc__}")
