"""Training: it learns, it goes on where it was killed, and it refuses what is not its own."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from latexocr.errors import UserError
from latexocr.reading import GenerateConfig
from latexocr.reading.inputs import BUILTIN, resolve
from latexocr.reading.local import load_model
from latexocr.records import Sample
from latexocr.training.lora import TrainConfig, train
from latexocr.training.record import last_checkpoint
from tests.conftest import drawn


def config(model: Path, out: Path, **options) -> TrainConfig:
    short = TrainConfig(model=str(model), out=out, steps=12, batch=8, learning_rate=3e-3, save_steps=4, backend="peft",
                        device="cpu")
    return replace(short, **options)


def losses(folder: Path) -> list[float]:
    return [entry["loss"] for entry in log(folder) if "loss" in entry]


def log(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def weights(folder: Path):
    from safetensors.torch import load_file

    return load_file(folder / "adapter_model.safetensors")


def exact(model: Path, samples: list[Sample]) -> float:
    reader = load_model(model, device="cpu", dtype="float32", config=GenerateConfig(max_tokens=12))
    return sum(p.latex == s.latex for p, s in zip(reader.read(samples), samples)) / len(samples)


@pytest.fixture(scope="module")
def tuned(tiny_model, tmp_path_factory) -> Path:
    """An adapter after 12 steps, with its checkpoints."""
    return train(config(tiny_model, tmp_path_factory.mktemp("runs") / "a"), drawn(40), drawn(8, seed=1))


def test_the_folder_holds_adapter_processor_record_and_losses(tuned, tiny_model):
    record = json.loads((tuned / "run.json").read_text())
    assert record["finished"] and record["n"] == 40 and record["n_eval"] == 8 and record["steps"] == 12
    assert json.loads((tuned / "adapter_config.json").read_text())["base_model_name_or_path"] == str(tiny_model)
    for name in ("tokenizer.json", "chat_template.jinja", "preprocessor_config.json"):
        assert (tuned / name).read_bytes() == (tiny_model / name).read_bytes()
    assert record["last_loss"] < record["first_loss"] == losses(tuned)[0]
    assert [entry["step"] for entry in log(tuned) if "eval_loss" in entry] == [4, 8, 12]


def test_every_linear_layer_of_tower_and_language_model_is_tuned(tuned):
    names = {name.removeprefix("base_model.model.model.").rsplit(".lora_", 1)[0] for name in weights(tuned)}
    assert {"visual.blocks.0.attn.qkv", "visual.blocks.1.mlp.linear_fc2", "visual.merger.linear_fc1",
            "language_model.layers.0.self_attn.q_proj", "language_model.layers.1.mlp.down_proj"} <= names
    assert not any("lm_head" in name or "embed" in name for name in names)
    assert all(float(w.abs().sum()) > 0 for name, w in weights(tuned).items() if "lora_B" in name), "one did not learn"


def test_a_finished_run_is_not_trained_again(tuned, tiny_model):
    before = (tuned / "adapter_model.safetensors").stat().st_mtime_ns
    assert train(config(tiny_model, tuned, workers=0), drawn(40), drawn(8, seed=1)) == tuned
    assert (tuned / "adapter_model.safetensors").stat().st_mtime_ns == before


@pytest.mark.parametrize("options, count, named", [
    ({"rank": 4}, 40, "rank is 16 there and 4 here"),
    ({"learning_rate": 1e-4}, 40, "learning_rate"),
    ({}, 39, "data_sha256"),
], ids=["rank", "rate", "data"])
def test_the_folder_of_another_run_is_refused(tuned, tiny_model, options, count, named):
    with pytest.raises(UserError, match=named):
        train(config(tiny_model, tuned, **options), drawn(count), drawn(8, seed=1))


def test_a_folder_with_other_things_in_it_is_refused(tiny_model, tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(UserError, match="not empty"):
        train(config(tiny_model, tmp_path), drawn(4))


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.conftest import drawn
from tests.test_lora import config
from latexocr.training.collate import Collator
from latexocr.training.lora import train

batches, collate = [], Collator.__call__

def dies_at_the_eighth(self, rows):
    batches.append(rows)
    if len(batches) == 8:
        os.kill(os.getpid(), signal.SIGKILL)
    return collate(self, rows)

Collator.__call__ = dies_at_the_eighth
train(config(Path(sys.argv[1]), Path(sys.argv[2])), drawn(40), drawn(8, seed=1))
"""


