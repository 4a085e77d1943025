"""What the batches of a run are made of, in random order and in ours, and what making them costs.

    python benchmarks/batches.py SPEC [PICTURES]

Of the embedded model. Times are of one processor, in milliseconds a picture, so that other programs do not count.
"""

from __future__ import annotations

import sys
from itertools import groupby
from pathlib import Path
from time import process_time

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))


def main(spec: str, count: int) -> None:
    from latexocr.data.sources import load
    from latexocr.reading.images import prepare
    from latexocr.reading.inputs import load_processor, resolve
    from latexocr.training.batches import order
    from latexocr.training.collate import Collator, Example
    from latexocr.training.pictures import pack

    samples = load(spec)
    samples = [samples[n] for n in np.random.default_rng(0).permutation(len(samples))[:count]]
    start = process_time()
    examples = [Example(s.id, pack(prepare(s.image)), s.latex or "x") for s in samples]
    spent, kept = (process_time() - start) / len(examples), np.mean([len(one.picture.png) for one in examples])
    print(f"{len(examples)} pictures, prepared in {spent * 1e3:.2f} ms each, kept in {kept:.0f} bytes each")
    processor = load_processor(resolve("builtin"))
    collator = Collator(processor, examples, {processor.tokenizer.eos_token_id})
    lengths = np.array(collator.lengths())
    sizes = [example.picture.width * example.picture.height for example in examples]
    print("batch  order   padding  tokens a row  runs of one size")
    for batch in (2, 8, 16, 64):
        steps = len(examples) // batch
        ours = order(lengths, sizes, batch=batch, step=batch, steps=steps, seed=0)
        for name, numbers in (("random", range(batch * steps)), ("ours", ours)):
            rows = np.reshape(numbers, (-1, batch))
            tokens = (lengths[rows].max(axis=1) * batch).sum()
            runs = np.mean([len(list(groupby(sizes[n] for n in row))) for row in rows])
            padding, row = 1 - lengths[rows].sum() / tokens, tokens / rows.size
            print(f"{batch:5}  {name:6}  {padding:6.1%}  {row:12.0f}  {runs:6.1f}")
    rows = [{"sample": number} for number in ours[:640]]
    start = process_time()
    for first in range(0, len(rows), 64):
        collator(rows[first:first + 64])
    print(f"a batch of 64 is made in {(process_time() - start) / len(rows) * 1e3:.2f} ms a picture")


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(f"{sys.argv[0]}: expected SPEC [PICTURES].\n{__doc__}")
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) == 3 else 3200)
