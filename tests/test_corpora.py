"""Data sets in the layouts of their authors, written by the tests: real formats, no real data."""

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


def test_im2latex_as_im2markup_normalized_it(tmp_path):
    (tmp_path / "im2latex_formulas.norm.lst").write_text("x ^ { 2 }\ny\n")
    (tmp_path / "im2latex_train_filter.lst").write_text("bbb.png 1\n")
    (tmp_path / "im2latex_test_filter.lst").write_text("aaa.png 0\n")
    picture(tmp_path / "formula_images_processed/aaa.png")
    samples = load(f"im2latex:{tmp_path}")
    assert shown(samples) == [("bbb", "y", "train"), ("aaa", "x ^ { 2 }", "test")] and samples[1].image.is_file()


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


def test_what_a_mac_leaves_beside_ink_is_none(tmp_path):
    inkml(tmp_path / "a.inkml", truth="$x$")
    (tmp_path / "._a.inkml").write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X        ")
    assert [sample.id for sample in load(f"crohme:{tmp_path}")] == ["a"]


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


def test_names_of_ink_may_end_in_capitals(tmp_path):
    inkml(tmp_path / "a.INKML", truth="$x$")
    inkml(tmp_path / "b.inkml", truth="$y$")
    for prefix in ("crohme", "mathwriting"):
        assert shown(load(f"{prefix}:{tmp_path}")) == [("a", "x", ""), ("b", "y", "")]


def test_ink_is_drawn_once_and_not_held_in_memory(tmp_path, monkeypatch):
    inkml(tmp_path / "a.inkml", truth="$x$")
    [sample] = load(f"crohme:{tmp_path}")
    monkeypatch.setattr("latexocr.data.handwrite.draw_ink", None)
    assert load(f"crohme:{tmp_path}") == [sample] and isinstance(sample.image, Path)


def test_ink_is_drawn_with_other_pens_where_that_is_asked_for(tmp_path):
    for name in ("a", "b"):
        inkml(tmp_path / f"{name}.inkml", truth="$x$")
    plain, one, again, other = (load(f"crohme:{tmp_path}{query}") for query in ("", "?pens=1", "?pens=1", "?pens=2"))
    assert one == again and shown(one) == shown(other) == shown(plain)
    assert plain[0].image == plain[1].image, "the same ink"
    assert len({sample.image for sample in (*plain, *one, *other)}) == 5, "a pen for each ink and seed"
    (tmp_path / "a.inkml").unlink()
    assert load(f"crohme:{tmp_path}?pens=1") == one[1:], "whatever stands beside it"
    for place in ("crohme", "mathwriting"):
        assert len(load(f"{place}:{tmp_path}?pens=7")) == 1


@pytest.mark.parametrize(("query", "said"), [
    ("?pens=x", "found pens=x, expected a number"), ("?pens=-1", "expected a number"),
    ("?subset=age", "found ?subset=age; ink has ?subset=writer"),
])
def test_what_ink_does_not_have(tmp_path, query, said):
    inkml(tmp_path / "a.inkml", truth="$x$")
    assert said in refusal(f"crohme:{tmp_path}{query}")


def test_only_ink_is_drawn_with_pens(tmp_path):
    picture(tmp_path / "img/a.png")
    lines(tmp_path / "caption.txt", "a\tx")
    for query in ("?pens=1", "?text=y"):
        assert "bitmaps, so there is no ink to draw" in refusal(f"crohme:{tmp_path}{query}")
    assert "only ink is drawn with pens: crohme:FOLDER or mathwriting:FOLDER" in refusal(f"{tmp_path}?pens=1")
    assert "only ink is drawn with pens" in refusal("hf:owner/name?pens=1")


def test_the_writer_of_ink_is_its_subset_where_that_is_asked_for(tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.inkml").write_text(
            f'<ink><annotation type="writer">w {name}</annotation><annotation type="truth">$x$</annotation>'
            "<trace>1 2, 3 4</trace></ink>")
    inkml(tmp_path / "c.inkml", truth="$x$").write_text("<ink><trace>1 2</trace></ink>")
    assert [sample.subset for sample in load(f"crohme:{tmp_path}?subset=writer")] == ["w a", "w b", ""]
    assert [sample.id for sample in load(f"crohme:{tmp_path}:w b?subset=writer")] == ["b"]


