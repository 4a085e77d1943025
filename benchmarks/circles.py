"""What reading takes for an answer that goes in circles: how many formulas look so, and what such answers are now.

    python benchmarks/circles.py corpus formulas.jsonl.gz
    python benchmarks/circles.py answers benchmarks/results/crohme_2014/predictions-base.jsonl crohme:data/test2014
    python benchmarks/circles.py strange

The first spells each formula of a corpus as the embedded model does and looks for circles in its tokens: ten minutes.
The second reads with that model the pictures whose answers in a file of predictions have no end, and prints for each
the edits to its reference (tokens inserted, left out or changed), then and now, of how many. The third lets it read
what is no formula (lines of text, tables, dots at random), and counts how its answers stop.
"""

from __future__ import annotations

import gzip
import json
import random
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from latexocr.data import sources
from latexocr.latex.canonical import Level, canonical
from latexocr.reading.decoding import loop_end
from latexocr.reading.inputs import resolve
from latexocr.reading.local import load_model
from latexocr.records import Sample, read_predictions
from latexocr.scoring.forms import edits


def corpus(path: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(resolve("builtin"))
    count = 0
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            count += 1
            latex = json.loads(line)["latex"]
            if len(latex) < 50:  # Too short for 72 tokens, though spelling adds some braces.
                continue
            tokens = tokenizer(canonical(latex, Level.SYNTAX), add_special_tokens=False)["input_ids"]
            if end := loop_end(tokens):
                print(f"{len(tokens)} tokens, second round at {end}: {latex[:100]}", flush=True)
    print(f"{count} formulas")


def answers(path: Path, spec: str) -> None:
    endless = {prediction.id: prediction for prediction in read_predictions(path) if prediction.stop == "length"}
    samples = [sample for sample in sources.load(spec) if sample.id in endless]
    for sample, now in zip(samples, load_model("builtin").read(samples), strict=True):
        then = endless[sample.id]
        far = [edits(prediction.latex, sample.latex or "")[0] for prediction in (then, now)]
        print(f"{sample.id}: {then.tokens} tokens -> {now.tokens}, {now.stop}; {far[0]} edits -> {far[1]}, of "
              f"{edits('', sample.latex or '')[2]} tokens\n  {now.latex}")


def pictures() -> Iterator[tuple[str, Image.Image]]:
    """120 pictures of what is no formula, each with its kind; the same while README.md, whose words they show, is."""
    chance, words = random.Random(0), (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8").split()
    for _ in range(60):
        yield "text", written([[" ".join(chance.choices(words, k=6))] for _ in range(chance.randint(1, 8))], 900)
    for number in range(40):
        rows, columns = chance.randint(3, 14), chance.randint(5, 25)
        signs = ("01", "0", ".", "0123456789abcxyz+-=")[number % 4]
        yield "table", written([chance.choices(signs, k=columns) for _ in range(rows)], 40)
    for number in range(20):
        dots = np.random.default_rng(number).random((60, 400)) < (1 + number % 5) / 20
        yield "dots", Image.fromarray(np.where(dots, 0, 255).astype(np.uint8)).resize((800, 120))


def written(rows: list[list[str]], width: int) -> Image.Image:
    """Cells so many pixels wide."""
    picture = Image.new("L", (width * max(map(len, rows)) + 20, 40 * len(rows) + 20), 255)
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(24)
    for row, cells in enumerate(rows):
        for column, cell in enumerate(cells):
            draw.text((10 + width * column, 10 + 40 * row), cell, font=font, fill=0)
    return picture


def strange() -> None:
    drawn = list(pictures())
    samples = (Sample(str(number), picture) for number, (_, picture) in enumerate(drawn))
    answers = load_model("builtin", device="cpu", dtype="float32").read(samples)
    for (kind, stop), count in sorted(Counter((kind, p.stop) for (kind, _), p in zip(drawn, answers)).items()):
        print(f"{kind}: {count} {stop}")


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "corpus":
        corpus(Path(sys.argv[2]))
    elif len(sys.argv) == 4 and sys.argv[1] == "answers":
        answers(Path(sys.argv[2]), sys.argv[3])
    elif sys.argv[1:] == ["strange"]:
        strange()
    else:
        sys.exit(__doc__)
