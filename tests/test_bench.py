"""Predicting: one prediction a sample, in order, nothing lost or doubled however often a run is killed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from latexocr.bench.folder import Run, claim, fingerprint, read_runs, timed
from latexocr.bench.run import Deferred, Recorded, covered, paired, predict, record
from latexocr.errors import UserError
from latexocr.provenance import alone
from latexocr.records import Prediction, Sample, failure, read_predictions, write_predictions


class Fake:
    """Answers by a table; breaks on what the table does not hold, and keeps what it was asked."""

    def __init__(self, answers: dict[str, str], batch: int = 1) -> None:
        self.answers, self.batch, self.asked = answers, batch, []

    def read(self, samples: Iterable[Sample]) -> Iterator[Prediction]:
        todo = list(samples)
        for start in range(0, len(todo), self.batch):
            batch = todo[start:start + self.batch]
            self.asked += [sample.id for sample in batch]
            yield from [Prediction(sample.id, self.answers[sample.id]) for sample in batch]


def picture() -> Image.Image:
    return Image.new("L", (8, 8), 255)


def numbered(n: int) -> list[Sample]:
    return [Sample(f"{i}", picture(), f"x_{{{i}}}") for i in range(n)]


SAMPLES = numbered(5)
ANSWERS = {sample.id: f"y^{sample.id}" for sample in SAMPLES}
RUN = Run("fake", "five", "abc", {"max_tokens": 512, "seed": 0}, n=5)


def test_every_sample_yields_one_prediction_in_order_and_in_the_file(tmp_path):
    shown = []
    predictions = predict(Fake(ANSWERS), SAMPLES, tmp_path / "p.jsonl", show=shown.append)
    assert [(p.id, p.latex) for p in predictions] == list(ANSWERS.items())
    assert read_predictions(tmp_path / "p.jsonl") == predictions == shown


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(0, 400), batch=st.integers(1, 6))
def test_a_file_cut_anywhere_is_completed_without_reading_twice(tmp_path_factory, cut, batch):
    out = tmp_path_factory.mktemp("cut") / "p.jsonl"
    whole = predict(Fake(ANSWERS), SAMPLES, out)
    content = out.read_bytes()
    out.write_bytes(content[:cut])
    left = content[:cut].count(b"\n")
    reader = Fake(ANSWERS, batch)
    assert predict(reader, SAMPLES, out) == whole
    assert reader.asked == [sample.id for sample in SAMPLES[left:]]
    assert out.read_bytes() == content


@pytest.mark.parametrize("batch", [1, 2, 5])
@pytest.mark.parametrize("broken", [{"0"}, {"2"}, {"4"}, {"1", "2"}, set("01234")])
def test_a_sample_that_breaks_the_reader_is_a_failure_and_the_others_are_read(tmp_path, batch, broken):
    reader = Fake({id: latex for id, latex in ANSWERS.items() if id not in broken}, batch)
    predictions = predict(reader, SAMPLES, tmp_path / "p.jsonl")
    assert [p.id for p in predictions] == list(ANSWERS)
    assert {p.id for p in predictions if p.stop == "error"} == broken
    assert all("KeyError" in p.error and p.latex == "" for p in predictions if p.stop == "error")
    assert all(p.latex == ANSWERS[p.id] for p in predictions if p.stop != "error")


def test_a_user_error_stops_the_run_and_what_was_read_is_kept(tmp_path):
    class Away(Fake):
        def read(self, samples):
            yield from super().read(list(samples)[:2])
            raise UserError("No server answers.")

    with pytest.raises(UserError, match="No server"):
        predict(Away(ANSWERS), SAMPLES, tmp_path / "p.jsonl")
    assert [p.id for p in read_predictions(tmp_path / "p.jsonl")] == ["0", "1"]
    reader = Fake(ANSWERS)
    assert len(predict(reader, SAMPLES, tmp_path / "p.jsonl")) == 5
    assert reader.asked == ["2", "3", "4"]


@pytest.mark.parametrize("answers", [[], ["0"], ["1", "0"], ["0", "1", "2", "3"]])
def test_a_reader_that_leaves_out_or_mixes_up_samples_is_refused(tmp_path, answers):
    class Wrong:
        def read(self, samples):
            yield from [Prediction(id, "x") for id in answers]

    with pytest.raises(UserError, match="one"):
        predict(Wrong(), SAMPLES, tmp_path / "p.jsonl")


def test_failures_stay_unless_asked_to_be_read_again_and_order_is_kept(tmp_path):
    out = tmp_path / "p.jsonl"
    predict(Fake({id: latex for id, latex in ANSWERS.items() if id != "1"}), SAMPLES, out)
    reader = Fake(ANSWERS)
    assert predict(reader, SAMPLES, out)[1].stop == "error" and reader.asked == []
    again = predict(reader, SAMPLES, out, retry_errors=True)
    assert reader.asked == ["1"] and [p.latex for p in again] == list(ANSWERS.values())
    assert read_predictions(out) == again


def test_a_finished_run_needs_no_model(tmp_path):
    predict(Fake(ANSWERS), SAMPLES, tmp_path / "p.jsonl")

    def load():
        raise UserError("no such model")

    assert len(predict(Deferred(load), SAMPLES, tmp_path / "p.jsonl")) == 5
    with pytest.raises(UserError, match="no such model"):
        predict(Deferred(load), SAMPLES, tmp_path / "other.jsonl")


@pytest.mark.parametrize(("ids", "message"), [
    (["0", "1", "2", "3"], "no prediction for '4'"), ([*"01234", "9"], "'9' not among"), ([*"01234", "0"], "'0' twice"),
    ([], "'0', '1', '2' and 2 more"),
])
def test_pairing_refuses_missing_extra_and_doubled_ids(ids, message):
    with pytest.raises(UserError, match=message) as refused:
        paired(SAMPLES, [Prediction(id, "") for id in ids], "theirs.jsonl")
    assert "theirs.jsonl" in str(refused.value)


def test_pairing_is_by_id():
    mixed = [Prediction(id, ANSWERS[id]) for id in "30142"]
    assert [p.latex for p in paired(SAMPLES, mixed, "x")] == list(ANSWERS.values())
    assert [p.id for p in covered(SAMPLES, SAMPLES[1:3], mixed, "x")] == ["1", "2"]
    with pytest.raises(UserError, match="'7' not among"):
        covered(SAMPLES, SAMPLES[1:3], [*mixed, Prediction("7", "")], "x")
    assert [p.id for p in Recorded(mixed).read(SAMPLES)] == list("01234")


WORKER = """
import sys, time
from pathlib import Path
from PIL import Image
from latexocr.bench.folder import Run
from latexocr.bench.run import record
from latexocr.records import Prediction, Sample

