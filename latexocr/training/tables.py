r"""Tables as papers and exercises have them, composed: matrices, lines below each other, case distinctions.

Takes short formulas and a source of chance, gives LaTeX. Knows nothing of pictures. One formula of the corpus in 34 has
several rows or columns; two in three of those are `aligned`. Its 13,940 matrices say what is composed, and how often:
34 % are 2 x 2, 39 % columns, 9 % of 16 cells or more; of the cells 24 % are 0, 8 % 1, 5 % empty; of the large ones 41 %
have dots. Large ones are commoner here than there, and of cells that are alike: there readers lose count.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from random import Random
from typing import TypeVar

import numpy as np

BREAK = re.compile(r"\\\\|(?<!\\)&")
"""A break between rows or columns."""
PIECE = re.compile(r"\\(?:begin|end)\{\w+\}|\\[a-zA-Z]+|\\.|[_^]\{|\S")
"""What the embedded model's tokenizer has one token for."""
TRIES = 20
"""So often another table is composed where one is too long; then it is the caller's to leave it out."""
CASES_SHARE, LINES_SHARE = 0.15, 0.33
MATRICES = {("", "pmatrix", ""): 5, ("", "bmatrix", ""): 4, (r"\left(", "array", r"\right)"): 4,
            (r"\left[", "array", r"\right]"): 2, (r"\left|", "array", r"\right|"): 0.5, ("", "vmatrix", ""): 1,
            (r"\left\{", "array", r"\right\}"): 0.4, ("", "Bmatrix", ""): 0.3, ("", "Vmatrix", ""): 0.2,
            ("", "array", ""): 0.8, ("", "matrix", ""): 0.8, (r"\left(", "smallmatrix", r"\right)"): 0.4,
            (r"\left[", "smallmatrix", r"\right]"): 0.4}
LINES = {("", "aligned", ""): 5, ("", "gathered", ""): 0.2, ("", "array", "{rcl}"): 1.2, ("", "array", "{lcl}"): 0.6,
         ("", "array", "{rl}"): 0.3, ("", "array", "{l}"): 0.7, ("", "array", "{c}"): 0.4,
         ("{", "array", "{l}"): 1.5, ("{", "array", "{c}"): 0.4, ("{", "array", "{rcl}"): 0.4,
         ("{", "aligned", ""): 0.5}
CASES = {("", "cases", ""): 5, ("{", "array", "{ll}"): 2.5, ("{", "array", "{cc}"): 0.5, ("{", "array", "{lr}"): 0.3,
         ("", "dcases", ""): 0.2}
"""Environments with what stands before and after them, and how often; of those that draw alike, one."""
LETTERS = (*"abcdefghkmpqrstuvwxyzABCDEFGHJKLMPQRSTUVWXZ", r"\alpha", r"\beta", r"\gamma", r"\lambda", r"\mu",
           r"\sigma", r"\phi", r"\psi", r"\omega", r"\theta", r"\xi", r"\rho", r"\mathbf{x}", r"\mathbf{A}",
           r"\boldsymbol{u}", r"\hat{x}", r"\tilde{a}", r"\bar{y}", r"\mathcal{H}")
ENTRIES = ("X_{IJ}", "X_{IJ}", "X_{IJ}", "X_{I,J}", "X_{I}^{J}", "X_{J}^{I}", "X^{(I)}_{J}", "X_{I}Y_{J}",
           "X_{I}(Y_{J})", "X_{I}-Y_{J}", r"\frac{\partial X_{I}}{\partial Y_{J}}", "(X_{I},Y_{J})", "X(I,J)", "X^{IJ}",
           "-X_{IJ}", r"\partial_{I}X_{J}", r"\langle X_{I},Y_{J}\rangle", "X_{I}^{T}Y_{J}", "X_{J}", "X_{I}")
ELEMENTS = ("X_{I}", "X_{I}", "X_{I}", "X^{I}", "X_{I}(t)", "X^{(I)}", r"\dot{X}_{I}", "X_{I}-Y_{I}", "-X_{I}",
            "X_{I}Y_{I}", "X_{I}^{2}", r"\frac{X_{I}}{Y}", "X(Y_{I})", r"\partial_{I}X", "X_{I}^{T}", r"\sqrt{X_{I}}")
