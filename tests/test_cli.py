"""The command line: results on stdout, one line for what the user can fix, exit codes, and runs that continue."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from latexocr import cli
from latexocr.cli import options, scores
from latexocr.cli.options import Verb
from latexocr.records import Prediction, failure, read_predictions

URL = "http://127.0.0.1:9/v1"
"""Named as the model, so that nothing is loaded; the reader is the fake below."""


class Fake:
    """Answers with the name of the picture; cannot read what is named "broken"."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def read(self, samples):
        for sample in samples:
            self.asked.append(sample.id)
            broken = "broken" in sample.id
            yield failure(sample, "not a picture") if broken else Prediction(sample.id, f"x_\n\t{{{sample.id}}}")


@pytest.fixture
def fake(monkeypatch) -> Fake:
    reader = Fake()
    monkeypatch.setattr(options, "load", lambda model, generate, loading: reader)
    return reader


@pytest.fixture
def pictures(tmp_path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i, name in enumerate(("a.png", "b.png", "c.jpg")):
        picture = Image.new("L", (40 + i, 20), 255)
        picture.paste(0, (8, 8, 14 + 5 * i, 12))
        picture.save(folder / name)
    return folder


def run(*arguments: object) -> int:
    return cli.main([str(argument) for argument in arguments])


def command(*arguments: object, **options: object) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-m", "latexocr.cli", *map(str, arguments)], text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


def test_transcribe_prints_name_and_latex_and_writes_lines_and_page(fake, pictures, tmp_path, capsys):
    assert run("transcribe", pictures, "--model", URL, "--out", tmp_path / "out") == 0
    assert capsys.readouterr().out == "a.png\tx_ {a.png}\nb.png\tx_ {b.png}\nc.jpg\tx_ {c.jpg}\n"
    assert [p.id for p in read_predictions(tmp_path / "out" / "results.jsonl")] == ["a.png", "b.png", "c.jpg"]
    page = (tmp_path / "out" / "results.html").read_text()
    assert page.count("data:image/") == 3 and "x_\n\t{b.png}" in page and "<math" in page


def test_names_and_answers_do_not_steer_the_terminal(fake, pictures, tmp_path, capsys):
    (pictures / "\x1b[31m\u202f\n.png").write_bytes(b"")  # the second: a blank of macOS, which stays
    assert run("transcribe", pictures, "--model", URL, "--out", tmp_path / "out", "--min-confidence", "1") == 0
    err = capsys.readouterr().err
    assert "\\x1b[31m \\n.png: no confidence" in err and "\x1b" not in err
    assert run("transcribe", pictures, "--model", URL, "--out", tmp_path / "again") == 0
    out = capsys.readouterr().out
    assert out.startswith("\\x1b[31m\u202f\\n.png\tx_ {\\x1b[31m .png}\n") and "\x1b" not in out


def test_transcribe_again_reads_only_what_is_new(fake, pictures, tmp_path, capsys):
    arguments = ("transcribe", pictures, "--model", URL, "--out", tmp_path / "out")
    assert run(*arguments) == 0
    Image.new("L", (9, 9)).save(pictures / "aa.png")
    assert run(*arguments) == 0
    assert fake.asked == ["a.png", "b.png", "c.jpg", "aa.png"]
    assert [p.id for p in read_predictions(tmp_path / "out" / "results.jsonl")] == ["a.png", "aa.png", "b.png", "c.jpg"]


def test_transcribe_refuses_results_of_other_settings_or_pictures(fake, pictures, tmp_path, capsys):
    arguments = ("transcribe", pictures, "--model", URL, "--out", tmp_path / "out")
    assert run(*arguments) == 0
    before = (tmp_path / "out" / "results.jsonl").read_bytes()
    capsys.readouterr()
    assert run(*arguments, "--max-tokens", 7) == 2
    assert "max_tokens is 7 here and 512 there" in capsys.readouterr().err
    Image.new("L", (50, 50)).save(pictures / "b.png")
    assert run(*arguments) == 2
    assert "another 'b.png'" in capsys.readouterr().err
    (pictures / "b.png").unlink()
    assert run(*arguments) == 2
    assert "'b.png' not among" in capsys.readouterr().err
    assert (tmp_path / "out" / "results.jsonl").read_bytes() == before


def test_a_partial_failure_is_not_success_and_is_tried_again_on_request(fake, pictures, tmp_path, capsys):
    (pictures / "broken.png").write_bytes(b"no picture")
    arguments = ("transcribe", pictures, "--model", URL, "--out", tmp_path / "out")
    assert run(*arguments) == 1
    out, err = capsys.readouterr()
    assert "broken.png\t\n" in out and len(out.splitlines()) == 4
    assert err.splitlines()[-1].startswith("latexocr: 1 of 4 pictures could not be read")
    assert err.count("broken.png") == 1, "its path names it"
    assert "cannot be opened" in (tmp_path / "out" / "results.html").read_text()
    assert run(*arguments) == 1 and fake.asked.count("broken.png") == 1
    assert run(*arguments, "--retry-errors") == 1 and fake.asked.count("broken.png") == 2


def test_a_lone_picture_is_printed_and_equal_names_stay_apart(fake, pictures, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run("transcribe", "pictures/a.png", "--model", URL) == 0
    assert capsys.readouterr().out == "x_\n\t{a.png}\n" and os.listdir(tmp_path) == ["pictures"]
    (tmp_path / "more").mkdir()
    Image.new("L", (5, 5)).save("more/a.png")
    assert run("transcribe", "pictures/a.png", "more", "--model", URL) == 0
    assert [line.split("\t")[0] for line in capsys.readouterr().out.splitlines()] == ["pictures/a.png", "more/a.png"]
    assert {"results.jsonl", "results.html"} < set(os.listdir(tmp_path))


@pytest.mark.parametrize(("arguments", "message"), [
    (["transcribe"], "no pictures given"),
    (["transcribe", ""], "a name without letters is given"),
    (["transcribe", "nowhere"], "nowhere: not found"),
    (["transcribe", "long" * 2000], "longlong: not found"),
    (["transcribe", "long" * 2000 + ".png"], "longlong.png: not found"),
    (["transcribe", "p.png", "--out", "o.txt"], "--out o.txt: found .txt, expected a file that ends in .jsonl, .csv, "),
    (["transcribe", "p.png", "--model", "127.0.0.1:8000/v1"], "A server's address begins with http:// or https://"),
    (["transcribe", "empty"], "empty: no pictures"),
    (["transcribe", "text.md"], "neither a folder"),
    (["transcribe", "p.png", "--model", "nowhere/at/all"], "no such folder"),
    (["transcribe", "p.png", "--model", "empty"], "not a model"),
    (["transcribe", "p.png", "--model", URL], "127.0.0.1:9"),
    (["transcribe", "p.png", "--model", URL, "--out", "text.txt"], "text.txt"),
    (["transcribe", "p.png", "--max-tokens", "0"], "max_tokens is 0; expected at least 1"),
    (["transcribe", "p.png", "--temperature", "nan"], "temperature is nan; expected 0 (greedy) or more"),
    (["bench", "--data", "p.png", "--out", "o", "--batch-size", "0"], "batch_size is 0; expected at least 1"),
    (["transkribe"], "no verb 'transkribe'"),
    (["data"], "no verb 'data'. There are: data convert, data audit, data typeset; "),
    (["score", "p.tex", "--data", "p.png", "--seed", "-1"], "--seed -1: expected at least 0"),
    (["score", "nowhere.jsonl", "--data", "p.png"], "nowhere.jsonl"),
    (["bench", "--data", "p.png", "--out", "o", "--base", "nowhere.jsonl"], "no such predictions file"),
    (["bench", "--data", "p.png", "--out", "o", "--limit", "0"], "at least 1"),
    (["export", "empty", "o"], "empty"),
    (["train", "--data", "p.png", "--model", "empty", "--out", "o"], "not a model"),
])
def test_what_a_user_can_fix_is_one_line_and_exit_code_2(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    Path("text.txt").write_text("x")
    Path("text.md").write_text("x")
    Image.new("L", (8, 8), 255).save("p.png")
    Path("p.tex").write_text("x")
    assert run(*arguments) == 2
    out, err = capsys.readouterr()
    *earlier, last = err.splitlines()
    assert out == "" and last.startswith("latexocr: ") and message in last
    assert not any("Traceback" in line for line in earlier)


def test_interruption_is_one_line(monkeypatch, capsys):
    def interrupted(options):
        raise KeyboardInterrupt

    monkeypatch.setitem(cli.VERBS, "score", Verb("", "", lambda: scores.Score, interrupted))
    assert run("score", "x", "--data", "y") == 130
    assert capsys.readouterr().err.strip().startswith("latexocr: interrupted")


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["help"]])
def test_help_shows_every_verb_with_an_example_and_fits_a_terminal(arguments, capsys):
    assert cli.main(arguments) == 0
    out = capsys.readouterr().out
    for name in cli.VERBS:
        assert re.search(rf"latexocr {name}( |$)", out, re.M)
    assert max(map(len, out.splitlines())) <= 100


@pytest.mark.parametrize("verb", list(cli.VERBS))
def test_help_of_a_verb_shows_its_example_and_defaults_and_explains_every_option(verb, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as left:
        cli.main([*verb.split(), "--help"])
    out = capsys.readouterr().out
    assert left.value.code == 0
    assert cli.VERBS[verb].example in " ".join(out.split())
    assert max(map(len, out.splitlines())) <= 80
    for name, field in cli.VERBS[verb].options().__dataclass_fields__.items():
        positional = "Positional" in str(field.type)
        assert positional or name in ("generate", "loading") or f"--{name.replace('_', '-')}" in out, name


def test_examples_parse(monkeypatch):
    """Every example shown is a command line that the verb accepts."""
    seen = []
    for name, verb in list(cli.VERBS.items()):
        monkeypatch.setitem(cli.VERBS, name, Verb(verb.summary, verb.example, verb.options,
                                                  lambda options: seen.append(options) or 0))
        assert cli.main(verb.example.split()[1:]) == 0
    assert [type(options) for options in seen] == [verb.options() for verb in cli.VERBS.values()]


@pytest.mark.parametrize("line", ["bench --data a --model x=y --out b --model z=y", "train --data=a --data b",
                                  "transcribe a --max_tokens 3 --max-tokens 4"])
def test_an_option_given_twice_is_refused(line, capsys):
    """Only the last would count: a column of a benchmark would be missing, in silence."""
    assert cli.main(line.split()) == 2
    assert "is given twice" in capsys.readouterr().err


def test_what_follows_two_dashes_may_repeat(monkeypatch):
    monkeypatch.setitem(cli.VERBS, "serve", dataclasses.replace(cli.VERBS["serve"], run=lambda options: 0))
    assert cli.main(["serve", "builtin", "--", "--lora", "a", "--lora", "b"]) == 0


@pytest.mark.parametrize("columns", ["40", "80", "200"])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.parametrize(("line", "said"), [
    ("transcribe x --modl y", "--modl, y. Perhaps you meant: --model STR. All options: latexocr transcribe --help"),
    ("bench", "--data STR, --out FOLDER. All options: latexocr bench --help"),
    ("data typeset --out o", "FILE. All options: latexocr data typeset --help"),
    ("transcribe x --wrap y", "'y' for argument '--wrap'. Expected one of ('auto', 'none', 'inline', 'dollars', "),
    ("bench --data a --out o --limit abc", "--limit: no type matching {None}|INT could be instantiated from ['abc']."),
    ("train --rank", "'--rank'. Expected 1 values. All options: latexocr train --help"),
])
def test_what_a_verb_does_not_take_is_one_line(line, said, columns, encoding, monkeypatch, capsys):
    """Whatever frame tyro draws around it, which depends on the terminal."""
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    assert cli.main(line.split()) == 2
    err = capsys.readouterr().err
    assert err.startswith("latexocr: ") and said in err and err.count("\n") == 1


def test_the_command_line_loads_nothing_heavy():
    code = ("import sys; import latexocr.cli; "
            "print(sorted({'torch', 'transformers', 'jinja2', 'scipy', 'datasets', 'tqdm'} & set(sys.modules)))")
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert run.stdout.strip() == "[]"


WORKER = """
import signal, sys, time
from latexocr import cli
from latexocr.records import Prediction

class Slow:
    def read(self, samples):
        for sample in samples:
            time.sleep(0.03)
            yield Prediction(sample.id, "x")

signal.signal(signal.SIGINT, signal.default_int_handler)  # Where the tests run in the background, it is ignored.
cli.options.load = lambda model, generate, loading: Slow()
sys.exit(cli.main(sys.argv[1:]))
"""


def many(folder: Path, n: int) -> None:
    folder.mkdir()
    for i in range(n):
        Image.new("L", (4 + i, 4)).save(folder / f"{i:03d}.png")


def slow(*arguments: object) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", WORKER, *map(str, arguments)], text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)])
def test_transcribe_stopped_half_way_continues(tmp_path, sent, code):
    many(tmp_path / "in", 40)
    arguments = ("transcribe", tmp_path / "in", "--model", URL, "--out", tmp_path / "out")
    first = slow(*arguments)
    printed = [first.stdout.readline() for _ in range(5)]
    first.send_signal(sent)
    rest, err = first.communicate()
    assert first.returncode == code and "Traceback" not in err
    before = [line.split("\t")[0] for line in [*printed, *rest.splitlines()]]
    kept = [p.id for p in read_predictions(tmp_path / "out" / "results.jsonl")]
    assert kept[:len(before)] == before and 5 <= len(kept) < 40
    second = slow(*arguments)
    out, _ = second.communicate()
    assert second.returncode == 0
    assert kept + [line.split("\t")[0] for line in out.splitlines()] == [f"{i:03d}.png" for i in range(40)]
    assert len(read_predictions(tmp_path / "out" / "results.jsonl")) == 40


def test_a_closed_pipe_is_quiet(tmp_path):
    many(tmp_path / "in", 40)
    process = slow("transcribe", tmp_path / "in", "--model", URL, "--out", tmp_path / "out")
    process.stdout.readline()
    process.stdout.close()
    err = process.stderr.read()
    assert process.wait() == 141 and "Traceback" not in err and "Exception" not in err


def test_the_whole_way_with_a_real_model(tiny_model, pictures, tmp_path, monkeypatch, capsys):
    """Transcribe, then bench base against tuned, in this process; what is read already needs no model in memory."""
    out, model = tmp_path / "out", str(tiny_model)
    assert run("transcribe", pictures, "--model", model, "--out", out, "--max-tokens", 4) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("\t")[0] for line in lines] == ["a.png", "b.png", "c.jpg"]
    predictions = read_predictions(out / "results.jsonl")
    assert [" ".join(p.latex.split()) for p in predictions] == [line.split("\t")[1] for line in lines]
    assert all(p.tokens > 0 and 0 < p.confidence <= 1 and p.stop != "error" for p in predictions)
    for name in ("a", "b", "c"):
        (pictures / f"{name}.tex").write_text("x")
    arguments = ("bench", "--data", pictures, "--base", model, "--max-tokens", 4, "--tuned", out / "results.jsonl",
                 "--out", tmp_path / "b")
    assert run(*arguments) == 0
    table = capsys.readouterr().out
    assert read_predictions(tmp_path / "b" / "predictions-base.jsonl") == predictions
    monkeypatch.setattr(options, "load", lambda *_: pytest.fail("the model was loaded again"))
    assert run(*arguments) == 0 and capsys.readouterr().out == table


def test_a_run_is_not_continued_in_other_numbers(fake, tiny_model, pictures, tmp_path, monkeypatch, capsys):
    """The record names the format that the machine chose; on one that chooses another it has to be asked for."""
    arguments = ("transcribe", pictures, "--model", tiny_model, "--out", tmp_path / "out", "--device", "cpu")
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True)
    assert run(*arguments) == 0
    record = json.loads((tmp_path / "out" / "run.json").read_text())["results"]
    assert record["settings"]["dtype"] == "bfloat16" and record["data_sha256"] == ""  # Pictures may be added.
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    shutil.copyfile(pictures / "c.jpg", pictures / "d.jpg")
    assert run(*arguments) == 2 and "dtype is 'float32' here and 'bfloat16' there" in capsys.readouterr().err
    assert fake.asked == ["a.png", "b.png", "c.jpg"]
    assert run(*arguments, "--dtype", "bfloat16") == 0 and fake.asked[3:] == ["d.jpg"]


