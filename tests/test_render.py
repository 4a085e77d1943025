"""The check by drawing: KaTeX first, then TeX; and CDM by its own program, here by one that writes files as it does."""

from __future__ import annotations

import json
import shutil
import sys
import time
from pathlib import Path

import pytest

from latexocr import cli
from latexocr.errors import UserError
from latexocr.scoring import katex
from latexocr.scoring.cdm import COUNTS, cdm_metrics, matched
from latexocr.scoring.layout import source
from latexocr.scoring.render import render_metric, rendered

needs_katex = pytest.mark.skipif(shutil.which("katex") is None, reason="needs KaTeX: apt install katex")
needs_both = pytest.mark.skipif(None in map(shutil.which, ("katex", "latex")), reason="needs KaTeX and TeX")

DRAWN = [
    ("x^2", "x^{2}", "KaTeX"), (r"\frac12", r"{1\over 2}", "KaTeX"), ("x_i^2", "x^2_i", "KaTeX"), ("$x$", "x", "KaTeX"),
    ("α", r"\alpha", "KaTeX"), ("a&=b", r"\begin{aligned}a&=b\end{aligned}", "KaTeX"), ("", "", "KaTeX"),
    (r"\left(x\right)", "(x)", "TeX"), (r"a\,b", "ab", "TeX"), (r"\color{red}x", "x", "TeX"),
    (r"\begin{align}a\label{b}\end{align}", r"\begin{aligned}a\end{aligned}", "TeX"),
    ("x^ab", "x^{ab}", ""), ("2^3", "3^2", ""), (r"\mathbb R", "R", ""), ("", "x", ""),
    (r"\begin{pmatrix}a&b\\c&d\end{pmatrix}", r"\begin{pmatrix}a&b&c&d\end{pmatrix}", ""),
]
REFUSED = [(r"\nosuch", "x", (True, False)), ("x", r"\frac{", (False, True)), ("{", "}", (True, True)),
           (r"\mathbf\hat x", "x", (True, False)), (r"\ce{H2O}", "x", (True, False))]


@needs_both
def test_katex_draws_the_same_or_else_tex():
    found = list(rendered([(a, b) for a, b, _ in DRAWN]))
    assert [pair.by for pair in found] == [by for *_, by in DRAWN]
    assert not any(pair.prediction_refused or pair.reference_refused for pair in found)


@needs_both
def test_what_neither_draws_is_told_apart_and_counts_as_wrong():
    found = list(rendered([(a, b) for a, b, _ in REFUSED] + [("x", "x")]))
    assert [(pair.prediction_refused, pair.reference_refused) for pair in found[:-1]] == [who for *_, who in REFUSED]
    assert [pair.counts for pair in found] == [(0.0, 1.0)] * len(REFUSED) + [(1.0, 1.0)]
    assert list(rendered([])) == []


@needs_both
def test_the_size_of_runs_changes_nothing(monkeypatch):
    pairs = [(a, b) for a, b, _ in (*DRAWN, *REFUSED)]
    whole = list(rendered(pairs))
    monkeypatch.setattr("latexocr.scoring.render.AT_ONCE", 4)
    monkeypatch.setattr(katex, "AT_ONCE", 3)
    assert list(rendered(pairs)) == whole


@needs_both
def test_the_metric_names_both_programs():
    metric = render_metric()
    assert f"katex:{katex.version()}" in metric.signature and "TeX Live" in metric.signature
    assert metric.counts(r"a\,b", "ab") == (1.0, 1.0) and metric.counts("a", "b") == (0.0, 1.0)


ONE_SIGN_IN_MATHML = [
    r"\emptyset \varnothing", r"\hbar \hslash", r"\propto \varpropto", r"\sim \thicksim", r"\mid \shortmid",
    r"\approx \thickapprox", r"\setminus \smallsetminus", r"\smile \smallsmile", r"\unlhd \trianglelefteq",
    r"\models \vDash", r"\parallel \shortparallel", r"\mathcal{A} \mathscr{A}"]


