"""`latexocr score` and `latexocr diff`: predictions of any system, what is printed, what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from latexocr import cli
from latexocr.cli.scores import aligned
from latexocr.latex.alignment import difference
from latexocr.scoring.answers import ID_NAMES, LATEX_NAMES, read_answers

REFERENCES = {"a.png": r"\frac{a}{b}", "b.png": "x^{2}", "c.png": "y,z", "d.png": "{q"}
ANSWERS = {"a.png": r"\frac ab", "b.png": "x^{3}", "c.png": "y,z", "d.png": ""}
IDS = list(REFERENCES)


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """Pictures with references in data.jsonl; the same references, one a line, in refs.txt."""
    monkeypatch.chdir(tmp_path)
    rows = []
    for name, latex in REFERENCES.items():
        Image.new("L", (9, 9), 255).save(name)
        rows.append(json.dumps({"id": name, "image": name, "latex": latex, "subset": "ab" if name[0] < "c" else "cd"}))
    Path("data.jsonl").write_text("\n".join(rows) + "\n")
    Path("refs.txt").write_text("\n".join(REFERENCES.values()) + "\n")
    return tmp_path


def lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


FILES = {
    "ours.jsonl": lines({"id": id, "latex": latex, "stop": "end", "tokens": 3} for id, latex in ANSWERS.items()),
    "mixed-order.jsonl": lines({"latex": latex, "id": id} for id, latex in reversed(ANSWERS.items())),
    "theirs.jsonl": lines({"image_path": id, "prediction": latex, "gt": "z"} for id, latex in ANSWERS.items()),
    "vlm.jsonl": lines({"ID": id, "Response": f"$${latex}$$" if latex else None} for id, latex in ANSWERS.items()),
    "noids.jsonl": lines({"generated_text": latex} for latex in ANSWERS.values()),
    "table.csv": "filename,pred\na.png,\\frac ab\nb.png,x^{3}\nc.png,\"y,z\"\nd.png,\n",
    "rows.csv": "id,latex\na.png,\\frac ab\nb.png,\"x^{3}\n\"\nc.png,\"y,z\"\nd.png,\n",
    "table.tsv": "image\tlatex\na.png\t\\frac ab\nb.png\tx^{3}\nc.png\ty,z\nd.png\t\n",
    "list.json": json.dumps([{"img_id": id, "pred_str": latex} for id, latex in ANSWERS.items()]),
    "plain-list.json": json.dumps(list(ANSWERS.values())),
    "by-id.json": json.dumps(ANSWERS),
    "by-id-objects.json": json.dumps({id: {"pred": latex} for id, latex in ANSWERS.items()}),
    "plain.txt": "\n".join(ANSWERS.values()) + "\n",
    "windows.txt": "\ufeff" + "\r\n".join(ANSWERS.values()) + "\r\n",
    "spaced.txt": "\\frac a b  \n x ^ { 3 }\ny , z\n\n",
}


@pytest.mark.parametrize("name", FILES)
def test_predictions_of_any_system_score_alike(name, workplace, capsys):
    Path(name).write_text(FILES[name], encoding="utf-8", newline="")
    assert cli.main(["score", name, "--data", "data.jsonl"]) == 0
    out = capsys.readouterr().out
    assert "exact match, visual ↑ %" in out and "50.0 [" in out and "n = 4" in out
    assert f"{name}: 2 ok, 1 wrong, 1 reference-defect" in out
    assert f"{name}: exact match, %: identical " in out and ", syntax 50.0, visual 50.0, lenient 50.0\n" in out
    assert "broken references, kept in every score: 1 ('d.png': a {" in out
    assert "without them, exact match (visual) is 2 of 3" in out
    assert "2 read as 3 (1)" in out and "exact_visual|level:visual|" in out
    assert Path(out.partition("what each number means: ")[2].partition("\n")[0]).read_text().startswith("# Scores")


@pytest.mark.parametrize("id_name, latex_name", [*zip(ID_NAMES, LATEX_NAMES), ("FileName", "Predicted"),
                                                 (" id ", " latex ")])
def test_columns_are_found_by_the_names_that_systems_give_them(id_name, latex_name, tmp_path):
    path = tmp_path / "p.jsonl"
    path.write_text(lines({"other": 1, id_name: 7, latex_name: "x"} for _ in range(2)))
    assert [(p.id, p.latex) for p in read_answers(path, [])] == [("7", "x")] * 2


def test_what_we_know_of_a_prediction_is_kept(tmp_path):
    path = tmp_path / "p.jsonl"
    path.write_text(lines([{"id": "a", "latex": "", "stop": "error", "error": "gone", "confidence": 0.5},
                           {"id": "b", "latex": "x", "stop": "eos_token", "confidence": "high"}]))
    first, second = read_answers(path, [])
    assert (first.stop, first.error, first.confidence) == ("error", "gone", 0.5)
    assert (second.stop, second.confidence) == ("end", None)


@pytest.mark.parametrize("name, text, message", [
    ("p.jsonl", lines([{"id": "a.png", "latex": "x"}]), "3 missing ('b.png', 'c.png', 'd.png')"),
    ("p.jsonl", FILES["ours.jsonl"] + lines([{"id": "e", "latex": "x"}]), "1 not among the references ('e')"),
    ("p.jsonl", FILES["ours.jsonl"] + lines([{"id": "a.png", "latex": "x"}]), "1 doubled ('a.png')"),
    ("p.jsonl", FILES["ours.jsonl"] + lines([{"latex": "x"}]), "p.jsonl:5: no id in it"),
    ("p.jsonl", lines([{"id": "a.png"}]), "p.jsonl:1: no formula in it (found: id)"),
    ("p.jsonl", lines([{"id": "a.png", "latex": ["x"]}]), "'latex' is list, expected the formula"),
    ("p.jsonl", "{\n", "p.jsonl"), ("p.jsonl", "", "no predictions in it"),
    ("p.txt", "x\ny\n", "2 formulas without ids for 4 references"),
    pytest.param("p.json", "[" * 100_000, "not JSON", id="deep"),
    ("p.json", '{"a": "x", "b": "y", "a": "z"}', "'a' twice or more in one object"),
    ("p.json", "[1", "not JSON"), ("p.json", "3", "found one int"), ("p.json", "[]", "no predictions in it"),
    ("p.csv", "id,latex\na.png,\"x\n", "not CSV"), ("p.csv", "a.png,x\n", "no predictions in it"),
    ("p.csv", "1,2\na.png,x\n", "no formula in it (found: 1, 2)"), ("p.txt", None, "cannot be read"),
    ("p.txt", "", "p.txt: nothing in it. Expected one formula a line."),
])
def test_what_is_no_predictions_file_is_one_line(name, text, message, workplace, capsys):
    if text is not None:
        Path(name).write_text(text)
    assert cli.main(["score", name, "--data", "data.jsonl"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("latexocr: ") and err.count("\n") == 1 and message in err


def test_two_files_are_compared(workplace, capsys):
    Path("a.jsonl").write_text(FILES["ours.jsonl"])
    Path("b.txt").write_text("\n".join(REFERENCES.values()))
    assert cli.main(["score", "a.jsonl", "b.txt", "--data", "data.jsonl"]) == 0
    out = capsys.readouterr().out
    assert "tuned - base" in out and "base: a.jsonl; tuned: b.txt" in out
    assert "base: 2 ok, 1 wrong" in out and "tuned: 4 ok" in out
    assert out.splitlines()[-1].startswith("Exact match (visual): 50.0 % base, 100.0 % tuned, difference +50.0 [")
    assert "no difference shown (4 pairs: too few to show one)" in out.splitlines()[-1]


def test_text_against_text_chosen_metrics_aliases_and_json(workplace, capsys):
    Path("h.txt").write_text("\\varepsilon\nx\n")
    Path("r.txt").write_text("\\epsilon\n{x\n")
    arguments = ["score", "h.txt", "--data", "r.txt", "--json", "--metrics", "exact_visual", "texify_edit"]
    assert cli.main(arguments) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(s["metric"], s["n"]) for s in found["scores"]["h.txt"]] == [("exact_visual", 2), ("texify_edit", 2)]
    assert found["ledgers"]["h.txt"]["counts"] == {"wrong": 1, "reference-defect": 1}
    assert found["ledgers"]["h.txt"]["broken_references"][0]["id"] == "2"
    assert found["confusions"]["h.txt"] == [["\\epsilon", "\\varepsilon", 1]]
    assert cli.main([*arguments, "--alias", r"\varepsilon=\epsilon"]) == 0
    again = json.loads(capsys.readouterr().out)["scores"]["h.txt"][0]
    assert again["value"] == 0.5 and r"aliases:\varepsilon=\epsilon" in again["signature"]


def test_subsets_may_be_drawn_together(workplace, capsys):
    Path("a.jsonl").write_text(FILES["ours.jsonl"])
    assert cli.main(["score", "a.jsonl", "--data", "data.jsonl", "--group-by-subset", "--seed", "3"]) == 0
    assert "bootstrap 10000 seed 3 by group" in capsys.readouterr().out


@pytest.mark.parametrize("arguments, message", [
    (["a.jsonl"] * 3, "3 predictions files given"), (["a.jsonl", "--metrics", "blue"], "no metric 'blue'. There"),
    (["a.jsonl", "--metrics", "layout_f1"], "no metric 'layout_f1'. Those of drawings come with --layout, --render"),
    (["a.jsonl", "--cdm", "'"], """--cdm "'" is no command (No closing quotation)"""),
    (["a.jsonl", "--alias", "x"], "expected NAME=SYMBOL"), (["a.jsonl", "--alias", r"\frac=x"], "cannot be an alias"),
])
def test_options_that_make_no_sense_are_one_line(arguments, message, workplace, capsys):
    Path("a.jsonl").write_text(FILES["ours.jsonl"])
    assert cli.main(["score", *arguments, "--data", "data.jsonl"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and message in err


@pytest.mark.parametrize("a, b, expected", [
    ("x", "x", "equal at level 0, identical: the same characters"),
    ("x^2", "x^{2}", "equal at level 2, syntax: spelled otherwise"),
    ("x y", "xy", "equal at level 1, surface: the same but for white space, comments and wrappers\nno token edits"),
    (r"\left(a\right)", "(a)", "equal at level 3, visual"),
    (r"\frac12", r"\frac{1}{3}", "equal at no level: different formulas"),
    ("x", "{x", "B cannot be parsed: a {"),
    (r"\frac12", r"\frac{1}{3}", "1 token edit between their forms at level 3, visual"),
])
def test_diff_says_how_far_two_formulas_are_equal_and_why(a, b, expected, capsys):
    assert cli.main(["diff", "--", a, b]) == 0
    out = capsys.readouterr().out
    assert expected in out and "\x1b" not in out


def test_diff_aligns_tokens_and_marks_what_differs():
    edits = difference(r"\alpha+b-c", r"\alpha+d-cd").edits
    assert aligned(edits, width=80, colour=False).splitlines() == [
        r"A \alpha + b - c", r"B \alpha + d - c d", r"           ~     +"]
    assert "\x1b[33mb\x1b[0m" in aligned(edits, width=80, colour=True)
    wide = aligned(difference("x" * 50, "x" * 49 + "y").edits, width=40, colour=False)
    assert max(map(len, wide.splitlines())) <= 40 and wide.count("A ") == 3
    assert aligned(difference("", "x").edits, width=40, colour=False).splitlines() == ["A", "B x", "  +"]


def test_diff_is_coloured_on_a_terminal_only(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert cli.main(["diff", "a", "b"]) == 0
    assert "\x1b[33m" in capsys.readouterr().out


def test_what_would_steer_a_terminal_or_is_half_a_character_is_shown_as_an_escape(workplace, capsys):
    Path("p.jsonl").write_text(r'{"id": "1", "latex": "\ud800"}' + "\n" + r'{"id": "2", "latex": "\u001b[31m"}' + "\n")
    Path("r.txt").write_text("y\nz\n")
    for more in ([], ["--json"]):
        assert cli.main(["score", "p.jsonl", "--data", "r.txt", "--metrics", "exact_visual", *more]) == 0
        out = capsys.readouterr().out
        assert out.isascii() or "\x1b" not in out
        assert out.encode() and ("\N{REPLACEMENT CHARACTER}" in out or r"\ufffd" in out)  # Mended when it was read.
    assert cli.main(["diff", "\x1b[31m", "\ud800"]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out and out.encode() and r"\ud800" in out


@pytest.mark.skipif(shutil.which("latex") is None, reason="needs TeX")
def test_drawings_are_scored_on_request(workplace, capsys):
    Path("a.jsonl").write_text(FILES["ours.jsonl"])
    arguments = ["score", "a.jsonl", "a.jsonl", "--data", "data.jsonl", "--layout", "--metrics", "exact_visual"]
    assert cli.main(arguments) == 0
    out, err = capsys.readouterr()
    assert "layout same ↑ %" in out and "layout F1 ↑ %" in out and out.count("50.0 [") >= 4
    assert "base: not drawn by TeX: 0 predictions and 1 of 4 references ('d.png'); they score 0" in err
    assert cli.main([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["metric"] for one in found["scores"]["tuned"]] == ["exact_visual", "layout_f1", "layout_same"]
    assert "tex:" in found["scores"]["base"][1]["signature"]


def test_json_holds_no_number_that_json_has_not(workplace, capsys):
    """No reference has rows, so `grid_shape` has nothing to count: null, where Python would write NaN."""
    Path("p.jsonl").write_text(FILES["ours.jsonl"])
    assert cli.main(["score", "p.jsonl", "--data", "data.jsonl", "--json"]) == 0
    found = json.loads(capsys.readouterr().out, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    values = {one["metric"]: one["value"] for one in found["scores"]["p.jsonl"]}
    assert values["grid_shape"] is None and values["exact_visual"] == 0.5