class Slow:
    def read(self, samples):
        for sample in samples:
            time.sleep(60 if sample.id == sys.argv[2] else 0.01)
            yield Prediction(sample.id, "x" * 5000)

samples = [Sample(str(i), Image.new("L", (4, 4)), "x") for i in range(60)]
record(Slow(), samples, Path(sys.argv[1]), "base", Run("slow", "sixty", "abc", {"seed": 0}, n=60))
"""


def lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def test_a_run_killed_at_any_moment_continues(tmp_path):
    out = tmp_path / "predictions-base.jsonl"
    for target in (1, 17, 40):
        # It does not get to its end, however late it is killed.
        worker = subprocess.Popen([sys.executable, "-c", WORKER, str(tmp_path), "50"], stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while lines(out) < target and time.monotonic() < deadline:
            time.sleep(0.002)
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        assert target <= lines(out) < 60
    seen = out.read_bytes()[:out.read_bytes().rfind(b"\n") + 1]
    subprocess.run([sys.executable, "-c", WORKER, str(tmp_path), ""], check=True, capture_output=True)
    assert [p.id for p in read_predictions(out)] == [str(i) for i in range(60)]
    assert out.read_bytes().startswith(seen)
    run = read_runs(tmp_path)["base"]
    assert len(run.provenance) == 4 and run.seconds > 0.3
    assert all(start["seconds"] is not None and start["packages"]["numpy"] for start in run.provenance)


@pytest.mark.parametrize(("change", "message"), [
    ({"model": "other"}, "model is 'other' here and 'fake' there"),
    ({"data_sha256": "def"}, "data_sha256 is 'def' here"),
    ({"settings": {"max_tokens": 9, "seed": 0}}, "max_tokens is 9 here and 512 there"),
    ({"settings": {"max_tokens": 512}}, "seed is None here and 0 there"),
])
def test_a_folder_of_another_run_is_refused_and_left_as_it_was(tmp_path, change, message):
    record(Fake(ANSWERS), SAMPLES, tmp_path, "base", RUN)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(UserError, match=message):
        record(Fake({}), SAMPLES, tmp_path, "base", Run(**{**vars(RUN), **change}))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_model_that_moved_is_the_same_model(tmp_path):
    claim(tmp_path, "base", tmp_path / "p", Run("runs/a", "d", "abc", {"model_sha256": "1"}))
    claim(tmp_path, "base", tmp_path / "p", Run("/elsewhere/a", "d", "abc", {"model_sha256": "1"}))
    with pytest.raises(UserError, match="model_sha256 is '2' here and '1' there"):
        claim(tmp_path, "base", tmp_path / "p", Run("runs/a", "d", "abc", {"model_sha256": "2"}))


def test_of_another_part_of_the_data_the_number_of_samples_is_told(tmp_path):
    """A --limit is in no setting: hashes alone would not say what differs."""
    claim(tmp_path, "base", tmp_path / "p", Run("a", "d", "abc", {}, n=3))
    with pytest.raises(UserError, match="n is 5 here and 3 there"):
        claim(tmp_path, "base", tmp_path / "p", Run("a", "d", "def", {}, n=5))
    claim(tmp_path, "base", tmp_path / "p", Run("a", "d", "abc", {}, n=5))  # as a larger --probe is


def test_a_second_column_joins_a_folder_and_strange_folders_are_refused(tmp_path):
    record(Fake(ANSWERS), SAMPLES, tmp_path, "base", RUN)
    record(Fake(ANSWERS), SAMPLES, tmp_path, "tuned", Run("tuned", "five", "abc", {}, n=5))
    assert {name: run.model for name, run in read_runs(tmp_path).items()} == {"base": "fake", "tuned": "tuned"}
    (tmp_path / "run.json").unlink()
    with pytest.raises(UserError, match="has no run 'base'"):
        record(Fake(ANSWERS), SAMPLES, tmp_path, "base", RUN)
    for content in ("{", "[]", '{"base": {"model": 1}}', '{"base": 3}', "[" * 100_000):
        (tmp_path / "run.json").write_text(content)
        with pytest.raises(UserError, match="not the record of a run"):
            record(Fake(ANSWERS), SAMPLES, tmp_path, "base", RUN)


def test_two_processes_do_not_write_to_one_folder(tmp_path):
    with alone(tmp_path), pytest.raises(UserError, match="another latexocr is writing"):
        predict(Fake(ANSWERS), SAMPLES, tmp_path / "p.jsonl")
    assert len(predict(Fake(ANSWERS), SAMPLES, tmp_path / "p.jsonl")) == 5


def test_seconds_are_kept_also_when_a_start_ends_by_an_error(tmp_path):
    claim(tmp_path, "base", tmp_path / "p", RUN)
    with pytest.raises(KeyboardInterrupt), timed(tmp_path, "base"):
        time.sleep(0.02)
        raise KeyboardInterrupt
    assert read_runs(tmp_path)["base"].seconds >= 0.02


def test_a_fingerprint_tells_models_apart_by_name_size_and_both_ends(tmp_path):
    def model(name: str, content: bytes, file: str = "model.safetensors") -> str:
        (tmp_path / name).mkdir()
        (tmp_path / name / file).write_bytes(content)
        return fingerprint(tmp_path / name)

    large = bytes(3 << 20)
    prints = [model("a", large), model("b", large[:-1] + b"x"), model("c", b"x" + large[1:]), model("d", large[:-1]),
              model("e", large, "other.safetensors"), model("f", b"")]
    assert len(set(prints)) == len(prints)
    assert model("again", large) == prints[0]
    for described in ("README.md", "log.jsonl"):  # Which may be written later: the model is the same.
        (tmp_path / "again" / described).write_text("x")
    assert fingerprint(tmp_path / "again") == prints[0]


def test_predictions_of_others_may_hold_more_fields(tmp_path):
    (tmp_path / "theirs.jsonl").write_text(json.dumps({"id": "0", "latex": "x", "model": "m"}) + "\n")
    assert paired(SAMPLES[:1], read_predictions(tmp_path / "theirs.jsonl"), "x") == [Prediction("0", "x")]
    write_predictions(tmp_path / "ours.jsonl", [failure(SAMPLES[0], "gone")])
    assert read_predictions(tmp_path / "ours.jsonl")[0].error == "gone"
