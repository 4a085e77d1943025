"""Where a column got better than the base and where worse: in samples, and in parts of the data; also in words.

Takes a Report, gives records. Computes no score: a part counts as better or worse where its comparison says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from latexocr.bench.judge import HEADLINE, Report
from latexocr.bench.report import signed
from latexocr.bench.slices import Slice
from latexocr.wording import counted

NAMED = 4
"""Most parts that a sentence names."""


@dataclass(frozen=True)
class Change:
    """What changed from the base to one other column, in the headline metric; `verdict` is that of their comparison."""

    base: str
    column: str
    wins: int
    losses: int
    won: Sequence[int]
    """Places of the samples that the base got wrong and the column right; none in a report without rows."""
    lost: Sequence[int]
    """Those that the base got right and the column wrong."""
    better: Sequence[Slice]
    """Parts with the verdict better, the largest gain first."""
    worse: Sequence[Slice]
    """Parts with the verdict worse, the largest loss first."""
    parts: int
    """Parts that were compared."""
    verdict: str

    def heading(self) -> str:
        """The verdict as a headline."""
        if self.verdict in ("better", "worse"):
            return f"{self.column} is {self.verdict} than {self.base}"
        return f"No difference shown between {self.column} and {self.base}"

    def better_sentence(self) -> str:
        """Samples won, and the parts in which that shows."""
        return (f"{self.column} reads {counted(self.wins, 'sample')} that {self.base} got wrong. "
                f"{_named(self.column, 'better', self.better, self.parts)}")

    def worse_sentence(self) -> str:
        """Samples lost, and the parts in which that shows."""
        return (f"{self.column} gets {counted(self.losses, 'sample')} wrong that {self.base} read. "
                f"{_named(self.column, 'worse', self.worse, self.parts)}")


def _named(column: str, verdict: str, found: Sequence[Slice], parts: int) -> str:
    if not found:
        return f"In none of {counted(parts, 'part')} of the data is it shown to be {verdict}."
    named = [f"“{part.name}” ({signed(c.delta, HEADLINE)} [{signed(c.low, HEADLINE)}, {signed(c.high, HEADLINE)}], "
             f"n = {part.n})" for part in found[:NAMED] for c in [part.comparisons[column]]]
    most = ", most in" if len(found) > NAMED else ":"
    return f"{verdict.capitalize()} in {len(found)} of {counted(parts, 'part')} of the data{most} {', '.join(named)}."


def changes(report: Report) -> dict[str, Change]:
    """The change of each column other than the base, which is the first."""
    base, *others = report.scores
    return {name: _change(report, base, name) for name in others}


def _change(report: Report, base: str, name: str) -> Change:
    headline = next(c for c in report.comparisons[name] if c.metric == HEADLINE)
    right = [(row.answers[base].correct, row.answers[name].correct) for row in report.rows]
    compared = [part for part in report.slices if name in part.comparisons]
    by_delta = sorted(compared, key=lambda part: part.comparisons[name].delta)
    return Change(
        base, name, headline.wins, headline.losses,
        [i for i, pair in enumerate(right) if pair == (False, True)],
        [i for i, pair in enumerate(right) if pair == (True, False)],
        [part for part in reversed(by_delta) if part.comparisons[name].verdict == "better"],
        [part for part in by_delta if part.comparisons[name].verdict == "worse"], len(compared), headline.verdict)
