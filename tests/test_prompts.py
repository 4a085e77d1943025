"""Which prompt a base is asked with: declared, or found on other pictures, by a real model that prompts make say other
things."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from latexocr.bench.prompts import READ, apart, candidates
from latexocr.cli import main
from latexocr.data.write import write_samples
from latexocr.errors import UserError
from latexocr.reading.conversation import PROMPTS, prompt_names
from latexocr.records import Sample
from tests.conftest import drawn
from tests.families import FAMILIES

SAID = {"task": "99", "instruction": "12"}
"""What the model of these tests has learned to answer to each prompt, whatever the picture."""


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    """A tiny PaddleOCR-VL that reads "12" on its second prompt alone: what is declared first is not always best."""
    import torch

    from latexocr.reading.images import prepare
    from latexocr.reading.inputs import load_processor
    from latexocr.reading.local import end_tokens, load_weights
    from latexocr.training.collate import Collator

    folder = tmp_path_factory.mktemp("prompts") / "base"
    folder.mkdir()
    FAMILIES["paddleocr_vl"](folder)
    model, processor = load_weights(folder, dtype="float32"), load_processor(folder)
    pictures = [prepare(sample.image) for sample in drawn(8, longest=2)]
    batches = [Collator(processor, [], end_tokens(model, processor), PROMPTS[name]).batch(pictures, [said] * 8)
               for name, said in SAID.items()]
    torch.manual_seed(0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(40):
        loss = sum(model(**batch).loss for batch in batches)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if loss < 0.02:
            break
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> dict[str, str]:
    """Pictures to score on, and others to choose on: of "12" mostly, of which some are among the scored ones."""
    folder = tmp_path_factory.mktemp("pictures")
    some = drawn(9, alphabet="12", longest=2, seed=3)
    test = [Sample(f"t{n}", sample.image, "12") for n, sample in enumerate(drawn(3, longest=3, seed=5))]
    others = [Sample(f"o{n}", sample.image, f"12{'x' * (n % 2)}") for n, sample in enumerate(some)]
    specs = {"test": test, "others": [*others, *test]}
    for name, samples in specs.items():
        write_samples(folder / name, samples)
    return {name: str(folder / name) for name in specs}


def bench(base: Path, data: dict[str, str], out: Path, *more: str) -> None:
    assert main(["bench", "--data", data["test"], "--base", str(base), "--out", str(out), "--max-tokens", "6",
                 "--device", "cpu", *more]) == 0


def exact(out: Path) -> float:
    [score] = [one for one in json.loads((out / "report.json").read_text())["scores"]["base"]
               if one["metric"] == "exact_visual"]
    return score["value"]


def test_a_base_is_measured_with_the_prompt_it_reads_best_with(base, data, tmp_path, capsys):
    bench(base, data, tmp_path / "declared")
    told = capsys.readouterr().err
    assert "base is asked with the first of its declared prompts (task, instruction)" in told
    assert exact(tmp_path / "declared") == 0.0
    bench(base, data, tmp_path / "chosen", "--choose-prompt-on", data["others"])
    told = capsys.readouterr().err
    assert "base is asked with the prompt `instruction`; edit distance on " in told and "`task` 100.0 %" in told
    assert exact(tmp_path / "chosen") == 1.0
    settings = json.loads((tmp_path / "chosen/run.json").read_text())["base"]["settings"]
    assert settings["prompt"] == "instruction" and settings["prompt_chosen_on"] == data["others"]
    tried = tmp_path / "chosen/prompts"
    assert sorted(path.name for path in tried.glob("*.jsonl")) == [
        "predictions-base-instruction.jsonl", "predictions-base-task.jsonl"]
    read = [json.loads(line)["id"] for line in (tried / "predictions-base-task.jsonl").read_text().splitlines()]
    assert read and not any(id.startswith("t") for id in read), "none of those that are scored"


def test_what_was_read_to_choose_is_not_read_again(base, data, tmp_path, monkeypatch, capsys):
    bench(base, data, tmp_path / "out", "--choose-prompt-on", data["others"])
    monkeypatch.setattr("latexocr.cli.options.load", lambda *_: pytest.fail("a model is loaded again"))
    bench(base, data, tmp_path / "out", "--choose-prompt-on", data["others"])
    assert main(["bench", "--data", data["test"], "--base", str(base), "--out", str(tmp_path / "out"), "--max-tokens",
                 "6"]) == 2
    assert "prompt is None here and 'instruction' there" in capsys.readouterr().err


def test_there_is_a_choice_only_where_several_are_declared_and_none_was_learned(base, tiny_model, tmp_path):
    assert candidates(str(base)) == prompt_names("paddleocr_vl") == ("task", "instruction")
    assert candidates(str(tiny_model)) == candidates("http://127.0.0.1:9/v1") == candidates("answers.jsonl") == ()
    tuned = shutil.copytree(base, tmp_path / "tuned")
    (tuned / "run.json").write_text(json.dumps({"settings": {"prompt": "task"}}))
    assert candidates(str(tuned)) == ()
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text("{}")
    assert candidates(str(adapter)) == ()


def test_pictures_to_choose_on_are_none_of_those_that_are_scored():
    scored = [Sample("a", image.image, "x+y+z+w") for image in drawn(1, longest=3)]
    same_picture = Sample("p", scored[0].image, "q")
    same_formula = Sample("f", drawn(2, longest=4, seed=9)[1].image, "x + y+z + w")
    fine = [Sample(f"n{n}", sample.image, f"n^{{{n}}}") for n, sample in enumerate(drawn(READ + 9, longest=9, seed=2))]
    nothing = Sample("e", fine[0].image, " ")
    left = apart([same_picture, same_formula, nothing, *fine], scored)
    assert len(left) >= READ - 2 and {sample.id for sample in left} <= {sample.id for sample in fine}
    with pytest.raises(UserError, match="No picture is left to choose a prompt on"):
        apart([same_picture, same_formula, nothing], scored)


def test_a_prompt_is_named_or_looked_for_not_both(base, data, tmp_path, capsys):
    assert main(["bench", "--data", data["test"], "--base", str(base), "--out", str(tmp_path / "o"), "--prompt", "task",
                 "--choose-prompt-on", data["others"]]) == 2
    assert "give one of them" in capsys.readouterr().err
