"""The pages of a DVI file: written by hand, by TeX, and broken."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from latexocr.tex import dvi

POINT = 65536
WIDTH, HEIGHT, DEPTH = 5 * POINT, 7 * POINT, 2 * POINT
"""Of the one character of the font `toy`, at 10 points."""
PUSH, POP = b"\x8d", b"\x8e"

needs_tex = pytest.mark.skipif(not shutil.which("latex"), reason="needs TeX (latex)")


def metrics_file(folder: Path) -> Path:
    """A TFM file of one character, `A`."""
    tenth = (1 << 20) / 10 / POINT
    sizes = [0, round(WIDTH * tenth), 0, round(HEIGHT * tenth), 0, round(DEPTH * tenth)]
    lengths = (6 + 2 + 1 + len(sizes), 2, 65, 65, 2, 2, 2, 0, 0, 0, 0, 0)
    path = folder / "toy10.tfm"
    path.write_bytes(struct.pack(">12H", *lengths) + bytes(8) + bytes([1, 0x11, 0, 0]) + struct.pack(">6i", *sizes))
    return path


def define_font(number: int, name: bytes = b"toy10") -> bytes:
    return bytes([243, number]) + struct.pack(">IIIBB", 0, 10 * POINT, 10 * POINT, 0, len(name)) + name


def origin(left: int = 0, top: int = 0, height: int = 0) -> bytes:
    """What `preview` writes where a picture begins."""
    text = b"ps::-%d 0 0 %d %d 0 0" % (-left, top, height)
    return bytes([239, len(text)]) + text.replace(b"--", b"-")


def page(commands: bytes) -> bytes:
    return b"\x8b" + bytes(44) + commands + b"\x8c"


def file(folder: Path, *pages: bytes) -> Path:
    path = folder / "a.dvi"
    path.write_bytes(b"\xf7\x02" + bytes(12) + b"\x03abc" + b"".join(pages) + b"\xf8" + bytes(28) + b"\xdf" * 4)
    return path


def four(value: int) -> bytes:
    return struct.pack(">i", value)


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """The font `toy10`, found where this test put it."""
    path = metrics_file(tmp_path)
    monkeypatch.setattr(dvi, "_metric_file", lambda name: path)
    dvi._font.cache_clear()
    yield define_font(200) + bytes([235, 200])
    dvi._font.cache_clear()


@pytest.mark.parametrize(("commands", "place"), [
    pytest.param(b"", (0, 0), id="nothing"),
    pytest.param(b"\x8a", (0, 0), id="no operation"),
    pytest.param(b"\x8f\x10", (16, 0), id="right1"),
    pytest.param(b"\x8f\xf0", (-16, 0), id="left1"),
    pytest.param(b"\x90\x01\x00", (256, 0), id="right2"),
    pytest.param(b"\x92" + four(3 * POINT), (3 * POINT, 0), id="right4"),
    pytest.param(b"\x9d\x10\xa0" + four(-POINT), (0, 16 - POINT), id="down1 down4"),
    pytest.param(b"\x94\x10\x93\x93", (48, 0), id="w"),
    pytest.param(b"\x97" + four(5) + b"\x98", (5, 0), id="w4 x0: x is still zero"),
    pytest.param(b"\x99\x07\x98\x94\x01\x98", (22, 0), id="x w x"),
    pytest.param(b"\xa2\x07\xa1\xa1", (0, 21), id="y"),
    pytest.param(b"\xa7\x07\xa6\xa5" + four(100) + b"\xa6", (0, 121), id="z y z"),
    pytest.param(PUSH + b"\x94\x10\xa2\x09" + POP + b"\x93\xa1", (0, 0), id="pop forgets place, w and y"),
    pytest.param(b"\x94\x10" + PUSH + b"\x93" + POP + b"\x93", (32, 0), id="pop restores w"),
    pytest.param(b"A", (WIDTH, 0), id="a set character moves"),
    pytest.param(b"\x80A", (WIDTH, 0), id="set1 moves"),
    pytest.param(b"\x85A\x86\x00A", (0, 0), id="a put character does not"),
    pytest.param(b"\x84" + four(POINT) + four(4 * POINT), (4 * POINT, 0), id="a set rule moves"),
    pytest.param(b"\x84" + four(-1) + four(4 * POINT), (4 * POINT, 0), id="so does an invisible one"),
    pytest.param(b"\x89" + four(POINT) + four(4 * POINT), (0, 0), id="a put rule does not"),
])
def test_commands_move_the_place(tmp_path, toy, commands, place):
    *_, last = dvi.pages(file(tmp_path, page(toy + commands + b"A")))[0].glyphs()
    across, down = place
    expected = (across, down - HEIGHT, across + WIDTH, down + DEPTH)
    assert (last.font, last.code) == ("toy", ord("A"))
    assert (last.left, last.top, last.right, last.bottom) == pytest.approx([v / POINT for v in expected], abs=1e-3)


def test_rules_are_boxes_above_their_place_and_empty_ones_are_none(tmp_path, toy):
    rules = b"\x89" + four(POINT) + four(4 * POINT) + b"\x89" + four(0) + four(POINT) + b"\x89" + four(9) + four(-9)
    found = [page.glyphs() for page in dvi.pages(file(tmp_path, page(toy + rules)))]
    assert found == [[dvi.Glyph("rule", 0, 0.0, -1.0, 4.0, 0.0)]]


def test_coordinates_count_from_the_corner_that_preview_names(tmp_path, toy):
    place = b"\x92" + four(10 * POINT) + b"\xa0" + four(30 * POINT)
    corner = origin(left=-2 * POINT, top=POINT, height=8 * POINT)
    found, = dvi.pages(file(tmp_path, page(toy + place + corner + b"A")))
    glyph, = found.glyphs()
    assert (glyph.left, glyph.top) == pytest.approx((2, 8 + 1 - 7), abs=1e-3)


def test_every_page_begins_anew(tmp_path, toy):
    moved = toy + b"\x92" + four(10 * POINT) + PUSH + origin(top=POINT) + b"A"
    pages = dvi.pages(file(tmp_path, page(moved), page(b""), page(toy + b"A")))
    first, empty, last = (found.glyphs() for found in pages)
    assert (len(first), len(empty)) == (1, 0)
    assert (last[0].left, last[0].right) == pytest.approx((0, WIDTH / POINT), abs=1e-3)


def test_boxes_lie_in_boxes_and_what_never_closed_is_closed(tmp_path, toy):
    boxes = b"A" + PUSH + PUSH + b"A" + POP + PUSH + POP + b"A" + POP + PUSH + b"A"
    found, = dvi.pages(file(tmp_path, page(toy + boxes)))
    mark = type(next(dvi.marks(found.box)))
    shape = lambda box: [item.code if type(item) is mark else shape(item) for item in box]  # noqa: E731
    assert shape(found.box) == [65, [[65], 65], [65]]


def test_a_page_says_its_number_and_the_size_of_its_picture(tmp_path, toy):
    commands = toy + b"\x9d\x10" + b"\xef\x1eps::-10 -20 30 40 500 600 7000A"
    begin = b"\x8b" + bytes(36) + four(12) + bytes(4)
    path = file(tmp_path, begin + commands + b"\x8c")
    found, = dvi.pages(path)
    assert (found.number, found.baseline, found.corner) == (12, 16, (-10, 16 - 500 - 40))
    assert (found.width * POINT, found.height * POINT) == pytest.approx((7000 + 30 + 10, 500 + 600 + 40 + 20))


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n", b"\xf7\x03" + bytes(40)])
def test_another_file_is_refused(tmp_path, content):
    path = tmp_path / "a.dvi"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="not a DVI file"):
        dvi.pages(path)


@pytest.mark.parametrize("commands", [b"A", b"\xac", POP, b"\xfa"], ids=[
    "character without font", "font never defined", "pop of nothing", "no such command"])
def test_damage_is_refused(tmp_path, commands):
    with pytest.raises(ValueError, match=r"a\.dvi: .* damaged"):
        dvi.pages(file(tmp_path, page(commands)))


def test_a_file_that_breaks_off_is_refused_wherever_it_does(tmp_path, toy):
    path = file(tmp_path, page(toy + b"\x92" + four(POINT) + b"A" + origin()))
    whole = path.read_bytes()
    end = whole.index(b"\xf8" + bytes(28))
    for length in range(2, end + 1):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError):
            dvi.pages(path)


@needs_tex
def test_a_font_without_metrics_is_named(tmp_path):
    with pytest.raises(ValueError, match="no metrics for font nosuchfont10"):
        dvi.pages(file(tmp_path, page(define_font(1, b"nosuchfont10"))))


@needs_tex
def test_tex_puts_glyphs_where_its_rules_say(tmp_path):
    """`a` and `b` of cmmi10, side by side; a rule of 3 by 2 points, 20 points to the right of where they began."""
    (tmp_path / "a.tex").write_text(
        r"\documentclass{article}\usepackage[active,tightpage]{preview}\begin{document}\begin{preview}"
        r"\hbox{\rlap{$ab$}\kern20pt\vrule width3pt height2pt depth0pt}\end{preview}\end{document}")
    subprocess.run(["latex", "-interaction=nonstopmode", "a.tex"], cwd=tmp_path, capture_output=True, check=True)
    found, = dvi.pages(tmp_path / "a.dvi")
    a, b, rule = found.glyphs()
    assert [(g.font, g.code) for g in (a, b, rule)] == [("cmmi", ord("a")), ("cmmi", ord("b")), ("rule", 0)]
    border = 0.5 * 72.27 / 72  # of `tightpage`: half a big point
    assert (a.left, rule.left, rule.right) == pytest.approx((border, border + 20, border + 23), abs=0.01)
    assert a.right - a.left == pytest.approx(5.2859, abs=0.01)  # its width in cmmi10.tfm
    assert b.left == pytest.approx(a.right, abs=0.01)
    assert b.top == pytest.approx(border, abs=0.01)
    assert (rule.top, rule.bottom) == pytest.approx((b.bottom - 2, b.bottom), abs=0.01)
