"""Counts in sentences have the number that English wants, in whatever is written of a single sample."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from PIL import Image

from latexocr import cli
from latexocr.wording import counted

ONE_OF_MANY = re.compile(r"(?<![\d.,–+-])1 (?:(?!as )\w+ )?(?:answer|file|formula|id|model|part|picture|prediction|"
                         r"reference|sample|token)s\b(?!/s)")


@pytest.mark.parametrize(("n", "said"), [
    (0, "0 samples"), (1, "1 sample"), (2, "2 samples"), ("1", "1 sample"), ("1,001", "1,001 samples"),
    ("no", "no samples")])
def test_counted(n, said):
    assert counted(n, "sample") == said


@pytest.mark.parametrize(("text", "wrong"), [
    ("gets 1 samples wrong", True), ("1 test samples", True), ("21 samples", False), ("1.1 pictures", False),
    ("1 sample", False), ("1 pictures/s", False), ("1 of 3 samples", False)])
def test_what_is_looked_for(text, wrong):
    assert bool(ONE_OF_MANY.search(text)) is wrong


def lines(path: Path, **answers: str) -> Path:
    path.write_text("".join(json.dumps({"id": id, "latex": latex}) + "\n" for id, latex in answers.items()))
    return path


def test_no_report_of_one_sample_says_one_samples(tmp_path, monkeypatch, capsys):
    """Bench of right against wrong, both ways; score, audit, convert: what they print and every file they write."""
    monkeypatch.chdir(tmp_path)
    for folder in ("one", "other"):
        Path(folder).mkdir()
        Image.effect_noise((60, 24), 60).save(f"{folder}/a.png")
        Path(folder, "a.tex").write_text("x+y")
    right, wrong = (lines(tmp_path / name, **{"a.png": latex}) for name, latex in (
        ("right.jsonl", "x+y"), ("wrong.jsonl", "x+z")))
    for out, base, tuned in (("won", wrong, right), ("lost", right, wrong)):
        assert cli.main(["bench", "--data", "one", "--base", str(base), "--tuned", str(tuned), "--out", out]) == 0
    assert cli.main(["score", str(wrong), str(right), "--data", "one"]) == 0
    assert cli.main(["data", "audit", "one", "--against", "other", "--out", "audit"]) == 0
    assert cli.main(["data", "convert", "one", "--out", "converted"]) == 0
    assert cli.main(["diff", "x", "y"]) == 0
    said = "".join(capsys.readouterr())
    written = [path.read_text() for folder in ("won", "lost", "audit") for path in Path(folder).iterdir()]
    assert "1 sample that" in said + "".join(written) and "converted/samples.jsonl: 1 sample\n" in said
    assert [found[0] for text in (said, *written) for found in ONE_OF_MANY.finditer(text)] == []
