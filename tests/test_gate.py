"""The gate: closed only by a real loss beyond what is allowed; one line for what cannot be compared."""

from __future__ import annotations

import json
import random
import shlex
from pathlib import Path

import pytest
import tyro
import yaml
from PIL import Image

from latexocr import cli
from latexocr.bench.folder import Run
from latexocr.bench.judge import evaluate
from latexocr.bench.report import as_json
from latexocr.records import Prediction, Sample, failure


def written(path: Path, right: dict[str, list[bool]], *, sha: str = "abc", reference: str = "a+b+c+d") -> Path:
    """What a gate reads of a report, of columns whose answers are right or wrong as told; of a wrong one, one token in
    seven is. (That real reports have all of it, the last test says.)"""
    n = len(next(iter(right.values())))
    rows = [{"id": f"s{i}", "reference": reference, "answers": {
        name: {"latex": reference if column[i] else "a+b+c+z", "failure": "ok" if column[i] else "wrong", "error": ""}
        for name, column in right.items()}} for i in range(n)]
    path.write_text(json.dumps({"scores": dict.fromkeys(right), "rows": rows,
                                "runs": {name: {"data_sha256": sha} for name in right}}))
    return path


def shares(*counts: int) -> list[list[bool]]:
    """Columns of 400 answers, the first so many right: nested, so that all differences are losses."""
    return [[i < count for i in range(400)] for count in counts]


@pytest.mark.parametrize(("before", "after", "allowed", "metric", "code", "said"), [
    (300, 300, 0, "exact", 0, "ruled out"), (300, 320, 0, "exact", 0, "ruled out"),
    (300, 280, 0, "exact", 1, "a loss beyond 0.0 points is shown"),          # −5 points, certain
    (300, 280, 2, "exact", 1, "a loss beyond 2.0 points is shown"),          # the interval ends near −3
    (300, 280, 4, "exact", 0, "neither shown nor ruled out"),                # within the interval
    (300, 280, 9, "exact", 0, "ruled out"),
    (300, 297, 0, "exact", 0, "neither shown nor ruled out"),                # three losses are no proof
    (300, 280, 0, "edit_distance", 1, "is shown"), (300, 320, 0, "edit_distance", 0, "ruled out"),
    (300, 280, 2, "edit_distance", 0, "ruled out"), (300, 200, 0.1, "bleu", 1, "is shown"),
])
def test_the_gate_is_closed_by_what_the_interval_excludes(tmp_path, capsys, before, after, allowed, metric, code, said):
    old, new = shares(before, after)
    reports = written(tmp_path / "new.json", {"base": new}), written(tmp_path / "old.json", {"base": old})
    arguments = ["gate", str(reports[0]), "--against", str(reports[1]), "--metric", metric,
                 "--allow-drop", str(allowed)]
    assert cli.main(arguments) == code
    out = capsys.readouterr().out
    assert said in out and out.startswith("FAILED: " if code else "passed: ")
    assert f"\n{'exact_visual' if metric == 'exact' else metric}|level:" in out


def test_chance_does_not_close_the_gate_more_often_than_it_may(tmp_path):
    """Two readings of a model as good as the other: of 40 pairs of reports, at most a few are called worse."""
    from latexocr.bench.gate import gate, read_column

    chance = random.Random(0)
    closed = 0
    for _ in range(40):
        a, b = ([chance.random() < 0.7 for _ in range(60)] for _ in range(2))
        columns = [read_column(written(tmp_path / f"{name}.json", {"base": right})) for name, right in
                   (("a", a), ("b", b))]
        closed += gate(*columns, "exact", 0).closed
    assert closed <= 4


def test_one_lost_sample_is_no_proof_and_neither_is_one_sample(tmp_path, capsys):
    new, old = written(tmp_path / "n.json", {"base": [False]}), written(tmp_path / "o.json", {"base": [True]})
    for metric in ("exact", "edit_distance", "bleu"):
        assert cli.main(["gate", str(new), "--against", str(old), "--metric", metric]) == 0, metric
        assert "over 1 pair, p = 1.000; a loss beyond 0.0" in (out := capsys.readouterr().out)
        assert "neither shown nor ruled out; so few pairs can show none." in out


def test_the_column_is_the_only_one_or_tuned_or_the_one_named(tmp_path, capsys):
    good, bad = shares(300, 200)
    several = written(tmp_path / "new.json", {"base": good, "tuned": bad})
    single = written(tmp_path / "old.json", {"base": good})
    against = ["--against", str(single)]
    assert cli.main(["gate", str(several), *against]) == 1
    assert cli.main(["gate", str(several), *against, "--column", "base"]) == 0
    assert cli.main(["gate", str(single), "--against", str(several)]) == 0, "the baseline's column of the same name"
    three = written(tmp_path / "three.json", {"base": good, "a": bad, "b": bad})
    capsys.readouterr()
    assert cli.main(["gate", str(three), *against]) == 2
    assert "several columns. Give --column, one of base, a, b" in capsys.readouterr().err
    assert cli.main(["gate", str(three), *against, "--column", "c"]) == 2
    assert "no column 'c'" in capsys.readouterr().err