@pytest.mark.parametrize("verb", [["--help"], ["score", "p.jsonl", "--data", "d.jsonl"]])
def test_output_that_nobody_reads_is_quiet(tmp_path, verb):
    Image.new("L", (8, 8)).save(tmp_path / "a.png")
    (tmp_path / "d.jsonl").write_text('{"id": "a", "image": "a.png", "latex": "x"}\n')
    (tmp_path / "p.jsonl").write_text('{"id": "a", "latex": "x"}\n')
    reading, writing = os.pipe()
    os.close(reading)
    environment = {**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[2]), "PYTHONUNBUFFERED": ""}
    process = subprocess.run([sys.executable, "-m", "latexocr.cli", *verb], stdout=writing, stderr=subprocess.PIPE,
                             text=True, cwd=tmp_path, env=environment)
    os.close(writing)
    assert (process.returncode, process.stderr) == (141, "")


def in_shell(arguments: str, **variables: str) -> subprocess.CompletedProcess:
    """The command as a shell starts it, with redirections."""
    environment = {**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[2]), **variables}
    command = f"{sys.executable} -m latexocr.cli {arguments}"
    return subprocess.run(["sh", "-c", command], capture_output=True, env=environment)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_terminal_shows_what_it_has_signs_for(encoding):
    process = in_shell("diff \u044f \udce9", PYTHONIOENCODING=encoding)
    shown = process.stdout.decode(encoding)
    assert (process.returncode, process.stderr) == (0, b"")
    assert ("\u044f" if encoding == "utf-8" else "\\u044f") in shown and "\\udce9" in shown