def test_a_killed_run_goes_on_and_ends_as_if_it_had_not_been_killed(tuned, tiny_model, tmp_path):
    out = tmp_path / "killed"
    child = subprocess.run([sys.executable, "-c", KILLED, str(tiny_model), str(out)], cwd=Path(__file__).parent.parent,
                           capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert child.returncode == -signal.SIGKILL, child.stderr
    assert last_checkpoint(out).name == "checkpoint-4" and not (out / "adapter_model.safetensors").exists()
    half = out / "checkpoints" / "checkpoint-11"
    half.mkdir()
    (half / "adapter_model.safetensors").write_bytes(b"half of one")
    assert last_checkpoint(out).name == "checkpoint-4"
    train(config(tiny_model, out), drawn(40), drawn(8, seed=1))
    starts = json.loads((out / "run.json").read_text())["starts"]
    assert len(starts) == 2
    assert all({"command", "started", "commit", "packages", "cpu", "gpu"} <= set(start) for start in starts)
    assert [entry["step"] for entry in log(out)] == [entry["step"] for entry in log(tuned)], "a report lost or doubled"
    ours, theirs = weights(out), weights(tuned)
    assert all(ours[name].allclose(theirs[name], atol=1e-5) for name in theirs)


@pytest.mark.parametrize("samples, options, said", [
    (None, {}, "--data"),
    ([], {}, "None of 0"),
    ([Sample("a", Path("gone.png"), "x"), *drawn(2)], {}, "1 of 3 pictures cannot be read: a (there is no such file)"),
    ([Sample("a", Path("gone.png"), "x")], {"skip_unreadable": True}, "None of 1"),
    ([replace(drawn(1)[0], latex=None)], {}, "None of 1"),
    (drawn(3), {"max_tokens": 0}, "None of 3"),
    (drawn(3), {"batch": 0}, "--batch is 0; expected at least 1"),
    (drawn(3), {"learning_rate": float("nan")}, "--learning-rate is nan"),
    (drawn(3), {"learning_rate": 0.0}, "--learning-rate is 0.0; expected more than 0"),
    (drawn(3), {"epochs": 0}, "--epochs is 0; expected more than 0"),
    (drawn(3), {"warmup": 5}, "--warmup is 5; expected 0 to 1"),
    (drawn(3), {"learning_rate": float("inf")}, "--learning-rate is inf; expected 0 to"),
    (drawn(3), {"dropout": 1.0}, "--dropout is 1.0; expected 0 to 0.9"),
    (drawn(3), {"seed": -1}, "--seed is -1; expected 0 to 4294967295"),
    (drawn(3), {"optimizer": "adamw_8bit"}, "--optimizer adamw"),
    (drawn(3), {"modules": "q_proj"}, "--modules is 'q_proj'; expected a list"),
    (drawn(3), {"spelling": "nope"}, "--spelling is 'nope'; expected one of canonical, reference"),
    (drawn(3), {"steps": "2"}, "--steps is '2'; expected a whole number"),
    (drawn(3), {"rank": 4.5}, "--rank is 4.5; expected a whole number"),
    (drawn(3), {"bits": 4}, "--bits 16"),
    (drawn(3), {"prompt": "nope"}, "There are: instruction, task"),
    (drawn(3), {"backend": "unsloth"}, "--backend peft"),
    (drawn(3), {"model": "no/such/model"}, "no/such/model"),
], ids=["no data", "empty", "missing pictures", "nothing else", "no formulas", "too long", "no batch", "odd rate",
        "no rate", "no epochs", "warm-up in steps", "endless rate", "all dropped", "no seed",
        "8 bits without bitsandbytes", "a name for names", "no spelling", "a word for a number", "half a rank",
        "4 bits without GPU", "no prompt", "unsloth without GPU", "no model"])
def test_what_cannot_be_trained_is_one_line(tiny_model, tmp_path, samples, options, said):
    import torch

    if options.get("backend") == "unsloth" and torch.cuda.is_available():
        pytest.skip("a GPU is here")
    if options.get("optimizer") and importlib.util.find_spec("bitsandbytes"):
        pytest.skip("bitsandbytes is here")
    with pytest.raises(UserError) as caught:
        train(replace(config(tiny_model, tmp_path / "out"), **options), samples)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_samples_that_cannot_be_learned_from_are_counted_with_the_reason(tiny_model, capsys):
    """A formula with a token of the model's own in it would end too soon, or stand for a picture that is not there."""
    from latexocr.reading.inputs import load_processor
    from latexocr.training import examples

    latex = ["x", None, "x" * 9, "a<|im_end|>b", "<|image_pad|>", "y", "y"]
    samples = [replace(sample, latex=text) for sample, text in zip(drawn(7), latex)]
    samples[-1] = replace(samples[-1], image=Path("gone.png"))
    given = TrainConfig(max_tokens=5, spelling="reference", skip_unreadable=True)
    found = examples.usable(examples.material(samples, given), given, load_processor(tiny_model).tokenizer)
    assert [example.latex for example in found] == ["x", "y"]
    assert capsys.readouterr().err == (
        "latexocr: 5 of 7 samples are left out: 1 with no formula, 1 with a formula of more than 5 tokens, 2 with a "
        "formula with one of the model's own tokens in it, 1 with a picture that cannot be read.\n")


def test_an_adapter_is_no_base(tuned, tmp_path):
    with pytest.raises(UserError, match="adapter"):
        train(config(tuned, tmp_path / "out"), drawn(3))


def test_training_makes_the_tiny_model_read_better(tiny_model, tmp_path):
    """A few seconds of one core, one digit a picture: from answers that are all wrong to most of them right."""
    samples = drawn(60, longest=1)
    folder = train(config(tiny_model, tmp_path / "out", steps=150, rank=32, save_steps=150), samples)
    assert losses(folder)[-1] < 0.1 * losses(folder)[0]
    assert exact(tiny_model, samples) == 0
    assert exact(folder, samples) > 0.8


def test_training_makes_the_embedded_model_read_better(tmp_path):
    """Its own pictures stay readable, and a spelling it never saw is learned in a few steps."""
    try:
        resolve(BUILTIN)
    except UserError as e:
        pytest.skip(str(e))
    samples = drawn(48, alphabet="0123456789xyzabc+-=", longest=5)
    folder = train(TrainConfig(out=tmp_path / "out", steps=30, batch=8, learning_rate=1e-3, save_steps=30,
                               backend="peft", device="cpu"), samples)
    assert losses(folder)[-1] < losses(folder)[0]
    assert exact(folder, samples) > exact(BUILTIN, samples)
