"""Transcribing into a folder: streams, continues, refuses what does not belong together; and the verb around it."""

from __future__ import annotations

import contextlib
import json
import os
import time
import tracemalloc
from pathlib import Path

import pytest
from PIL import Image
from servers import Server, said, serving

from latexocr import cli
from latexocr.bench import transcripts
from latexocr.bench.folder import Run
from latexocr.bench.transcripts import picture_digest, transcribe, write_page
from latexocr.cli import options
from latexocr.errors import UserError
from latexocr.records import Prediction, Sample, failure, read_predictions

URL = "http://127.0.0.1:9/v1"
RUN = Run("m", "d", "", {})


class Fake:
    """Answers with the picture's name, as sure as it is told to be."""

    def __init__(self, confidence: dict[str, float | None] | None = None) -> None:
        self.asked: list[str] = []
        self.confidence = confidence or {}

    def read(self, samples):
        for sample in samples:
            self.asked.append(sample.id)
            yield failure(sample, "not a picture") if "broken" in sample.id else Prediction(
                sample.id, f"x_{{{sample.id}}}", tokens=3, confidence=self.confidence.get(sample.id, 0.95))


def listing(*ids: str):
    return lambda: (Sample(id, Path("/none") / id) for id in ids)


def ids(out: Path) -> list[str]:
    return [p.id for p in read_predictions(out / "results.jsonl")]


def test_the_reader_is_loaded_only_where_something_is_to_be_read(tmp_path):
    reader = Fake()
    done = transcribe(lambda: reader, listing("a", "b"), tmp_path, RUN)
    assert (done.n, done.read, done.failures, done.tokens, ids(tmp_path)) == (2, 2, 0, 6, ["a", "b"])
    done = transcribe(lambda: pytest.fail("loaded"), listing("a", "b"), tmp_path, RUN)
    assert (done.n, done.read, done.failures) == (2, 0, 0)


@pytest.mark.parametrize(("later", "asked"), [
    ("abc", "c"), ("xab", "x"), ("axb", "x"), ("ba", ""), ("bxa", "x"), ("xaybz", "xyz"),
])
def test_what_came_since_is_read_and_all_is_in_the_order_of_the_listing(tmp_path, later, asked):
    transcribe(Fake, listing(*"ab"), tmp_path, RUN)
    before = {p.id: p for p in read_predictions(tmp_path / "results.jsonl")}
    reader = Fake()
    transcribe(lambda: reader, listing(*later), tmp_path, RUN)
    assert reader.asked == list(asked) and ids(tmp_path) == list(later)
    after = {p.id: p for p in read_predictions(tmp_path / "results.jsonl")}
    assert {id: after[id] for id in before} == before


def test_failures_are_read_again_on_request_in_their_places(tmp_path):
    transcribe(Fake, listing("a", "broken", "c"), tmp_path, RUN)
    reader = Fake()
    assert transcribe(lambda: reader, listing("a", "broken", "c"), tmp_path, RUN).failures == 1 and reader.asked == []
    again = transcribe(lambda: reader, listing("a", "broken", "c"), tmp_path, RUN, retry_errors=True)
    assert (again.failures, again.read, reader.asked, ids(tmp_path)) == (1, 1, ["broken"], ["a", "broken", "c"])


@pytest.mark.parametrize(("second", "said"), [
    ("a", "'b' not among the samples"), ("aba", "'a' is named twice"), ("ac", "'b' not among"),
])
def test_what_does_not_belong_together_is_refused_and_left_as_it_was(tmp_path, second, said):
    transcribe(Fake, listing(*"ab"), tmp_path, RUN)
    before = (tmp_path / "results.jsonl").read_bytes()
    with pytest.raises(UserError, match=said):
        transcribe(Fake, listing(*second), tmp_path, RUN)
    assert (tmp_path / "results.jsonl").read_bytes() == before


@pytest.fixture
def picture(tmp_path) -> Path:
    path = tmp_path / "in/a.png"
    path.parent.mkdir()
    Image.new("L", (8, 8), 255).save(path)
    return path


def lone(picture: Path):
    return lambda: iter([Sample("a", picture)])


def test_a_picture_that_is_another_now_is_refused_also_where_it_is_older(tmp_path, picture):
    transcribe(Fake, lone(picture), tmp_path / "o", RUN)
    Image.new("L", (9, 9), 255).save(picture)
    os.utime(picture, (1, 1))
    with pytest.raises(UserError, match="results of another 'a'"):
        transcribe(Fake, lone(picture), tmp_path / "o", RUN)


