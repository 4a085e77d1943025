"""The pictures of a data set after damage, as data sets of the same ids: half and triple size, inverted, as a scan.

    python benchmarks/damaged.py SPEC OUT [LIMIT]

Writes OUT/half, OUT/triple, OUT/inverted and OUT/scan, of LIMIT samples (600) that `bench --limit` would draw. Each is
read by itself; the answers are then columns beside those to the undamaged pictures, so that the differences are paired:
run.sh does it. `bench --robust` damages pictures alike, by 19 kinds at three strengths, 57 times as many, so of fewer.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from zlib import crc32

import numpy as np
from PIL import Image

from latexocr.bench.run import draw
from latexocr.data.degrade import STRENGTHS, degrade_picture
from latexocr.data.sources import load
from latexocr.data.write import write_samples
from latexocr.errors import UserError
from latexocr.records import Sample

KINDS = {"half": ("smaller", "strong"), "triple": ("larger", "strong"), "inverted": ("invert", "strong"),
         "scan": ("scan", "medium")}
"""Name of a set -> kind of damage and strength, as `latexocr.data.degrade` names them."""
LIMIT = 600


def damaged(samples: Sequence[Sample], kind: str, strength: str) -> Iterator[Sample]:
    """Each sample with its picture damaged just as `bench --robust` does it."""
    for sample in samples:
        random = np.random.default_rng(crc32(f"{kind}/{strength}/{sample.id}".encode()))
        with Image.open(sample.image) as image:
            yield replace(sample, image=degrade_picture(image, {kind: STRENGTHS[strength]}, random))


def main(spec: str, out: Path, limit: int) -> None:
    samples = draw(load(spec), limit)
    for name, (kind, strength) in KINDS.items():
        if not (out / name / "samples.jsonl").exists():
            write_samples(out / name, damaged(samples, kind, strength))


if __name__ == "__main__":
    try:
        main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) == 4 else LIMIT)
    except (IndexError, ValueError):
        sys.exit(f"damaged.py: expected SPEC OUT [LIMIT]\n{__doc__}")
    except UserError as e:
        sys.exit(f"damaged.py: {e}")
