"""The samples of a report as its page holds them: an index to filter and sort by, and what is drawn, in blocks.

Takes rows and samples, gives text that is safe anywhere in HTML: JSON, compressed, in base64. The page's script unpacks
the index at once, and a block when one of its samples is shown. So ten thousand samples are ten megabytes, and no text
of a model or a data set stands in the page where a browser could take it for markup.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import lru_cache
from typing import Any

from latexocr.bench.judge import Answer, Report, Row
from latexocr.bench.page import mathml, picture
from latexocr.latex.alignment import difference
from latexocr.latex.tokens import detokenize
from latexocr.records import Sample

BLOCK = 20
"""Samples of a block. More would be smaller in the file (1 % at 50) and slower to sort through."""


def packed(value: Any) -> str:
    """A JSON value for the page's script; the same text for the same value."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(gzip.compress(text.encode("utf-8", "replace"), mtime=0)).decode()


def index(report: Report) -> dict[str, Any]:
    """What the samples are found by: names of the columns, and each row without what is drawn."""
    return {"columns": list(report.scores), "block": BLOCK,
            "rows": [{**asdict(row), "answers": [_indexed(answer) for answer in row.answers.values()]}
                     for row in report.rows]}


def _indexed(answer: Answer) -> dict[str, Any]:
    return {**asdict(answer), "edit_distance": round(answer.edit_distance, 4)}


def blocks(rows: Sequence[Row], samples: Sequence[Sample]) -> list[str]:
    """What is drawn of each row, packed in blocks: picture, formulas as MathML, and how answers differ."""
    shown = lru_cache(maxsize=10_000)(mathml)  # Most answers are the reference, or another column's.
    with ThreadPoolExecutor() as pool:  # Pillow frees the other processors while it decodes and encodes.
        pictures = pool.map(picture, [sample.image for sample in samples])
        drawn = [_drawn(row, image, shown) for row, image in zip(rows, pictures, strict=True)]
    return [packed(drawn[start:start + BLOCK]) for start in range(0, len(drawn), BLOCK)]


def _drawn(row: Row, image: str | None, shown: Callable[[str], str | None]) -> Mapping[str, Any]:
    return {"picture": image, "reference": shown(row.reference),
            "answers": [{"shown": None if answer.error else shown(answer.latex), "edits": _edits(row, answer)}
                        for answer in row.answers.values()]}


def _edits(row: Row, answer: Answer) -> list[tuple[str, str, str]]:
    """Kind, reference and answer of each stretch of the alignment; empty where there is nothing to compare."""
    if answer.error or not answer.latex.strip() or answer.level == "identical":
        return []
    return [(edit.kind, detokenize(edit.reference), detokenize(edit.prediction))
            for edit in difference(row.reference, answer.latex).edits]
