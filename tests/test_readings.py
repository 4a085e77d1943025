"""What a column is read for besides its scores: noise, damage and cost, all of it continued after a kill; test sets by
name."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from latexocr import cli
from latexocr.bench.cost import Stopwatch, cost
from latexocr.bench.folder import Run, read_runs
from latexocr.bench.judge import HEADLINE
from latexocr.bench.noise import agreement, noise
from latexocr.bench.readings import Column, More, Readings, read, with_more
from latexocr.bench.robust import Damaging, damaged, robustness
from latexocr.bench.run import Deferred, Recorded, draw
from latexocr.bench.suites import FOLDER, suite_of
from latexocr.data.degrade import DEGRADATIONS, STRENGTHS
from latexocr.data.sources import content_hash, load
from latexocr.data.write import write_samples
from latexocr.errors import UserError
from latexocr.reading import BATCH
from latexocr.reading.batches import WINDOW
from latexocr.reading.latency import Latency
from latexocr.records import Prediction, Sample, read_predictions, write_predictions

RUN = Run("fake", "data", "abc", {}, n=5)


def picture(number: int) -> Image.Image:
    drawn = Image.new("L", (60, 24), 255)
    ImageDraw.Draw(drawn).text((5 + number, 5), "x+y", fill=0)
    return drawn


SAMPLES = [Sample(f"s{i}", picture(i), f"x+{i}") for i in range(5)]


class Fake:
    """Answers with the reference, unless told otherwise; keeps how many samples it was given at a time."""

    def __init__(self, wrong: Iterable[str] = (), pause: float = 0) -> None:
        self.wrong, self.pause, self.given, self.seen = set(wrong), pause, [], {}

    def read(self, samples: Iterable[Sample]) -> Iterator[Prediction]:
        given = 0
        for sample in samples:
            given += 1
            self.seen[sample.id] = sample.image
            time.sleep(self.pause)
            yield Prediction(sample.id, "?" if sample.id in self.wrong else sample.latex or "", tokens=3)
        self.given.append(given)


def answers(*latex: str) -> list[Prediction]:
    return [Prediction(sample.id, text) for sample, text in zip(SAMPLES, latex)]


FIRST = answers("x+0", "x+1", "x+2", "?", "?")


def test_noise_counts_answers_that_change_and_those_that_change_sides():
    again = answers("x+0", "{x}+1", "x+2", "?", "?")  # another spelling of a right answer
    alone = answers("x+0", "x+1", "x-2", "!", "x+4")  # right to wrong, wrong to wrong, wrong to right
    found = noise(SAMPLES, FIRST, again, alone, HEADLINE)
    assert (found.n, found.again, found.alone, found.flips, found.ids) == (5, 1, 3, 2, ("s1", "s2", "s3", "s4"))
    assert noise(SAMPLES, FIRST, FIRST, FIRST, HEADLINE).ids == ()


def test_agreement_counts_other_spellings_and_other_outcomes():
    right = np.array([1, 1, 1, 0, 0.0])
    found = agreement("a", "b", FIRST, answers("{x}+0", "x+1", "?", "?", "?"), right, np.array([1, 1, 0, 0, 0.0]))
    assert (found.a, found.b, found.n, found.different, found.flips, found.ids) == ("a", "b", 5, 2, 1, ("s0", "s2"))


def test_every_picture_is_damaged_in_each_way_alike_for_every_model():
    few = SAMPLES[:2]
    plan = damaged(few)
    assert len({sample.id for sample in plan}) == len(plan) == 2 * len(DEGRADATIONS) * len(STRENGTHS)
    readers = Fake(), Fake()
    for reader in readers:
        assert [p.id for p in Damaging(reader).read(plan)] == [sample.id for sample in plan]
    for id, image in readers[0].seen.items():
        assert image.tobytes() == readers[1].seen[id].tobytes()
    changed = sum(readers[0].seen[sample.id].tobytes() != few[i % 2].image.tobytes() for i, sample in enumerate(plan))
    assert changed > 0.9 * len(plan)
    assert few[0].image.tobytes() == picture(0).tobytes(), "the whole picture is left as it was"


def test_a_picture_that_cannot_be_opened_is_left_to_the_reader(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    for image in (tmp_path / "broken.png", tmp_path / "gone.png"):
        reader = Fake()
        list(Damaging(reader).read([Sample("blur/mild/a", image, "x")]))
        assert reader.seen["blur/mild/a"] == image


def test_losses_are_parts_of_the_score_on_the_same_pictures():
    samples = [Sample(f"s{i}", picture(0), "x") for i in range(100)]
    whole = [Prediction(s.id, "x" if i < 80 else "?") for i, s in enumerate(samples)]
    hurt = {f"{kind}/{strength}/s{i}" for kind in ("blur", "noise") for strength in ("medium", "strong")
            for i in range(40, 80)}
    broken = [Prediction(s.id, "?" if s.id in hurt or int(s.id.rpartition("s")[2]) >= 80 else "x")
              for s in damaged(samples)]
    found = {(one.kind, one.strength): one for one in robustness(samples, {"base": whole}, {"base": broken}, HEADLINE)}
    assert next(iter(found)) == ("none", "") and found["none", ""].scores["base"].value == pytest.approx(0.8)
    assert found["blur", "mild"].losses["base"].value == 0 and found["blur", "mild"].n == 100
    loss = found["blur", "strong"].losses["base"]
    assert loss.value == pytest.approx(0.5) and 0.3 < loss.low < 0.5 < loss.high < 0.7
    assert found["blur", "strong"].scores["base"].value == pytest.approx(0.4)
    mean = found["all", "strong"]
    assert mean.losses["base"].value == pytest.approx(0.5 * 2 / len(DEGRADATIONS))
    assert mean.n == 100 * len(DEGRADATIONS) and "by group" in mean.scores["base"].signature
    wide = mean.scores["base"].high - mean.scores["base"].low
    assert wide > 0.1, "pictures are drawn as wholes: 19 readings of one are not 19 pictures"


def test_no_loss_can_be_told_where_nothing_was_right():
    wrong = [Prediction(s.id, "?") for s in SAMPLES]
    found = robustness(SAMPLES, {"base": wrong}, {"base": [Prediction(s.id, "?") for s in damaged(SAMPLES)]}, HEADLINE)
    assert np.isnan(found[1].losses["base"].value) and found[1].scores["base"].value == 0


def test_a_column_is_read_again_alone_and_damaged_and_a_file_only_once(tmp_path):
    reader = Fake(wrong={"s1"})
    column = Column("base", reader, RUN, 4)
    found = read(column, SAMPLES, tmp_path, More(probe=3, robust=2))
    few = [sample.id for sample in draw(SAMPLES, 3)]
    assert [p.id for p in found.again] == [p.id for p in found.alone] == few
    assert len(found.damaged) == 2 * 57 and reader.given == [5, 3, 1, 1, 1, 114]
    report = with_more_of({"base": found}, tmp_path)
    assert report.noise["base"].n == 3 and report.noise["base"].again == report.noise["base"].alone == 0
    assert report.robustness[0].n == 2 and len(report.robustness) == 1 + 57 + 3
    assert report.costs["base"].n == 5 and report.costs["base"].at_once == 4 and report.costs["base"].alone_p50_s >= 0
    file = Column("file", Recorded(found.all), RUN)
    assert read(file, SAMPLES, tmp_path, More(probe=3, robust=2)) == Readings(found.all)
    assert with_more_of({"file": Readings(found.all)}, tmp_path).costs == {}


def test_more_may_be_asked_for_later_and_only_what_is_new_is_read(tmp_path):
    read(Column("base", Fake(), RUN), SAMPLES, tmp_path, More(probe=2))
    reader = Fake()
    found = read(Column("base", reader, RUN), SAMPLES, tmp_path, More(probe=4, robust=1))
    assert reader.given == [2, 1, 1, 57]
    assert [p.id for p in found.again] == [s.id for s in draw(SAMPLES, 4)]
    assert {name: run.n for name, run in read_runs(tmp_path).items()} == {
        "base": 5, "base.again": 4, "base.alone": 4, "base.robust": 57}
    with pytest.raises(UserError, match="not among the samples"):
        read(Column("base", reader, RUN), SAMPLES, tmp_path, More(probe=2))


def with_more_of(readings: dict[str, Readings], folder: Path):
    from latexocr.bench.judge import evaluate

    report = evaluate(SAMPLES, {name: one.all for name, one in readings.items()}, {})
    return with_more(report, SAMPLES, readings, read_runs(folder), More(probe=3, robust=2), 3.6)


def test_speed_is_that_of_the_reader_without_its_first_batches(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("latexocr.bench.cost.perf_counter", lambda: clock[0])

    class SlowStart(Fake):
        def read(self, samples):
            for i, prediction in enumerate(super().read(samples)):
                clock[0] += 5.0 if i == 0 else 0.25
                yield prediction

    watch = Stopwatch(SlowStart(), 1)
    list(watch.read([Sample(str(i), picture(0), "x") for i in range(40)]))
    speed = watch.speed()
    counted = 40 - WINDOW
    assert (speed["pictures"], speed["warm_up"], speed["tokens"], speed["at_once"]) == (counted, WINDOW, 3 * counted, 1)
    assert (speed["seconds"], speed["p50_s"], speed["p95_s"]) == (0.25 * counted, 0.25, 0.25)
    found = cost(replace(RUN, provenance=({"speed": None}, {"speed": speed})), None, 3600)
    assert found.pictures_per_s == pytest.approx(counted / speed["seconds"]) and found.alone_p50_s is None
    assert found.tokens_per_s == pytest.approx(3 * found.pictures_per_s)
    assert found.dollars_per_1000 == pytest.approx(1000 / found.pictures_per_s)
    assert found.memory_mb is None or 50 < found.memory_mb < 20_000


def test_few_pictures_are_measured_from_the_first_and_none_give_no_speed():
    watch = Stopwatch(Fake(pause=0.01), 16)
    list(watch.read(SAMPLES))
    assert watch.speed()["warm_up"] == 0 and watch.speed()["pictures"] == 5 and watch.speed()["seconds"] > 0.05
    assert Stopwatch(Fake(), 1).speed() is None
    assert cost(RUN, None, None) is None


def test_of_several_at_once_only_a_server_knows_how_long_one_took():
    batches, server = Fake(), Fake()
    server.latency = Latency()
    for seconds in (1, 2, 2, 2, 40):
        server.latency.add(seconds)
    speeds = {}
    for name, reader in (("batches", batches), ("server", server)):
        deferred = Deferred(lambda reader=reader: reader)
        assert deferred.latency is None, "nothing is loaded for a question"
        watch = Stopwatch(deferred, 4)
        list(watch.read(SAMPLES))
        speeds[name] = watch.speed()
    assert "p50_s" not in speeds["batches"]
    assert (speeds["server"]["p50_s"], speeds["server"]["p95_s"]) == pytest.approx((2, 40), rel=0.01)
    found = cost(replace(RUN, model="http://a/v1", provenance=({"speed": speeds["server"]},)), None, None)
    assert found.p95_s == pytest.approx(40, rel=0.01)


def test_a_server_tells_nothing_of_its_memory():
    speed = {"pictures": 9, "tokens": 0, "seconds": 3.0, "at_once": None, "p50_s": 1, "p95_s": 2, "memory_mb": 100,
             "gpu_memory_mb": None}
    found = cost(replace(RUN, model="http://127.0.0.1:1/v1", provenance=({"speed": speed},)), None, None)
    assert (found.memory_mb, found.tokens_per_s, found.dollars_per_1000, found.pictures_per_s) == (None, None, None, 3)


WORKER = """
import sys, time
from pathlib import Path
from latexocr.bench.readings import Column, More, read
sys.path.insert(0, sys.argv[2])
from test_readings import RUN, SAMPLES, Fake
read(Column("base", Fake(pause=0.004), RUN), SAMPLES, Path(sys.argv[1]), More(probe=4, robust=2))
"""


def test_readings_killed_at_any_moment_continue_and_end_as_undisturbed(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    command = [sys.executable, "-c", WORKER, str(killed), str(Path(__file__).parent)]
    for target in (3, 11, 60):
        worker = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while worker.poll() is None and lines(killed) < target and time.monotonic() < deadline:
            time.sleep(0.001)
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        assert lines(killed) >= target
    subprocess.run(command, check=True, capture_output=True)
    read(Column("base", Fake(), RUN), SAMPLES, whole, More(probe=4, robust=2))
    names = [f"predictions-base{kind}.jsonl" for kind in ("", ".again", ".alone", ".robust")]
    assert sorted(path.name for path in killed.iterdir()) == sorted([*names, "run.json"])
    for name in names:
        assert (killed / name).read_bytes() == (whole / name).read_bytes()


def lines(folder: Path) -> int:
    return sum(path.read_bytes().count(b"\n") for path in folder.glob("*.jsonl")) if folder.exists() else 0


@pytest.fixture
def data(tmp_path, monkeypatch) -> Path:
    """A folder of five samples, and predictions files of anybody: right, and with one wrong answer or another order."""
    monkeypatch.chdir(tmp_path)
    write_samples(Path("data"), SAMPLES)
    for name, wrong in (("right", ()), ("one", ("s1",)), ("two", ("s1", "s2"))):
        write_predictions(Path(f"{name}.jsonl"), reversed(list(Fake(wrong).read(load("data")))))
    return tmp_path


def test_any_number_of_columns_each_against_the_base(data, capsys):
    command = ["bench", "--data", "data", "--base", "one.jsonl", "--tuned", "right.jsonl", "--model", "other=two.jsonl",
               "same=one.jsonl", "--out", "o"]
    assert cli.main(command) == 0
    out = capsys.readouterr().out
    report = json.loads(Path("o/report.json").read_text())
    assert list(report["scores"]) == ["base", "tuned", "other", "same"]
    assert list(report["comparisons"]) == ["tuned", "other", "same"]
    deltas = {name: next(c["delta"] for c in compared if c["metric"] == HEADLINE)
              for name, compared in report["comparisons"].items()}
    assert deltas == pytest.approx({"tuned": 0.2, "other": -0.2, "same": 0})
    assert "base and same: 0 of 5 answers spelled otherwise; of 0 only one is right." in out
    assert max(map(len, out.splitlines())) < 130 or "Exact match" in max(out.splitlines(), key=len)
    assert [line.split()[0] for line in out.splitlines()[1:5]] == ["base", "tuned", "other", "same"]
    assert cli.main(command) == 0 and capsys.readouterr().out == out


def test_a_real_model_is_read_again_alone_and_damaged(data, tiny_model, capsys):
    """A random model: nothing is right, but every picture goes the whole way, damaged ones too."""
    command = ["bench", "--data", "data", "--base", str(tiny_model), "--model", "right=right.jsonl", "--probe", "3",
               "--robust", "1", "--max-tokens", "3", "--dollars-per-hour", "1", "--out", "o"]
    assert cli.main(command) == 0
    out = capsys.readouterr().out
    report = json.loads(Path("o/report.json").read_text())
    noise, costs = report["noise"]["base"], report["costs"]["base"]
    assert list(report["noise"]) == list(report["costs"]) == ["base"] and noise["n"] == 3
    assert costs["at_once"] == BATCH and costs["alone_p50_s"] > 0 and costs["p50_s"] is None
    assert costs["dollars_per_1000"] == pytest.approx(1000 / 3600 / costs["pictures_per_s"])
    hurt = read_predictions(Path("o/predictions-base.robust.jsonl"))
    assert len(hurt) == 57 and not [p for p in hurt if p.stop == "error"]
    assert "damage: exact match" in out and "$/1,000" in out and "one at a time" in out
    starts = json.loads(Path("o/run.json").read_text())
    assert set(starts) == {"base", "base.again", "base.alone", "base.robust", "right"}
    assert cli.main(command) == 0 and capsys.readouterr().out == out, "scored again, not read again"


@pytest.mark.skipif(shutil.which("latex") is None, reason="needs TeX")
def test_drawings_are_scored_and_compared_where_asked_for(data, capsys):
    command = ["bench", "--data", "data", "--base", "two.jsonl", "--tuned", "right.jsonl", "--out", "o", "--layout"]
    assert cli.main(command) == 0
    report = json.loads(Path("o/report.json").read_text())
    same = {name: next(s["value"] for s in scores if s["metric"] == "layout_same")
            for name, scores in report["scores"].items()}
    assert same == {"base": pytest.approx(0.6), "tuned": 1}
    assert [c["metric"] for c in report["comparisons"]["tuned"]] == [s["metric"] for s in report["scores"]["base"]]
    assert report["comparisons"]["tuned"][-1]["delta"] == pytest.approx(0.4)
    assert "layout same ↑ %" in capsys.readouterr().out


def test_the_help_says_how_often_a_picture_is_damaged(capsys):
    with pytest.raises(SystemExit):
        cli.main(["bench", "--help"])
    said = " ".join(capsys.readouterr().out.replace("│", " ").split())
    kinds, strengths = len(DEGRADATIONS), len(STRENGTHS)
    assert f"each of {kinds} kinds of damage at three strengths: {kinds * strengths} times" in said and strengths == 3


@pytest.mark.parametrize(("model", "said"), [
    ("two.jsonl", "expected NAME=WHAT"), ("a/b=two.jsonl", "expected NAME=WHAT"), ("a=", "expected NAME=WHAT"),
    ("base=two.jsonl", "a column 'base' already"), ("Base=two.jsonl", "a column 'Base' already"),
    ("a=gone.jsonl", "gone.jsonl: no such predictions file"), ("a=gone", "gone"),
])
def test_a_column_that_is_none_is_one_line(data, capsys, model, said):
    assert cli.main(["bench", "--data", "data", "--base", "one.jsonl", "--model", model, "--out", "o"]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert said in error and error.startswith("latexocr: ")


@pytest.mark.parametrize(("field", "value", "said"), [
    ("confidence", float("nan"), "'confidence' is NaN; expected a number from 0 to 1"), ("confidence", -3.2, "0 to 1"),
    ("confidence", 87, "0 to 1"), ("confidence", "high", "0 to 1"), ("confidence", True, "0 to 1"),
    ("latex", None, "'latex' is null; expected a string"), ("latex", 3, "expected a string"),
    ("id", 3, "expected a string"), ("id", ["a"], "expected a string"), ("stop", "eos", "one of end, length, error"),
    ("stop", ["end"], "one of end"), ("tokens", "many", "a number of tokens"), ("tokens", -1, "a number of tokens"),
    ("error", 5, "a string"),
])
def test_a_field_that_is_none_is_one_line(data, capsys, field, value, said):
    rows = [{**json.loads(line), field: value} for line in Path("one.jsonl").read_text().splitlines()]
    Path("odd.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert cli.main(["bench", "--data", "data", "--base", "odd.jsonl", "--out", "o"]) == 2
    error = capsys.readouterr().err.splitlines()
    assert said in error[-1] and error[-1].startswith("latexocr: odd.jsonl:1: ")


def test_fields_of_others_may_be_null(data):
    rows = [{**json.loads(line), "reply": None, "error": None, "stop": None, "confidence": None, "tokens": None}
            for line in Path("one.jsonl").read_text().splitlines()]
    Path("null.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert cli.main(["bench", "--data", "data", "--base", "null.jsonl", "--out", "o"]) == 0


@pytest.mark.parametrize(("option", "said"), [
    (["--limit", "0"], "--limit 0: expected at least 1"), (["--probe", "-1"], "--probe -1: expected at least 1"),
    (["--robust", "0"], "--robust 0: expected"), (["--dollars-per-hour", "nan"], "nan: expected 0 or more"),
])
def test_a_number_that_means_nothing_is_refused_before_anything_is_read(data, capsys, option, said):
    assert cli.main(["bench", "--data", "data", "--base", "one.jsonl", "--out", "o", *option]) == 2
    assert said in capsys.readouterr().err and not Path("o").exists()


def suite(name: str, **fields) -> Path:
    path = Path(f"{name}.json")
    path.write_text(json.dumps({"name": name, "source": "data", "citation": "", **fields}))
    return path


@pytest.mark.parametrize("tuned", ["gone.jsonl", "short.jsonl", "gone"])
def test_a_bad_column_is_refused_before_the_first_is_read(data, tuned):
    """Reading may take hours."""
    Path("short.jsonl").write_text(Path("one.jsonl").read_text().split("\n", 1)[1])
    assert cli.main(["bench", "--data", "data", "--base", "one.jsonl", "--tuned", tuned, "--out", "o"]) == 2
    assert not Path("o").exists()


def test_a_suite_is_its_data_checked(data, capsys, monkeypatch):
    digest = content_hash(load("data"))
    command = ["bench", "--base", "one.jsonl", "--data"]
    assert cli.main([*command, str(suite("good", n=5, sha256=digest)), "--out", "o"]) == 0
    monkeypatch.setattr("latexocr.bench.suites.FOLDER", data)
    assert cli.main([*command, "suite:good", "--limit", "3", "--out", "p"]) == 0
    suite("moved", source="nowhere", n=5, sha256=digest)
    assert cli.main([*command, "suite:moved=data", "--out", "q"]) == 0
    for fields, said in (({"n": 6}, "found 5 samples, expected 6"), ({"sha256": "0" * 64}, f"found sha256 {digest}"),
                         ({"source": None}, "'name' and 'source' are needed"),
                         ({"n": "5"}, "'n' is a number"), ({"sha256": 5}, "'sha256' a string")):
        suite("bad", **fields)
        assert cli.main([*command, "suite:bad", "--out", "o"]) == 2
        assert said in capsys.readouterr().err
    for content in ("{", "[]", "3", "[" * 100_000):
        Path("broken.json").write_text(content)
        assert cli.main([*command, "suite:broken", "--out", "o"]) == 2
        assert "not the file of a suite" in capsys.readouterr().err
    assert cli.main([*command, "suite:none", "--out", "o"]) == 2
    assert "suite:none: no such suite. There are: bad, broken, good, moved" in capsys.readouterr().err


def test_our_own_suites_are_suites_and_other_data_is_none():
    names = sorted(path.stem for path in FOLDER.glob("*.json"))
    assert "crohme_2014" in names and all(suite_of(f"suite:{name}").name == name for name in names)
    assert suite_of("data") is None and suite_of("gone.json") is None
    with pytest.raises(UserError, match="no such suite"):
        suite_of("suite:../../x")
