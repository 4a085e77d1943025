"""What transcribe is given: which samples each word names, in which order, under which ids; and one line where none."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import fsspec
import numpy as np
import pytest
from PIL import Image, ImageGrab

from latexocr.data.boxes import Box, Boxes, read_boxes
from latexocr.data.distant import Page, Remote, Web
from latexocr.data.inputs import Inputs
from latexocr.errors import UserError
from latexocr.reading.images import prepare


def touch(*paths: Path | str) -> None:
    for path in map(Path, paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """A folder with pictures, some of them deep in it, and things that are no pictures; it is the current one."""
    monkeypatch.chdir(tmp_path)
    touch("s/b.png", "s/a.PNG", "s/notes.txt.bak", "s/.hidden.png", "s/.git/c.png", "s/z/y/x/deep.jpg", "s/z/1.png",
          "s/a-part/2.png", "t/a.PNG", "alone.webp")
    return tmp_path


def ids(*words: str, boxes: Boxes = Boxes()) -> list[str]:
    inputs = Inputs(words, boxes)
    first = [sample.id for sample in inputs]
    assert [sample.id for sample in inputs] == first, "a second look sees the same"
    return first


FOLDER = ["a.PNG", "b.png", "a-part/2.png", "z/1.png", "z/y/x/deep.jpg"]


@pytest.mark.parametrize(("words", "expected"), [
    (["s"], FOLDER), (["s/"], FOLDER), (["./s"], FOLDER),
    (["s", "t"], [*(f"s/{id}" for id in FOLDER), "t/a.PNG"]),
    (["alone.webp"], ["alone.webp"]), (["s/b.png"], ["b.png"]), (["s/b.png", "alone.webp"], ["s/b.png", "alone.webp"]),
    (["s/*.png"], ["s/b.png"]), (["s/**/*.png"], ["s/a-part/2.png", "s/b.png", "s/z/1.png"]),
    (["s/*"], ["s/a.PNG", "s/b.png"]), (["s/[ab].*", "t/a.PNG"], ["s/a.PNG", "s/b.png", "t/a.PNG"]),
    (["."], ["alone.webp", *(f"s/{id}" for id in FOLDER), "t/a.PNG"]),
])
def test_files_folders_and_patterns(place, words, expected):
    assert ids(*words) == expected
    for sample in Inputs(words):
        assert sample.image.is_file()


def test_a_file_that_looks_like_a_pattern_is_that_file(place):
    touch("x[1].png", "x1.png")
    assert ids("x[1].png") == ["x[1].png"] and ids("x[1]*.png") == ["x1.png"]


def test_folders_that_are_links_are_followed_once(place):
    os.symlink(place / "t", place / "s/link")
    os.symlink(place / "s", place / "s/z/around")
    assert ids("s") == ["a.PNG", "b.png", "a-part/2.png", "link/a.PNG", "z/1.png", "z/y/x/deep.jpg"]


def test_a_link_that_leads_nowhere_or_to_itself_is_a_sample_and_a_pipe_is_none(place):
    os.symlink("nowhere", "t/b.png")
    os.mkfifo("t/c.png")
    os.symlink("d.png", "t/d.png")
    assert ids("t") == ["a.PNG", "b.png", "d.png"]


def test_a_picture_of_a_phone_is_a_sample_though_it_cannot_be_read(place):
    touch("t/b.HEIC")
    assert ids("t") == ["a.PNG", "b.HEIC"] and ids("t/b.HEIC") == ["b.HEIC"] and ids("t/*.HEIC") == ["t/b.HEIC"]


def test_an_index_says_what_is_in_its_folder(place):
    Path("s/z/metadata.jsonl").write_text('{"file_name": "1.png"}\n{"id": "two", "file_name": "y/x/deep.jpg"}\n')
    assert ids("s") == ["a.PNG", "b.png", "a-part/2.png", "z/1.png", "z/two"]
    assert ids("s/z") == ["1.png", "two"] and ids("s/z", "t") == ["s/z/1.png", "s/z/two", "t/a.PNG"]


def test_a_data_spec_stays_one(place):
    Path("l.csv").write_text("bild,formel\ns/b.png,x\n")
    assert ids("l.csv?image=bild&text=formel") == ["s/b.png"]
    Path("l.jsonl").write_text('{"id": "one", "image": "s/b.png"}\n')
    assert ids("l.jsonl") == ["one"] and ids("l.jsonl", "alone.webp") == ["l.jsonl/one", "alone.webp"]


LIST = "s/b.png\r\n\n  spaced name.png\ngone.png\nt\ns/a-part/*.png\nhttp://127.0.0.1:9/x.png\nnotes.txt\n"
LISTED = ["s/b.png", "  spaced name.png", "gone.png", "t/a.PNG", "s/a-part/2.png", "http://127.0.0.1:9/x.png",
          "notes.txt"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_list_names_what_the_command_line_may(place, encoding):
    """Names are relative to the list; what is not there is a sample, which fails when it is read."""
    Path("list.txt").write_bytes(LIST.encode(encoding))
    assert ids("list.txt") == LISTED
    os.chdir("s")
    assert ids("../list.txt") == LISTED
    there = {sample.id: sample.image for sample in Inputs(["../list.txt"])}
    assert there["s/b.png"].is_file() and there["t/a.PNG"].is_file() and not there["gone.png"].exists()
    assert isinstance(there["http://127.0.0.1:9/x.png"], Web)


def test_a_list_on_standard_input_can_be_gone_through_again(place, monkeypatch):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(LIST.encode() * 3000)))
    inputs = Inputs(["-"])
    both = list(zip((s.id for s in inputs), (s.id for s in inputs), strict=True))
    assert both == [(id, id) for id in LISTED * 3000]


def test_names_that_are_no_utf8(place):
    name = os.fsdecode(b"s/\xff.png")
    try:
        touch(name)
    except OSError:
        pytest.skip("this file system takes only UTF-8 names")
    Path("list.txt").write_bytes(b"s/\xff.png\n")
    for words in (["list.txt"], [name, "alone.webp"], ["s/*.png", "alone.webp"]):
        found = {sample.id: sample.image for sample in Inputs(words)}
        assert found["s/\\xff.png"].is_file()


@pytest.mark.parametrize(("words", "said"), [
    (["nowhere"], "nowhere: not found"), (["nowhere/*.png"], "no picture and no PDF is so named"),
    (["s/z/y"], None), (["empty"], "empty: no pictures"), (["empty.txt"], "The list is empty"),
    (["s/notes.txt.bak"], "neither a folder"), (["s3://bucket/x/"], "s3://bucket/x/: cannot be listed"),
    (["nonsense://x"], "nonsense://x: cannot be listed"), (["x" * 300], "not found"), (["a\0b"], "not found"),
    (["memory://none/*.png"], "no pictures there"), (["memory://nobucket"], "memory://nobucket: not found"),
])
def test_a_word_that_names_nothing_is_one_line(place, words, said):
    Path("empty").mkdir()
    touch("empty.txt")
    if said is None:
        assert ids(*words) == ["x/deep.jpg"]
        return
    with pytest.raises(UserError, match=said.replace("*", r"\*")) as e:
        ids(*words)
    assert "\n" not in str(e.value)


def test_urls_are_named_and_not_fetched():
    [sample] = Inputs(["https://nowhere.invalid/a b.png"])
    assert sample.id == "https://nowhere.invalid/a b.png" and sample.image == Web(sample.id)


def test_folders_elsewhere():
    files = fsspec.filesystem("memory")
    for name in ("/bucket/b.png", "/bucket/a.jpg", "/bucket/deep/er/c.png", "/bucket/notes.txt"):
        files.pipe(name, b"x")
    here = "memory://bucket"
    assert ids(here) == ["memory:///bucket/a.jpg", "memory:///bucket/b.png", "memory:///bucket/deep/er/c.png"]
    assert ids(f"{here}/*.png") == ["memory:///bucket/b.png"]
    assert ids(f"{here}/**/*.png") == ["memory:///bucket/b.png", "memory:///bucket/deep/er/c.png"]
    assert ids(f"{here}/b.png") == ["memory://bucket/b.png"]
    assert all(isinstance(sample.image, Remote) for sample in Inputs([here]))


def pdf(path: Path, *pages: str) -> Path:
    """A PDF of 200 x 100 points a page, each with a black rectangle at left, bottom, width, height (from below)."""
    kids = " ".join(f"{3 + 2 * i} 0 R" for i in range(len(pages)))
    objects = ["<< /Type /Catalog /Pages 2 0 R >>", f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>"]
    for i, box in enumerate(pages):
        drawing = f"0 g {box} re f"
        objects += [f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 200 100] /Contents {4 + 2 * i} 0 R >>",
                    f"<< /Length {len(drawing)} >>\nstream\n{drawing}\nendstream"]
    text, places = "%PDF-1.4\n", []
    for number, content in enumerate(objects, start=1):
        places.append(len(text))
        text += f"{number} 0 obj\n{content}\nendobj\n"
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    path.write_text(f"{text}xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}"
                    f"trailer << /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(text)}\n%%EOF\n")
    return path


def test_pages_of_a_pdf(place):
    pdf(place / "book.pdf", "20 20 30 10", "10 50 180 8")
    assert ids("book.pdf") == ["book.pdf#1", "book.pdf#2"]
    assert ids("book.pdf", "alone.webp") == ["book.pdf#1", "book.pdf#2", "alone.webp"]
    assert ids("*.pdf", "s/b.png") == ["book.pdf#1", "book.pdf#2", "s/b.png"]
    first, second = (prepare(sample.image) for sample in Inputs(["book.pdf"]))
    assert not np.array_equal(np.asarray(first), np.asarray(second))


def test_boxes_on_the_pages_of_a_pdf(place):
    """In points from the upper left corner: the first rectangle is 20 from the left, and 70 to 80 from the top."""
    pdf(place / "book.pdf", "20 20 30 10", "100 50 60 30")
    Path("boxes.json").write_text(json.dumps([
        {"page": 2, "box": [90, 10, 170, 60]}, {"page": 1, "box": [10, 60, 60, 90], "file": "book.pdf"},
        {"page": 2, "box": [0, 0, 10, 10]}, {"page": 1, "box": [0, 0, 9, 9], "file": "other.pdf"}]))
    boxes = read_boxes(Path("boxes.json"))
    assert ids("book.pdf", boxes=boxes) == ["book.pdf#1.1", "book.pdf#2.1", "book.pdf#2.2"]
    with pytest.raises(UserError, match=r"book.pdf: no box is on it.*; found another.pdf"):
        ids("book.pdf", boxes=Boxes((Box("another.pdf", 1, (0, 0, 9, 9)),)))
    one, two, blank = Inputs(["book.pdf"], boxes)
    picture = one.image.fetch()
    dark = [(x, y) for x in range(picture.width) for y in range(picture.height) if picture.getpixel((x, y)) < 128]
    scale = picture.width / 50
    assert min(x for x, _ in dark) / scale == pytest.approx(10, abs=0.6)
    assert min(y for _, y in dark) / scale == pytest.approx(10, abs=0.6)
    assert max(y for _, y in dark) / scale == pytest.approx(20, abs=0.6)
    assert two.image.fetch().size == pytest.approx((80 * scale, 50 * scale), abs=2)
    with pytest.raises(UserError, match="no ink"):
        prepare(blank.image)


def test_a_box_names_its_pdf_by_name_or_by_path_as_given_or_is_of_any():
    boxes = Boxes(tuple(Box(file, page, (0, 0, 1, 1)) for page, file in enumerate(
        ("a.pdf", "in/a.pdf", "other/a.pdf", "", "b.pdf"), 1)))
    assert [[box.page for box in boxes.of(file)] for file in ("in/a.pdf", "a.pdf", "b.pdf")] == [
        [1, 2, 4], [1, 4], [4, 5]]


@pytest.mark.parametrize(("written", "said"), [
    ("", "not JSON"), ("{}", "found nothing"), ("[]", "found nothing"), ("[1]", "number 1: not a box"),
    ('[{"page": 1}]', "number 1: not a box"), ('[{"page": 0, "box": [1, 2, 3, 4]}]', "page 0"),
    ('[{"page": 1, "box": [1, 2, 3]}]', "not a box"), ('[{"page": 1, "box": [3, 2, 1, 4]}]', "nothing is between"),
    ('[{"page": true, "box": [1, 2, 3, 4]}]', "page True"), ('[{"page": 1, "box": [1, 2, NaN, 4]}]', "page 1, box"),
    ('[{"page": 1, "box": "abcd"}]', "not a box"),
])
def test_what_are_no_boxes_is_one_line(tmp_path, written, said):
    (tmp_path / "b.json").write_text(written)
    with pytest.raises(UserError, match=said) as e:
        read_boxes(tmp_path / "b.json")
    assert "b.json" in str(e.value) and "\n" not in str(e.value)


@pytest.mark.parametrize(("page", "said"), [
    (Page(Path("gone.pdf"), 1), "gone.pdf: cannot be opened as a PDF"),
    (Page(Path("text.pdf"), 1), "text.pdf: cannot be opened as a PDF"),
    (Page(Path("book.pdf"), 9), "book.pdf#9: cannot be drawn"),
    (Page(Path("book.pdf"), 1, (300, 0, 400, 50)), "is not on the page of 200 x 100 points"),
])
def test_a_page_that_cannot_be_had_is_one_line(place, page, said):
    pdf(place / "book.pdf", "20 20 30 10")
    Path("text.pdf").write_text("no PDF")
    with pytest.raises(UserError, match=said):
        prepare(page)
    assert [sample.id for sample in Inputs(["text.pdf"])] == ["text.pdf#1"]  # it fails when it is read


@pytest.mark.parametrize(("found", "said"), [
    (Image.new("L", (9, 9)), None), (None, "no picture in the clipboard"), ([], "no picture in the clipboard"),
    (["/tmp/a.png"], None), (NotImplementedError("needs wl-paste or xclip"), "wl-paste or xclip"),
])
def test_the_clipboard(place, monkeypatch, found, said):
    def grab():
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(ImageGrab, "grabclipboard", grab)
    if said:
        with pytest.raises(UserError, match=said):
            list(Inputs(["clipboard"]))
    else:
        [sample] = Inputs(["clipboard"])
        assert sample.id == "clipboard" and sample.image in (found, Path("/tmp/a.png"))
    touch("clipboard/a.png")
    assert ids("clipboard") == ["a.png"]  # a path that exists is that path
