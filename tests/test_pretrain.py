"""The embedded model's own training, small: an ordinary checkpoint comes out, and goes on where it ended."""

from __future__ import annotations

import dataclasses
import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from latexocr.data import fonts, sources
from latexocr.data.typeset import available
from latexocr.errors import UserError
from latexocr.latex.tokens import tokenize
from latexocr.training import architecture, pretrain, stream
from latexocr.training.checkpoint import HORIZON, Done, Mean, save
from latexocr.training.pretrain import PretrainConfig

needs_tex = pytest.mark.skipif(not available(), reason="needs TeX (latex, dvipng)")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("corpus") / "formulas.jsonl.gz"
    with gzip.open(path, "wt", encoding="utf-8") as file:
        for doc in range(300):
            file.write(json.dumps({"latex": rf"x_{{{doc}}}^2+\alpha", "source": "made", "doc": doc}) + "\n")
    return path


@pytest.fixture(scope="module")
def config(untrained_model, corpus, tmp_path_factory) -> PretrainConfig:
    return PretrainConfig(model=untrained_model, corpus=corpus, out=tmp_path_factory.mktemp("run"), minutes=0.01,
                          warmup_steps=1, workers=0, pixels_a_batch=1, device="cpu", compile=False, short_seconds=0)


@pytest.fixture(scope="module")
def trained(config) -> Path:
    pretrain.run(config)
    return config.out / "model"


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return {name: value for path in folder.glob("*.safetensors") for name, value in load_file(path).items()}


@needs_tex
def test_what_comes_out_is_an_ordinary_checkpoint(trained, untrained_model):
    from transformers import AutoModelForImageTextToText, AutoTokenizer

    model = AutoModelForImageTextToText.from_pretrained(trained)
    assert model.dtype == torch.bfloat16 and type(model).__name__ == "Qwen3VLForConditionalGeneration"
    assert model.lm_head.weight.data_ptr() == model.get_input_embeddings().weight.data_ptr()
    texts = "\\frac{1}{2}"
    assert AutoTokenizer.from_pretrained(trained)(texts) == AutoTokenizer.from_pretrained(untrained_model)(texts)
    assert set(weights(trained.parent / "mean")) == set(weights(trained))
    kept = {path.name for path in untrained_model.iterdir()}
    assert kept < {path.name for path in trained.iterdir()}
    assert not (trained.parent / "part").exists()


@needs_tex
def test_every_weight_of_the_model_is_saved_and_was_trained(trained, untrained_model, config):
    saved, fresh = weights(trained), architecture.load(untrained_model, seed=config.seed).state_dict()
    assert set(saved) == set(fresh) - {"lm_head.weight"}
    same = [name for name, value in saved.items() if torch.equal(value, fresh[name].to(torch.bfloat16))]
    # Weights of norms begin at 1 and move less than bfloat16 can say.
    assert [name for name in same if "norm" not in name] == []


@needs_tex
def test_the_record_says_what_was_done(trained, config):
    record, = json.loads((trained / "pretraining.json").read_text())
    assert record["steps"] >= 1 and record["pictures"] == 8 * record["steps"]
    assert record["settings"] == {name: str(value) if isinstance(value, Path) else value
                                  for name, value in dataclasses.asdict(config).items()}


@needs_tex
def test_a_second_run_begins_where_the_first_ended_and_adds_to_its_record(trained, config, tmp_path):
    still = dataclasses.replace(config, model=trained, out=tmp_path, learning_rate=0.0, minutes=0.01)
    pretrain.run(still)
    first, second = json.loads((tmp_path / "model" / "pretraining.json").read_text())
    assert [first] == json.loads((trained / "pretraining.json").read_text())
    assert second["settings"]["model"] == str(trained)
    before, after = weights(trained), weights(tmp_path / "model")
    assert set(before) == set(after) and all(torch.equal(before[name], after[name]) for name in before)


def test_the_mean_of_weights_forgets_what_is_long_past():
    layer = torch.nn.Linear(1, 1, bias=False)
    mean = Mean(layer)
    for step in range(8 * HORIZON):
        layer.weight.data.fill_(1.0 if step < 100 else 3.0)
        mean.update(step)
        if step == 199:
            assert mean.weights["weight"].item() == pytest.approx(2.0)  # so far the plain mean
    assert mean.weights["weight"].item() == pytest.approx(3.0, abs=0.01)


def test_a_checkpoint_of_other_weights_holds_those(untrained_model, config, tmp_path):
    model = architecture.load(untrained_model, seed=1)
    ones = {name: torch.ones_like(value) for name, value in model.state_dict().items()}
    before = {name: value.clone() for name, value in model.state_dict().items()}
    save(model, dataclasses.replace(config, out=tmp_path), Done(1, 8, 1.0), name="mean", weights=ones)
    assert {path.name for path in tmp_path.iterdir()} == {"mean"}
    found = weights(tmp_path / "mean")
    assert set(found) == set(ones) - {"lm_head.weight"} and all((value == 1).all() for value in found.values())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