@pytest.mark.parametrize(("change", "said"), [
    ({"sha": "def"}, "read from other pictures"), ({"reference": "a+b+c"}, "400 samples with another reference"),
])
def test_other_data_is_refused(tmp_path, capsys, change, said):
    right, = shares(300)
    new, old = written(tmp_path / "n.json", {"base": right}, **change), written(tmp_path / "o.json", {"base": right})
    assert cli.main(["gate", str(new), "--against", str(old)]) == 2
    assert said in capsys.readouterr().err


def test_other_samples_are_refused_by_name(tmp_path, capsys):
    right, = shares(300)
    whole, part = written(tmp_path / "n.json", {"base": right}), written(tmp_path / "o.json", {"base": right[:398]})
    assert cli.main(["gate", str(part), "--against", str(whole)]) == 2
    assert "2 samples missing ('s398', 's399')" in capsys.readouterr().err
    assert cli.main(["gate", str(whole), "--against", str(part)]) == 2
    assert "2 samples not in the baseline" in capsys.readouterr().err


def test_rows_that_are_there_twice_or_are_no_formulas_are_refused(tmp_path, capsys):
    good = written(tmp_path / "good.json", {"base": [True, True]})
    report = json.loads(good.read_text())
    for change, said in (({"id": "s0"}, "'s0' twice or more"),
                         ({"answers": {"base": {"latex": None, "failure": "ok", "error": ""}}}, "lacks its answer")):
        bad = tmp_path / "bad.json"
        bad.write_text(json.dumps(report | {"rows": [report["rows"][0], report["rows"][1] | change]}))
        assert cli.main(["gate", str(bad), "--against", str(bad)]) == 2
        assert said in capsys.readouterr().err


@pytest.mark.parametrize(("content", "said"), [
    pytest.param("[" * 100_000, "not a report.json", id="deep"),
    (None, "cannot be read (No such file or directory)"), ("{", "not a report.json"),
    ("[]", "not a report.json"), ("3", "not a report.json"),
    ('{"scores": {"base": []}, "rows": [], "runs": {}}', "no rows to pair"),
    ('{"scores": {"base": []}, "rows": [{"id": 1}], "runs": {}}', "no rows to pair"),
    ('{"scores": {"base": []}, "rows": 3, "runs": {}}', "not a report.json"),
    ('{"scores": {"base": []}, "rows": [{"id": "a", "reference": null, "answers": {}}], "runs": {}}', "no rows"),
    ('{"scores": {"base": []}, "rows": [{"id": "a", "reference": "x", "answers": {}}], "runs": {}}', "lacks its"),
    ('{"scores": {"base": []}, "rows": [{"id": "a", "reference": "x", "answers": {"base": 3}}], "runs": {}}', "lacks"),
])
def test_what_is_no_report_is_one_line(tmp_path, capsys, content, said):
    good = written(tmp_path / "good.json", {"base": [True]})
    if content is not None:
        (tmp_path / "bad.json").write_text(content)
    assert cli.main(["gate", str(tmp_path / "bad.json"), "--against", str(good)]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


@pytest.mark.parametrize(("option", "said"), [
    (["--metric", "accuracy"], "no such metric. There are: exact_identical"),
    (["--allow-drop", "-1"], "expected 0 or more"), (["--allow-drop", "nan"], "expected 0 or more"),
    (["--seed", "-1"], "--seed -1: expected at least 0"),
])
def test_options_that_mean_nothing_are_refused(tmp_path, capsys, option, said):
    good = written(tmp_path / "good.json", {"base": [True]})
    assert cli.main(["gate", str(good), "--against", str(good), *option]) == 2
    assert said in capsys.readouterr().err


def test_reports_of_evaluate_pair_and_a_failure_stays_wrong_where_the_reference_shows_nothing(tmp_path, capsys):
    samples = [Sample(f"s{i}", Image.new("L", (8, 8)), r"\label{a}") for i in range(30)]
    for name, answers in (("n", [failure(s, "gone") for s in samples]), ("o", [Prediction(s.id, "") for s in samples])):
        report = evaluate(samples, {"base": answers}, {"base": Run("a", "data", "abc", {})})
        (tmp_path / f"{name}.json").write_text(json.dumps(as_json(report)))
    assert cli.main(["gate", str(tmp_path / "n.json"), "--against", str(tmp_path / "o.json")]) == 1
    assert "−100.0 [−100.0, −100.0] points over 30 pairs" in capsys.readouterr().out


def test_the_example_workflow_is_yaml_and_its_commands_are_ours():
    workflow = yaml.safe_load((Path(__file__).parent.parent / "benchmarks" / "gate.yml").read_text())
    steps = [shlex.split(step["run"]) for step in workflow["jobs"]["gate"]["steps"] if "run" in step]
    verbs = {words[1]: words[2:] for words in steps if words[0] == "latexocr"}
    assert list(verbs) == ["bench", "gate"]
    for verb, words in verbs.items():
        tyro.cli(cli.VERBS[verb].options(), args=words)