@needs_katex
@pytest.mark.parametrize("signs", ONE_SIGN_IN_MATHML)
def test_glyphs_tell_apart_what_mathml_does_not(signs):
    first, second = (katex.drawings([sign])[sign] for sign in signs.split())
    assert first.partition("\n")[0] == second.partition("\n")[0] and first != second


@needs_katex
def test_formulas_of_any_kind_cost_themselves_alone():
    refused = [r"\def\a{\a\a}\a", "{" * 9_000, r"\frac" * 1_800, "x^{" * 3_000, "x" * 300_000, r"\href{https://a}{x}",
               r"\url{x}", r"\includegraphics{/etc/passwd}", r"\text{<annotation", "\0", "\ud800", "\u2028"]
    odd = ['"]\n', r"\text{<annotation>}", "x%", "%", r'\text{</semantics><span class="katex-html"}', "x" * 9_000]
    start = time.perf_counter()
    found = katex.drawings([text for formula in (*refused, *odd) for text in (formula, "x+y")])
    assert time.perf_counter() - start < 60
    assert [formula[:9] for formula, drawn in found.items() if drawn is None] == [formula[:9] for formula in refused]
    assert len(found) == len(refused) + len(odd) + 1 and found["x+y"].startswith("<mrow>")


@needs_katex
def test_a_process_that_dies_or_hangs_costs_one_formula(monkeypatch):
    faults = 'if (latex == "die") process.exit(3); if (latex == "hang") while (true);'
    monkeypatch.setattr(katex, "_PROGRAM", katex._PROGRAM.replace("let drawn = null;", faults + "let drawn = null;"))
    monkeypatch.setattr(katex, "SECONDS_AT_LEAST", 3)
    found = katex.drawings(["a", "die", "b", "hang", "c", "die"])
    assert [formula for formula, drawn in found.items() if drawn is None] == ["die", "hang"]


