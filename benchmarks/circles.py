"""What reading takes for an answer that goes in circles: how many formulas look so, and what such answers are now.

    python benchmarks/circles.py corpus formulas.jsonl.gz
    python benchmarks/circles.py answers benchmarks/results/crohme_2014/predictions-base.jsonl crohme:data/test2014

The first spells each formula of a corpus as the embedded model does and looks for circles in its tokens: ten minutes.
The second reads with that model the pictures whose answers in a file of predictions have no end, and prints for each
the edits to its reference (tokens inserted, left out or changed), then and now, of how many.
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path

from latexocr.data import sources
from latexocr.latex.canonical import Level, canonical
from latexocr.reading.decoding import loop_end
from latexocr.reading.inputs import resolve
from latexocr.reading.local import load_model
from latexocr.records import read_predictions
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


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "corpus":
        corpus(Path(sys.argv[2]))
    elif len(sys.argv) == 4 and sys.argv[1] == "answers":
        answers(Path(sys.argv[2]), sys.argv[3])
    else:
        sys.exit(__doc__)
