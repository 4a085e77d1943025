"""The folder of a training: whose it is, what is kept, and what is said where it cannot be written to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from latexocr.errors import UserError
from latexocr.training import watch
from latexocr.training.lora import train
from latexocr.training.record import alone, claim, last_checkpoint, room
from tests.conftest import drawn
from tests.test_lora import config, losses


def test_a_run_that_was_refused_for_a_setting_gives_its_folder_to_the_mended_one(tiny_model, tmp_path):
    """Nothing was learned there; of a run that made a step, the folder is kept."""
    out = tmp_path / "a"
    with pytest.raises(UserError, match="Nothing of this model would be tuned"):
        train(config(tiny_model, out, modules=("nothing",), steps=1, log_to="none"), drawn(8))
    assert train(config(tiny_model, out, steps=1, log_to="none"), drawn(8)) == out
    assert json.loads((out / "run.json").read_text())["settings"]["modules"] == []
    with pytest.raises(UserError, match="modules is \\[\\] there"):
        train(config(tiny_model, out, modules=("q_proj",), steps=1, log_to="none"), drawn(8))


def test_a_run_that_made_a_step_keeps_its_folder_without_a_checkpoint(tmp_path):
    claim(tmp_path, {"rank": 4})
    assert claim(tmp_path, {"rank": 8}).checkpoint is None
    (tmp_path / "log.jsonl").write_text('{"loss": 1, "step": 1}\n')
    with pytest.raises(UserError, match="rank is 8 there and 4 here"):
        claim(tmp_path, {"rank": 4})


def test_two_trainings_do_not_write_to_one_folder(tiny_model, tmp_path):
    with alone(tmp_path / "a"), pytest.raises(UserError, match="another latexocr is writing there"):
        train(config(tiny_model, tmp_path / "a", log_to="none"), drawn(8))
    assert list((tmp_path / "a").iterdir()) == []


@pytest.mark.parametrize("place", ["/proc/x", "/dev/null", "/dev/null/a"])
def test_a_folder_that_cannot_be_made_is_one_line(tiny_model, place):
    with pytest.raises(UserError, match=f"{place}: cannot be made a folder"):
        train(config(tiny_model, Path(place), log_to="none"), drawn(8))


def test_a_full_disk_is_one_line_and_the_training_goes_on_when_there_is_room(tiny_model, tmp_path, monkeypatch):
    """The optimiser's state of the second checkpoint goes to a device that is always full."""
    from transformers import Trainer

    out, save = tmp_path / "a", Trainer._save_optimizer_and_scheduler

    def to_a_full_disk(self, folder):
        if self.state.global_step == 4:
            (Path(folder) / "optimizer.pt").symlink_to("/dev/full")
        save(self, folder)

    given = config(tiny_model, out, steps=4, save_steps=2, log_to="none")
    with monkeypatch.context() as full:
        full.setattr(Trainer, "_save_optimizer_and_scheduler", to_a_full_disk)
        with pytest.raises(UserError, match=r"could not be written to its end .*GB are left.*the same command") as told:
            train(given, drawn(8))
    assert "\n" not in str(told.value) and last_checkpoint(out).name == "checkpoint-2"
    (out / "checkpoints/checkpoint-4/optimizer.pt").unlink()
    train(given, drawn(8))
    assert last_checkpoint(out).name == "checkpoint-4" and (out / "adapter_model.safetensors").exists()


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), RuntimeError("something else")])
def test_only_want_of_room_is_told_so(tmp_path, error):
    with pytest.raises(UserError if error.args[0] == 28 else RuntimeError), room(tmp_path):
        raise error


@pytest.mark.parametrize(("steps", "told"), [(12, 10), (3, 3)], ids=["at a report", "after the last report"])
def test_a_loss_that_is_no_number_ends_the_run(tiny_model, tmp_path, steps, told):
    """A rate that throws the weights away; the trainer would report a loss of 0, or none, and end well."""
    given = config(tiny_model, tmp_path / "a", learning_rate=1e9, warmup=0.0, steps=steps, log_to="none")
    with pytest.raises(UserError, match=rf"The loss is nan by step {told}: .*--learning-rate"):
        train(given, drawn(8))
    assert not (tmp_path / "a" / "adapter_model.safetensors").exists()


def test_the_best_checkpoint_is_kept_though_the_folder_was_moved(tiny_model, tmp_path, monkeypatch):
    """Begun under a relative name, killed, moved, continued from elsewhere; its first checkpoint reads best."""
    from safetensors.torch import load_file
    from transformers import Trainer

    def dies(self, *arguments):
        if self.state.global_step == 3:
            raise Killed
        return step(self, *arguments)

    step = Trainer.training_step
    monkeypatch.setattr(watch, "standing", lambda scores, done: done)
    monkeypatch.chdir(tmp_path)
    given = config(tiny_model, Path("a"), steps=4, save_steps=2, log_to="none")
    with monkeypatch.context() as dying, pytest.raises(Killed):
        dying.setattr(Trainer, "training_step", dies)
        train(given, drawn(16), drawn(4, seed=1))
    Path("a").rename("b")
    monkeypatch.chdir("/")
    out = train(config(tiny_model, tmp_path / "b", steps=4, save_steps=2, log_to="none"), drawn(16), drawn(4, seed=1))
    assert json.loads((out / "run.json").read_text())["best_checkpoint"] == "checkpoint-2"
    kept, best, last = (load_file(folder / "adapter_model.safetensors") for folder in (
        out, out / "checkpoints/checkpoint-2", out / "checkpoints/checkpoint-4"))
    assert all(kept[name].equal(best[name]) for name in best) and not all(kept[n].equal(last[n]) for n in last)


class Killed(BaseException):
    """Ends a run where it stands: nothing catches it, and nothing is written after it. (SIGKILL: in test_lora.)"""


@pytest.fixture(scope="module")
def whole(tiny_model, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "a"
    return train(config(tiny_model, folder, steps=6, save_steps=2, log_to="none"), drawn(16))


@pytest.mark.parametrize(("where", "step", "kept"), [
    ("training_step", 1, None), ("training_step", 3, "checkpoint-2"),
    ("_save_optimizer_and_scheduler", 4, "checkpoint-2"), ("_save_checkpoint", 6, "checkpoint-6"),
], ids=["no checkpoint", "between two", "half a checkpoint", "at the end"])
def test_killed_anywhere_it_ends_as_if_it_had_not_been_killed(whole, tiny_model, tmp_path, monkeypatch, where, step,
                                                              kept):
    from safetensors.torch import load_file
    from transformers import Trainer

    run = getattr(Trainer, where)

    def dies(self, *arguments, **options):
        if self.state.global_step == step:
            if where != "training_step":
                run(self, *arguments, **options)
            raise Killed
        return run(self, *arguments, **options)

    given = config(tiny_model, tmp_path / "a", steps=6, save_steps=2, log_to="none")
    with monkeypatch.context() as dying, pytest.raises(Killed):
        dying.setattr(Trainer, where, dies)
        train(given, drawn(16))
    found = last_checkpoint(given.out)
    assert (found.name if found else None) == kept
    train(given, drawn(16))
    assert losses(given.out) == losses(whole)
    ours, theirs = (load_file(folder / "adapter_model.safetensors") for folder in (given.out, whole))
    assert all(ours[name].equal(theirs[name]) for name in theirs)
