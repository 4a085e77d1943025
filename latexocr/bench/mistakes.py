r"""What is wrong in a wrong answer: a small set of kinds of error, how they moved, and which sign was read for which.

Takes answers and references, gives the names of kinds and counts. Two formulas are walked as trees of the visual level,
sign by sign in reading order, each sign with the structures that it stands in; the two rows of signs are aligned by the
fewest edits. A sign without its partner, or with another, is one kind of error; a sign in its place that stands in
other structures is another: `x^2` read as `x_2` has no wrong symbol, but a script.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import NamedTuple

from latexocr.latex import commands as tex
from latexocr.latex.alignment import align
from latexocr.latex.canonical import Level
from latexocr.latex.nodes import Atom, Call, Environment, Fenced, Group, Node, Scripts, Text
from latexocr.latex.tokens import tokenize
from latexocr.latex.tree import Unparsable, parse
from latexocr.scoring.confusion import confusions
from latexocr.scoring.forms import form

KINDS = {
    "wrong symbol": "another sign in its place",
    "missing symbol": "a sign of the reference is not there",
    "extra symbol": "a sign that the reference has not",
    "alphabet": "the right letter in another alphabet: upright, bold, blackboard ...",
    "bracket": "a bracket is missing, too many, or of another kind",
    "script": "the right sign, but not in the sub- or superscript where it belongs, or in one where it does not",
    "accent": "an accent, a line or an arrow spans more or less than it should",
    "fraction or root": "the right sign, but not in the fraction, root or stack where it belongs",
    "rows or cells": "the right sign in another row or cell",
    "notation": "equal at the lenient level: kinds of bold, dots, wide accents, final punctuation",
    "cut off or loop": "ended by the token limit, or repeats itself",
    "broken": "cannot be parsed",
    "no formula": "nothing, or words",
    "not read": "the picture could not be read, or the reader failed",
    "broken reference": "the reference cannot be parsed, so nothing can be said",
    "other": "none of these: what a script hangs on, lines of a table, empty cells",
}
"""Each kind of error in words. An answer may have several of the first nine, or one of the others alone."""

_OF_FAILURE = {"truncated": "cut off or loop", "loop": "cut off or loop", "unbalanced": "broken",
               "unparsable": "broken", "empty": "no formula", "prose": "no formula", "server-error": "not read",
               "reference-defect": "broken reference"}
_BRACKETS = tex.OPEN | tex.CLOSE | frozenset(("|", r"\|"))
_UNDRAWN = frozenset(("", "^", "_", "{", "}", "&", "\\\\"))
"""Tokens that place others. One for another, or for none, is no sign read for another, and has a kind of error."""
MOST_CONFUSIONS = 40
MOST_IDS = 3


class Sign(NamedTuple):
    """One drawn sign with its alphabet and the structures around it, the outermost first."""

    text: str
    font: str
    inside: tuple[tuple[str, ...], ...]
    """Each structure as (kind of error where it is another, what of it, ...)."""


@dataclass(frozen=True)
class Moved:
    """Answers of a column with one kind of error; of those of the base, how many are gone, and how many are new."""

    n: int
    gone: int
    new: int


@dataclass(frozen=True)
class Confusion:
    """A token of the reference that was read as another; "" is none. In how many answers of each column, and which."""

    reference: str
    read: str
    counts: Mapping[str, int]
    ids: Mapping[str, tuple[str, ...]]


def kinds_of(prediction: str, reference: str, failure: str, level: str | None) -> tuple[str, ...]:
    """The kinds of error of an answer in the order of KINDS, at least one; () for a right one.

    `failure` and `level` are its class in the ledger and its strictest level of equality.
    """
    if failure == "ok":
        return ()
    if failure != "wrong":
        return (_OF_FAILURE.get(failure, "other"),)
    if level is not None:
        return ("notation",)
    rows = [parse(tokenize(form(latex, Level.VISUAL))) for latex in (reference, prediction)]
    if any(isinstance(row, Unparsable) for row in rows):
        return ("other",)
    expected, read = (list(signs(row)) for row in rows)
    found = set(_errors(expected, read))
    if "another accent" in found:  # What stands below it is then no second error.
        found.discard("accent")
    return tuple(kind for kind in KINDS if kind in found) or ("other",)


def _errors(expected: Sequence[Sign], read: Sequence[Sign]) -> Iterator[str]:
    at = [0, 0]
    for edit in align([sign.text for sign in expected], [sign.text for sign in read]):
        sides = [row[start:start + len(part)] for row, start, part in
                 zip((expected, read), at, (edit.reference, edit.prediction))]
        at = [at[0] + len(sides[0]), at[1] + len(sides[1])]
        for a, b in zip_longest(*sides):
            if edit.kind == "equal":
                yield from _misplaced(a, b)
                continue
            yield _other(a, b)
            if any(sign is not None and sign.text in tex.ARGUMENTS for sign in (a, b)):
                yield "another accent"


def _other(expected: Sign | None, read: Sign | None) -> str:
    """The kind of error where two signs are not the same."""
    if all(sign is None or sign.text in _BRACKETS for sign in (expected, read)):
        return "bracket"
    return "missing symbol" if read is None else "extra symbol" if expected is None else "wrong symbol"


def _misplaced(expected: Sign, read: Sign) -> Iterator[str]:
    """The kinds of error of a sign that was read as itself."""
    if expected.font != read.font:
        yield "alphabet"
    outer = next(((a, b) for a, b in zip_longest(expected.inside, read.inside) if a != b), None)
    if outer:
        kinds = {structure[0] for structure in outer if structure}
        yield max(kinds, key=list(KINDS).index)


def signs(nodes: Sequence[Node], inside: tuple[tuple[str, ...], ...] = ()) -> Iterator[Sign]:
    """The drawn signs of a tree in reading order."""
    row = cell = 0
    for node in nodes:
        if isinstance(node, Atom) and node.text.startswith(("\\\\", "&")):
            row, cell = (row, cell + 1) if node.text == "&" else (row + 1, 0)
        else:
            yield from _signs(node, (*inside, _cell(row, cell)) if row or cell else inside)


def _cell(row: int, cell: int) -> tuple[str, ...]:
    return "rows or cells", str(row), str(cell)


def _signs(node: Node, inside: tuple[tuple[str, ...], ...]) -> Iterator[Sign]:
    if isinstance(node, Atom):
        yield Sign(node.text, node.font, inside)
    elif isinstance(node, Text):
        yield from (Sign(letter, node.name, inside) for letter in node.text if not letter.isspace())
    elif isinstance(node, Group):
        yield from signs(node.body, inside)
    elif isinstance(node, Fenced):
        yield from (Sign(text, "", inside) for text in (node.left,) if text != ".")
        yield from signs(node.body, inside)
        yield from (Sign(text, "", inside) for text in (node.right,) if text != ".")
    elif isinstance(node, Scripts):
        yield from _signs(node.base, inside) if node.base else ()
        yield from signs(node.sub or (), (*inside, ("script", "sub")))
        yield from signs(node.sup or (), (*inside, ("script", "sup")))
    elif isinstance(node, Environment):
        for row, cells in enumerate(node.rows):
            for number, cell in enumerate(cells):
                yield from signs(cell, (*inside, _cell(row, number)))
    else:
        yield from _call(node, inside)


def _call(node: Call, inside: tuple[tuple[str, ...], ...]) -> Iterator[Sign]:
    """What a command draws by itself (an accent, an arrow) is a sign before those of its arguments."""
    if node.name in _PLACING:
        kind, name = "fraction or root", node.name
    else:
        kind, name = "accent", ""
        yield Sign(node.name, node.font, inside)
    yield from signs(node.option or (), (*inside, (kind, name, "option")))
    for number, argument in enumerate(node.args):
        yield from signs(argument, (*inside, (kind, name, str(number))))


_PLACING = tex.names(r"\frac \dfrac \tfrac \cfrac \binom \dbinom \tbinom \genfrac \sqrt \overset \underset \stackrel")
"""Commands that place their arguments; the line that they draw is told by what stands around it."""


def moved(classes: Mapping[str, Sequence[tuple[str, ...]]]) -> dict[str, dict[str, Moved]]:
    """Kind of error -> column -> its count and how it moved from the first column; `classes` are those of each answer.

    Only kinds that occur, in the order of KINDS.
    """
    first = next(iter(classes.values()))
    found: dict[str, dict[str, Moved]] = {}
    for kind in KINDS:
        before = [kind in answer for answer in first]
        now = {column: [kind in answer for answer in answers] for column, answers in classes.items()}
        if any(map(any, now.values())):
            found[kind] = {column: Moved(sum(has), sum(a and not b for a, b in zip(before, has)),
                                         sum(b and not a for a, b in zip(before, has))) for column, has in now.items()}
    return found


def misread(prediction: str, reference: str) -> list[tuple[str, str]]:
    """The signs of a reference that an answer has as others: (token of the reference, token read), "" for none."""
    return [pair for pair in confusions([(prediction, reference)]) if not _UNDRAWN.issuperset(pair)]


def confused(ids: Sequence[str], answers: Mapping[str, Sequence[Sequence[tuple[str, str]]]]) -> list[Confusion]:
    """The most frequent confusions of any column, with the ids of a few answers that show each; `answers` has by column
    what was misread in each."""
    counts = {column: Counter(pair for misread in found for pair in misread) for column, found in answers.items()}
    most: Counter[tuple[str, str]] = Counter()
    for one in counts.values():
        most |= one
    ranked = sorted(most, key=lambda pair: (-most[pair], pair))[:MOST_CONFUSIONS]
    shown: dict[tuple[str, str], dict[str, tuple[str, ...]]] = {pair: {} for pair in ranked}
    for column, found in answers.items():
        for id, misread in zip(ids, found, strict=True):
            for pair in shown.keys() & set(misread):
                kept = shown[pair].get(column, ())
                shown[pair][column] = kept if len(kept) == MOST_IDS else (*kept, id)
    return [Confusion(*pair, {column: counts[column][pair] for column in counts}, shown[pair]) for pair in ranked]
