"""Files of answers: whatever is in a name or a formula, each format holds it as that and as nothing else."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latexocr.bench import tex_document
from latexocr.bench.outputs import FORMATS, comma_separated, json_lines, markdown, math_markup, write_as
from latexocr.bench.tex_document import tex
from latexocr.errors import UserError
from latexocr.latex.delimiters import WRAPS, one_line, wrapped
from latexocr.records import Prediction, write_predictions

NAMES = ["a.png", "=cmd|' /C calc'!A0.png", "a\nb.png", "`rm`.png", "<script>.png", "a,b;\"c\".png", "数式.png",
         "\\input.png", "%#$&_{}~^.png", "\ud800.png", "\0\7.png", "-->.png", "]]>.png", "@x", "\t", "a" * 300, " ",
         "``", ""]
HOSTILE = [
    "x^2", "", " ", "-x", "=1+1", "+x", "@x", "a<b>c", "a < b", r"\text{<script>x</script>}", "x % c\n + y", "x%",
    "50\\% of x", "a\n\n\nb", "$x$", "$$", r"\]", r"\[x\]", "`x`", "```", "|x|", "α+β", r"\text{数}", "\0\7", "\ud800",
    "&amp;", "x^2^3", r"\frac{a", "}", "{", r"\input{/etc/passwd}", r"\write18{ls}", r"\end{document}", r"a & b \\ c",
    r"\begin{align}a&=b\\c&=d\end{align}", r"\left( x", r"\hline", r"\unknowncommand x", r"\def\x{\x}\x",
    r"\catcode`\%=12", "^^5cinput", r"\loop\iftrue\repeat", r"\tag{1}", r"\label{a}", r"\label{a}",
    r"\begin{equation}x\end{equation}", "(" * 500, "{" * 300 + "}" * 300,
    r"\rule{1em}{99999pt}", "\\", "#", "&", "~", "_", "^", r"\verb|x|", r"\over",
    r"a\over b\over c", r"\begin{array}x\end{array}", r"\textcircled{a}", r"\mathbb x", r"\par", r"\not", r"\middle|",
]
PREDICTIONS = [Prediction(f"{i} {NAMES[i % len(NAMES)]}", latex, confidence=0.5) for i, latex in enumerate(HOSTILE)]
PREDICTIONS += [Prediction(name, "", stop="error", error=f"no <such> _thing_ `{name}`") for name in NAMES]
MATH = "{http://www.w3.org/1998/Math/MathML}"
anything = st.lists(st.builds(Prediction, id=st.text(), latex=st.text() | st.sampled_from(HOSTILE), error=st.text(),
                              stop=st.sampled_from(["end", "error"]), confidence=st.none() | st.floats(0, 1)),
                    max_size=4)


@pytest.mark.parametrize(("latex", "line"), [
    ("a\n  b", "a b"), ("x % c\n+y", "x +y"), (r"50\% x", r"50\% x"), (r"a \\% c", r"a \\"), ("% all", ""), ("", ""),
])
def test_a_formula_on_one_line(latex, line):
    assert one_line(latex) == line


@pytest.mark.parametrize(("wrap", "expected"), [
    ("none", "a\nb"), ("inline", "$a b$"), ("dollars", "$$a b$$"), ("parentheses", r"\(a b\)"), ("display", r"\[a b\]"),
    ("equation", "\\begin{equation}\na b\n\\end{equation}"),
])
def test_delimiters(wrap, expected):
    assert wrapped("a\nb", wrap) == expected and wrapped("", wrap) == ""


def test_every_wrap_of_the_command_line_is_known():
    from typing import get_args, get_type_hints

    from latexocr.cli.read import Transcribe

    assert set(get_args(get_type_hints(Transcribe)["wrap"])) == {"auto", *WRAPS}


def test_json_lines_are_the_predictions():
    @settings(max_examples=40, deadline=None)
    @given(anything)
    def check(predictions: list[Prediction]) -> None:
        lines = "".join(json_lines(predictions, "none")).split("\n")[:-1]
        assert [Prediction(**json.loads(line)) for line in lines] == predictions

    check()
    assert json.loads(next(json_lines(PREDICTIONS, "inline")))["latex"] == "$x^2$"


def check_table(given: list[Prediction]) -> None:
    rows = list(csv.reader(io.StringIO("".join(comma_separated(given, "none")), newline="")))
    assert rows[0] == ["id", "latex", "confidence", "stop", "tokens", "error"] and len(rows) == len(given) + 1
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for row in rows for cell in row)
    for row, p in zip(rows[1:], given):
        if p.latex.isprintable():
            assert row[1] in (p.latex, f" {p.latex}")


def check_mathml(given: list[Prediction]) -> None:
    root = ET.fromstring("".join(math_markup(given, "none")))
    assert len(root) == len(given)
    for formula, p in zip(root, given):
        [semantics] = formula.find(f"{MATH}math")
        if p.latex.isprintable():
            assert (semantics.find(f"{MATH}annotation").text or "") == p.latex


@pytest.mark.parametrize("check", [check_table, check_mathml])
def test_a_table_has_a_row_a_picture_and_calculates_nothing_and_mathml_is_well_formed(check):
    check(PREDICTIONS)
    settings(max_examples=40, deadline=None)(given(anything)(check))()


def test_mathml_is_mathematics():
    root = ET.fromstring("".join(math_markup(PREDICTIONS, "none")))
    assert root[0].find(f".//{MATH}msup") is not None


def test_markdown_ends_no_formula_early():
    text = "".join(markdown(PREDICTIONS, "dollars"))
    assert text.count("\n## ") + 1 == len(PREDICTIONS) and text.startswith("## ")
    for paragraph in text.split("\n\n"):
        if paragraph.startswith("$$"):
            assert paragraph.endswith("$$") and paragraph.count("$") == 4 and "`" not in paragraph
            assert "<b" not in paragraph and "<script" not in paragraph
        elif paragraph.startswith("```"):
            fence = paragraph[:len(paragraph) - len(paragraph.lstrip("`"))]
            assert paragraph.endswith("\n" + fence) and fence not in paragraph[len(fence):-len(fence)]


def compiled(folder: Path, document: str) -> list[str]:
    """The errors of a document."""
    (folder / "a.tex").write_text(document, encoding="ascii")
    command = ["latex", "-no-shell-escape", "-interaction=nonstopmode", "-file-line-error", "a.tex"]
    said = subprocess.run(command, cwd=folder, capture_output=True, timeout=120)
    errors = [line for line in said.stdout.decode(errors="replace").splitlines() if line.startswith("./a.tex:")]
    assert errors or said.returncode == 0
    return errors


@pytest.mark.parametrize("wrap", ["display", "equation", "none"])
def test_a_document_compiles_whatever_the_model_wrote(tmp_path, wrap):
    document = "".join(tex(PREDICTIONS, wrap))
    assert compiled(tmp_path, document) == []
    for sound in ("x^2", r"a < b", r"\begin{aligned}a&=b\\c&=d\end{aligned}", "x + y"):
        assert wrapped(sound, "inline" if wrap == "none" else wrap) in document
    assert document.count("not set:") < len(HOSTILE) * 0.8 and document.count("not read:") == len(NAMES)
    assert not any(line.lstrip("\\[$(").startswith((r"\input", r"\write", r"\def")) for line in document.splitlines())


def test_sound_formulas_compile_where_there_was_no_tex_to_ask(tmp_path, monkeypatch):
    monkeypatch.setattr(tex_document, "available", lambda: False)
    sound = [Prediction("a", latex) for latex in ("x^2", r"\frac{a}{b}", r"\begin{pmatrix}a&b\\c&d\end{pmatrix}",
                                                  r"\left(\sum_{i=1}^{n}x_{i}\right)", r"\text{for } x<y")]
    assert compiled(tmp_path, "".join(tex(sound, "display"))) == []


@pytest.mark.parametrize("ending", FORMATS)
def test_a_file_is_replaced_at_once_and_again_the_same(tmp_path, ending):
    write_predictions(tmp_path / "p.jsonl", PREDICTIONS[:12])
    out = tmp_path / f"o{ending}"
    out.write_text("old")
    write_as(out, tmp_path / "p.jsonl", "auto")
    first = out.read_bytes()
    write_as(out, tmp_path / "p.jsonl", "auto")
    assert out.read_bytes() == first != b"old"
    assert {path.name for path in tmp_path.iterdir()} == {out.name, "p.jsonl"}


def test_a_place_that_cannot_be_written_to_is_one_line(tmp_path):
    write_predictions(tmp_path / "p.jsonl", PREDICTIONS[:1])
    with pytest.raises(UserError, match="cannot be written"):
        write_as(tmp_path / "no/such/folder/o.csv", tmp_path / "p.jsonl", "auto")