def test_katex_that_is_missing_or_broken_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=r"^KaTeX is not installed\. .*apt install katex.*npm install -g katex\.$"):
        katex.drawings(["x"])
    for name, text in (("katex", "#!/bin/sh\n"), ("node", "#!/bin/sh\necho 'Error: no dist\nNode 20' >&2; exit 1\n")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    with pytest.raises(UserError, match=r"does not run \(Error: no dist\)"):
        katex.drawings(["x"])


@needs_both
def test_score_renders_on_request_and_tells_what_it_could_not(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("r.txt").write_text("x^2\n(a)\n\\nosuch\ny\n")
    Path("h.txt").write_text("x^{2}\n\\left(a\\right)\n\\nosuch\n\\nope\n")
    assert cli.main(["score", "h.txt", "h.txt", "--data", "r.txt", "--render", "--metrics", "exact_visual"]) == 0
    out, err = capsys.readouterr()
    assert "render same ↑ %" in out and out.count("50.0 [") == 2 and f"katex:{katex.version()}" in out
    assert "base: not drawn by KaTeX or TeX: 2 predictions and 1 of 4 references ('3'); they score 0. Of the rest, " \
        "KaTeX draws 1 the same, and TeX 1 more" in err
    assert cli.main(["score", "h.txt", "--data", "r.txt", "--render", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["refused"] == {"h.txt": {"KaTeX or TeX": {"predictions": ["3", "4"], "references": ["3"]}}}


CDM = '''
import argparse, json, os
options = argparse.ArgumentParser()
for name in "-i", "-o", "-p":
    options.add_argument(name, required=True)
asked = options.parse_args()
folder = os.path.join(asked.o, os.path.basename(asked.i).split(".")[0])
details = {}
for item in json.load(open(asked.i)):
    name = item["img_id"]
    boxes = {side: [{"bbox": [] if sign == "~" else [1, 2, 3, 4], "token": sign} for sign in item[side]]
             for side in ("gt", "pred")}
    drawn = {side: any(box["bbox"] for box in found) for side, found in boxes.items()}
    for side, found in boxes.items():
        os.makedirs(os.path.join(folder, side, "bbox"), exist_ok=True)
        if "!" not in item[side]:  # what TeX refuses has no file, what shows nothing has no boxes
            with open(os.path.join(folder, side, "bbox", name + ".jsonl"), "w") as out:
                out.writelines(json.dumps(box) + chr(10) for box in found)
    if drawn["gt"] and "!" not in item["gt"]:
        same = drawn["pred"] and "!" not in item["pred"] and (1 if item["gt"] == item["pred"] else 0.667)
        details[name] = {"recall": same, "precision": same, "F1_score": same}
scores = [score["F1_score"] for score in details.values()]
mean = sum(scores) / len(scores) if scores else float("nan")
json.dump({"mean_score": mean, "exp_rate": mean, "details": details},
          open(os.path.join(folder, "metrics_res.json"), "w"), indent=2)
'''
"""Writes what evaluation.py of opendatalab/UniMERNet (cdm, 0cd4758) writes: the scores of pairs whose reference has a
picture, and files of boxes; a character is a token, `~` shows nothing, and with `!` TeX writes no picture."""
PAIRS = [("x.y", "x.y"), ("a", "b"), ("!", "b"), ("b", "!"), ("b", "~"), ("", "x"), ("~", "~")]
REFERENCES_REFUSED, PREDICTIONS_REFUSED = [3, 4, 6], [2, 5, 6]


@pytest.fixture
def cdm(tmp_path):
    """The command of the stand-in."""
    script = tmp_path / "evaluation.py"
    script.write_text(CDM)
    return [sys.executable, str(script)]


def test_cdm_keeps_what_its_program_leaves_out(cdm):
    found = matched(PAIRS, cdm)
    assert [pair.f1 for pair in found] == [1, 0.667, 0, 0, 0, 0, 0]
    assert [number for number, pair in enumerate(found) if pair.reference_refused] == REFERENCES_REFUSED
    assert [number for number, pair in enumerate(found) if pair.prediction_refused] == PREDICTIONS_REFUSED
    assert [COUNTS["cdm_exprate"](pair) for pair in found] == [(1.0, 1.0)] + [(0.0, 1.0)] * 6
    assert [pair.f1 for pair in matched([("!", "!")], cdm)] == [0]


def test_cdm_prints_its_tools_and_is_no_headline(cdm, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "h.txt").write_text("".join(f"{prediction}\n" for prediction, _ in PAIRS))
    (tmp_path / "r.txt").write_text("".join(f"{reference}\n" for _, reference in PAIRS))
    assert cli.main(["score", "h.txt", "h.txt", "--data", "r.txt", "--cdm", " ".join(cdm)]) == 0
    out, err = capsys.readouterr()
    row = next(line for line in out.splitlines() if line.startswith("cdm ↑ %"))
    assert f"{100 * 1.667 / 7:.1f} [" in row and out.splitlines()[-1].startswith("Exact match (visual): ")
    assert all(f"|{name}:" in out for name in ("pdflatex", "magick", "gs", "node", "evaluation.py"))
    assert "base: not drawn by CDM: 3 predictions and 3 of 7 references ('4', '5', '7'); they score 0" in err
    assert cdm_metrics(cdm)["cdm"].counts("a", "b") == (0.667, 1.0)


@pytest.mark.parametrize("text, message", [
    ("import sys; sys.exit('no module named skimage')", "CDM ended with 1: no module named skimage"),
    ("", "CDM ended with 0: it wrote no metrics_res.json"), (None, "no file"),
])
def test_a_cdm_that_does_not_work_is_one_line(text, message, cdm, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path(cdm[1]).unlink()
    if text is not None:
        Path(cdm[1]).write_text(text)
    Path("r.txt").write_text("x\n")
    assert cli.main(["score", "r.txt", "--data", "r.txt", "--cdm", " ".join(cdm)]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and message in err


def test_rows_outside_an_environment_are_set_in_one():
    assert source(r"$a\\b$") == r"\begin{aligned}a\\b\end{aligned}" and source(r"\text{a\\b}") == r"\text{a\\b}"
