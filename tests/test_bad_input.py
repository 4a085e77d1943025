"""Whatever is in a file: a picture comes out, or one line that names the file; never a traceback, never a wait."""

from __future__ import annotations

import io
import json
import os
import random
import re
import struct
import time
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from test_corpora import inkml
from test_sources import lines, picture

from latexocr.data.sources import load
from latexocr.data.write import convert
from latexocr.errors import UserError
from latexocr.reading.conversation import conversation
from latexocr.reading.images import HEIGHTS, WIDTHS, prepare
from latexocr.records import Sample


def one_line(call: Callable[[], object], named: Path | str) -> str:
    """What is said about a file; fails where nothing is said, or more than a line."""
    with pytest.raises(UserError) as error:
        call()
    assert str(named) in str(error.value) and "\n" not in str(error.value)
    return str(error.value)


# Pictures

def formula(mode: str = "L") -> Image.Image:
    drawn = Image.new("L", (60, 24), 255)
    pencil = ImageDraw.Draw(drawn)
    pencil.rectangle([10, 6, 20, 18], fill=0)
    pencil.ellipse([30, 6, 44, 18], fill=60)
    return drawn.convert(mode)


def encoded(kind: str, mode: str = "L", **options: object) -> bytes:
    buffer = io.BytesIO()
    formula(mode).save(buffer, kind, **options)
    return buffer.getvalue()


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[274] = 6
    return exif


WHOLE = {
    "grey.png": encoded("PNG"), "palette.png": encoded("PNG", "P"), "16 bit.png": encoded("PNG", "I;16"),
    "alpha.png": encoded("PNG", "RGBA"), "one bit.png": encoded("PNG", "1"),
    "turned.jpg": encoded("JPEG", exif=turned()), "cmyk.jpg": encoded("JPEG", "CMYK"),
    "progressive.jpg": encoded("JPEG", "RGB", progressive=True),
    "animated.gif": encoded("GIF", "P", save_all=True, append_images=[formula("P")]),
    "animated.png": encoded("PNG", save_all=True, append_images=[formula()]), "plain.bmp": encoded("BMP", "RGB"),
    "plain.tif": encoded("TIFF"), "lzw.tif": encoded("TIFF", "RGB", compression="tiff_lzw"),
    "fax.tif": encoded("TIFF", "1", compression="group4"), "lossy.webp": encoded("WEBP", "RGB"),
    "lossless.webp": encoded("WEBP", "RGBA", lossless=True),
}


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_picture_is_prepared(tmp_path, name):
    (tmp_path / name).write_bytes(WHOLE[name])
    prepared = prepare(load(str(tmp_path))[0].image)
    assert prepared.mode == "RGB" and np.asarray(prepared).min() < 60


def mutated(whole: bytes, chance: random.Random) -> bytes:
    """A file cut, with bits turned, its header edited, or bytes put in or taken out."""
    data, place = bytearray(whole), chance.randrange(len(whole))
    match chance.choice(["cut", "bits", "header", "more", "less"]):
        case "cut":
            del data[place:]
        case "bits":
            for _ in range(chance.randint(1, 8)):
                data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        case "header":
            for _ in range(chance.randint(1, 4)):
                data[chance.randrange(min(64, len(data)))] = chance.choice([0, 255, 127, 128, chance.randrange(256)])
        case "more":
            data[place:place] = chance.randbytes(chance.randint(1, 16))
        case "less":
            del data[place : place + chance.randint(1, 16)]
    return bytes(data)


def test_mutated_pictures_are_prepared_or_one_line(tmp_path):
    chance, path, outcomes = random.Random(0), tmp_path / "a.png", Counter()
    for _ in range(1200):
        path.write_bytes(mutated(WHOLE[chance.choice(list(WHOLE))], chance))
        start = time.perf_counter()
        try:
            prepared = prepare(path)
        except UserError as e:
            assert str(path) in str(e) and "\n" not in str(e)
            outcomes["refused"] += 1
        else:
            assert prepared.height in HEIGHTS and prepared.width in WIDTHS
            outcomes["prepared"] += 1
        assert time.perf_counter() - start < 20
    assert min(outcomes.values()) > 200, "the mutations are too tame or too wild to show anything"


@pytest.mark.parametrize(("content", "said"), [
    (b"", "cannot be opened as a picture (the file is empty)"),
    (b"\x89PNG\r\n\x1a\n", "cannot be opened"), (b"<svg/>", "cannot be opened"),
    (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n1 1 moveto 5 5 lineto stroke\n",
     "its content is none of BMP, "),
    (encoded("PNG")[:60], "cannot be opened"),
])
def test_no_picture_is_one_line(tmp_path, content, said):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    assert said in one_line(lambda: prepare(path), path)


