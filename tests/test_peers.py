"""The peer's reader, against a worker of the test's own: order, failures, a worker that dies or does not start."""

from __future__ import annotations

import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from latexocr.bench.run import predict
from latexocr.data.write import write_samples
from latexocr.errors import UserError
from latexocr.records import Sample

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
sys.path.append(str(BENCHMARKS))  # where a script finds its neighbours
spec = importlib.util.spec_from_file_location("peers", BENCHMARKS / "peers.py")
peers = sys.modules["peers"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(peers)

WORKER = """
import base64, io, json, os, sys, time
from PIL import Image

weights, decoding, threads = sys.argv[1:]
print("ready", flush=True)
for line in sys.stdin:
    answers = []
    for png in json.loads(line):
        width, height = Image.open(io.BytesIO(base64.b64decode(png))).size
        if width == 77:
            os._exit(3)
        while width == 60 and time.process_time() < 1:
            pass
        answers.append({"error": "too wide"} if width > 200 else
                       {"latex": f"{width},{height},{decoding}", "tokens": int(threads), "stop": "end"})
    print(json.dumps(answers), flush=True)
"""


def sample(id: str, width: int = 40, height: int = 30) -> Sample:
    image = Image.new("L", (width, height), 255)
    ImageDraw.Draw(image).rectangle((10, 10, width - 11, height - 11), fill=0)
    return Sample(id, image, id)


@pytest.fixture
def worker(tmp_path, monkeypatch) -> peers.Worker:
    script = tmp_path / "worker.py"
    script.write_text(WORKER, encoding="utf-8")
    monkeypatch.setattr(peers, "WORKER", script)
    (tmp_path / "weights.pth").touch()
    return peers.Worker(Path(sys.executable), tmp_path / "weights.pth", "cached", 1)


def test_each_picture_has_one_answer_in_order(worker):
    samples = [sample("a"), Sample("blank", Image.new("L", (40, 30), 255)), sample("wide", 300), sample("b", 50),
               Sample("lost", Path("lost.png"))]
    said = list(peers.Pix2tex(worker, 0, batch_size=2).read(samples))
    assert [p.id for p in said] == ["a", "blank", "wide", "b", "lost"]
    assert [p.latex for p in said] == ["40,30,cached", "", "", "50,30,cached", ""]
    assert [p.stop for p in said] == ["end", "error", "error", "end", "error"]
    assert "no ink" in said[1].error and said[2].error == "too wide" and "lost.png" in said[4].error
    assert said[0].reply == said[0].latex and said[0].tokens == 1


@pytest.mark.parametrize("glyph_height", [10, 20])
def test_a_picture_is_brought_to_the_glyph_height(worker, glyph_height):
    """The only symbol is the bar of 80 x 20 pixels in the middle, cropped to its ink."""
    [said] = peers.Pix2tex(worker, glyph_height).read([sample("a", 100, 40)])
    assert said.latex == f"{4 * glyph_height},{glyph_height},cached"


def test_a_worker_that_dies_of_a_picture_is_started_again_for_the_others(worker, tmp_path):
    samples = [sample("a"), sample("deadly", 77), sample("b", 50)]
    said = predict(peers.Pix2tex(worker, 0), samples, tmp_path / "predictions.jsonl")
    assert [p.latex for p in said] == ["40,30,cached", "", "50,30,cached"]
    assert "exit code 3" in said[1].error


@pytest.mark.parametrize("python, weights, words", [
    ("no/python", "weights.pth", "no/python: does not start"),
    ("false", "weights.pth", "pix2tex does not start there"),
    ("python", "no.pth", "no.pth: no such file; expected pix2tex's checkpoint"),
])
def test_what_is_missing_is_said_in_one_line(worker, tmp_path, python, weights, words):
    program = {"false": Path("/bin/false"), "python": Path(sys.executable)}.get(python, Path(python))
    reader = peers.Pix2tex(peers.Worker(program, tmp_path / weights, "cached", 1), 0)
    with pytest.raises(UserError) as error:
        list(reader.read([sample("a")]))
    assert words in str(error.value) and "\n" not in str(error.value)


def test_a_read_can_be_killed_and_goes_on_and_a_second_size_is_another_run(worker, tmp_path, capsys):
    data = write_samples(tmp_path / "data", [sample("a"), sample("b", 50)]).parent
    options = {"python": worker.python, "weights": worker.weights, "data": str(data), "out": tmp_path / "run"}
    peers.Read(**options, glyph_height=10).run()
    predictions = tmp_path / "run" / "predictions-pix2tex.jsonl"
    whole = predictions.read_bytes()
    predictions.write_bytes(whole[:len(whole) // 2])
    peers.Read(**options, glyph_height=10).run()
    assert predictions.read_bytes() == whole
    assert json.loads((tmp_path / "run" / "run.json").read_text())["pix2tex"]["settings"]["glyph_height"] == 10
    with pytest.raises(UserError, match="glyph_height is 12 here and 10 there"):
        peers.Read(**options, glyph_height=12).run()


def test_sizes_are_scored_each_and_recorded(worker, tmp_path, capsys):
    data = write_samples(tmp_path / "data", [replace(sample("a", 100, 40), latex="40,10,cached"),
                                             replace(sample("b", 100, 40), latex="80,20,cached"),
                                             replace(sample("c", 100, 40), latex="80,20,cached")]).parent
    peers.Size(python=worker.python, weights=worker.weights, data=str(data), out=tmp_path / "size",
               heights=(10, 20)).run()
    found = json.loads((tmp_path / "size" / "size.json").read_text())["sizes"]
    assert [(row["glyph_height"], row["n"], row["exact_visual"].split()[0]) for row in found] == [
        (10, 3, "33.3"), (20, 3, "66.7")]


def test_speeds_are_compared_with_the_first_and_answers_with_the_shipped_ones():
    rows = [{"latexocr": (0.2, 0.2, ["a", "b"]), "pix2tex": (2.0, 1.0, ["x", "y"]),
             "pix2tex, cached, together": (1.0, 0.4, ["x", "y"])},
            {"latexocr": (0.4, 0.1, ["c"]), "pix2tex": (4.0, 0.5, ["z"]),
             "pix2tex, cached, together": (0.8, 0.5, ["?"])}]
    assert peers.summary(rows) == {
        "n": 3, "clock_seconds": {"latexocr": 0.2, "pix2tex": 2.0, "pix2tex, cached, together": 0.6},
        "times_clock": {"latexocr": 1.0, "pix2tex": 10.0, "pix2tex, cached, together": 3.0},
        "processor_seconds": {"latexocr": 0.1, "pix2tex": 0.5, "pix2tex, cached, together": 0.3},
        "times_processor": {"latexocr": 1.0, "pix2tex": 5.0, "pix2tex, cached, together": 3.0},
        "answers_that_the_cache_changes": 1}


def test_the_time_of_a_worker_is_counted(worker):
    """The worker of this picture computes until its process has had a second of the processor."""
    clock, processor, said = peers.timed(peers.Pix2tex(worker, 0), [sample("a", 60)])
    assert said == ["60,30,cached"] and clock > 0.5 and processor > 0.9
