"""Test sets by name: where one comes from, and whether what lies here is it.

A suite is a JSON file that says what everybody must mean by its name: the data SPEC, how many samples, their hash, the
revision and split, the licence, whom to cite. Takes the `--data` of a benchmark, gives the SPEC to load and the suite.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from latexocr.data.sources import content_hash
from latexocr.errors import UserError
from latexocr.records import Sample
from latexocr.wording import counted

PREFIX = "suite:"
FOLDER = Path(__file__).parent.parent.parent / "benchmarks" / "suites"
"""Where suites lie that are called by name: in a checkout, not in an installed copy."""


@dataclass(frozen=True)
class Suite:
    """A test set that is called by its name."""

    name: str
    source: str
    """Its data SPEC."""
    n: int | None = None
    sha256: str | None = None
    """Of ids, references and pictures, as `data_sha256` in `run.json`."""

    def check(self, samples: Sequence[Sample]) -> None:
        """Raise UserError where these are not the samples of the suite."""
        if self.n is not None and len(samples) != self.n:
            raise UserError(f"suite {self.name}: found {counted(len(samples), 'sample')}, expected {self.n}. Give the "
                            "whole set, and take a part of it with --limit.")
        if self.sha256 is not None and (found := content_hash(samples)) != self.sha256:
            raise UserError(f"suite {self.name}: the data is another: found sha256 {found}, expected {self.sha256}. "
                            "Give what the suite's source names, or name your data by its own SPEC.")


def suite_of(data: str) -> Suite | None:
    """The suite that a `--data` names: suite:NAME, suite:NAME=SPEC for data that lies elsewhere, or a suite's file.

    None for any other data. Raises UserError where there is no such suite, or its file is none.
    """
    name, equals, elsewhere = data.removeprefix(PREFIX).partition("=")
    if data.startswith(PREFIX):
        found = _read(FOLDER / f"{name}.json")
        return Suite(found.name, elsewhere, found.n, found.sha256) if equals else found
    return _read(Path(data)) if data.endswith(".json") and Path(data).is_file() else None


def _read(path: Path) -> Suite:
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        suite = Suite(*(fields.get(name) for name in Suite.__dataclass_fields__))
    except FileNotFoundError as e:
        known = ", ".join(sorted(file.stem for file in path.parent.glob("*.json"))) or f"none in {path.parent}"
        raise UserError(f"{PREFIX}{path.name.removesuffix('.json')}: no such suite. There are: {known}.") from e
    except (OSError, ValueError, AttributeError, RecursionError) as e:
        raise UserError(f"{path}: not the file of a suite ({e}).") from e
    if not isinstance(suite.name, str) or not isinstance(suite.source, str):
        raise UserError(f"{path}: not the file of a suite: 'name' and 'source' are needed.")
    if not isinstance(suite.n, int | None) or not isinstance(suite.sha256, str | None):
        raise UserError(f"{path}: not the file of a suite: 'n' is a number, 'sha256' a string, or they are not there.")
    return suite
