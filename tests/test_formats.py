"""A report as Markdown, as a LaTeX table and as a card of the hub, each read by the tool it is for."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace

import pytest
from huggingface_hub import ModelCard
from PIL import Image

from latexocr.bench.folder import Run
from latexocr.bench.formats import card, latex_table, markdown
from latexocr.bench.judge import Report, evaluate
from latexocr.bench.report import as_json, write_report
from latexocr.records import Prediction, Sample

EVIL = "</summary><script>a</script> | `x` \\input{/etc/passwd} $%&#_{}~^ ☃\n\n# [a](javascript:b) ---"
SAMPLES = [Sample(f"s{i}", Image.new("L", (9, 9)), f"x^{{{i}}}", "odd" if i % 2 else "even") for i in range(40)]


def found(model: str = "runs/a", data: str = "hf:owner/name:test") -> Report:
    base = [Prediction(s.id, s.latex if i < 10 else "y") for i, s in enumerate(SAMPLES)]
    tuned = [Prediction(s.id, s.latex if i > 2 else "y") for i, s in enumerate(SAMPLES)]
    run = Run(model, data, "a" * 64, {}, (), 1.0, 40)
    return evaluate(SAMPLES, {"base": base, "tuned": tuned}, {"base": run, "tuned": replace(run, model=model + "2")})


def test_markdown_says_the_verdict_and_the_numbers_of_the_report():
    text = markdown(found())
    assert text.startswith("### tuned is better than base\n\nExact match (visual): 25.0 % base, 92.5 % tuned")
    row = next(line for line in text.splitlines() if line.startswith("| **exact match, visual"))
    assert row.split("|")[2].strip().startswith("25.0 [") and "+67.5 [" in row and "better, p < 0.001" in row
    assert "tuned gets 3 samples wrong that base read" in text and "n = 40" in text
    widths = {line.count("|") for line in text.splitlines() if line.startswith("|")}
    assert widths == {6}
    assert "`exact_visual|level:visual|" in text


def test_markdown_of_one_column_has_no_verdict():
    one = evaluate(SAMPLES, {"base": [Prediction(s.id, s.latex) for s in SAMPLES]}, {})
    assert markdown(one).startswith("| metric | base |\n| --- | ---: |\n") and "Worse" not in markdown(one)


def test_markdown_of_several_models_has_each_difference_below_its_score():
    many = {name: [Prediction(s.id, s.latex if i % n else "y") for i, s in enumerate(SAMPLES)]
            for n, name in ((2, "base"), (5, "tuned"), (3, "third"))}
    text = markdown(evaluate(SAMPLES, many, {}))
    row = next(line for line in text.splitlines() if line.startswith("| **exact match, visual")).split("|")
    assert len(row) == 6 and row[2].count("[") == 1
    assert "80.0 [" in row[3] and "<br>+30.0 [" in row[3] and row[3].rstrip().endswith("] *")
    assert "the difference from base, * where" in text


def test_names_of_others_stay_text_in_markdown():
    text = markdown(found(EVIL, EVIL))
    assert "<script>" not in text and "\n#" not in text.replace("\n###", "") and "\\[a\\](javascript:b)" in text
    assert "\\`x\\`" in text and " \\| " in text


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs TeX (pdflatex)")
@pytest.mark.parametrize(("model", "data"), [("runs/a_b", "crohme:test"), (EVIL, EVIL)])
def test_the_table_compiles_and_shows_the_numbers(tmp_path, model, data):
    table = latex_table(found(model, data))
    (tmp_path / "t.tex").write_text(
        f"\\documentclass{{article}}\n\\usepackage{{booktabs}}\n\\begin{{document}}\n{table}\n\\end{{document}}\n")
    done = subprocess.run(["pdflatex", "-no-shell-escape", "-interaction=nonstopmode", "-halt-on-error", "t.tex"],
                          cwd=tmp_path, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout and "passwd" not in done.stdout
    assert re.search(r"base & .*25\.0 \{\\scriptsize \[", table) and re.search(r"tuned & .*92\.5\$\^\*\$", table)
    assert table.count("\n% exact_") == 2


@pytest.mark.parametrize(("model", "data", "named"), [
    ("runs/a", "hf:owner/name:test", "owner/name"), ("m", "crohme:/tmp/x", "crohme-tmp-x"), (EVIL, EVIL, None)])
def test_the_hub_reads_the_scores_of_a_card(model, data, named):
    report = found(model, data)
    read = ModelCard(card(report, "tuned"), ignore_metadata_errors=False)
    assert read.data.model_name == model + "2" and read.data.pipeline_tag == "image-to-text"
    results = {result.metric_name: result for result in read.data.eval_results}
    visual = results["exact match, visual (%)"]
    assert (visual.metric_value, visual.metric_type) == (92.5, "exact_match")
    assert visual.metric_args["n"] == 40 and visual.metric_args["signature"].startswith("exact_visual|")
    assert len(results) == 4 and all(result.dataset_name == data for result in results.values())
    assert named is None or visual.dataset_type == named
    assert re.fullmatch(r"[\w./-]+", visual.dataset_type)


def test_every_form_is_written_beside_the_others(tmp_path):
    report = found()
    write_report(report, SAMPLES, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "card-base.md", "card-tuned.md", "report.html", "report.json", "report.md", "report.tex"]
    assert json.loads((tmp_path / "report.json").read_text()) == json.loads(json.dumps(as_json(report)))