EQUATIONS = ("X_{I}=Y_{I}", r"\dot{X}_{I}=Y_{I}X_{I}", "X_{I}(0)=0", "X_{I}-Y_{I}=0", r"X_{I}\leq Y_{I}", "X_{I}=Y(I)",
             r"\partial_{I}X=Y_{I}", "X_{I}=-Y_{I}+Z", r"X_{I}\in Y_{I}", "X_{I}^{2}=Y_{I}^{2}",
             r"X_{I}\to X_{I}+Y_{I}", "X_{I}+Y_{I}=Z_{I}", "X_{I1}Y_{1}+X_{I2}Y_{2}=Z_{I}",
             r"X_{I1}Y_{1}+\cdots+X_{In}Y_{n}=Z_{I}")
"""X, Y and Z stand for letters, I and J for where the entry is."""
NARROW: tuple[Callable[[int, int, int], bool], ...] = (
    lambda i, j, n: i == j, lambda i, j, n: i == j, lambda i, j, n: abs(i - j) < 2, lambda i, j, n: j - i == 1,
    lambda i, j, n: i - j in (0, 1), lambda i, j, n: (j - i) % n == 1, lambda i, j, n: i + j == n - 1)
WIDE: tuple[Callable[[int, int, int], bool], ...] = (
    lambda i, j, n: i <= j, lambda i, j, n: i >= j, lambda i, j, n: i == j + 1 or j == n - 1,
    lambda i, j, n: i == j or not i * j, lambda i, j, n: (2 * i < n) == (2 * j < n))
"""Which cells of n rows are not 0: along a diagonal, or on one side of it, at the edges, in blocks."""
RELATION = re.compile(r"=|\\(?:le|ge|leq|geq|equiv|sim|approx|to|in|subset)(?![a-zA-Z])|<|>")
CONDITIONS = ("", "", "", "", r"\text{if }", r"\text{if }", r"\text{for }", r"\mathrm{if}\ ", r"\text{when }",
              r"\quad\text{if }", r"\text{for all }", r"\text{on }", r"\text{in }", r"\text{with probability }")
OTHERWISE = (r"\text{otherwise}", r"\text{otherwise}", r"\text{otherwise}.", r"\text{otherwise.}", r"\text{else}")
MARKS = (",", ".", ";")
Fill = Callable[[str, str], str]
Choice = TypeVar("Choice")


def table(short: Sequence[str], longer: Sequence[str], rng: np.random.Generator, *, longest: int = 256) -> str:
    """Matrices, lines below each other or a case distinction; often something stands before and after.

    `short` fills the cells of matrices, `longer` the lines; those that hold breaks of their own are passed over.
    `longest` is in tokens of the embedded model.
    """
    chance = Random(int(rng.integers(1 << 62)))
    latex = ""
    for _ in range(TRIES):
        kind = chance.random()
        if kind < CASES_SHARE:
            latex = _framed(_cases(short, longer, chance), short, chance)
        elif kind < CASES_SHARE + LINES_SHARE:
            latex = _lines(longer, chance)
        else:
            latex = _framed(_matrices(short, chance), short, chance)
        if len(PIECE.findall(latex)) <= longest:
            break
    return latex


def _framed(inner: str, short: Sequence[str], chance: Random) -> str:
    before = _plain(short, chance) + chance.choice(("=", "=", "=", " ", r"\to ")) if chance.random() < 0.5 else ""
    after = chance.choice((".", ",", "=" + _plain(short, chance), _plain(short, chance)))
    return before + inner + (after if chance.random() < 0.3 else "")


def _matrices(short: Sequence[str], chance: Random) -> str:
    """A matrix, or some of one form: a product with a vector, a sum, a list."""
    form = _weighted(MATRICES, chance)
    rows, columns = _shape(chance)
    latex = _matrix(form, rows, columns, short, chance)
    while chance.random() < 0.3:
        sign = chance.choice(("", "", "", "=", "=", "+", "-", r",\quad ", r"\cdot "))
        if not sign:
            rows, columns = columns, chance.choice((1, columns))
        latex += sign + _matrix(form, rows, columns, short, chance)
    return latex


def _shape(chance: Random) -> tuple[int, int]:
    dice = chance.random()
    if dice < 0.15:
        return 2, 2
    rows, columns = (2 + int(chance.expovariate(0.4)) for _ in range(2))
    if dice < 0.33:
        return min(rows, 10), 1
    if dice < 0.38:
        return 1, min(columns, 8)
    return min(rows, 8), min(rows, 8) if chance.random() < 0.6 else min(columns, 10)