@needs_tex
def test_two_processes_take_their_steps_together(untrained_model, corpus, tmp_path):
    """Each draws formulas of its own; they count together, and a difference between them would be a dead wait."""
    order = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m",
             "latexocr.training.pretrain", "run", "--model", untrained_model, "--corpus", corpus, "--out", tmp_path,
             "--minutes", "0.02", "--warmup-steps", "1", "--workers", "0", "--pixels-a-batch", "1", "--device", "cpu",
             "--no-compile", "--short-seconds", "0"]
    told = subprocess.run(list(map(str, order)), capture_output=True, text=True, timeout=300,
                          env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert told.returncode == 0, told.stderr
    record, = json.loads((tmp_path / "model" / "pretraining.json").read_text())
    assert record["processes"] == 2 and record["pictures"] == 2 * 8 * record["steps"] > 0


def test_muon_turns_the_matrices_of_the_blocks_and_adamw_everything_else(untrained_model, config):
    from latexocr.training.canvas import CanvasModel

    model = CanvasModel(architecture.load(untrained_model, seed=1), stream.GLYPH_CLASSES)
    names = {id(weight): name for name, weight in model.named_parameters()}
    muon, adamw = [{names[id(weight)] for group in optimizer.param_groups for weight in group["params"]}
                   for optimizer in pretrain._optimizers(model, config)]
    assert muon | adamw == set(names.values()) and not muon & adamw
    assert {"glyph_head.weight", "model.model.language_model.embed_tokens.weight",
            "model.model.visual.pos_embed.weight"} < adamw
    assert any("visual.blocks" in name for name in muon) and any("language_model.layers" in name for name in muon)
    assert all("norm" not in name and name.endswith(".weight") for name in muon)


def test_a_loss_that_is_no_number_ends_the_run(config):
    with pytest.raises(UserError, match="learning-rate"):
        pretrain._log(config, Done(50, 1, 1.0), rate=1.0, waited=0.0, totals=torch.tensor([float("nan")] * 4))


@needs_tex
def test_validation_is_drawn_from_held_out_documents_in_every_font(untrained_model, tmp_path, monkeypatch):
    monkeypatch.setattr(fonts, "available_fonts", lambda: ("cm", "palatino"))
    path, out = tmp_path / "formulas.jsonl.gz", tmp_path / "drawn"
    rows = [{"latex": f"x_{{{doc}}}" + "+y" * length, "source": "made", "doc": doc}
            for doc in range(2000) for length in (1, 30)]
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    order = ["validation", str(out), "--corpus", str(path), "--model", str(untrained_model), "--seed", "2", "--count"]
    assert pretrain.main([*order, "30"]) == 0
    samples = sources.load(str(out))
    assert len(samples) == len({sample.latex for sample in samples}) == 30
    assert {sample.subset for sample in samples} == {"cm", "palatino"}
    assert not fonts.FONTS["palatino"].share
    for sample in samples:
        assert stream.is_validation(int(sample.latex.partition("{")[2].partition("}")[0]))
        assert len(tokenize(sample.latex)) <= 40
    order = ["validation", str(tmp_path / "one"), *order[2:], "5", "--fonts", "palatino"]
    assert pretrain.main(order) == 0
    assert {sample.subset for sample in sources.load(str(tmp_path / "one"))} == {"palatino"}


def test_new_writes_a_model_of_the_right_shape_whose_tokenizer_knows_the_corpus(corpus, tmp_path):
    from transformers import AutoConfig, AutoTokenizer

    assert pretrain.main(["new", str(tmp_path), "--corpus", str(corpus)]) == 0
    shape, tokenizer = AutoConfig.from_pretrained(tmp_path), AutoTokenizer.from_pretrained(tmp_path)
    assert (shape.model_type, shape.text_config.vocab_size) == ("qwen3_vl", architecture.PIECES)
    assert len(tokenizer) <= architecture.PIECES
    assert tokenizer.decode(tokenizer(r"x_{7}^{2}+\alpha")["input_ids"]) == r"x_{7}^{2}+\alpha"
    assert len(tokenizer(r"^{2}+\alpha")["input_ids"]) < 7


@pytest.mark.parametrize(("arguments", "complaint"), [
    (["new", "{tmp}/m", "--corpus", "{tmp}/none.gz"], "not a corpus"),
    (["run", "--model", "{tmp}", "--corpus", "{corpus}", "--out", "{tmp}/out", "--device", "cpu"], "no model here"),
    (["run", "--model", "{model}", "--corpus", "{corpus}", "--out", "{model}", "--device", "cpu"], "another --out"),
    (["validation", "{tmp}/v", "--corpus", "{corpus}", "--model", "{tmp}"], "no model here"),
    (["validation", "{tmp}/v", "--corpus", "{corpus}", "--model", "{model}", "--fonts", "cm", "runes"],
     "cannot draw: runes"),
    pytest.param(["validation", "{tmp}/v", "--corpus", "{corpus}", "--model", "{model}"], "Lower --count",
                 marks=needs_tex),
    (["run", "--model", "{model}", "--corpus", "{corpus}", "--out", "{tmp}/out"], "No CUDA GPU"),
])
def test_what_a_user_can_put_right_is_one_line(arguments, complaint, untrained_model, corpus, tmp_path, capsys,
                                               monkeypatch):
    monkeypatch.setattr(pretrain, "BARREN", 2)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    places = {"tmp": tmp_path, "model": untrained_model, "corpus": corpus}
    assert pretrain.main([argument.format(**places) for argument in arguments]) == 2
    told = capsys.readouterr().err
    assert complaint in told and told.count("\n") == 1
    assert not (tmp_path / "out").exists()
