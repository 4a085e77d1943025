"""Predictions files of any system -> Predictions: JSON lines, JSON, CSV, or one formula a line.

Takes a path and the ids of the references, gives Predictions. An id column and a formula column are found by the names
that systems give them; without ids, lines are in the order of the references. Does not know what a right answer is.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from latexocr.errors import UserError
from latexocr.records import Prediction, json_lines
from latexocr.wording import counted

ID_NAMES = ("id", "image_id", "img_id", "sample_id", "uid", "key", "image", "img", "image_path", "img_path",
            "image_name", "img_name", "file_name", "filename", "file", "path", "name", "index")
LATEX_NAMES = ("latex", "prediction", "pred", "predicted", "predicted_latex", "pred_latex", "latex_pred", "pred_str",
               "hypothesis", "hyp", "output", "model_output", "generated_text", "generated", "response", "answer",
               "result", "formula", "equation", "tex", "text")
"""Names of columns, first choice first; capitals are of no matter."""
PLAIN = (".txt", ".tex", ".lst", ".hyp", ".pred")
"""Files with one formula a line."""
Row = Mapping[str, Any]


def read_answers(path: Path, ids: Sequence[str]) -> list[Prediction]:
    """All predictions of a file, in its order. Raises UserError where it is none, naming the line."""
    if path.suffix.lower() in PLAIN:
        return _by_place(path, [line.strip() for line in read_lines(path)], ids)
    rows = list(_rows(path))
    if not rows:
        raise UserError(f"{path}: no predictions in it. Expected one a line, or a JSON list.")
    if not any(_column(row, ID_NAMES) for _, row in rows):
        return _by_place(path, [_latex(path, number, row) for number, row in rows], ids)
    return [_prediction(path, number, row) for number, row in rows]


def read_lines(path: Path) -> list[str]:
    """The lines of a text file; an empty line is an empty formula. Raises UserError where there is none."""
    if not (text := _text(path)):
        raise UserError(f"{path}: nothing in it. Expected one formula a line.")
    return text.removesuffix("\n").split("\n")


def _rows(path: Path) -> Iterable[tuple[int, Row]]:
    """Number and columns of each prediction."""
    kind = path.suffix.lower()
    if kind in (".csv", ".tsv"):
        table = csv.DictReader(io.StringIO(_text(path), newline=""), delimiter="\t" if kind == ".tsv" else ",",
                               strict=True)
        try:
            yield from ((table.line_num, {name: cell for name, cell in row.items() if name}) for row in table)
        except csv.Error as e:
            raise UserError(f"{path}:{table.line_num}: not CSV ({e}). A formula with commas or quotes is written in "
                            "double quotes.") from e
    elif kind == ".json":
        yield from enumerate(_json_rows(path), 1)
    else:
        yield from json_lines(path)


def _json_rows(path: Path) -> Iterable[Row]:
    """The predictions of a JSON file: a list of objects or of formulas, or an object of id -> formula."""
    try:
        found = json.loads(_text(path), object_pairs_hook=_each_once)
    except (ValueError, RecursionError) as e:
        raise UserError(f"{path}: not JSON ({e}). JSON lines are read from a file that ends in .jsonl.") from e
    if isinstance(found, dict):
        found = [item if isinstance(item, dict) and _column(item, ID_NAMES) else
                 {**item, "id": id} if isinstance(item, dict) else {"id": id, "latex": item}
                 for id, item in found.items()]
    if not isinstance(found, list):
        raise UserError(f"{path}: found one {type(found).__name__}, expected a list of predictions or id -> formula.")
    return [item if isinstance(item, dict) else {"latex": item} for item in found]


def _each_once(pairs: Sequence[tuple[str, Any]]) -> Row:
    """The object of these names, of which JSON itself keeps the last alone. Raises ValueError where one is doubled."""
    if doubled := [name for name, times in Counter(name for name, _ in pairs).items() if times > 1]:
        raise ValueError(f"{doubled[0]!r} twice or more in one object")
    return dict(pairs)


def _prediction(path: Path, number: int, row: Row) -> Prediction:
    column = _column(row, ID_NAMES)
    if column is None or row[column] in (None, ""):
        raise UserError(f"{path}:{number}: no id in it (found: {', '.join(row) or 'nothing'}), as other lines have.")
    ours = {name: row[name] for name in _OTHERS if row.get(name) not in (None, "")}
    if not isinstance(ours.get("confidence", 0.0), int | float):
        del ours["confidence"]
    if ours.get("stop", "end") not in ("end", "length", "error"):
        del ours["stop"]
    return Prediction(str(row[column]), _latex(path, number, row), **ours)


_OTHERS = tuple(field.name for field in fields(Prediction) if field.name in ("stop", "error", "confidence"))


def _latex(path: Path, number: int, row: Row) -> str:
    column = _column(row, LATEX_NAMES)
    if column is None:
        raise UserError(f"{path}:{number}: no formula in it (found: {', '.join(row) or 'nothing'}). Name the column "
                        "'latex'.")
    text = "" if row[column] is None else row[column]
    if not isinstance(text, str):
        raise UserError(f"{path}:{number}: '{column}' is {type(text).__name__}, expected the formula as a string.")
    return text


def _column(row: Row, known: Sequence[str]) -> str | None:
    """The column of a row that has the first of the known names."""
    names = {str(name).strip().lower(): name for name in row}
    return next((names[name] for name in known if name in names), None)


def _by_place(path: Path, formulas: Sequence[str], ids: Sequence[str]) -> list[Prediction]:
    if len(formulas) != len(ids):
        raise UserError(f"{path}: {counted(len(formulas), 'formula')} without ids for {counted(len(ids), 'reference')}"
                        ". One is needed for each, in their order; an answer that is missing is an empty line.")
    return [Prediction(id, latex) for id, latex in zip(ids, formulas)]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as e:
        raise UserError(f"{path}: cannot be read ({getattr(e, 'strerror', None) or e}). Give a UTF-8 file.") from e
