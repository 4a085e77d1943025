"""`report.schema.json` is true: it has the fields of the records, and real reports keep to it."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from PIL import Image

from latexocr.bench import report as words
from latexocr.bench.calibration import Calibration
from latexocr.bench.contamination import Training
from latexocr.bench.cost import Cost
from latexocr.bench.folder import Run
from latexocr.bench.judge import Report, evaluate
from latexocr.bench.noise import Noise
from latexocr.bench.robust import Loss, Robust
from latexocr.data.overlap import overlap
from latexocr.records import Prediction, Sample, failure

ROOT = Path(__file__).parents[1]
SCHEMA = json.loads((ROOT / "latexocr/bench/report.schema.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
PUBLISHED = sorted(ROOT.glob("benchmarks/results/*/report.json"))
PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean"}


def full() -> Report:
    """A report in which nothing is left out, of three samples and two columns."""
    samples = [Sample(f"s{i}", Image.new("L", (9, 9)), latex, "a") for i, latex in enumerate(("x", "y", "z"))]
    base = [Prediction("s0", "x", confidence=0.9), Prediction("s1", "q", confidence=0.5), failure(samples[2], "gone")]
    columns = {"base": base, "tuned": [Prediction(s.id, s.latex or "") for s in samples]}
    runs = {name: Run("m", "d", "0" * 64, {"seed": 0}, ({"command": "c"},), 1.0, 3) for name in columns}
    trained = {"tuned": Training("d", overlap(samples, samples[:1])), "base": Training("e", None, "gone")}
    found = evaluate(samples, columns, runs, trained=trained)
    scores = {name: column[0] for name, column in found.scores.items()}
    nan = float("nan")
    return dataclasses.replace(
        found, robustness=[Robust("blur", "mild", 3, scores, {"base": Loss(0.1, nan, nan)})],
        noise={"base": Noise(3, 1, 0, 0, ("s1",))},
        costs={"base": Cost(3, None, 1.0, None, 0.1, 0.2, None, None, 12.0, None, None)})


def faults(report: Mapping[str, Any]) -> list[str]:
    return [f"{error.json_path}: {error.message[:200]}" for error in VALIDATOR.iter_errors(report)]


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["properties"]["schema"]["const"] == words.SCHEMA


def test_it_has_the_fields_of_the_records_and_a_word_on_each():
    assert list(differences(Report, SCHEMA | {"properties": {k: v for k, v in SCHEMA["properties"].items()
                                                             if k != "schema"}})) == []


def differences(record: type, entry: Mapping[str, Any]) -> Iterator[str]:
    """Where a record and its entry in the schema are not of one form."""
    hints = typing.get_type_hints(record)
    if list(hints) != list(entry["properties"]) or set(entry["required"]) - {"schema"} != set(hints):
        yield f"{record.__name__}: {list(hints)} and {list(entry['properties'])}"
    for name, hint in hints.items():
        described = entry["properties"].get(name, {})
        if not described.get("description"):
            yield f"{record.__name__}.{name}: not a word"
        yield from (f"{record.__name__}.{name}: {fault}" for fault in _unlike(hint, described))


def _unlike(hint: Any, entry: Mapping[str, Any]) -> Iterator[str]:
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        hint = next(one for one in inner if one is not type(None))
        nullable = "null" in entry.get("type", ()) or {"type": "null"} in entry.get("anyOf", ())
        yield from () if nullable else ("may be null",)
        entry = entry["anyOf"][0] if "anyOf" in entry else entry | {"type": entry["type"][0]}
        yield from _unlike(hint, entry)
    elif dataclasses.is_dataclass(hint):
        if entry.get("$ref") == f"#/$defs/{hint.__name__}":
            yield from differences(hint, SCHEMA["$defs"][hint.__name__])
        else:
            yield f"not {hint.__name__}"
    elif origin is not None and issubclass(origin, Mapping):
        yield from () if entry.get("type") == "object" else ("is an object",)
        yield from _unlike(inner[1], entry.get("additionalProperties", {}))
    elif origin is not None:
        yield from () if entry.get("type") == "array" else ("is an array",)
        yield from _unlike(inner[0], entry["items"])
    elif hint in PLAIN and PLAIN[hint] != entry.get("type") and [PLAIN[hint], "null"] != entry.get("type"):
        yield f"is a {PLAIN[hint]}"


def test_a_report_with_everything_keeps_to_it():
    report = json.loads(json.dumps(words.as_json(full()), allow_nan=False))
    assert faults(report) == []
    assert all(report[name] for name in SCHEMA["required"])
    assert isinstance(full().calibration["base"], Calibration)


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.parent.name)
def test_published_reports_keep_to_it(path):
    assert faults(json.loads(path.read_text(encoding="utf-8"))) == []


def test_it_refuses_what_is_no_report():
    report = words.as_json(full())
    assert faults({**report, "more": 1}) and faults({**report, "schema": 1})
    assert faults({key: value for key, value in report.items() if key != "ledger"})
    report["scores"]["base"][0]["value"] = "53.2"
    assert faults(report)