# CROHME's releases differ in what they leave out and in what they add.
YEARS = {
    "2011": """<ink xmlns="http://www.w3.org/2003/InkML">
<traceFormat><channel name="X" type="decimal"/><channel name="Y" type="decimal"/></traceFormat>
<annotation type="writer">w123</annotation>
<annotation type="truth">$a&lt;\\frac{b}{c}$</annotation>
<annotation type="UI"> 2011_IVC_DEPT_F01_E01 </annotation>
<annotationXML type="truth" encoding="Content-MathML"><math xmlns="http://www.w3.org/1998/Math/MathML"><mrow>
<mi xml:id="A">a</mi></mrow></math></annotationXML>
<trace id="1">985 3317, 1019 3340</trace>
<trace id="2">1123 3308, 1127 3365</trace>
<traceGroup xml:id="g"><annotation type="truth">Segmentation</annotation><traceGroup xml:id="i">
<annotation type="truth">a</annotation><annotationXML href="A"/><traceView traceDataRef="1"/></traceGroup></traceGroup>
</ink>""",
    "2013, in a format of its own": """<?xml version="1.0" encoding="UTF-8"?>
<inkml:ink xmlns:inkml="http://www.w3.org/2003/InkML">
<inkml:definitions><inkml:context xml:id="c"><inkml:traceFormat><inkml:channel name="X"/><inkml:channel name="Y"/>
<inkml:channel name="F"/></inkml:traceFormat></inkml:context></inkml:definitions>
<inkml:annotation type="truth">$a&lt;\\frac{b}{c}$</inkml:annotation>
<inkml:trace contextRef="#c">985 3317 0.5, 1019 3340 0.7</inkml:trace>
<inkml:trace contextRef="#c">1123 3308 1, 1127 3365 1</inkml:trace></inkml:ink>""",
    "2014, with time": """<ink xmlns="http://www.w3.org/2003/InkML"><traceFormat><channel name="X"/><channel name="Y"/>
<channel name="T"/></traceFormat><annotation type="truth">$a&lt;\\frac{b}{c}$</annotation>
<trace>985 3317 1, 1019 3340 2</trace><trace>1123 3308 3, 1127 3365 4</trace></ink>""",
    "2019, formats left out": """<ink xmlns="http://www.w3.org/2003/InkML"><annotation type="UI">x</annotation>
<annotation type="truth">$a&lt;\\frac{b}{c}$</annotation>
<trace id="0" type="penDown">985 3317,1019 3340</trace><trace id="0">1123 3308,
1127 3365,</trace><trace id="3"></trace></ink>""",
    "2023, traces in a group": """<ink><annotation type="truth"> $a&lt;\\frac{b}{c}$
</annotation><traceGroup><trace xml:id="t0">985 3317, 1019 3340</trace><trace xml:id="t1">1123 3308, 1127 3365</trace>
</traceGroup></ink>""",
}


@pytest.mark.parametrize("year", YEARS)
def test_inkml_of_crohme_through_the_years(tmp_path, year):
    path = tmp_path / "a.inkml"
    path.write_text(YEARS[year].replace("\\\\", "\\"))
    ink = read_inkml(path)
    assert ink.latex == "a<\\frac{b}{c}"
    assert ink.strokes == (((985, 3317), (1019, 3340)), ((1123, 3308), (1127, 3365)))


def test_a_broken_file_keeps_the_reference_that_it_still_holds(tmp_path):
    path = tmp_path / "a.inkml"
    for cut, latex in ((-20, "a<\\frac{b}{c}"), (200, None)):
        path.write_text(YEARS["2011"].replace("\\\\", "\\")[:cut])
        assert load(f"crohme:{tmp_path}") == [Sample("a", path, latex)]


# MathWriting

MATHWRITING = """<ink xmlns="http://www.w3.org/2003/InkML">
  <annotation type="label">{raw}</annotation>
  <annotation type="splitTagOriginal">train</annotation>
  <annotation type="inkCreationMethod">human</annotation>
  <annotation type="normalizedLabel">{normalized}</annotation>
  <annotation type="sampleId">000aa4c444cba3f2</annotation>
  <traceFormat>
    <channel name="X" type="decimal" />
    <channel name="Y" type="decimal" />
    <channel name="T" type="decimal" units="ms" />
  </traceFormat>
  <trace id="0">10.0 20.0 0.0,30.0 40.0 12.0,50.0 20.0 25.0</trace>
  <trace id="1">60.0 20.0 40.0,60.0 40.0 55.0</trace>
</ink>
"""


def test_mathwriting_has_two_labels(tmp_path):
    name = "000aa4c444cba3f2"
    for split in ("train", "test"):
        (tmp_path / split).mkdir()
        (tmp_path / split / f"{name}.inkml").write_text(MATHWRITING.format(raw="x^2\\$", normalized="x^{2}\\$"))
    samples = load(f"mathwriting:{tmp_path}")
    assert shown(samples) == [(f"{split}/{name}", "x^{2}\\$", split) for split in ("test", "train")]
    assert shown(load(f"mathwriting:{tmp_path}:train?text=label")) == [(f"train/{name}", "x^2\\$", "train")]
    assert load(f"mathwriting:{tmp_path}/train?text=nothing")[0].latex is None
    assert "no .inkml files" in refusal(f"mathwriting:{(tmp_path / 'none').mkdir() or tmp_path / 'none'}")


# HME100K

