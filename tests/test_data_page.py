"""The page of the data room: its tables are those of the program, and what it shows was said by the program."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from latexocr import data
from latexocr.data.audit import FAULTS
from latexocr.data.degrade import DEGRADATIONS, STRENGTHS
from latexocr.data.fonts import FONTS
from latexocr.data.sources import PREFIXES

PAGE = (Path(data.__file__).parent / "README.md").read_text("utf-8")


def rows(first: str) -> dict[str, list[str]]:
    """The rows of the table whose head begins with a word, by their first cell."""
    table = re.search(rf"^\| {first} \|.*\n(?:\|.*\n)+", PAGE, re.M)[0].splitlines()[2:]
    cells = [[cell.strip() for cell in row.strip("|").split(" | ")] for row in table]
    return {row[0].strip("`"): row[1:] for row in cells}


def test_every_way_to_say_where_samples_are_is_in_the_table_with_a_test_that_is_there():
    assert {spec.partition(":")[0] for spec in rows("SPEC") if ":" in spec} == set(PREFIXES)
    tests = {name for *_, names in rows("SPEC").values() for name in re.findall(r"`(\w+)`", names)}
    assert tests and all((Path(__file__).parent / f"{name}.py").is_file() for name in tests)


def test_the_degradations_and_their_shares_are_those_of_the_program():
    assert {name: float(share) for name, (share, _) in rows("name").items()} == {
        name: degradation.share for name, degradation in DEGRADATIONS.items()}
    said = re.search(r"\(mild (\S+), medium (\S+), strong (\S+)\)", PAGE).groups()
    assert [float(strength) for strength in said] == list(STRENGTHS.values())


@pytest.mark.parametrize("kind", FAULTS)
def test_the_audits_shown_name_every_kind_of_fault(kind):
    lines = re.findall(rf"^ {{2,}}\d+  {kind} +(.+)$", PAGE, re.M)
    assert len(lines) == 2 and set(lines) == {FAULTS[kind]}


def test_the_audit_shown_adds_up():
    seen, of, share, train, *ways, short, near = map(float, re.search(
        r"(\d+) of (\d+) test samples \((\S+) %\) are among the (\d+) training samples: (\d+) as pictures, (\d+) as "
        r"formulas, (\d+) as formulas spelled otherwise; (\d+) of these .* (\d+) more are there nearly", PAGE).groups())
    assert sum(ways) == seen and round(100 * seen / of, 1) == share and short <= seen < of < train and near > 0


def test_the_fonts_are_as_many_as_it_says():
    assert 65 <= len(FONTS) <= 80 and len({fonts.family for fonts in FONTS.values() if not fonts.share}) == 2
