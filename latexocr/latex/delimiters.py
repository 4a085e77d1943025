"""A formula for a text around it: on one line, between delimiters.

Takes and gives strings. Knows nothing of files.
"""

from __future__ import annotations

import re

WRAPS = {"none": ("", ""), "inline": ("$", "$"), "dollars": ("$$", "$$"), "parentheses": (r"\(", r"\)"),
         "display": (r"\[", r"\]"), "equation": ("\\begin{equation}\n", "\n\\end{equation}")}
"""By name: what stands before and after a formula."""
_COMMENT = re.compile(r"(?<!\\)((?:\\\\)*)%[^\n]*")


def one_line(latex: str) -> str:
    """A formula on one line, without comments, which would take in what follows it."""
    return " ".join(_COMMENT.sub(r"\1", latex).split())


def wrapped(latex: str, wrap: str) -> str:
    """A formula on one line between the delimiters of that name; with "none" as it is, and nothing stays nothing."""
    before, after = WRAPS[wrap]
    inside = one_line(latex)
    return f"{before}{inside}{after}" if before and inside else latex
