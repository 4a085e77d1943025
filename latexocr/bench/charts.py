"""Charts and their coordinates: values in, places in an SVG out. The templates draw them.

Knows nothing of reports; colours are those of the columns, by their number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, isfinite, log10

LEFT, RIGHT, TOP, BOTTOM = 44, 10, 14, 30
"""Margins of a chart, in units of its view box: room for the numbers."""


@dataclass(frozen=True)
class Point:
    """A value at a place, both in 0 to 1 (a value may be more, up to the top); with its interval where it has one."""

    x: float
    y: float
    told: str = ""
    """What it is, for the pointer and the ear."""
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Chart:
    """One series of points for each column, over the same axes."""

    title: str
    caption: str
    kind: str
    """"curve" (a line with dots), "line" (without), "dots" or "bars"."""
    ticks: Sequence[tuple[float, str]]
    """Marks of the horizontal axis: place in 0 to 1, and what is written there."""
    series: Mapping[str, Sequence[Point]]
    top: float = 1.0
    """Value at the upper edge."""
    diagonal: bool = False
    """Draw where value and place are equal."""
    width: int = 340
    height: int = 190

    def x(self, place: float) -> float:
        """Horizontal place in the view box."""
        return LEFT + (self.width - LEFT - RIGHT) * place

    def y(self, value: float) -> float:
        """Vertical place in the view box; what is beyond the top lies on it."""
        return TOP + (self.height - TOP - BOTTOM) * (1 - min(value, self.top) / self.top)

    def bar(self, point: Point, which: int) -> tuple[float, float]:
        """Left edge and width of the bar of series number `which` around its tick."""
        room = (self.width - LEFT - RIGHT) / len(self.ticks)
        wide = room * 0.76 / len(self.series)
        return self.x(point.x) - room * 0.38 + which * wide, max(1.0, wide - 1)

    def line(self, points: Sequence[Point]) -> str:
        """The points of a polyline, as SVG writes them."""
        return " ".join(f"{self.x(point.x):.1f},{self.y(point.y):.1f}" for point in points)


def by_label(title: str, caption: str, labels: Sequence[str], values: Mapping[str, Sequence[Point]], *,
             kind: str, top: float = 1.0) -> Chart:
    """A chart over labels that stand side by side; the points are in their order, and get their places here."""
    places = [(i + 0.5) / len(labels) for i in range(len(labels))]
    series = {name: [Point(x, p.y, p.told or f"{name}, {label}: {p.y * 100:.1f} %", p.low, p.high)
                     for x, label, p in zip(places, labels, points, strict=True)] for name, points in values.items()}
    return Chart(title, caption, kind, list(zip(places, labels, strict=True)), series, top)


@dataclass(frozen=True)
class Forest:
    """A common scale for intervals that stand below one another, one small drawing a row of a table."""

    low: float
    high: float
    signed: bool
    """Of differences: 0 is the line that matters."""
    width: int = 220
    height: int = 20

    def x(self, value: float) -> float:
        """Horizontal place in the view box of a row; what is off the scale lies on its edge."""
        part = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return 6 + (self.width - 12) * part

    def y(self, which: int, of: int) -> float:
        """Vertical place of interval number `which` of so many."""
        return self.height * (which + 0.5) / of

    def ticks(self) -> list[float]:
        """At most six round values on the scale; 0 is one of them where it is on it."""
        power = 10 ** floor(log10(self.high - self.low))
        step = next(s for s in (power / 5, power / 2, power, power * 2, power * 5) if (self.high - self.low) / s <= 5)
        return [i * step for i in range(ceil(self.low / step - 1e-9), floor(self.high / step + 1e-9) + 1)]


def forest(ends: Sequence[float], *, signed: bool) -> Forest:
    """The scale on which all the ends of intervals fit, and 0 where they are differences; values are parts of 1."""
    known = [end for end in ends if isfinite(end)] + ([0.0] if signed else [])
    low, high = max(min(known, default=0.0), -1.0), min(max(known, default=1.0), 1.0)
    room = max(high - low, 0.02) * 0.05
    return Forest(low - room, high + room, signed)
