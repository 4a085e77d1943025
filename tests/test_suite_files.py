"""The suites of benchmarks/suites, each of its fields; and the formulas cut out of OmniDocBench's pages."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from latexocr.bench.suites import suite_of
from latexocr.data.hub import _is_name
from latexocr.data.sources import PREFIXES, _locate, load
from latexocr.errors import UserError
from latexocr.reading.images import prepare

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / "benchmarks" / "suites").glob("*.json"))
FIELDS = ["name", "source", "revision", "split", "n", "sha256", "licence", "citation", "url", "note"]
ASKED_FOR = {
    "im2latex_100k", "im2latex_sample", "linxy_small", "linxy_full", "linxy_synthetic_handwrite",
    "linxy_human_handwrite", "linxy_human_handwrite_print", "unsloth_latex_ocr", "crohme_2014", "crohme_2016",
    "crohme_2019", "crohme_2023", "hme100k", "mathwriting", "unimer_spe", "unimer_cpe", "unimer_sce", "unimer_hwe",
    "omnidocbench",
}


def test_every_set_that_issue_8_names_is_a_suite():
    assert {path.stem for path in FILES} == ASKED_FOR


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_suite_says_what_it_is(path, tmp_path, monkeypatch):
    suite = json.loads(path.read_text(encoding="utf-8"))
    assert list(suite) == FIELDS
    assert suite["name"] == path.stem
    assert suite["licence"] and suite["citation"] and suite["url"].startswith("http")
    assert suite["n"] is None or suite["n"] > 0
    assert suite["sha256"] is None or re.fullmatch("[0-9a-f]{64}", suite["sha256"])
    assert suite_of(f"suite:{path.stem}").source == suite["source"]

    if suite["source"].startswith("hf:"):
        _, name, *parts = suite["source"].split(":")
        assert _is_name(name) and parts[-1] == suite["split"]
        return
    monkeypatch.chdir(tmp_path)
    prefix, _, rest = suite["source"].rpartition("data/")
    assert prefix in ("", *(f"{known}:" for known in PREFIXES))
    folder, _, split = rest.partition(":")
    (tmp_path / "data" / folder).mkdir(parents=True)
    assert _locate(suite["source"]).subset == split
    assert split in ("", suite["split"])


@pytest.mark.parametrize("name", ["im2latex_sample", "crohme_2014"])
def test_a_suite_is_what_the_published_results_were_read_from(name):
    suite = json.loads((ROOT / "benchmarks" / "suites" / f"{name}.json").read_text(encoding="utf-8"))
    runs = json.loads((ROOT / "benchmarks" / "results" / name / "run.json").read_text(encoding="utf-8"))
    assert {(run["data_sha256"], run["n"]) for run in runs.values()} == {(suite["sha256"], suite["n"])}


def omnidocbench(folder: Path, out: Path) -> subprocess.CompletedProcess:
    script = ROOT / "benchmarks" / "omnidocbench.py"
    return subprocess.run([sys.executable, script, folder, out], capture_output=True, text=True, timeout=120)


def block(number: int, box: tuple[int, int, int, int], **fields: object) -> dict:
    left, top, right, bottom = box
    return {"category_type": "equation_isolated", "poly": [left, top, right, top, right, bottom, left, bottom],
            "anno_id": number, "latex": f"$$x_{number}$$"} | fields


def test_formulas_are_cut_out_of_pages_and_none_is_lost(tmp_path):
    page = Image.new("RGB", (100, 80), "white")
    page.paste("black", (30, 20, 50, 30))
    (tmp_path / "images").mkdir()
    page.save(tmp_path / "images" / "a.png")
    blocks = [block(1, (25, 15, 55, 35)), block(2, (90, 70, 140, 90)), block(3, (200, 10, 220, 20)),
              block(4, (0, 0, 9, 9), ignore=True), block(5, (0, 0, 9, 9), category_type="text_block")]
    pages = [{"layout_dets": blocks, "page_info": {"image_path": "a.png"}},
             {"layout_dets": [block(6, (0, 0, 9, 9))], "page_info": {"image_path": "lost.png"}}]
    (tmp_path / "OmniDocBench.json").write_text(json.dumps(pages), encoding="utf-8")

    done = omnidocbench(tmp_path, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    first, second, outside, lost = load(str(tmp_path / "out"))
    assert [(s.id, s.latex) for s in (first, second, outside, lost)] == [
        ("a/1", "$$x_1$$"), ("a/2", "$$x_2$$"), ("a/3", "$$x_3$$"), ("lost/6", "$$x_6$$")]
    assert (Image.open(first.image).size, Image.open(second.image).size) == ((31, 21), (10, 10))
    assert Image.open(first.image).getpixel((5, 5)) == (0, 0, 0)
    for sample in (outside, lost):
        with pytest.raises(UserError):
            prepare(sample.image)


@pytest.mark.parametrize("text", [None, "{", '[{"page_info": {}}]', '{"a": 1}'])
def test_a_folder_without_the_benchmark_is_one_line(tmp_path, text):
    if text is not None:
        (tmp_path / "OmniDocBench.json").write_text(text, encoding="utf-8")
    done = omnidocbench(tmp_path, tmp_path / "out")
    assert done.returncode == 1
    assert "not the annotations of OmniDocBench" in done.stderr and "\n" not in done.stderr.strip()