@pytest.mark.parametrize("closed", [">&-", "2>&-"])
def test_closed_output_is_as_good_as_none(closed):
    process = in_shell(f"diff x y {closed}")
    assert (process.returncode, process.stderr) == (0, b"")


@pytest.mark.parametrize("given", ["<&-", "0>/dev/null"])
def test_a_list_that_cannot_be_had_from_standard_input_is_one_line(given):
    process = in_shell(f"transcribe - {given}")
    assert (process.returncode, process.stdout) == (2, b"")
    assert process.stderr.startswith(b"latexocr: Standard input cannot be read.") and process.stderr.count(b"\n") == 1


def test_version_is_that_of_the_package(capsys, monkeypatch):
    from importlib import metadata

    monkeypatch.setattr(metadata, "version", lambda package: {"latexocr": "1.2.3"}[package])
    assert cli.main(["--version"]) == 0 and capsys.readouterr().out == "latexocr 1.2.3\n"


def test_version_of_source_that_is_not_installed(capsys, monkeypatch):
    from importlib import metadata

    monkeypatch.setattr(metadata.Distribution, "discover", lambda **_: iter(()))
    assert cli.main(["--version"]) == 0 and "not installed" in capsys.readouterr().out


@pytest.mark.parametrize("given", ["", "ACTIVE"])
def test_waiting_threads_do_not_spin_unless_asked_to(given):
    """The command line decides before torch is loaded, which reads the setting only then."""
    code = ("import os, sys; from latexocr import cli; cli.main(['--version']);"
            "print(os.environ['OMP_WAIT_POLICY'], 'torch' in sys.modules)")
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    environment |= {"OMP_WAIT_POLICY": given} if given else {}
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True,
                          cwd=Path(cli.__file__).parents[2]).stdout
    assert said.splitlines()[-1] == f"{given or 'PASSIVE'} False"
