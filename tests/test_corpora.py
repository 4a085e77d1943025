"""im2latex-100k and CROHME in the layouts of their authors, written by the tests: real formats, no real data."""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
import pytest
from PIL import Image
from test_sources import lines, picture, refusal, shown

from latexocr.data.inkml import read_inkml
from latexocr.data.sources import load
from latexocr.errors import UserError
from latexocr.records import Sample

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
    picture = Image.open(sample.image)
    pixels = np.asarray(picture)
    assert picture.mode == "L" and pixels.min() == 0 and pixels[0, 0] == 255
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