def test_a_decompression_bomb_is_refused_before_it_is_unpacked(tmp_path):
    path = tmp_path / "bomb.png"
    whole = encoded("PNG")  # its header then says 20,000 x 20,000, checksum and all
    size = struct.pack(">II", 20_000, 20_000) + whole[24:29]
    path.write_bytes(whole[:16] + size + struct.pack(">I", zlib.crc32(b"IHDR" + size)) + whole[33:])
    start = time.perf_counter()
    assert "400000000 pixels" in one_line(lambda: prepare(path), path)
    assert time.perf_counter() - start < 1


@pytest.mark.parametrize("size", [(0, 0), (0, 5), (5, 0), (1, 1), (1, 9), (9, 1), (2, 2)])
def test_hardly_a_pixel(size):
    for shade in (0, 128, 255):
        one_line(lambda shade=shade: prepare(Image.new("L", size, shade)), "picture")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -5.0])
def test_values_that_are_no_grey(value):
    grey = np.asarray(formula(), dtype=np.float32) / 255
    grey[0, 0] = value
    assert np.array_equal(np.asarray(prepare(Image.fromarray(grey))), np.asarray(prepare(formula())))


# Ink

def edited(whole: str, chance: random.Random) -> str:
    """InkML with a tag, an attribute or a number changed: XML still, mostly, with parts missing."""
    part = chance.choice([r"<[^>]*>", r"[\w:]+=\"[^\"]*\"", r"-?\d+(?:\.\d+)?", r"<trace [^>]*>[^<]*</trace>", r"\w+"])
    found = chance.choice(list(re.finditer(part, whole)))
    new = chance.choice(["", found[0] * 2, "1e308", "-1e9", "nan", "0", "x", "&lt;", "]]>", "\u00e9", "trace", " , "])
    return whole[: found.start()] + new + whole[found.end() :]


def test_mutated_ink_is_drawn_or_one_line(tmp_path):
    chance, path, outcomes = random.Random(0), inkml(tmp_path / "a.inkml", truth="$x<y$"), Counter()
    whole = path.read_text("utf-8")
    for number in range(800):
        path.write_bytes(mutated(whole.encode(), chance) if number % 4 == 0 else edited(whole, chance).encode())
        start = time.perf_counter()
        [sample] = load(f"crohme:{tmp_path}")
        outcomes["broken" if sample.image == path else "drawn"] += 1
        try:
            prepare(sample.image)
        except UserError as e:
            assert str(sample.image) in str(e) and "\n" not in str(e)
        assert time.perf_counter() - start < 20
    assert min(outcomes.values()) > 200, "the mutations are too tame or too wild to show anything"


@pytest.mark.parametrize("content", [
    '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">' + "".join(
        f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefghi", "bcdefghij", strict=True))
    + "]><ink><trace>&j;</trace></ink>",
    '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><ink><trace>&a;</trace></ink>',
    "<a>" * 100_000,
    "<ink><trace>0 0, 1 1</trace><trace>-1e308 1e308, 1e308 -1e308</trace></ink>",
])
def test_hostile_xml_is_one_line_at_once(tmp_path, content):
    (tmp_path / "a.inkml").write_text(content)
    start = time.perf_counter()
    [sample] = load(f"crohme:{tmp_path}")
    assert sample.image == tmp_path / "a.inkml" and time.perf_counter() - start < 5
    one_line(lambda: prepare(sample.image), sample.image)


# Text in other encodings

@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_text_says_how_it_is_written(tmp_path, encoding):
    picture(tmp_path / "a.png")
    (tmp_path / "a.tex").write_bytes(r"\text{é}\ ".encode(encoding))
    assert load(str(tmp_path))[0].latex == r"\text{é}\ "
    (tmp_path / "list.csv").write_bytes("image,latex\r\na.png,\"é,\nx\"\r\n".encode(encoding))
    assert load(str(tmp_path / "list.csv"))[0].latex == "é,\nx"


@pytest.mark.parametrize(("formula", "encoding", "said"), [
    ("é+x", "latin-1", "not utf-8 text (invalid continuation byte at byte 0). Convert it"),
    ("é+x", "gb18030", "not utf-8 text"), ("x", "utf-16-le", "null bytes"), ("x", "utf-16-be", "null bytes"),
])
def test_text_that_does_not_is_one_line_and_never_guessed(tmp_path, formula, encoding, said):
    picture(tmp_path / "a.png")
    (tmp_path / "a.tex").write_bytes(formula.encode(encoding))
    assert said in one_line(lambda: load(str(tmp_path)), tmp_path / "a.tex")


# Names

NAMES = ["-rf.png", "a b.png", "it's \"quoted\".png", "line\nbreak.png", "tab\t.png", "a:b.png", "a?text=b.png",
         "Ünïcødé 数式.png", "%41&amp;.png", "*.png", "\\frac.png", "🙂.png", "\u202ertl.png", "a" * 240 + ".png"]


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_of_any_name_is_found_written_and_read(tmp_path, name):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / name).write_bytes(WHOLE["grey.png"])
    (tmp_path / "in" / name).with_suffix(".tex").write_text("x")
    for spec in (tmp_path / "in", tmp_path / "in" / name):
        [sample] = load(str(spec))
        assert (sample.id, sample.latex) == (name, "x")
        prepare(sample.image)
    convert([sample], tmp_path / "out", "jsonl")
    [again] = load(str(tmp_path / "out"))
    assert (again.id, again.image.read_bytes()) == (name, WHOLE["grey.png"])
    (tmp_path / "in" / name).write_bytes(b"broken")
    one_line(lambda: prepare(tmp_path / "in" / name), name if name.isprintable() else tmp_path)


