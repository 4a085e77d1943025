"""What the pages of this repository tell a reader to type is real, and the figures they show are those of the reports.

A table of results is written so:

    <!-- results: exact_visual edit_distance bleu -->
    | data | model | n | exact, % | edit distance | BLEU |
    |---|---|---|---|---|---|
    | [crohme_2014](benchmarks/results/crohme_2014/report.json) | base | 986 | 20.1 [17.7, 22.7] | 0.3210 [...] | ... |

The marker names the metrics of the columns after the third. Each row links the `report.json` that it is from, names a
column of it, and shows `value [low, high]` as `latexocr.bench.report.shown` writes them. The signature of every metric
shown stands somewhere on the page.
"""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import io
import itertools
import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import tyro

from latexocr import cli

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted(page for folder in ("benchmarks", "serve", "latexocr", "examples")
                                     for page in (ROOT / folder).rglob("*.md"))]
VARIABLE = re.compile(r"\w+=")
pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def blocks(page: Path, *languages: str) -> list[str]:
    """The fenced code blocks of a page in one of the languages ("" for none named)."""
    found = re.findall(r"^```(\w*)[^\n]*\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)
    return [text for language, text in found if language in languages]


def command_lines(text: str) -> list[str]:
    """The commands of a shell block, continued lines joined: those after `$ ` where there are any, else all lines."""
    lines = text.replace("\\\n", " ").splitlines()
    prompted = [line[2:] for line in lines if line.startswith("$ ")]
    return prompted or [line for line in lines if line.strip() and not line.startswith("#")]


def commands(page: Path) -> list[list[str]]:
    """Words of every command on a page, each part of a `&&` by itself."""
    lines = [line for text in blocks(page, "", "sh", "bash", "console", "shell") for line in command_lines(text)]
    split = [shlex.split(part, comments=True) for line in lines for part in line.split(" && ")]
    return [list(itertools.dropwhile(VARIABLE.match, words)) for words in split]


def transcripts(page: Path) -> Iterator[tuple[list[str], list[str]]]:
    """Each `$ latexocr ...` of a console block, and the lines shown below it."""
    for text in blocks(page, "console"):
        for shown in re.split(r"^\$ ", text.replace("\\\n", " "), flags=re.M)[1:]:
            command, *output = shown.splitlines()
            if command.startswith("latexocr "):
                yield shlex.split(command, comments=True), [line for line in output if line.strip()]


def test_the_readme_has_commands():
    verbs = {words[1] for words in commands(ROOT / "README.md") if words[0] == "latexocr"}
    assert verbs >= {"transcribe", "train", "bench"}


@pages
def test_commands_parse(page):
    """Each `latexocr` command is one that the command line takes; make targets, scripts and modules exist."""
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M))
    for program, *words in filter(None, commands(page)):
        if program == "latexocr" and words[0] not in ("--help", "--version"):
            with contextlib.redirect_stderr(io.StringIO()) as complaint:
                try:
                    verb, arguments = cli.chosen(words)
                    tyro.cli(cli.VERBS[verb].options(), args=arguments)
                except SystemExit as e:
                    assert e.code == 0, f"latexocr {shlex.join(words)}: {complaint.getvalue()}"
        elif program == "make":
            assert {word for word in words if "=" not in word} <= targets
        elif program == "sh" or "/" in program:
            script = words[0] if program == "sh" else program
            assert script.startswith((".venv", "/")) or (ROOT / script).exists(), f"no {script}"
        elif program.startswith("python") and words[:1] == ["-m"] and words[1].startswith("latexocr"):
            assert importlib.util.find_spec(words[1]), f"no module {words[1]}"


@pages
def test_python_runs_as_far_as_its_imports(page):
    for text in blocks(page, "python"):
        tree = ast.parse(text)
        imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
        exec(compile(ast.Module(imports, []), str(page), "exec"), {})


@pages
def test_links_and_extras_exist(page):
    text = page.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", text)
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = {name for names in re.findall(r"(?:latexocr|\.)\[([\w,]+)\]", text) for name in names.split(",")}
    assert named <= extras.keys()


@pages
def test_output_shown_is_output_given(page, monkeypatch, tmp_path, capsys):
    """What a page shows of `latexocr transcribe` with the embedded model is what it prints; `...` stands for more."""
    monkeypatch.chdir(ROOT)
    for words, output in transcripts(page):
        if words[1] != "transcribe" or "--model" in words:
            continue
        where = [] if Path(words[2]).is_file() else ["--out", str(tmp_path)]
        cli.main([*(words[1:words.index("--out")] if "--out" in words else words[1:]), *where])
        given = {" ".join(line.split()) for line in capsys.readouterr().out.splitlines()}
        shown = {" ".join(line.split()) for line in output if line != "..." and not line.startswith("latexocr: ")}
        assert shown - given == set()


def result_rows(page: Path) -> Iterator[tuple[list[str], list[str]]]:
    """Metrics and cells of each row of the tables of results on a page."""
    for metrics, table in re.findall(r"<!-- results: ([\w ]+) -->\n\|[^\n]*\n\|[-:| ]*\n((?:\|[^\n]*\n)+)",
                                     page.read_text(encoding="utf-8")):
        for line in table.splitlines():
            yield metrics.split(), [cell.strip() for cell in line.strip("|").split("|")]


def test_the_readme_has_results():
    assert list(result_rows(ROOT / "README.md"))


@pages
def test_figures_are_those_of_the_reports(page):
    from latexocr.bench.report import shown

    text = page.read_text(encoding="utf-8")
    for metrics, (source, column, n, *cells) in result_rows(page):
        report = json.loads((page.parent / re.search(r"\(([^)]+report\.json)\)", source)[1]).read_text())
        scores = {score["metric"]: score for score in report["scores"][column.strip("*`")]}
        assert len(cells) == len(metrics)
        for metric, cell in zip(metrics, cells, strict=True):
            score = scores[metric]
            value, low, high = (shown(score[key], metric) for key in ("value", "low", "high"))
            assert cell.strip("*") == f"{value} [{low}, {high}]", (source, metric)
            assert n.replace(",", "") == str(score["n"]), source
            assert score["signature"] in text, f"the signature of {metric} is not on the page: {score['signature']}"
