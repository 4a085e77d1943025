"""Words for people: counts in sentences, and texts of anybody's on a terminal."""

from __future__ import annotations


def counted(n: int | str, thing: str) -> str:
    """A number and what it counts: "1 sample", "2 samples", "1,000 samples", "no samples"."""
    return f"{n} {thing}" if str(n) == "1" else f"{n} {thing}s"


def visible(text: str) -> str:
    """A text of anybody's for a terminal: what cannot be printed, or would steer the terminal, as its escape."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)
