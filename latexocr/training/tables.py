"""Formulas of several rows and columns, composed of short ones: in real documents one formula in three hundred is one.

Takes formulas and a source of chance, gives LaTeX. Knows nothing of pictures.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

BREAK = re.compile(r"\\\\|(?<!\\)&")
"""A break between rows or columns."""
GRIDS = {"pmatrix": 5, "bmatrix": 4, "matrix": 4, "array": 1, "vmatrix": 1.5, "Vmatrix": 0.3, "Bmatrix": 0.5,
         "smallmatrix": 0.4}
LINES = {"aligned": 5, "array": 4}
"""Environments and how often they are chosen; of those that draw alike, one."""
CASES_SHARE, LINES_SHARE = 0.2, 0.4
ENTRIES = ("0", "1", "-1", r"\cdots", r"\vdots", r"\ddots", "", r"\ast")
CONDITIONS = (r"\text{if }", r"\text{for }", r"\mathrm{if}\ ", r"\text{when }", "")
RELATION = re.compile(r"=|\\(?:le|ge|leq|geq|equiv|sim|approx|to|in|subset)(?![a-zA-Z])|<|>")


def table(short: Sequence[str], longer: Sequence[str], rng: np.random.Generator) -> str:
    """A matrix, an array of lines or a case distinction; sometimes something stands before and after it.

    `short` fills the cells of matrices, `longer` the lines; those that hold breaks of their own are passed over.
    """
    kind = rng.random()
    if kind < CASES_SHARE:
        inner = _cases(short, longer, rng)
    elif kind < CASES_SHARE + LINES_SHARE:
        inner = _lines(longer, rng)
    else:
        inner = _grid(short, rng)
    before = _plain(short, rng) + str(rng.choice(("=", "=", " ", r"\to "))) if rng.random() < 0.5 else ""
    after = str(rng.choice((".", ",", "=" + _plain(short, rng), _plain(short, rng)))) if rng.random() < 0.3 else ""
    return before + inner + after


def _grid(short: Sequence[str], rng: np.random.Generator) -> str:
    rows, columns = (int(rng.integers(1, 6)) for _ in range(2))
    sparse = rng.random() * 0.6
    cells = [[str(rng.choice(ENTRIES)) if rng.random() < sparse else _plain(short, rng) for _ in range(columns)]
             for _ in range(max(rows, 3 - columns))]
    name = _weighted(GRIDS, rng)
    letters = "{" + str(rng.choice(("l", "r"))) * columns + "}" if name == "array" else ""
    return f"\\begin{{{name}}}{letters}" + r"\\".join(map("&".join, cells)) + f"\\end{{{name}}}"


def _lines(longer: Sequence[str], rng: np.random.Generator) -> str:
    name = _weighted(LINES, rng)
    lines = [_plain(longer, rng) for _ in range(rng.integers(2, 6))]
    letters = ""
    if name == "aligned":
        lines = [_aligned(line, "&") for line in lines]
    elif name == "array":
        letters = str(rng.choice(("{l}", "{c}", "{rcl}")))
        lines = [_aligned(line, "&", "&") for line in lines] if letters == "{rcl}" else lines
    body = f"\\begin{{{name}}}{letters}" + r"\\".join(lines) + f"\\end{{{name}}}"
    return rf"\left\{{{body}\right." if rng.random() < 0.15 else body


def _cases(short: Sequence[str], longer: Sequence[str], rng: np.random.Generator) -> str:
    rows = [f"{_plain(longer, rng)}{rng.choice((',', ''))}&{rng.choice(CONDITIONS)}{_plain(short, rng)}"
            for _ in range(rng.integers(2, 5))]
    if rng.random() < 0.3:
        rows[-1] = rows[-1].split("&")[0] + r"&\text{otherwise}"
    return r"\begin{cases}" + r"\\".join(rows) + r"\end{cases}"


def _aligned(line: str, before: str, after: str = "") -> str:
    """The line with marks around its first relation outside of braces; before all of it where there is none."""
    for match in RELATION.finditer(line):
        head = line[: match.start()]
        if head.count("{") == head.count("}") and head.count(r"\left") == head.count(r"\right"):
            return f"{head}{before}{match[0]} {after}{line[match.end():]}"
    return before + line


def _plain(formulas: Sequence[str], rng: np.random.Generator) -> str:
    """One that has no breaks, nor begins with what a break before it would take for its own."""
    while BREAK.search(formula := formulas[rng.integers(len(formulas))]) or formula.lstrip()[:1] in ("[", "*"):
        pass
    return formula


def _weighted(shares: dict[str, float], rng: np.random.Generator) -> str:
    weights = np.array(list(shares.values()))
    return str(rng.choice(list(shares), p=weights / weights.sum()))
