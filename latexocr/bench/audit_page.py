"""An audit for the eye: a few lines for the terminal, and one self-contained page with the pictures in question.

Takes an Audit and the samples it is about, gives text. Finds nothing itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from latexocr.bench.charts import Point, by_label
from latexocr.bench.page import render
from latexocr.data.audit import FAULTS, Audit, Finding
from latexocr.data.overlap import KINDS, Match
from latexocr.records import Sample
from latexocr.wording import counted

SHOWN = 24
"""Most examples of one kind on the page, evenly spaced."""
PICTURES = 4
"""Most samples shown of one finding."""
REPEATED = 12


@dataclass(frozen=True)
class Example:
    """One finding as the page shows it."""

    kind: str
    title: str
    note: str
    samples: Sequence[tuple[str, Sample]]
    """Each with what it is called."""


def summary(report: Audit) -> str:
    """The audit for a terminal: a line a kind of fault, then the overlap."""
    width = max(map(len, FAULTS))
    lines = [f"{len(found):>7}  {kind:<{width}}  {FAULTS[kind]}" if kind != "refused" or report.asked_tex else
             f"{'–':>7}  {kind:<{width}}  TeX was not asked" for kind, found in report.faults.items()]
    repeated = sum(report.repeated.values()) - len(report.repeated)
    head = (f"{counted(report.n, 'sample')}, {counted(report.formulas, 'different formula')} "
            f"({counted(repeated, 'sample')} {'repeats' if repeated == 1 else 'repeat'} one); "
            f"{counted(len(report.faulty), 'sample')} with a fault")
    return "\n".join([head, *lines, *([report.overlap.sentence()] if report.overlap else [])])


def audit_page(report: Audit, samples: Sequence[Sample], data: str, against: Sequence[Sample] = (),
               test_data: str = "") -> str:
    """The audit as one page that loads nothing from anywhere. `against` are the samples it was held against."""
    by_id = {sample.id: sample for sample in samples}
    tests = {sample.id: sample for sample in against}
    examples = [_fault(kind, finding, by_id) for kind, found in report.faults.items() for finding in _some(found)]
    matches = report.overlap.matches if report.overlap else {}
    examples += [_match(id_, match, tests, by_id) for kind in KINDS
                 for id_, match in _some([item for item in matches.items() if item[1].kind == kind])]
    counts = {kind: len(found) for kind, found in report.faults.items()}
    seen = report.overlap.counts if report.overlap else {}
    buttons = [(name, n) for name, n in [*counts.items(), *((f"seen-{kind}", n) for kind, n in seen.items())] if n]
    most = max(report.lengths.values(), default=0)
    lengths = by_label("Lengths", "Share of the samples by tokens of the reference.", list(report.lengths),
                       {"samples": [Point(0, n / max(report.n, 1)) for n in report.lengths.values()]}, kind="bars",
                       top=max(0.2, -(-5 * most // max(report.n, 1)) / 5))
    return render("audit.html.jinja", report=report, data=data, test_data=test_data, counts=counts, faults=FAULTS,
                  kinds=KINDS, seen=seen, examples=examples, buttons=buttons, chart=lengths, most=SHOWN,
                  repeated=list(report.repeated.items())[:REPEATED])


def _some(found: Sequence) -> list:
    """At most SHOWN of them, evenly spaced, so that no choice is ours."""
    step = max(1.0, len(found) / SHOWN)
    return [found[int(k * step)] for k in range(int(len(found) / step + 1e-9))]


def _fault(kind: str, finding: Finding, by_id: Mapping[str, Sample]) -> Example:
    shown = [("", by_id[id_]) for id_ in finding.ids[:PICTURES]]
    more = len(finding.ids) - len(shown)
    return Example(kind, ", ".join(finding.ids[:PICTURES]) + (f" and {more} more" if more else ""), finding.note, shown)


def _match(id_: str, match: Match, tests: Mapping[str, Sample], by_id: Mapping[str, Sample]) -> Example:
    note = f"differs by {counted(match.edits, 'token')}" if match.kind == "near" else ""
    return Example(f"seen-{match.kind}", id_, note, [("test", tests[id_]), ("training", by_id[match.train_id])])
