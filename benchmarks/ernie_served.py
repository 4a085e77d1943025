"""A native ERNIE-4.5-VL, tuned, exported and served: tokens and log-probabilities of transformers and of vLLM.

    python benchmarks/ernie_served.py FOLDER OUT.json --vllm .venv-serve/bin/python

Makes a tiny random ERNIE-4.5-VL-MoE (tests/families.py), tunes it, exports it, serves the folder as it is with
`latexocr serve`, and asks it over HTTP for the first token of 4 answers: the tokens of the question as vLLM saw them,
and the log-probabilities of the 20 likeliest first tokens, against those of transformers from the same folder.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
PICTURES, LIKELIEST = 4, 20
MEND = """
def apply():
    from vllm.model_executor.layers.rotary_embedding.ernie45_vl_rope import Ernie4_5_VLRotaryEmbedding as Rope

    Rope.forward_cpu = lambda self, positions, query, key=None, offsets=None: self.forward_native(positions, query, key)
"""
"""On a CPU vllm 0.32 hands ERNIE's rotary embedding an argument that its class does not take; on CUDA it does not."""


@dataclass(frozen=True)
class Answer:
    """What a model sees of a question, and how likely it finds the first tokens of an answer."""

    question: list[int]
    log_probabilities: dict[int, float]


def exported(folder: Path) -> Path:
    """A tiny ERNIE, tuned and exported."""
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
    return export(adapter, folder / "export", samples=samples[:4])


def pictures() -> list[Any]:
    """Prepared pictures, each wider than the one before."""
    from latexocr.reading.images import prepare
    from tests.conftest import drawn

    drawings = [sample.image for sample in drawn(PICTURES, longest=6, seed=7)]
    return [prepare(drawing.resize(((number + 1) * drawing.width, drawing.height)))
            for number, drawing in enumerate(drawings)]


def by_transformers(folder: Path) -> list[Answer]:
    """All first tokens of each picture, in float32; pixels rounded to the format of the folder, as vLLM does."""
    import torch

    from latexocr.reading.conversation import conversation
    from latexocr.reading.inputs import encode, load_processor, render
    from latexocr.reading.local import load_weights

    model, processor, answers = load_weights(folder, dtype="float32").eval(), load_processor(folder), []
    for picture in pictures():
        question = render(processor, conversation(picture), ask=True)
        inputs = encode(processor, [question], [picture], side="left")
        inputs["pixel_values"] = inputs["pixel_values"].bfloat16().float()
        with torch.inference_mode():
            logits = model(**inputs).logits[0, -1].log_softmax(-1)
        answers.append(Answer(inputs["input_ids"][0].tolist(), dict(enumerate(logits.tolist()))))
    return answers


def by_server(url: str) -> list[Answer]:
    """The likeliest first tokens of each picture, asked as our client asks."""
    import httpx

    from latexocr.reading.conversation import conversation
    from latexocr.reading.served import openai_messages

    answers = []
    for picture in pictures():
        body = {"model": "latexocr", "messages": openai_messages(conversation(picture)), "max_tokens": 1,
                "temperature": 0, "logprobs": True, "top_logprobs": LIKELIEST, "return_tokens_as_token_ids": True,
                "return_token_ids": True}
        answer = httpx.post(f"{url}/chat/completions", json=body, timeout=300, trust_env=False)
        answer.raise_for_status()
        found = answer.json()
        likely = found["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
        answers.append(Answer(found["prompt_token_ids"], {int(each["token"].removeprefix("token_id:")): each["logprob"]
                                                          for each in likely}))
    return answers


@contextlib.contextmanager
def served(folder: Path, python: Path, beside: Path) -> Iterator[str]:
    """The address of a folder behind `latexocr serve`; `beside`: where the mend for a CPU is written."""
    from latexocr.reading.vllm import find_build

    environment, exact = dict(os.environ), []
    if find_build(python).cpu:
        exact = ["--dtype", "float32"]
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(plugin(beside)), os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-m", "latexocr.cli", "serve", str(folder), "--python", str(python), "--port", "0",
               "--", "--max-num-seqs", "2", *exact]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment)
    try:
        url = process.stdout.readline().strip()
        if not url:
            raise SystemExit("The server did not start; above is why.")
        yield url
    finally:
        process.terminate()
        process.wait()


def plugin(folder: Path) -> Path:
    """A folder which, on PYTHONPATH, is a plugin of vLLM: every process of a server applies the mend."""
    about = folder / "ernie_on_a_cpu-0.dist-info"
    about.mkdir(parents=True, exist_ok=True)
    (folder / "ernie_on_a_cpu.py").write_text(MEND)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: ernie-on-a-cpu\nVersion: 0\n")
    (about / "entry_points.txt").write_text("[vllm.general_plugins]\nernie_on_a_cpu = ernie_on_a_cpu:apply\n")
    return folder


def apart(there: list[Answer], here: list[Answer]) -> list[float]:
    """The largest difference of a log-probability, of each picture."""
    return [max(abs(one.log_probabilities[token] - value) for token, value in other.log_probabilities.items())
            for one, other in zip(here, there, strict=True)]


def main(folder: Path, out: Path, python: Path) -> None:
    from latexocr import provenance

    model = exported(folder)
    with served(model, python, folder / "plugin") as url:
        there = by_server(url)
    here = by_transformers(model)
    if [answer.question for answer in there] != [answer.question for answer in here]:
        raise SystemExit("vLLM saw other questions than transformers.")
    differences = apart(there, here)
    print(f"{len(here)} questions with the same tokens; largest difference of a log-probability, {LIKELIEST} likeliest "
          f"tokens of each answer: {max(differences):.2g}")
    provenance.write_text(out, json.dumps({**provenance.start(), "largest_differences": differences}, indent=1) + "\n")


if __name__ == "__main__":
    if len(sys.argv) != 5 or sys.argv[3] != "--vllm":
        sys.exit(f"{sys.argv[0]}: expected FOLDER OUT.json --vllm PYTHON.\n{__doc__}")
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[4]))
