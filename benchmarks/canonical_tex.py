"""The rules of equality against TeX: real formulas, one rule applied or broken in each, drawn both ways.

    python benchmarks/canonical_tex.py formulas.jsonl.gz --each 200

A pair is the same to TeX when it places the same glyphs in the same order, each as high against the one before it, up
to spacing. What the visual level declares to be no difference is taken out of both sources first (sizes of brackets,
styles, `\\limits`), so that TeX decides the rest. Prints for each rule: pairs drawn, how many are the same to TeX,
false accepts (equal at the level, drawn otherwise) and false rejects (drawn alike, not equal) of the visual and of the
syntax level. FAL and FRL are those of the visual level by the visual metric (`latexocr.scoring.layout`), another
reading of what TeX draws, which does not see columns. At the syntax level the same means every glyph at the same
place to a hundredth of a point, from the source as it stands.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
from itertools import pairwise
from pathlib import Path

from canonical_changes import body, end_of
from canonical_rules import RULES, Rule

from latexocr.latex import Level, detokenize, equal, tokenize
from latexocr.latex import commands as tex
from latexocr.scoring.layout import layouts
from latexocr.tex import run
from latexocr.tex.dvi import Glyph

COLUMNS = ("n", "same", "FA3", "FR3", "FAL", "FRL", "FA2", "FR2")
PREAMBLE = r"\usepackage{color}"
FLAT = r"\AtBeginDocument{\let\displaystyle\relax}"
FENCES = frozenset({r"\left", r"\right", r"\middle"})
STACKS = frozenset({r"\binom", r"\dbinom", r"\tbinom"})
FRACTIONS = {r"\dfrac": r"\frac", r"\tfrac": r"\frac", r"\cfrac": r"\frac"}
LIMITS = frozenset({r"\limits", r"\nolimits", r"\displaylimits"})

DELIMITER_CODES = {
    "(": (0, 16, 18, 32, 48, 64, 66), ")": (1, 17, 19, 33, 49, 65, 67), "[": (2, 20, 34, 104, 50, 52, 54),
    "]": (3, 21, 35, 105, 51, 53, 55), "{": (8, 26, 40, 110, 56, 58, 60, 62), "}": (9, 27, 41, 111, 57, 59, 61),
    "<": (10, 28, 42, 68), ">": (11, 29, 43, 69), "floor": (4, 22, 36, 106), "floor end": (5, 23, 37, 107),
    "ceil": (6, 24, 38, 108), "ceil end": (7, 25, 39, 109), "|": (12,), "||": (13,), "/": (14, 30, 44, 46),
    "backslash": (15, 31, 45, 47)}
"""Places of a bracket's sizes and pieces in the font cmex."""
DELIMITERS = {("cmex", code): name for name, codes in DELIMITER_CODES.items() for code in codes} | {
    ("cmr", 40): "(", ("cmr", 41): ")", ("cmr", 91): "[", ("cmr", 93): "]", ("cmsy", 102): "{", ("cmsy", 103): "}",
    ("cmsy", 104): "<", ("cmsy", 105): ">", ("cmsy", 106): "|", ("cmsy", 54): "/", ("cmsy", 107): "||",
    ("cmsy", 98): "floor", ("cmsy", 99): "floor end", ("cmsy", 100): "ceil", ("cmsy", 101): "ceil end",
    ("cmmi", 61): "/", ("cmsy", 110): "backslash"}
"""The stroke of \\not is the one of \\notin, a slash."""
OPERATORS = {("cmex", large): ("cmex", small) for small, large in [
    *((code, code + 8) for code in range(80, 88)), (96, 97), (72, 73), (70, 71), (74, 75), (76, 77), (78, 79)]}
RISE, SHARE, SIZE, ACROSS = 1.2, 0.5, 0.12, 3.5
"""A glyph may lie so many points, or such a share of its distance from the glyph before it, higher or lower; its width
may be such a share otherwise, and it may lie so many points nearer or farther where no spacing was changed."""


def neutral(latex: str, columns: bool) -> str:
    r"""A source without what the visual level declares to be no difference; `columns`: with \\binom as a column."""
    out: list[str] = []
    tokens = tokenize(latex)
    for at, token in enumerate(tokens):
        if token == "." and at and tokens[at - 1] in FENCES | tex.SIZED:
            continue
        if token in FENCES or token in tex.SIZED or token in tex.STYLES or (
                token in LIMITS and tokens[at - 1] in tex.OPERATORS):
            continue
        if token in STACKS and columns:
            return neutral(detokenize([*tokens[:at], *as_column(tokens, at)]), columns)
        if at and tokens[at - 1] in FENCES and token in tex.DELIMITER_ALIASES:
            token = tex.DELIMITER_ALIASES[token]
        out.append(FRACTIONS.get(token, token))
    return detokenize(out)


def as_column(tokens: list[str], at: int) -> list[str]:
    r"""The rest of a source after a \\binom, with a column of two rows in its place."""
    middle = end_of(tokens, at + 1)
    end = end_of(tokens, middle)
    above, below = body(tokens, at + 1, middle), body(tokens, middle, end)
    return [r"\begin{pmatrix}", *above, r"\\", *below, r"\end{pmatrix}", *tokens[end:]]


def seen(page: list[Glyph]) -> list[tuple[object, Glyph]]:
    """What is read, in the order of TeX, a large delimiter of several pieces once."""
    found: list[tuple[object, Glyph]] = []
    for glyph in page:
        key = (glyph.font, glyph.code)
        name = DELIMITERS.get(key, OPERATORS.get(key, key))
        piece = key[0] == "cmex" and found and found[-1][0] == name and abs(found[-1][1].left - glyph.left) < 0.5
        if not piece:
            found.append((name, glyph))
    return found