def test_names_that_are_no_utf8_stay_apart(tmp_path):
    try:
        for end in (b"\xfe", b"\xff"):
            Path(os.fsdecode(os.fsencode(tmp_path) + b"/a" + end + b".png")).write_bytes(WHOLE["grey.png"])
    except OSError:
        pytest.skip("this file system takes only UTF-8 names")
    samples = load(str(tmp_path))
    assert [sample.id for sample in samples] == ["a\\xfe.png", "a\\xff.png"]
    for sample in samples:
        prepare(sample.image)
    assert json.dumps([sample.id for sample in samples], ensure_ascii=False).encode()


@pytest.mark.parametrize("image", ["", ".", "a\0b.png", "a" * 400 + ".png", "\ud800.png", "/", "no/such/folder/a.png"])
def test_a_list_may_name_pictures_of_any_name(tmp_path, image):
    index = lines(tmp_path / "list.jsonl", {"id": "a", "image": image, "latex": "x"})
    [sample] = load(str(index))
    one_line(lambda: prepare(sample.image), "")
    convert([sample], tmp_path / "out", "jsonl")
    [again] = load(str(tmp_path / "out"))
    assert (again.id, again.latex, again.image.exists()) == ("a", "x", False)
    written = convert([sample, Sample("b", formula(), "y")], tmp_path / "set", "datasets")
    assert (written.count, [name for name, _ in written.left_out]) == (1, ["a"])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1"])
def test_ink_says_how_it_is_written(tmp_path, encoding):
    path = inkml(tmp_path / "a.inkml", truth=r"$\mbox{é}$")
    path.write_bytes(path.read_text("utf-8").replace("UTF-8", encoding, 1).encode(encoding))
    assert load(f"crohme:{tmp_path}")[0].latex == r"\mbox{é}"


@pytest.mark.parametrize("spec", ["a" * 300, "hf:" + "a" * 300, "crohme:" + "a" * 300, "a\0b", "crohme:a\0b", "-", "?",
                                  ":", "?text=x"])
def test_a_spec_of_any_characters_is_one_line(spec):
    one_line(lambda: load(spec), "")


# What other trainers get holds nothing that they fail on

def test_what_cannot_be_trained_on_is_left_out_and_said(tmp_path):
    (tmp_path / "in").mkdir()
    for name, content in {"a.png": WHOLE["grey.png"], "b.png": WHOLE["grey.png"][:60], "c.png": b"%!PS"}.items():
        (tmp_path / "in" / name).write_bytes(content)
    index = lines(tmp_path / "in/samples.jsonl", *({"image": f"{name}.png", "latex": "x"} for name in "abc"),
                  {"image": "gone.png", "latex": "x"}, {"id": "bare", "image": "a.png"})
    half = Sample("half", tmp_path / "in/a.png", "\ud800")
    written = convert([*load(str(index)), half], tmp_path / "out", "conversation", conversation)
    assert written.count == 1
    assert [name for name, _ in written.left_out] == ["b.png", "c.png", "gone.png", "bare", "half"]
    assert all(reason and "\n" not in reason for _, reason in written.left_out)
