"""The verbs of data, as a user types them; formulas drawn in parallel; contact sheets; the page of an audit."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from latexocr.bench.audit_page import audit_page, summary
from latexocr.cli import main
from latexocr.data import typeset
from latexocr.data.audit import audit
from latexocr.data.sheet import CELL, contact_sheet
from latexocr.data.sources import load
from latexocr.data.synthesis import Look, read_formulas, synthesise
from latexocr.data.write import write_samples
from latexocr.errors import UserError
from latexocr.records import Sample

needs_tex = pytest.mark.skipif(not typeset.available(), reason="needs TeX")
FORMULAS = [rf"\frac{{{a}}}{{{b}}}+x^{{{a}}}" for a in "123456" for b in "78"]


def spotted(seed: int, name: str, latex: str) -> Sample:
    rng = np.random.default_rng(seed)
    return Sample(name, Image.fromarray(rng.integers(0, 256, (20, 50), dtype=np.uint8)), latex, f"writer {seed % 3}")


@pytest.fixture
def drawn(tmp_path: Path) -> Path:
    """A data set of two pictures of each formula."""
    samples = [spotted(i, f"s{i}", FORMULAS[i // 2]) for i in range(24)]
    write_samples(tmp_path / "drawn", samples)
    return tmp_path / "drawn"


# Convert


def test_convert_gives_the_same_samples(drawn, tmp_path, capsys):
    assert main(["data", "convert", str(drawn), "--out", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'out' / 'samples.jsonl'}: 24 samples\n"
    assert [(s.id, s.latex, s.subset) for s in load(str(tmp_path / "out"))] == [
        (s.id, s.latex, s.subset) for s in load(str(drawn))]


@pytest.mark.parametrize(("by", "group"), [("formula", lambda s: s.latex), ("subset", lambda s: s.subset)])
def test_convert_divides_by_group(drawn, tmp_path, by, group):
    command = ["data", "convert", str(drawn), "--out", str(tmp_path / "out"), "--split", "0.6", "--by", by]
    assert main([*command, "--seed", "3"]) == 0
    train, test = (load(str(tmp_path / "out" / side)) for side in ("train", "test"))
    assert len(train) + len(test) == 24 and not {group(s) for s in train} & {group(s) for s in test}


def test_what_cannot_be_converted_is_said(drawn, tmp_path, capsys):
    (drawn / "images" / "000003.png").unlink()
    command = ["data", "convert", str(drawn), "--out", str(tmp_path / "out"), "--form", "conversation"]
    assert main(command) == 1
    said = capsys.readouterr()
    assert "left out s3: " in said.err and "23 samples" in said.out


@pytest.mark.parametrize("arguments", [["--by", "subset"], ["--seed", "1"]])
def test_what_divides_needs_the_share(drawn, tmp_path, capsys, arguments):
    assert main(["data", "convert", str(drawn), "--out", str(tmp_path / "out"), *arguments]) == 2
    assert "Give --split SHARE too" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_a_split_that_was_killed_goes_on(drawn, tmp_path):
    command = ["data", "convert", str(drawn), "--out", str(tmp_path / "out"), "--split", "0.6"]
    assert main(command) == 0
    whole = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("out/*/*.*")}
    index = tmp_path / "out/test/samples.jsonl"
    (index.with_name("samples.jsonl.part")).write_bytes(index.read_bytes()[:200])
    index.unlink()
    assert main(command) == 0
    assert {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("out/*/*.*")} == whole


def test_each_sample_left_out_is_one_line_whatever_its_name(tmp_path, capsys):
    samples = [replace(spotted(0, "a\n\x1b[2Jb", "x"), latex=None), spotted(1, "c", "y")]
    write_samples(tmp_path / "in", samples)
    command = ["data", "convert", str(tmp_path / "in"), "--out", str(tmp_path / "out"), "--form", "conversation"]
    assert main(command) == 1
    assert capsys.readouterr().err == "latexocr: left out a\\n\\x1b[2Jb: no reference\n"


# Audit


def test_the_audit_of_clean_data(drawn, capsys):
    assert main(["data", "audit", str(drawn), "--no-ask-tex"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("24 samples, 12 different formulas (12 samples repeat one); 0 samples with a fault\n")
    assert "TeX was not asked" in out


def test_the_audit_against_a_test_set(drawn, tmp_path, capsys):
    mine = [spotted(0, "seen", FORMULAS[0]), spotted(90, "formula", FORMULAS[5]), spotted(91, "new", r"\omega")]
    write_samples(tmp_path / "test", mine)
    out = tmp_path / "audit"
    options = ["--against", str(tmp_path / "test"), "--out", str(out), "--no-ask-tex"]
    assert main(["data", "audit", str(drawn), *options]) == 0
    assert "2 of 3 test samples (66.7 %) are among the 24 training samples: 1 as pictures" in capsys.readouterr().out
    facts = json.loads((out / "audit.json").read_text())
    assert facts["overlap"]["matches"]["seen"] == {"kind": "picture", "train_id": "s0", "edits": 0}
    assert "2 of 3 test samples" in (out / "audit.html").read_text()


def test_the_page_escapes_everything_and_loads_nothing(tmp_path):
    evil = "<script>alert(1)</script>"
    samples = [Sample(evil, spotted(1, "", "").image, rf"a\text{{{evil}}}"),
               Sample("twin", spotted(1, "", "").image, "b"), Sample("bad", tmp_path / "<b>.png", f"{{{evil}")]
    report = audit(samples, samples, ask_tex=False)
    page = audit_page(report, samples, evil, samples, evil)
    assert evil not in page and "&lt;script&gt;alert(1)" in page
    assert "http://" not in page.replace("http://www.w3.org/1998/Math/MathML", "") and "https://" not in page
    assert page.count("data:image/webp;base64,") == 6 and 'data-kinds="contradiction"' in page
    assert 'data-kinds="seen-picture"' in page and "The picture cannot be opened." in page


def test_a_page_without_faults_has_no_examples():
    samples = [spotted(i, f"s{i}", FORMULAS[i]) for i in range(3)]
    report = audit(samples, ask_tex=False)
    assert "No faults found." in audit_page(report, samples, "x") and "<article" not in audit_page(report, samples, "x")
    assert summary(report).count("\n") == 8


@pytest.mark.parametrize("longest", ["0", "-5"])
def test_a_length_that_all_would_exceed_is_refused(drawn, capsys, longest):
    assert main(["data", "audit", str(drawn), "--longest", longest]) == 2
    assert f"--longest {longest}: expected at least 1." in capsys.readouterr().err


# Typeset


@needs_tex
def test_where_nothing_can_be_drawn_the_formulas_and_one_line_say_so(tmp_path, capsys):
    (tmp_path / "a.txt").write_text("\\nosuchcommand\n{x" + 400 * "y" + "\n")
    for _ in range(2):
        assert main(["data", "typeset", str(tmp_path / "a.txt"), "--out", str(tmp_path / "out"), "--fonts", "cm"]) == 2
        said = capsys.readouterr().err.splitlines()
        assert said[0] == "latexocr: TeX does not typeset: \\nosuchcommand"
        assert said[1].startswith("latexocr: TeX does not typeset: {xyyy") and said[1].endswith("yyy...")
        assert said[2].endswith("nothing to write, there is not one sample.") and len(said) == 3


@pytest.fixture
def formulas(tmp_path: Path) -> Path:
    path = tmp_path / "formulas.txt"
    path.write_text("\n".join([*FORMULAS, "", r"$\alpha_{i}$", r"\nosuchcommand x", r"\frac{1}{2"]) + "\n")
    return path


@needs_tex
def test_formulas_become_a_data_set_with_a_contact_sheet(formulas, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["data", "typeset", str(formulas), "--out", str(out), "--degrade", "--fonts", "cm"]) == 0
    said = capsys.readouterr()
    assert said.out == f"{out / 'samples.jsonl'}: 13 of 15 formulas\n"
    assert said.err.count("TeX does not typeset") == 2
    assert (out / "refused.txt").read_text() == "\\nosuchcommand x\n\\frac{1}{2\n"
    made = load(str(out))
    assert [s.latex for s in made] == [*FORMULAS, r"\alpha_{i}"] and {s.subset for s in made} == {"cm"}
    assert Image.open(out / "sheet.png").size[0] == 4 * CELL[0]
    assert not audit(made, ask_tex=False).faulty


@needs_tex
def test_drawing_is_the_same_from_the_same_seed_on_any_number_of_cores():
    many = [*FORMULAS, r"\nosuchcommand"] * 2
    drawn = {workers: list(synthesise(many, Look(degrade=True, seed=5, fonts=("cm",)), workers=workers))
             for workers in (1, 2)}
    assert drawn[1] == drawn[2] and [one.latex for one in drawn[1]] == many
    assert sum(one.image is None for one in drawn[1]) == 2
    other = list(synthesise(many[:5], Look(degrade=True, seed=6, fonts=("cm",))))
    assert other != drawn[1][:5]


@needs_tex
def test_a_small_file_is_drawn_in_several_fonts_too():
    drawn = list(synthesise(FORMULAS, Look(fonts=("tx", "times"), seed=0)))
    assert {one.made for one in drawn} == {"tx", "times"}


@pytest.mark.parametrize(("name", "content"), [
    ("a.txt", b"x+y\n\n$z$\n"), ("a.txt", b"\xef\xbb\xbfx+y\r\nz"),
    ("a.txt", "x+y\nz".encode("utf-16")),
    ("a.jsonl", b'{"latex": "x+y"}\n{"latex": "$z$", "doc": 3}\n'),
])
def test_formulas_are_read_from_text_and_json_lines(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    (tmp_path / f"{name}.gz").write_bytes(gzip.compress(content))
    assert read_formulas(tmp_path / name) == read_formulas(tmp_path / f"{name}.gz") == ["x+y", "z"]


@pytest.mark.parametrize(("name", "content", "words"), [
    ("a.txt", b"\n\n", "no formulas"), ("a.txt", b"\xff\xfe", "no formulas"), ("a.txt", b"x\xff", "not utf-8 text"),
    ("a.txt.gz", b"plain", "cannot be read"),
    ("a.jsonl", b'{"text": "x"}\n', "a.jsonl:1"), ("a.jsonl", b'{"latex": null}\n', "a.jsonl:1: found"),
    ("a.jsonl", b"x+y\n", "a.jsonl:1"), ("none.txt", None, "none.txt"),
])
def test_a_file_without_formulas_is_one_line(tmp_path, name, content, words):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=words):
        read_formulas(tmp_path / name)


@pytest.mark.parametrize("arguments", [["--fonts", "nosuchfont"], ["--limit", "0"], ["--hand", "/nowhere.npz"],
                                       ["--workers", "0"], ["--seed", "-1"]])
def test_what_cannot_be_drawn_is_one_line(formulas, tmp_path, capsys, arguments):
    assert main(["data", "typeset", str(formulas), "--out", str(tmp_path / "out"), *arguments]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_contact_sheet_shows_each_picture_and_its_caption():
    white, black = Image.new("L", (100, 50), 255), Image.new("RGBA", (5000, 100), (0, 0, 0, 255))
    sheet = np.asarray(contact_sheet([(white, ""), (black, r"\frac{1}{2}" * 30), (Path("/nowhere.png"), "é ∑ x")]))
    assert sheet.shape[1] == 3 * CELL[0]
    cells = [sheet[:, i * CELL[0] : (i + 1) * CELL[0]] for i in range(3)]
    assert (cells[0][4:-4, 4:-4] == 255).all()
    assert cells[1].min() == 0 and cells[1][CELL[1] + 10 :].min() < 100
    assert cells[2][4 : CELL[1], 4:-4].min() == 255 and cells[2][CELL[1] :].min() < 100
    assert contact_sheet([]).size == (CELL[0], sheet.shape[0])
