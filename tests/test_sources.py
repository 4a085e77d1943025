"""SPECs of every kind, made by the tests themselves: what is found, what stays though it is broken, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from latexocr.data.inkml import read_inkml
from latexocr.data.sources import SOURCES, content_hash, load, write_samples
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

@pytest.mark.parametrize("name", ["a.png", "a.JPG", "a.jpeg", "a.webp", "a.bmp", "a.gif", "a.tif", "a.tiff"])
def test_pictures_of_every_kind_are_found(tmp_path, name):
    picture(tmp_path / name)
    assert load(str(tmp_path)) == [Sample(name, tmp_path / name)]


def test_a_folder_and_the_folders_in_it(tmp_path):
    for name in ("b.png", "a.png", "two/c.png", "one/c.png", "one/deep/d.png", ".hidden/e.png", "._a.png"):
        picture(tmp_path / name)
    (tmp_path / "notes.md").write_text("no picture")
    (tmp_path / "a.tex").write_text("\ufeff  x^2\n", "utf-8")
    (tmp_path / "b.txt").write_text("\\alpha\\ \n")
    (tmp_path / "one/c.tex").write_text("é", "utf-8")
    assert shown(load(str(tmp_path))) == [
        ("a.png", "x^2", ""), ("b.png", "\\alpha\\ ", ""), ("one/c.png", "é", "one"), ("two/c.png", None, "two")]


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
    assert sample.id == "a\ufffd.png" and sample.image.exists()


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


@pytest.mark.parametrize(("row", "said"), [
    ({"latex": "x"}, "set.jsonl:2: no 'image' or 'file_name' (found: latex)"),
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


# im2latex

def im2latex(folder: Path) -> Path:
    (folder / "formula_images").mkdir(parents=True)
    # Raw bytes: latin-1, a carriage return and a next-line control inside formulas, which end no line.
    (folder / "im2latex_formulas.lst").write_bytes(b"zero\none \\mbox{na\xefve}\ntwo \r two\nthree \x85 \\ \n")
    (folder / "im2latex_train.lst").write_text("0 aaa basic\n3 bbb basic\n")
    (folder / "im2latex_test.lst").write_text("1 ccc basic\n2 ddd basic\n")
    picture(folder / "formula_images/aaa.png")
    return folder


def test_im2latex_as_published(tmp_path):
    folder = im2latex(tmp_path / "im")
    samples = load(f"im2latex:{folder}")
    assert shown(samples) == [("aaa", "zero", "train"), ("bbb", "three \x85 \\ ", "train"),
                              ("ccc", "one \\mbox{naïve}", "test"), ("ddd", "two \r two", "test")]
    assert samples[0].image.is_file() and samples[1].image == folder / "formula_images/bbb.png"
    assert load(f"im2latex:{folder}:test") == samples[2:]


def test_im2latex_with_labels(tmp_path):
    lines(tmp_path / "labels.jsonl", {"image": "a.png", "latex": "x\\label{a}", "split": "train"})
    assert load(f"im2latex:{tmp_path}") == [Sample("a.png", tmp_path / "a.png", "x\\label{a}", "train")]


@pytest.mark.parametrize("line", ["4 eee basic", "-1 eee basic", "eee", "1"])
def test_im2latex_names_a_line_that_fits_no_formula(tmp_path, line):
    folder = im2latex(tmp_path / "im")
    (folder / "im2latex_train.lst").write_text(f"0 aaa basic\n{line}\n")
    said = refusal(f"im2latex:{folder}")
    assert f"im2latex_train.lst:2: found '{line}'" in said and "below 4" in said


def test_im2latex_without_splits_or_formulas(tmp_path):
    assert "neither im2latex_formulas.lst" in refusal(f"im2latex:{tmp_path}")
    (tmp_path / "im2latex_formulas.lst").write_text("x\n")
    assert "no im2latex_train.lst" in refusal(f"im2latex:{tmp_path}")
    assert "not a folder" in refusal(f"im2latex:{tmp_path / 'im2latex_formulas.lst'}")


# CROHME

INK = [[(0, 0), (10, 12.5)], [(10, 0), (0, 12.5)], [(30, 5)]]


def inkml(path: Path, *, truth: str | None, namespace: str = ' xmlns="http://www.w3.org/2003/InkML"',
          channels: str = "X Y", extra: str = "") -> Path:
    """A file as CROHME writes it: format, annotations, traces, and groups that name single symbols."""
    order = [{"X": 0, "Y": 1}.get(name) for name in channels.split()]
    traces = "".join(
        f'\n<trace id="{number}">\n'
        + ", ".join(" ".join("99.5" if o is None else f"{point[o]}" for o in order) for point in stroke) + "\n</trace>"
        for number, stroke in enumerate(INK))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f'<?xml version="1.0" encoding="UTF-8"?>\n<ink{namespace}>\n<traceFormat>'
        + "".join(f'<channel name="{name}" type="decimal"/>' for name in channels.split())
        + '</traceFormat>\n<annotation type="writer">w1</annotation><!-- comment -->'
        + ("" if truth is None else f'<annotation type="truth">{escape(truth)}</annotation>')
        + '\n<annotationXML type="truth" encoding="Content-MathML"><math><mi>x</mi></math></annotationXML>'
        + traces + '<traceGroup><annotation type="truth">From segmentation</annotation><traceGroup>'
        + '<annotation type="truth">no</annotation><traceView traceDataRef="0"/></traceGroup></traceGroup>'
        + extra + "</ink>", "utf-8")
    return path


@pytest.mark.parametrize("style", [
    {}, {"namespace": ""}, {"channels": "X Y T"}, {"channels": "T Y X"},
    {"namespace": ' xmlns:xml2="x" xmlns="http://www.w3.org/2003/InkML"'},
])
def test_inkml_of_every_style_is_the_same_ink(tmp_path, style):
    ink = read_inkml(inkml(tmp_path / "a.inkml", truth="$x < y$ ", **style))
    assert [list(stroke) for stroke in ink.strokes] == INK
    assert (ink.latex, ink.writer) == ("x < y", "w1")


@pytest.mark.parametrize(("truth", "latex"), [
    ("$x_k$", "x_k"), ("$$x$$", "x"), ("x", "x"), ("$x", "x"), (" $ x $\n", "x"), ("$x\\ $", "x\\ "),
    ("$x\\\\ $", "x\\\\"), ("", ""), (None, None),
])
def test_the_truth_of_a_file(tmp_path, truth, latex):
    assert read_inkml(inkml(tmp_path / "a.inkml", truth=truth)).latex == latex


BROKEN = {
    "cut": lambda whole: whole[:300],
    "empty": lambda whole: b"",
    "binary": lambda whole: b"\x00\xff" * 50,
    "words": lambda whole: whole.replace(b"12.5", b"oops"),
    "one number": lambda whole: whole.replace(b"10 12.5", b"10"),
    "endless": lambda whole: whole.replace(b"12.5", b"1e999"),
    "no trace": lambda whole: b"<ink></ink>",
    "encoding": lambda whole: whole.replace(b"UTF-8", b"no-such"),
    "half a character": lambda whole: whole.replace(b"w1", b"\xc3"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_broken_ink_is_one_line_and_stays_a_sample(tmp_path, how):
    path = inkml(tmp_path / "b.inkml", truth="$x$")
    path.write_bytes(BROKEN[how](path.read_bytes()))
    inkml(tmp_path / "a.inkml", truth="$y$")
    with pytest.raises(UserError) as error:
        read_inkml(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)
    good, bad = load(f"crohme:{tmp_path}")
    assert (good.id, good.latex) == ("a", "y")
    assert bad.id == "b" and bad.image == path


def test_ink_is_drawn(tmp_path):
    inkml(tmp_path / "2014/a.inkml", truth="$\\times .$")
    [sample] = load(f"crohme:{tmp_path}")
    assert shown([sample]) == [("2014/a", "\\times .", "2014")]
    pixels = np.asarray(sample.image)
    assert sample.image.mode == "L" and pixels.min() == 0 and pixels[0, 0] == 255
    assert pixels.shape[1] > 1.5 * pixels.shape[0]  # the cross is as wide as high, the dot lies far right of it


def test_captions_with_pictures_beside_or_in_img(tmp_path):
    picture(tmp_path / "2014/img/a.bmp")
    picture(tmp_path / "2016/b.png")
    lines(tmp_path / "2014/caption.txt", "a\tx ^ { 2 }", "gone\ty")
    lines(tmp_path / "2016/caption.txt", "b.png\tz", "")
    samples = load(f"crohme:{tmp_path}")
    assert shown(samples) == [("2014/a", "x ^ { 2 }", "2014"), ("2014/gone", "y", "2014"), ("2016/b", "z", "2016")]
    assert [s.image.is_file() for s in samples] == [True, False, True]
    assert shown(load(f"crohme:{tmp_path}/2014")) == [("a", "x ^ { 2 }", ""), ("gone", "y", "")]
    lines(tmp_path / "2016/caption.txt", "b z")
    assert "caption.txt:1: no tab in 'b z'" in refusal(f"crohme:{tmp_path}")


def test_bitmaps_with_their_labels_beside_the_folder(tmp_path):
    picture(tmp_path / "test2014/a.png")
    lines(tmp_path / "test2014.jsonl", {"image": "test2014/a.png", "latex": "x", "split": "test2014"})
    assert load(f"crohme:{tmp_path / 'test2014'}") == [
        Sample("test2014/a.png", tmp_path / "test2014/a.png", "x", "test2014")]


# SPECs

def test_the_prefixes():
    assert set(SOURCES) == {"im2latex", "crohme"}


@pytest.mark.parametrize(("spec", "said"), [
    ("{}/none", "not found"), ("{}/empty", "no pictures"), ("crohme:{}/none", "not found"), ("crohme:", "not found"),
    ("", "not found"), ("crohme:{}/empty", "neither caption.txt"), ("im2latex:{}/none:test", "not found"),
    ("hub:{}/empty", "Known: im2latex, crohme"), ("{}/notes.md", "neither a folder"),
    ("{}/nothing.jsonl", "no samples"), ("{}/full:dev", "no subset 'dev'. There are: a, b"),
])
def test_what_is_refused_and_what_is_said(tmp_path, spec, said):
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.md").touch()
    (tmp_path / "nothing.jsonl").touch()
    picture(tmp_path / "full/a/1.png")
    picture(tmp_path / "full/b/1.png")
    assert said in refusal(spec.format(tmp_path))


def test_a_path_with_a_colon_in_it_is_a_path(tmp_path, monkeypatch):
    picture(tmp_path / "crohme:x/1.png")
    picture(tmp_path / "crohme/x/2.png")
    monkeypatch.chdir(tmp_path)
    assert [s.id for s in load("crohme:x")] == [s.id for s in load(f"{tmp_path}/crohme:x")] == ["1.png"]


def test_loading_is_the_same_each_time(tmp_path):
    for name in ("b.png", "a/c.png", "a.png"):
        picture(tmp_path / name)
    assert load(str(tmp_path)) == load(str(tmp_path))


# The hash, and writing

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


text = st.text(max_size=12)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.builds(in_memory, text, st.none() | text, st.integers(0, 255),
                          st.sampled_from(["1", "L", "RGB", "RGBA", "P"])), min_size=1, max_size=4,
                unique_by=lambda sample: sample.id))
def test_written_samples_load_again(tmp_path_factory, samples):
    folder = tmp_path_factory.mktemp("written")
    write_samples(folder, samples)
    again = load(str(folder))
    assert shown(again) == shown(samples) and content_hash(again) == content_hash(samples)
    for before, after in zip(samples, again, strict=True):
        with Image.open(after.image) as image:
            assert image.convert("RGBA").tobytes() == before.image.convert("RGBA").tobytes()


def test_files_are_copied_as_they_are_and_what_is_missing_stays_missing(tmp_path):
    (tmp_path / "odd.JPG").write_bytes(b"no picture")
    samples = [Sample("odd", tmp_path / "odd.JPG", None, "s"), Sample("gone", tmp_path / "gone.png", "x")]
    index = write_samples(tmp_path / "out/deep", samples)
    again = load(str(index))
    assert shown(again) == shown(samples) and content_hash(again) == content_hash(samples)
    assert again[0].image.read_bytes() == b"no picture" and not again[1].image.exists()
    assert shown(load(str(tmp_path / "out/deep"))) == shown(samples)


def test_other_modes_become_png_too(tmp_path):
    write_samples(tmp_path / "out", [in_memory(mode, mode=mode) for mode in ("CMYK", "YCbCr", "LA", "I", "F")])
    for sample in load(str(tmp_path / "out")):
        with Image.open(sample.image) as image:
            assert image.convert("L").getpixel((0, 0)) == 0


def test_samples_already_there_are_not_overwritten(tmp_path):
    write_samples(tmp_path, [in_memory("a")])
    with pytest.raises(UserError, match="already there"):
        write_samples(tmp_path, [in_memory("b")])
    assert [s.id for s in load(str(tmp_path))] == ["a"]
