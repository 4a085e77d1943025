"""What pages are made of: formulas as MathML, pictures as text, scripts with their hash, charts, packed samples."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import re
import time
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from latexocr.bench.charts import Chart, Point, by_label, forest
from latexocr.bench.page import mathml, picture, render, script
from latexocr.bench.page_rows import packed


class Tags(HTMLParser):
    """Tags with their attributes, as a browser would see them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))


@pytest.mark.parametrize(("latex", "there"), [
    (r"\frac12", "<mfrac>"), (r"a & b \\ c & d", "<mtable"), (r"\begin{aligned}a&=b\\&=c\end{aligned}", "<mtable"),
    (r"\lim_{x\to 0} x", "<munder>"), (r"\label{eq}x", "<mi>x</mi>"), (r"{a\over b}", "<mfrac>"),
    (r"\begin{array}{|c|@{}r}a&b\end{array}", "<mtd"), ("a<b", "&lt;"), (r"\text{<b>}", "&lt;b&gt;"),
])
def test_formulas_become_mathml(latex, there):
    shown = mathml(latex)
    assert shown.startswith("<math") and there in shown
    assert r"\label" not in shown and "|c|" not in shown and "<mi>&amp;" not in shown


@pytest.mark.parametrize("latex", ["", " ", r"\unknowncommand x", r"\frac{", r"\left( a", "}}}{{", "{" * 999, "^" * 99])
def test_what_cannot_be_shown_gives_none_or_mathematics(latex):
    shown = mathml(latex)
    assert shown is None or "unknowncommand" not in shown


def test_a_formula_of_a_million_characters_is_not_waited_for():
    start = time.perf_counter()
    assert mathml("x+" * 500_000 + "y") is None and time.perf_counter() - start < 1
    assert mathml("x+" * 100 + "y") is not None


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.text(max_size=60), st.lists(st.sampled_from(
    [r"\frac", "{", "}", "^", "_", "&", r"\\", r"\text{<script>}", r"\href{javascript:a}{b}", "<script>", "x",
     r"\style{a:b}{c}", r"\class{x}{y}", r"\left(", r"\begin{matrix}", r"\end{matrix}", r"\color{red'\">}"]),
    max_size=8).map("".join)))
def test_mathml_of_any_text_holds_nothing_but_mathematics(latex):
    shown = mathml(latex)
    if shown is not None:
        for tag, attributes in Tags(shown).tags:
            assert tag[0] == "m" and not {"href", "style", "class", "onclick"} & set(attributes)


def back(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.removeprefix("data:image/webp;base64,"))))


def test_pictures_are_shrunk_flattened_and_may_be_missing(tmp_path):
    assert back(picture(Image.new("RGB", (3000, 60), "red"))).size == (900, 18)
    assert back(picture(Image.new("RGBA", (5, 5), (0, 0, 0, 0)))).convert("L").getpixel((2, 2)) == 255
    assert back(picture(Image.new("I;16", (5, 5)))).size == (5, 5)
    (tmp_path / "x.png").write_bytes(b"no picture")
    assert picture(tmp_path / "x.png") is None and picture(tmp_path / "gone.png") is None


def test_ink_is_kept_without_loss_and_a_photograph_small():
    import numpy as np

    noise = np.random.default_rng(0)
    ink = Image.fromarray(np.where(noise.random((60, 200)) < 0.1, 0, 255).astype("uint8"))
    assert np.array_equal(np.array(back(picture(ink)).convert("L")), np.array(ink))
    photograph = Image.fromarray(noise.normal(180, 8, (200, 400, 3)).clip(0, 255).astype("uint8"))
    assert len(picture(photograph)) < 40_000  # 200 kB without loss


def test_a_script_runs_by_its_hash_and_no_other_does():
    code = script("filter.js")
    assert code.source == f"'sha256-{base64.b64encode(hashlib.sha256(code.text.encode()).digest()).decode()}'"
    page = render("audit.html.jinja", **AUDIT)
    policy = next(attributes["content"] for tag, attributes in Tags(page).tags if "http-equiv" in attributes)
    assert code.source in policy and "script-src 'unsafe-inline'" not in policy and "default-src 'none'" in policy
    assert re.findall(r"<script>(.*?)</script>", page, re.DOTALL) == [str(code.text)]


class NoFindings:
    """As much of an audit as its page looks at."""

    n, formulas, faulty, overlap, repeated = 1, 1, {}, None, {}


AUDIT = {"report": NoFindings, "data": "d", "test_data": "", "counts": {}, "faults": {}, "kinds": {}, "seen": {},
         "examples": [], "buttons": [], "most": 1, "repeated": [],
         "chart": by_label("t", "c", ["a"], {"samples": [Point(0, 0.5)]}, kind="bars")}


@given(st.recursive(st.none() | st.booleans() | st.text(), lambda inside: st.lists(inside, max_size=3)))
def test_what_is_packed_comes_back_and_holds_no_markup(value):
    text = packed(value)
    assert re.fullmatch(r"[A-Za-z0-9+/=]+", text) and packed(value) == text
    assert json.loads(gzip.decompress(base64.b64decode(text))) == json.loads(json.dumps(value))


def test_a_lone_surrogate_is_packed_as_a_mark():
    assert json.loads(gzip.decompress(base64.b64decode(packed("a\ud800b")))) == "a?b"


def test_a_chart_places_values_between_its_edges():
    chart = by_label("t", "c", ["a", "b"], {"base": [Point(0, 0.0), Point(0, 0.5)],
                                            "tuned": [Point(0, 1.0, low=0.9, high=1.0), Point(0, 0.25)]}, kind="bars")
    assert chart.y(0) == chart.height - 30 and chart.y(1) == 14 and chart.y(0.5) == (chart.y(0) + chart.y(1)) / 2
    assert chart.y(7) == chart.y(1)
    first, second = chart.series["base"]
    assert chart.line([first, second]).split()[0] == f"{chart.x(0.25):.1f},{chart.y(0):.1f}"
    assert (second.told, chart.series["tuned"][0].low) == ("base, b: 50.0 %", 0.9)
    (left, wide), (right, _) = chart.bar(first, 0), chart.bar(chart.series["tuned"][0], 1)
    assert left + wide <= right and right + wide <= chart.x(0.5)
    assert Chart("t", "c", "line", [], {"a": []}).x(0) < Chart("t", "c", "line", [], {"a": []}).x(1)


@pytest.mark.parametrize(("ends", "signed", "ticks"), [
    ([-0.25, 0.58], True, [-0.2, 0, 0.2, 0.4]), ([0.1, 0.9], False, [0.2, 0.4, 0.6, 0.8]), ([], True, [0]),
    ([0.0, 0.0], True, [0]), ([float("nan"), 0.05], True, [0, 0.02, 0.04]),
    ([-9.0, 9.0], True, [-1, -0.5, 0, 0.5, 1]),
])
def test_a_forest_has_a_scale_of_round_values(ends, signed, ticks):
    scale = forest(ends, signed=signed)
    found = [round(tick, 6) for tick in scale.ticks()]
    assert set(ticks) <= set(found) and len(found) <= 6
    places = [scale.x(tick) for tick in scale.ticks()]
    assert places == sorted(places) and all(0 < place < scale.width for place in places)
    assert scale.x(-99) == scale.x(scale.low) and scale.x(99) == scale.x(scale.high)