def test_a_picture_that_was_copied_is_the_same(tmp_path, picture):
    transcribe(Fake, lone(picture), tmp_path / "o", RUN)
    content = picture.read_bytes()
    picture.unlink()
    time.sleep(0.01)
    picture.write_bytes(content)
    assert transcribe(lambda: pytest.fail("loaded"), lone(picture), tmp_path / "o", RUN).read == 0
    assert json.loads((tmp_path / "o/results.jsonl").read_text())["picture"] == picture_digest(Sample("a", picture))


def test_pictures_untouched_since_the_start_are_not_looked_into_again(tmp_path, picture, monkeypatch):
    transcribe(Fake, lone(picture), tmp_path / "o", RUN)
    record = json.loads((tmp_path / "o/run.json").read_text())
    record["results"]["provenance"][0]["started"] = "2999-01-01T00:00:00+00:00"
    (tmp_path / "o/run.json").write_text(json.dumps(record))
    monkeypatch.setattr(transcripts, "picture_digest", lambda sample: pytest.fail("looked into"))
    transcribe(Fake, lone(picture), tmp_path / "o", RUN)


def test_memory_does_not_grow_with_the_pictures(tmp_path):
    """Of what a transcription holds at most, a picture has its place in an index, and nothing else."""
    most = {}
    for n in (500, 4_500):
        names = lambda n=n: (Sample(f"{i:06d}.png", Path("/none")) for i in range(n))  # noqa: E731
        for again in (False, True):
            tracemalloc.start()
            transcribe(Fake, names, tmp_path / str(n), RUN)
            most[n, again] = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
    for again in (False, True):
        assert (most[4_500, again] - most[500, again]) / 4_000 < 200


def test_a_page_links_to_pictures_whatever_their_names(tmp_path, monkeypatch):
    monkeypatch.setattr(transcripts, "EMBEDDED", 0)
    sample = Sample("a", tmp_path / os.fsdecode(b"50 %\xe9.png"))
    assert 'src="50%20%25%E9.png"' in transcripts.page([sample], [Prediction("a", "x")], RUN, tmp_path)


def test_the_page_shows_the_first_pictures(tmp_path, monkeypatch):
    monkeypatch.setattr(transcripts, "ON_PAGE", 3)
    done = transcribe(Fake, listing(*"abcdef"), tmp_path, RUN)
    write_page(tmp_path / "p.html", listing(*"abcdef"), done, RUN)
    page = (tmp_path / "p.html").read_text()
    assert "x_{c}" in page and "x_{d}" not in page


# The verb

@pytest.fixture
def fake(monkeypatch) -> Fake:
    reader = Fake({"b.png": 0.8996, "c.png": None})
    monkeypatch.setattr(options, "load", lambda model, generate, loading: reader)
    return reader


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    for i, name in enumerate(("a.png", "b.png", "c.png")):
        Image.new("L", (20 + i, 20), 255).save(f"in/{name}")
    return tmp_path


def run(*arguments: object) -> int:
    return cli.main(["transcribe", *map(str, arguments), "--model", URL])


@pytest.mark.parametrize(("ending", "inside"), [
    (".jsonl", '{"id": "a.png", "latex": "x_{a.png}"'), (".csv", "a.png,x_{a.png},0.9500,end,3,"),
    (".md", "## `a.png`\n\n$$x_{a.png}$$"), (".tex", r"\[x_{a.png}\]"), (".mml", '<formula id="a.png"><math'),
    (".html", "<!doctype html>"),
])
def test_the_ending_of_out_chooses_the_format(fake, place, ending, inside, capsys):
    for _ in range(2):
        assert run("in", "--out", f"o{ending}") == 0
    assert inside in Path(f"o{ending}").read_text() and fake.asked == ["a.png", "b.png", "c.png"]
    assert {path.name for path in place.iterdir()} == {"in", f"o{ending}", f"o{ending}.run"}
    assert f"latexocr: o{ending}\n" in capsys.readouterr().err


def test_another_ending_is_a_folder(fake, place):
    assert run("in", "--out", "v1.2") == 0 and (place / "v1.2/results.html").is_file()


@pytest.mark.parametrize(("wrap", "latex"), [
    ("auto", "x_{a.png}"), ("inline", "$x_{a.png}$"), ("display", r"\[x_{a.png}\]")])
def test_one_picture_is_printed_as_it_can_be_piped(fake, place, wrap, latex, capsys):
    assert run("in/a.png", "--wrap", wrap) == 0
    out, err = capsys.readouterr()
    assert out == latex + "\n" and err == "" and os.listdir(place) == ["in"]