@pytest.mark.parametrize("images", ["train_images", "train/train_images", "train"])
def test_hme100k(tmp_path, images):
    picture(tmp_path / images / "train_0.jpg")
    lines(tmp_path / "train_labels.txt", "train_0.jpg\t\\frac { 1 } { 2 }", "train_1.jpg\t\u516c \u5f0f", "")
    lines(tmp_path / "test_labels.txt", "test_0.jpg\tx")
    samples = load(f"hme100k:{tmp_path}")
    assert shown(samples) == [("test/test_0.jpg", "x", "test"), ("train/train_0.jpg", "\\frac { 1 } { 2 }", "train"),
                              ("train/train_1.jpg", "\u516c \u5f0f", "train")]
    assert [sample.image.is_file() for sample in samples] == [False, True, False]
    lines(tmp_path / "test_labels.txt", "test_0.jpg x")
    assert "test_labels.txt:1: no tab" in refusal(f"hme100k:{tmp_path}")


def test_hme100k_unpacked_in_two_folders(tmp_path):
    for split in ("train", "test"):
        picture(tmp_path / split / f"{split}_images/a.jpg")
        lines(tmp_path / split / f"{split}_labels.txt", "a.jpg\tx")
    samples = load(f"hme100k:{tmp_path}")
    assert shown(samples) == [("test/a.jpg", "x", "test"), ("train/a.jpg", "x", "train")]
    assert all(sample.image.is_file() for sample in samples)


# UniMER

def test_unimer(tmp_path):
    for name in ("UniMER-Test/spe", "UniMER-Test/hwe", "UniMER-1M/images"):
        picture(tmp_path / name / "0000000.png")
    picture(tmp_path / "UniMER-Test/spe/0000002.png")
    (tmp_path / "UniMER-Test/spe.txt").write_text("a \\\\ b\n\nc\\ \n")
    lines(tmp_path / "UniMER-Test/hwe.txt", "h")
    lines(tmp_path / "UniMER-1M/train.txt", "t")
    lines(tmp_path / "UniMER-Test/readme.txt", "no list")
    samples = load(f"unimer:{tmp_path}/UniMER-Test")
    assert shown(samples) == [("hwe/0000000", "h", "hwe"), ("spe/0000000", "a \\\\ b", "spe"),
                              ("spe/0000001", "", "spe"), ("spe/0000002", "c\\ ", "spe")]
    assert [sample.image.is_file() for sample in samples] == [True, True, False, True]
    assert shown(load(f"unimer:{tmp_path}:train")) == [("train/0000000", "t", "train")]
    assert "no text file of formulas" in refusal(f"unimer:{tmp_path}/UniMER-Test/spe")


@pytest.mark.parametrize("prefix", ["unimer", "pix2tex"])
@pytest.mark.parametrize(("name", "said"), [("0000002.png", "no line 2 in"), ("01.png", "the number of 01.png")])
def test_a_picture_without_a_line_of_its_own_is_not_passed_over(tmp_path, prefix, name, said):
    """A list that was cut off, or another one: the other pictures may have the wrong formulas, too."""
    for part in ("0000000.png", "1.png", name):
        picture(tmp_path / "math" / part)
    lines(tmp_path / "math.txt", "a", "b")
    assert said in refusal(f"{prefix}:{tmp_path}")


# pix2tex

def test_pix2tex(tmp_path):
    for name in ("train/0000002.png", "train/0000010.png", "val/0000000.png", "train/readme.png"):
        picture(tmp_path / name)
    lines(tmp_path / "math.txt", *(f"f_{{{number}}}" for number in range(11)))
    samples = load(f"pix2tex:{tmp_path}")
    assert shown(samples) == [("train/0000002", "f_{2}", "train"), ("train/0000010", "f_{10}", "train"),
                              ("val/0000000", "f_{0}", "val")]
    picture(tmp_path / "val/11.png")
    assert "no line 11 in" in refusal(f"pix2tex:{tmp_path}")
    (tmp_path / "math.txt").unlink()
    assert "no math.txt" in refusal(f"pix2tex:{tmp_path}")


# TexTeller

def test_texteller_before_and_since_version_3(tmp_path):
    picture(tmp_path / "old/images/single.png")
    lines(tmp_path / "old/formulas.jsonl", {"img_name": "single.png", "formula": "\\int"})
    [sample] = load(f"texteller:{tmp_path}/old")
    assert (sample.id, sample.latex, sample.image.is_file()) == ("single.png", "\\int", True)
    picture(tmp_path / "new/train/1.png")
    lines(tmp_path / "new/train/metadata.jsonl", {"file_name": "1.png", "latex_formula": "\\sum"})
    assert shown(load(f"texteller:{tmp_path}/new")) == [("train/1.png", "\\sum", "train")]


@pytest.mark.parametrize("prefix", ["im2latex", "hme100k", "unimer", "pix2tex", "texteller"])
def test_a_layout_without_choice_has_no_columns_to_name(tmp_path, prefix):
    assert f"{prefix} has no columns to name" in refusal(f"{prefix}:{tmp_path}?text=x")