def alike(a: list[Glyph], b: list[Glyph], across: bool) -> bool:
    """Whether two drawings differ at most in spacing; where none was changed (`across`), not much in that either."""
    first, second = seen(a), seen(b)
    if [name for name, _ in first] != [name for name, _ in second] or (across and spans(first) != spans(second)):
        return False
    bare = list(zip(*[(x, y) for (_, x), (_, y) in zip(first, second, strict=True) if "cmex" not in (x.font, y.font)],
                    strict=True)) or [(), ()]
    if any(not 1 - SIZE < (x.right - x.left) / (y.right - y.left) < 1 / (1 - SIZE) for x, y in zip(*bare, strict=True)
           if x.font != "rule" and x.right > x.left and y.right > y.left):
        return False
    steps = [[low.bottom - high.bottom for high, low in pairwise(row)] for row in bare]
    moves = [[right.left - left.left for left, right in pairwise(row)] for row in bare]
    return all(abs(x - y) <= max(RISE, SHARE * max(abs(x), abs(y))) for x, y in zip(*steps, strict=True)) and (
        not across or all(abs(x - y) <= ACROSS for x, y in zip(*moves, strict=True)))


def spans(row: list[tuple[object, Glyph]]) -> list[int]:
    """How many glyphs lie above or below each rule: what a root or a fraction holds."""
    return [sum(rule.left - 1 <= (glyph.left + glyph.right) / 2 <= rule.right + 1 for _, glyph in row)
            for _, rule in row if rule.font == "rule"]


def exact(a: list[Glyph], b: list[Glyph]) -> bool:
    """Whether two drawings are one picture: the same glyphs at the same places."""
    rows = [sorted((g.font, g.code, g.left, g.top, g.right, g.bottom) for g in page) for page in (a, b)]
    return len(rows[0]) == len(rows[1]) and all(
        x[:2] == y[:2] and all(abs(p - q) <= 0.011 for p, q in zip(x[2:], y[2:], strict=True))
        for x, y in zip(*rows, strict=True))


def drawn(sources: list[str], preamble: str) -> list[list[Glyph] | None]:
    return [page and page.glyphs() for page in run.pages(sources, run.Style(font=preamble))]


def pool(path: Path) -> list[str]:
    """Some tens of thousands of formulas of a corpus of common length."""
    with gzip.open(path, "rt") as lines:
        rows = [json.loads(line)["latex"] for number, line in enumerate(lines) if number % 53 == 11]
    return [row for row in rows if 8 <= len(row) <= 300]


def pairs(rule: Rule, formulas: list[str], each: int) -> list[tuple[str, str]]:
    """Formulas and what the rule makes of them, where it makes something of them."""
    rng = random.Random(rule.name)
    found = []
    for latex in rng.sample(formulas, len(formulas)):
        changed = rule.change(tokenize(latex), rng)
        if changed is not None and detokenize(changed) != latex:
            found.append((latex, detokenize(changed)))
        if len(found) == each:
            break
    return found


def judge(rule: Rule, formulas: list[str], each: int, examples: int) -> str:
    made = pairs(rule, formulas, each)
    sources = [text for pair in made for text in pair]
    plain = drawn(sources, PREAMBLE)
    bare = drawn([neutral(text, "binom" in rule.name) for text in sources], PREAMBLE + FLAT * rule.flat)
    layout = [found.same for found in layouts(made)]
    counts = dict.fromkeys(COLUMNS, 0)
    shown = []
    for number, (a, b) in enumerate(made):
        at = 2 * number
        if None in (*plain[at:at + 2], *bare[at:at + 2]):
            continue
        same = alike(*bare[at:at + 2], across=not rule.keeps)
        equal_visual, equal_syntax = equal(a, b, Level.VISUAL), equal(a, b, Level.SYNTAX)
        picture = exact(*plain[at:at + 2])
        wrong = {"FA3": equal_visual and not same, "FR3": same and not equal_visual,
                 "FAL": equal_visual and not layout[number], "FRL": layout[number] and not equal_visual,
                 "FA2": equal_syntax and not picture, "FR2": picture and not equal_syntax}
        counts["n"] += 1
        counts["same"] += same
        for name, is_wrong in wrong.items():
            counts[name] += is_wrong
            if is_wrong and name != "FR2" and len(shown) < examples:
                shown.append(f"    {name} {a}\n        {b}")
    row = f"{rule.name:26s} {'keeps ' if rule.keeps else 'breaks'} " + " ".join(f"{v:5d}" for v in counts.values())
    return "\n".join([row, *shown])


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("formulas", type=Path)
    options.add_argument("--each", type=int, default=200, help="pairs a rule")
    options.add_argument("--pool", type=int, default=30_000, help="formulas to choose from")
    options.add_argument("--rules", default="", help="only rules whose name begins so")
    options.add_argument("--examples", type=int, default=0, help="wrong pairs to print a rule")
    chosen = options.parse_args()
    formulas = pool(chosen.formulas)[:chosen.pool]
    print(f"{'rule':26s}        " + " ".join(f"{name:>5s}" for name in COLUMNS))
    for rule in RULES:
        if any(rule.name.startswith(part) for part in chosen.rules.split(";")):
            print(judge(rule, formulas, chosen.each, chosen.examples), flush=True)


if __name__ == "__main__":
    main()
