"""What ships in examples/ and tests/images/: complete, small, described, and made by the scripts beside them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from latexocr.data.sources import load
from latexocr.data.typeset import available

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
EDGE_CASES = ROOT / "tests/images"


def run(script: Path, *arguments: str | Path) -> None:
    subprocess.run([sys.executable, script, *map(str, arguments)], check=True,
                   env={**os.environ, "PYTHONPATH": str(ROOT)})


def test_every_example_has_its_formula_opens_and_is_small():
    samples = load(str(EXAMPLES))
    assert len(samples) >= 12
    for sample in samples:
        assert sample.latex, sample.id
        assert sample.image.stat().st_size < 30_000, sample.id
        with Image.open(sample.image) as image:
            assert image.convert("L").getextrema()[0] < 128 < image.convert("L").getextrema()[1], sample.id


@pytest.mark.parametrize("folder", [EXAMPLES, EDGE_CASES], ids=lambda folder: folder.name)
def test_the_readme_names_every_picture(folder):
    readme = (folder / "README.md").read_text("utf-8")
    assert [s.id for s in load(str(folder)) if f"`{s.id}`" not in readme] == []


@pytest.mark.skipif(not available(), reason="needs TeX: latex and dvipng")
def test_the_examples_are_made_again(tmp_path):
    run(EXAMPLES / "make.py", tmp_path)
    made, kept = load(str(tmp_path)), load(str(EXAMPLES))
    assert [(s.id, s.latex) for s in made] == [(s.id, s.latex) for s in kept]
    for new, old in zip(made, kept, strict=True):
        with Image.open(new.image) as one, Image.open(old.image) as two:  # other versions of TeX differ by a pixel
            assert one.mode == two.mode, new.id
            assert max(abs(a - b) for a, b in zip(one.size, two.size, strict=True)) <= 3, new.id


def test_edge_cases_are_tiny():
    pictures = [p for p in EDGE_CASES.iterdir() if p.suffix in (".png", ".jpg", ".gif")]
    assert len(pictures) >= 12 and all(p.stat().st_size < 3000 for p in pictures)