def test_one_picture_that_fails_prints_nothing_into_the_pipe(fake, place, capsys):
    Path("broken.png").write_bytes(b"")
    assert run("broken.png") == 1
    assert capsys.readouterr() == ("", "latexocr: broken.png: not a picture\n")


@pytest.mark.parametrize("words", [["in/a.png"], ["in", "--out", "o"]])
def test_a_full_disk_behind_standard_output_is_one_line_and_loses_nothing(fake, place, monkeypatch, capsys, words):
    with open("/dev/full", "w", buffering=1) as full, monkeypatch.context() as patched:
        patched.setattr("sys.stdout", full)
        code = run(*words)
        with contextlib.suppress(OSError):
            full.close()
    assert code == 2
    assert capsys.readouterr().err == "latexocr: Standard output cannot be written to (No space left on device).\n"
    if "o" in words:
        assert ids(Path("o")) == ["a.png"]  # what was read before it was shown


def test_a_name_is_one_field_of_one_line(fake, place, capsys):
    os.rename("in/b.png", "in/b\tc\nd.png")
    assert run("in", "--out", "o") == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("b\\tc\\nd.png\tx_{")


def test_lists_give_what_they_name(fake, place, capsys):
    Path("list.txt").write_text("in/b.png\nin/a.png\n")
    assert run("list.txt", "--wrap", "inline") == 0
    assert capsys.readouterr().out == "in/b.png\t$x_{in/b.png}$\nin/a.png\t$x_{in/a.png}$\n"


def test_unsure_answers_are_left_for_a_person(fake, place, capsys):
    """Not printed and named; kept in the results; marked on the page; another threshold reads nothing again."""
    assert run("in", "--out", "o", "--min-confidence", "0.9") == 0
    out, err = capsys.readouterr()
    assert out == "a.png\tx_{a.png}\n" and ids(Path("o")) == ["a.png", "b.png", "c.png"]
    for line in ("latexocr: b.png: confidence 0.8996, below 0.9: for review", "latexocr: 2 of 3 answers for review",
                 "latexocr: c.png: no confidence, below 0.9: for review"):
        assert line in err.splitlines()
    assert Path("o/results.html").read_text().count('data-kinds="unsure"') == 1
    assert run("in", "--out", "o", "--min-confidence", "0.5") == 0 and len(fake.asked) == 3
    assert Path("o/results.html").read_text().count('data-kinds="unsure"') == 0


def test_one_unsure_answer_is_not_printed(fake, place, capsys):
    assert run("in/b.png", "--min-confidence", "0.9") == 0
    out, err = capsys.readouterr()
    assert out == "" and err == "latexocr: b.png: confidence 0.8996, below 0.9: for review\n"


@pytest.mark.parametrize("value", ["1.5", "-0.1", "nan"])
def test_a_confidence_that_is_none_is_refused(fake, place, value, capsys):
    assert run("in", "--min-confidence", value) == 2
    assert "it must be between 0 and 1" in capsys.readouterr().err


def test_the_last_line_says_how_fast_it_was(place, capsys, monkeypatch):
    """Through a server: pictures, errors, speed, percentiles of the answers, tokens."""
    for i, name in enumerate(("a.png", "b.png", "c.png")):
        drawn = Image.new("L", (60, 30), 255)
        drawn.paste(0, (10, 8, 20 + 5 * i, 20))
        drawn.save(f"in/{name}")
    Path("in/broken.png").write_bytes(b"")
    with serving(Server(lambda *_: said("x"))) as server:
        assert cli.main(["transcribe", "in", "--out", "o", "--model", server.url]) == 1
    err = capsys.readouterr().err
    assert any(line.startswith("latexocr: 4 pictures, errors: 1, ") and "(p50)" in line and line.endswith("tokens/s")
               for line in err.splitlines())


def test_the_key_is_nowhere(place, capfd, monkeypatch):
    """Neither on the screen nor in any file, also where the server repeats it; a server that is asked has it."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    drawn = Image.new("L", (60, 30), 255)
    drawn.paste(0, (10, 8, 20, 20))
    for name in ("a.png", "b.png", "c.png"):
        drawn.save(f"in/{name}")
    answers = [said("sk"), (400, {"error": "sk-very-secret is not allowed"}, {})]
    with serving(Server(lambda _, number: answers[number > 0])) as server:
        for out in ("o", "o.csv", "o.tex"):
            assert cli.main(["transcribe", "in", "--out", out, "--model", server.url]) in (0, 1)
    assert set(server.keys) == {"Bearer sk-very-secret"}
    shown = "".join(capfd.readouterr())
    assert "***" in shown and "very-secret" not in shown
    for path in place.rglob("*"):
        assert not path.is_file() or b"very-secret" not in path.read_bytes(), path