def _matrix(form: tuple[str, str, str], rows: int, columns: int, short: Sequence[str], chance: Random) -> str:
    left, name, right = form
    spec, ruled = "", False
    if name == "array":
        spec = chance.choice("ccccccccllllr") * columns
        if columns > 1 and chance.random() < 0.08:
            cut, ruled = chance.randrange(1, columns), chance.random() < 0.4
            spec = f"{spec[:cut]}|{spec[cut:]}"
        spec = f"{{{spec}}}"
    lines = ["&".join(cells) for cells in _cells(rows, columns, short, chance)]
    if ruled:
        lines[rows // 2] = r"\hline " + lines[rows // 2]
    power = chance.choice(("^{T}", "^{-1}", "^{2}", r"^{\top}")) if right != "" and chance.random() < 0.08 else ""
    return f"{left}\\begin{{{name}}}{spec}" + r"\\".join(lines) + f"\\end{{{name}}}{right}{power}"


def _cells(rows: int, columns: int, short: Sequence[str], chance: Random) -> list[list[str]]:
    """Entries of one kind; perhaps only some places hold them, perhaps dots stand for a row and a column."""
    fill = chance.choice((_any, _numbers, _few, _indexed))(short, chance, (rows, columns))
    down = _labels(rows, chance)
    across = down if rows == columns else _labels(columns, chance)
    patterned = min(rows, columns) > 1 and chance.random() < 0.4
    narrow = patterned and chance.random() < 0.6
    held = chance.choice(NARROW if narrow else WIDE)
    seen = rows == columns and held(0, 0, rows) and held(rows - 1, rows - 1, rows)
    nothing = chance.choices(("0", "" if seen else "0", r"\ast"), (6, 3.5, 0.5))[0]
    flat = chance.choice((r"\cdots", r"\cdots", r"\ldots", r"\dots"))

    def cell(i: int, j: int) -> str:
        if patterned and not held(i, j, rows):
            return nothing
        if down[i] and across[j]:
            return fill(down[i], across[j])
        return r"\ddots" if narrow or not (down[i] or across[j]) else flat if down[i] else r"\vdots"

    return [[cell(i, j) for j in range(columns)] for i in range(rows)]


def _labels(count: int, chance: Random) -> list[str]:
    """The indices of rows, "" where dots stand for some."""
    if count == 3 and chance.random() < 0.06:
        return ["x", "y", "z"]
    first = chance.choice((1, 1, 1, 0))
    labels = [str(number) for number in range(first, first + count)]
    if count > 2 and chance.random() < 0.1 + 0.06 * count:
        labels[-2:] = "", chance.choice(("n", "n", "n", "m", "N", "k", "p", "n-1"))
    return labels


def _any(short: Sequence[str], chance: Random, shape: tuple[int, int]) -> Fill:
    sparse = chance.random() * 0.8
    common = ("0", "0", "0", "0", "1", "1", "-1", r"\ast", "" if min(shape) > 1 else "0")
    return lambda row, column: chance.choice(common) if chance.random() < sparse else _plain(short, chance)


def _numbers(short: Sequence[str], chance: Random, shape: tuple[int, int]) -> Fill:
    most = chance.choice((1, 1, 2, 9, 9, 9, 99))
    least = chance.choice((0, 0, -most))
    if chance.random() < 0.12:
        places = chance.choice((1, 2, 2, 3))
        return lambda row, column: f"{chance.uniform(least, most):.{places}f}"
    return lambda row, column: str(chance.randint(least, most))


def _few(short: Sequence[str], chance: Random, shape: tuple[int, int]) -> Fill:
    """One to four entries again and again, some with a sign before them."""
    entries = [chance.choice(("0", "1", "1", chance.choice(LETTERS), chance.choice(LETTERS), _plain(short, chance)))
               for _ in range(chance.randint(1, 4))]
    minus = chance.choice((0, 0, 0.3))

    def fill(row: str, column: str) -> str:
        entry = chance.choice(entries)
        return "-" + entry if chance.random() < minus and entry[:1] not in "0-+=" else entry

    return fill


def _indexed(short: Sequence[str], chance: Random, shape: tuple[int, int]) -> Fill:
    """An entry with its place in its index: a_{11} to a_{nn}."""
    entry, letters = chance.choice(ENTRIES if min(shape) > 1 else ELEMENTS), _letters(chance)
    if shape[0] == 1:
        return lambda row, column: _at(entry, letters, column)
    return lambda row, column: _at(entry, letters, row, column)


def _letters(chance: Random) -> dict[str, str]:
    return dict(zip("XYZ", chance.sample(LETTERS, 3)))


def _at(entry: str, letters: dict[str, str], row: str, column: str = "") -> str:
    return entry.translate(str.maketrans({**letters, "I": row, "J": column}))


def _lines(longer: Sequence[str], chance: Random) -> str:
    """Lines of equations: any, one going on from the one before, or all alike."""
    brace, name, spec = _weighted(LINES, chance)
    count = min(2 + int(chance.expovariate(0.9)), 9)
    alike = chance.random() < 0.3
    parts = _alike(count, chance) if alike else [_parts(_plain(longer, chance)) for _ in range(count)]
    if not alike and not brace and name == "aligned" and chance.random() < 0.6:
        parts[1:] = [("", relation or "=", rest) for _, relation, rest in parts[1:]]
    before, after = (("&", "&") if len(spec) == 5 else ("&", "") if name == "aligned" or spec == "{rl}" else ("", ""))
    lines = [f"{head}{before}{relation}{after} {rest}" for head, relation, rest in parts]
    end, last = chance.choice(("", "", "", ",", ",", ";")), chance.choice(("", "", ".", ","))
    ends = [last if i == count - 1 else end for i in range(count)]
    body = r"\\".join(line if line.endswith(MARKS) else line + mark for line, mark in zip(lines, ends, strict=True))
    return _braced(brace, f"\\begin{{{name}}}{spec}{body}\\end{{{name}}}")


def _alike(count: int, chance: Random) -> list[tuple[str, str, str]]:
    """Equations that differ in an index or in numbers."""
    if chance.random() < 0.3:
        unknowns = "xyzw"[: chance.randint(2, 4)]
        sums = ["".join(f"{chance.randint(-9, 9) or 1:+}{x}" for x in unknowns) for _ in range(count)]
        return [(total.replace("1", "").removeprefix("+"), "=", str(chance.randint(-9, 20))) for total in sums]
    equation, letters = chance.choice(EQUATIONS), _letters(chance)
    return [_parts(_at(equation, letters, label)) if label else ("", "", r"\vdots") for label in _labels(count, chance)]


def _cases(short: Sequence[str], longer: Sequence[str], chance: Random) -> str:
    brace, name, spec = _weighted(CASES, chance)
    count = min(2 + int(chance.expovariate(1.3)), 8)
    comma, condition = chance.choice((",", "", "", "")), chance.choice(CONDITIONS)
    values, like = chance.choice((short, longer)), chance.random() < 0.25
    letters, (value, when) = _letters(chance), (chance.choice(ELEMENTS), chance.choice(EQUATIONS))
    rows = [f"{_at(value, letters, str(i + 1))}{comma}&{condition}{_at(when, letters, str(i + 1))}" if like else
            f"{_plain(values, chance)}{comma}&{condition}{_plain(short, chance)}" for i in range(count)]
    if chance.random() < 0.3:
        rows[-1] = rows[-1].split("&")[0] + "&" + chance.choice(OTHERWISE)
    return _braced(brace, f"\\begin{{{name}}}{spec}" + r"\\".join(rows) + f"\\end{{{name}}}")


def _braced(brace: str, body: str) -> str:
    return rf"\left\{{{body}\right." if brace else body


def _parts(line: str) -> tuple[str, str, str]:
    """What is before its first relation outside of braces, the relation, and the rest; all is rest where none is."""
    for match in RELATION.finditer(line):
        head = line[: match.start()]
        if head.count("{") == head.count("}") and head.count(r"\left") == head.count(r"\right"):
            return head, match[0], line[match.end():]
    return "", "", line


def _plain(formulas: Sequence[str], chance: Random) -> str:
    """One that has no breaks, nor begins with what a break before it would take for its own."""
    while BREAK.search(formula := chance.choice(formulas)) or formula.lstrip()[:1] in ("[", "*"):
        pass
    return formula


def _weighted(shares: dict[Choice, float], chance: Random) -> Choice:
    return chance.choices(list(shares), list(shares.values()))[0]
