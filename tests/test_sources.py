"""SPECs of every kind, made by the tests themselves: what is found, what stays though it is broken, what is refused."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from PIL import Image

from latexocr.data.sources import PREFIXES, content_hash, load, stream
from latexocr.errors import UserError
from latexocr.records import Sample


def picture(path: Path, shade: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (4, 3), shade).save(path)
    return path


def lines(path: Path, *rows: dict | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows), "utf-8")
    return path


def shown(samples: list[Sample]) -> list[tuple]:
    return [(s.id, s.latex, s.subset) for s in samples]


def refusal(spec: str) -> str:
    with pytest.raises(UserError) as error:
        load(spec)
    assert "\n" not in str(error.value)
    return str(error.value)


# Folders

@pytest.mark.parametrize("name", ["a.png", "a.JPG", "a.jpeg", "a.webp", "a.bmp", "a.gif", "a.tif", "a.tiff", "a.HEIC",
                                  "a.avif"])
def test_pictures_of_every_kind_are_found(tmp_path, name):
    (tmp_path / name).write_bytes(b"")  # what is in it matters when it is read
    assert load(str(tmp_path)) == [Sample(name, tmp_path / name)]


def test_a_folder_and_the_folders_in_it(tmp_path):
    for name in ("b.png", "a.png", "two/c.png", "one/c.png", "one/deep/d.png", ".hidden/e.png", "._a.png"):
        picture(tmp_path / name)
    (tmp_path / "notes.md").write_text("no picture")
    (tmp_path / "a.tex").write_text("\ufeff  x^2\n", "utf-8")
    (tmp_path / "b.txt").write_text("\\alpha\\ \n")
    (tmp_path / "one/c.tex").write_text("é", "utf-8")
    assert shown(load(str(tmp_path))) == [
        ("a.png", "x^2", ""), ("b.png", "\\alpha\\ ", ""), ("one/c.png", "é", "one"), ("one/deep/d.png", None, "one"),
        ("two/c.png", None, "two")]


def test_a_folder_in_it_that_has_an_index_is_read_by_it_and_a_link_to_a_folder_around_it_is_not_followed(tmp_path):
    for name in ("a.png", "in/deep/images/b.png", "in/deep/images/c.png"):
        picture(tmp_path / name)
    lines(tmp_path / "in/deep/samples.jsonl", {"id": "own", "image": "images/b.png", "latex": "x"})
    (tmp_path / "in/deep/metadata.parquet").write_bytes(b"another index, not a table beside pictures")
    (tmp_path / "in/around").symlink_to(tmp_path, target_is_directory=True)
    assert shown(load(str(tmp_path))) == [("a.png", None, ""), ("own", "x", "in")]


@pytest.mark.parametrize("table", ["t.parquet", "data/train.PARQUET"])
def test_pictures_and_tables_in_one_folder_are_not_guessed_between(tmp_path, table):
    picture(tmp_path / "assets/logo.png")
    (tmp_path / table).parent.mkdir(exist_ok=True)
    (tmp_path / table).touch()
    said = refusal(str(tmp_path))
    assert f"pictures in it (assets/logo.png) and tables ({table})" in said and "hf:FOLDER" in said


def test_a_picture_of_a_machine_that_writes_capitals_has_its_formula(tmp_path):
    for name, ending in (("A.PNG", "TXT"), ("B.JPG", "TEX")):
        picture(tmp_path / name).with_suffix(f".{ending}").write_text("x")
    assert shown(load(str(tmp_path))) == [("A.PNG", "x", ""), ("B.JPG", "x", "")]


def test_a_pipe_is_no_picture_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    picture(tmp_path / "b.png")
    assert [sample.id for sample in load(str(tmp_path))] == ["b.png"]
    assert "neither a folder, a list" in refusal(str(tmp_path / "a.png"))


def test_pictures_without_a_list_have_no_columns_to_name(tmp_path):
    picture(tmp_path / "a.png")
    assert "pictures without a list" in refusal(f"{tmp_path}?text=y")


def test_a_picture_alone_is_one_sample(tmp_path):
    (tmp_path / "a.tex").write_text("x")
    path = picture(tmp_path / "a.png")
    assert load(str(path)) == [Sample("a.png", path, "x")]


def test_broken_pictures_and_dangling_links_stay(tmp_path):
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "link.png").symlink_to(tmp_path / "gone.png")
    assert [s.id for s in load(str(tmp_path))] == ["empty.jpg", "link.png", "text.png"]


def test_a_name_that_is_no_utf8_has_an_id_that_can_be_written(tmp_path):
    import os

    try:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/a\xff.png")).write_bytes(b"")
    except OSError:
        pytest.skip("this file system takes only UTF-8 names")
    [sample] = load(str(tmp_path))
    assert sample.id == "a\\xff.png" and sample.image.exists()


@pytest.mark.parametrize(("index", "row"), [
    ("metadata.jsonl", {"file_name": "p/1.png", "text": "x"}),
    ("metadata.jsonl", {"file_name": "p/1.png", "latex": "x"}),
    ("labels.jsonl", {"image": "p/1.png", "latex": "x"}),
    ("samples.jsonl", {"image": "p/1.png", "latex": "x", "subset": ""}),
])
def test_the_index_of_a_folder_decides(tmp_path, index, row):
    picture(tmp_path / "p/1.png")
    picture(tmp_path / "unlisted.png")
    lines(tmp_path / index, row)
    assert load(str(tmp_path)) == [Sample("p/1.png", tmp_path / "p/1.png", "x")]


def test_an_imagefolder_with_an_index_for_each_split(tmp_path):
    for split in ("train", "test"):
        picture(tmp_path / split / "1.png")
        lines(tmp_path / split / "metadata.jsonl", {"file_name": "1.png", "text": split})
    assert shown(load(str(tmp_path))) == [("test/1.png", "test", "test"), ("train/1.png", "train", "train")]
    assert shown(load(f"{tmp_path}:train")) == [("train/1.png", "train", "train")]


# JSON lines

def test_json_lines_are_relative_to_their_file_and_keep_their_order(tmp_path):
    picture(tmp_path / "p/b.png")
    path = lines(tmp_path / "set.jsonl", {"image": "p/b.png", "latex": "b", "split": "test"}, "",
                 {"image": "p/gone.png", "latex": None, "id": 7}, {"id": "z", "image": "/abs.png"})
    assert load(str(path)) == [
        Sample("p/b.png", tmp_path / "p/b.png", "b", "test"), Sample("7", tmp_path / "p/gone.png"),
        Sample("z", Path("/abs.png"))]


@pytest.mark.parametrize("cut", [1, 12, 27])
def test_a_list_that_was_cut_off_is_said_and_a_last_line_need_not_end(tmp_path, cut):
    path = lines(tmp_path / "set.jsonl", {"image": "a.png"}, {"image": "b.png", "latex": "x"})
    path.write_bytes(path.read_bytes()[:-1])
    assert [sample.id for sample in load(str(path))] == ["a.png", "b.png"]
    path.write_bytes(path.read_bytes()[:-cut])
    assert "set.jsonl:2: not JSON" in refusal(str(path))


@pytest.mark.parametrize(("row", "said"), [
    ({"latex": "x"}, "set.jsonl:2: no column 'image or file_name' (found: latex)"),
    ({}, "found: nothing"),
    ({"image": {"bytes": ""}}, "set.jsonl:2: 'image' is a dict, expected a string"),
    ({"image": "a.png", "latex": 3}, "set.jsonl:2: 'latex' is a int"),
    ("{", "set.jsonl:2: not JSON"),
])
def test_a_bad_line_is_named(tmp_path, row, said):
    assert said in refusal(str(lines(tmp_path / "set.jsonl", {"image": "b.png"}, row)))


def test_doubled_ids_name_both(tmp_path):
    path = lines(tmp_path / "set.jsonl", {"id": 1, "image": "a.png", "latex": "x"}, {"id": "1", "image": "b.png"})
    said = refusal(str(path))
    assert "'1'" in said and "a.png (x)" in said and "b.png (no reference)" in said


# SPECs

def test_the_prefixes():
    assert set(PREFIXES) == {"hf", "im2latex", "hme100k", "unimer", "pix2tex", "texteller", "crohme", "mathwriting"}


@pytest.mark.parametrize(("spec", "said"), [
    ("{}/none", "not found"), ("{}/empty", "transcribe '{}/empty/*.pdf'"), ("crohme:{}/none", "not found"),
    ("crohme:", "not found"),
    ("", "not found"), ("crohme:{}/empty", "neither caption.txt"), ("im2latex:{}/none:test", "not found"),
    ("hub:{}/empty", "'hub' is no known prefix"), ("{}/notes.md", "neither a folder"),
    ("{}/nothing.jsonl", "no samples"), ("{}/full:dev", "no subset 'dev'. There are: a, b"),
])
def test_what_is_refused_and_what_is_said(tmp_path, spec, said):
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.md").touch()
    (tmp_path / "nothing.jsonl").touch()
    picture(tmp_path / "full/a/1.png")
    picture(tmp_path / "full/b/1.png")
    assert said.format(tmp_path) in refusal(spec.format(tmp_path))


def test_a_path_with_a_colon_in_it_is_a_path(tmp_path, monkeypatch):
    picture(tmp_path / "crohme:x/1.png")
    picture(tmp_path / "crohme/x/2.png")
    monkeypatch.chdir(tmp_path)
    assert [s.id for s in load("crohme:x")] == [s.id for s in load(f"{tmp_path}/crohme:x")] == ["1.png"]


def test_a_path_with_a_question_mark_in_it_is_a_path(tmp_path):
    folder = tmp_path / "what?text=x"
    folder.mkdir()
    Image.new("L", (9, 9)).save(folder / "a.png")
    assert [sample.id for sample in load(str(folder))] == ["a.png"]


def test_a_large_set_is_read_one_by_one(tmp_path):
    path = lines(tmp_path / "set.jsonl", {"image": "a.png"}, {"image": "a.png"}, "broken")
    samples = stream(str(path))
    assert next(samples) == next(samples) == Sample("a.png", tmp_path / "a.png")  # only `load` compares ids
    with pytest.raises(UserError, match=r"set.jsonl:3"):
        next(samples)


def test_loading_is_the_same_each_time(tmp_path):
    for name in ("b.png", "a/c.png", "a.png"):
        picture(tmp_path / name)
    assert load(str(tmp_path)) == load(str(tmp_path))


# The hash

def in_memory(name: str, latex: str | None = "x", shade: int = 0, mode: str = "L") -> Sample:
    return Sample(name, Image.new("L", (4, 3), shade).convert(mode), latex)


@pytest.mark.parametrize("other", [
    [in_memory("c"), in_memory("b")], [in_memory("a", "y"), in_memory("b")], [in_memory("a", None), in_memory("b")],
    [in_memory("a", ""), in_memory("b")], [in_memory("a", shade=1), in_memory("b")], [in_memory("a")],
    [Sample("a", Path("/no/such.png"), "x"), in_memory("b")], [in_memory("ax", ""), in_memory("b")],
])
def test_the_hash_sees_every_difference(other):
    assert content_hash(other) != content_hash([in_memory("a"), in_memory("b")])


def test_the_hash_does_not_depend_on_order_or_place(tmp_path):
    assert content_hash([in_memory("a"), in_memory("b")]) == content_hash([in_memory("b"), in_memory("a")])
    one, two = (Sample("a", picture(tmp_path / name / "a.png"), "x") for name in ("one", "two"))
    assert content_hash([one]) == content_hash([two])
    assert len(content_hash([])) == 64
