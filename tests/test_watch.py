"""What is seen of a training: answers before, while and after, the best checkpoint, several processes, memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from latexocr.errors import UserError
from latexocr.latex.canonical import Level, canonical
from latexocr.reading.local import load_model
from latexocr.records import Sample
from latexocr.training import examples, watch
from latexocr.training.lora import TrainConfig, train
from tests.conftest import drawn
from tests.test_lora import config, log, weights

TWO = """
import sys
from pathlib import Path
from tests.conftest import drawn
from tests.test_lora import config
from latexocr.training.lora import train

train(config(Path(sys.argv[1]), Path(sys.argv[2]), batch=4), drawn(40, longest=9), drawn(8, seed=1))
"""


@pytest.fixture(scope="module")
def alone(tiny_model, tmp_path_factory) -> Path:
    return train(config(tiny_model, tmp_path_factory.mktemp("alone") / "a"), drawn(40, longest=9), drawn(8, seed=1))


@pytest.fixture(scope="module")
def together(tiny_model, tmp_path_factory) -> tuple[Path, str]:
    """The same training by two processes of half the batch, and what it wrote to stderr."""
    folder = tmp_path_factory.mktemp("together")
    (folder / "two.py").write_text(TWO)
    run = subprocess.run([sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
                          str(folder / "two.py"), str(tiny_model), str(folder / "a")], capture_output=True, text=True,
                         env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parent.parent)})
    assert run.returncode == 0, run.stderr
    return folder / "a", run.stderr


def test_two_processes_learn_what_one_learns_with_twice_the_batch(alone, together):
    folder, _ = together
    ours, theirs = (weights(each / "checkpoints" / "checkpoint-12") for each in (folder, alone))
    # Sums are rounded otherwise, and Adam makes more of that with every step: the whole run went the same way. (B of an
    # adapter begins as nothing.)
    learned = [name for name in theirs if "lora_B" in name]
    assert learned and all(torch.cosine_similarity(ours[name].flatten(), theirs[name].flatten(), dim=0) > 0.9999
                           for name in learned)
    reports = [{entry["step"]: entry["loss"] for entry in log(each) if "loss" in entry} for each in (alone, folder)]
    assert reports[1] == pytest.approx(reports[0], rel=1e-4) and reports[1][1] == pytest.approx(reports[0][1], rel=1e-5)
    record = json.loads((folder / "run.json").read_text())
    assert record["settings"]["processes"] == 2 and len(record["starts"]) == 1
    scores = [[entry["eval_edit_distance"] for entry in log(each) if "eval_loss" in entry] for each in (alone, folder)]
    assert scores[1] == pytest.approx(scores[0], abs=0.13), "watched samples lost or read twice"


def test_answers_are_shown_before_while_and_after_and_progress_has_a_line(together):
    _, said = together
    for when, times in (("before, ", 3), ("step 4, ", 3), ("step 8, ", 3), ("after, ", 3)):
        assert said.count(when) == times, f"{when}{said}"
    assert said.count("    is    ") == said.count("    read  ") == 12
    assert "latexocr: step 10 of 12: loss " in said
    assert " pictures/s, " in said and " GB, " in said and " left" in said and said.count("too good") == 1
    assert "latexocr: step 4: exact " in said and "of 8 read freely" in said


def test_the_checkpoint_that_reads_best_is_kept(alone):
    read = {entry["step"]: entry for entry in log(alone) if "eval_loss" in entry}
    record = json.loads((alone / "run.json").read_text())
    assert list(read) == [4, 8, 12]
    best = min(read, key=lambda step: read[step]["eval_standing"])
    assert record["best_checkpoint"] == f"checkpoint-{best}"
    assert record["best_edit_distance"] == read[best]["eval_edit_distance"]
    kept = weights(alone / "checkpoints" / f"checkpoint-{best}")
    assert all(kept[name].equal(weight) for name, weight in weights(alone).items())


@pytest.mark.parametrize(("early", "late", "kept"), [
    ((0.121, 0.015), (0.122, 0.015), "late"),  # cannot be told apart
    ((0.121, 0.015), (0.105, 0.015), "late"),
    ((0.100, 0.015), (0.140, 0.015), "early"),  # learned by heart
])
def test_of_two_checkpoints_that_cannot_be_told_apart_the_later_is_kept(early, late, kept):
    from latexocr.scoring.metrics import Score
    from latexocr.training.trial import standing

    found = {when: standing({"edit_distance": Score("edit_distance", value, value - 1.96 * error, value + 1.96 * error,
                                                    160, "")}, done)
             for when, (value, error), done in (("early", early, 200 / 1440), ("late", late, 1.0))}
    assert min(found, key=found.get) == kept


def test_what_is_read_while_training_is_what_is_read_after_it(alone):
    record = json.loads((alone / "run.json").read_text())
    entry = next(e for e in log(alone) if e.get("eval_edit_distance") == record["best_edit_distance"])
    samples = drawn(8, seed=1)
    from latexocr import scoring

    # The adapter is merged and rounded to 16 bits here; on eight short answers of a tiny model that may turn one.
    answers = [prediction.latex for prediction in load_model(alone, device="cpu", dtype="float32").read(samples)]
    found = scoring.score(answers, [sample.latex for sample in samples], names=["edit_distance"])
    assert found["edit_distance"].value == pytest.approx(entry["eval_edit_distance"], abs=0.13)


def test_curves_and_reports_are_kept(alone):
    assert list((alone / "tensorboard").glob("events.*"))
    reports = [entry for entry in log(alone) if "loss" in entry]
    assert all(entry["memory_gb"] > 0 for entry in reports) and reports[-1]["pictures_per_s"] > 0


def test_a_package_for_curves_that_is_missing_is_one_line_before_any_work(tiny_model, tmp_path):
    with pytest.raises(UserError, match=r"trackio, which is not installed: pip install trackio\. Or use --log-to none"):
        train(config(tiny_model, tmp_path / "a", log_to="trackio"), drawn(4))
    assert not (tmp_path / "a").exists()


def test_what_draws_curves_may_refuse_in_one_line(tmp_path):
    """As wandb does without a key, seen with wandb 0.31."""
    refusal = type("UsageError", (Exception,), {"__module__": "wandb.errors.errors"})
    given = TrainConfig(out=tmp_path, log_to="wandb")
    with pytest.raises(UserError, match=r"go to wandb, which says: No API key\. .*--log-to none"), watch.drawing(given):
        raise refusal("No API key.\nUse `wandb login`.")
    with pytest.raises(ValueError, match="other"), watch.drawing(given):
        raise ValueError("other")


def test_whole_formulas_are_held_out_and_few_samples_are_not():
    samples = [Sample(str(i), Path("x.png"), rf"x^{{{i // 2}}}" if i % 2 else f"x^ {{{i // 2}}}") for i in range(4000)]
    learned, watched = examples.divided(samples, TrainConfig(held_out=0.02))
    assert len(learned) + len(watched) == 4000 and 40 <= len(watched) <= 140
    formulas = [{canonical(sample.latex, Level.VISUAL) for sample in part} for part in (learned, watched)]
    assert not formulas[0] & formulas[1]
    assert examples.divided(samples[:1000], TrainConfig(held_out=0.02)) == (samples[:1000], [])
    assert examples.divided(samples, TrainConfig(held_out=0)) == (samples, [])


@pytest.mark.parametrize("most, said", [(2, "2 fit. Give --batch 2 --accumulation 4"), (0, "not for one picture")])
def test_too_little_memory_says_what_fits(tiny_model, tmp_path, monkeypatch, most, said):
    import torch
    from trl import SFTTrainer

    compute = SFTTrainer.compute_loss

    def small(self, model, inputs, *args, **options):
        if len(inputs["input_ids"]) > most:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return compute(self, model, inputs, *args, **options)

    monkeypatch.setattr(SFTTrainer, "compute_loss", small)
    with pytest.raises(UserError, match=said):
        train(config(tiny_model, tmp_path / "a", log_to="none"), drawn(8))


def test_an_answer_is_written_as_it_is_said(tiny_model):
    reader, pieces = load_model(tiny_model, device="cpu", dtype="float32"), []
    prediction = reader.stream(drawn(1)[0], pieces.append)
    assert "".join(pieces) == prediction.reply and len(pieces) > 1
    assert prediction == next(reader.read(drawn(1)))
    assert reader.stream(Sample("a", Path("gone.png")), pieces.append).stop == "error"


def test_the_record_names_the_data_as_it_was_given(tiny_model, tmp_path, monkeypatch):
    """By that hash a benchmark knows whether what it finds under the SPEC is what was learned from."""
    from latexocr.data.sources import content_hash

    monkeypatch.setattr(examples, "FEWEST", 2)
    samples = drawn(20)
    folder = train(config(tiny_model, tmp_path / "a", held_out=0.2, steps=1, log_to="none"), samples)
    record = json.loads((folder / "run.json").read_text())
    assert record["n_eval"] > 0 and record["n"] + record["n_eval"] == 20
    assert record["settings"]["data_sha256"] == content_hash(samples)
