"""The lenient level: kinds of bold, upright d, wide accents, kinds of dots, final punctuation and tags mean nothing.

Takes and gives trees of the visual level.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from latexocr.latex import commands as tex
from latexocr.latex.commands import names
from latexocr.latex.nodes import Atom, Call, Environment, Group, Node, Scripts, Text
from latexocr.latex.visual import TEXT_SIGNS, visual

Nodes = tuple[Node, ...]


CONCERNED = re.compile(
    r"\\(?:boldsymbol|pmb|wide|[lc]dots|dots|tag|text|emph|mbox|n[a-zA-Z]|mathrm\{d\}|math[a-z]+\{\\)|[.,;]\s*$")
"""Whatever lenient changes has this in its spelling at the visual level: most formulas are spared a reading."""


def lenient(nodes: Nodes) -> Nodes:
    """What is meant by a formula of the visual level, as far as such differences go."""
    meant = visual(_lenient(nodes))
    while meant and type(meant[-1]) is Atom and meant[-1].text in (".", ",", ";"):
        meant = visual(meant[:-1])  # without its punctuation, an alignment may stand alone, and end in some of its own
    return meant


def _lenient(nodes: Nodes) -> Nodes:
    parts = [part for node in nodes for part in _meaning(node)]
    return tuple([Atom("d") if part == ("d", "mathrm") and not (_in_word(parts, at - 1) or _in_word(parts, at + 1))
                  else part for at, part in enumerate(parts)])


def _in_word(nodes: list[Node], at: int) -> bool:
    """Whether an upright letter stands there: a d beside it belongs to a word."""
    return 0 <= at < len(nodes) and type(nodes[at]) is Atom and nodes[at].font == "mathrm"


def _meaning(node: Node) -> Iterator[Node]:
    kind = type(node)
    if kind is Atom:
        if node.font == "mathrm" and node.text in tex.UPRIGHT:
            node = Atom(node.text)
        elif node.text in tex.DOTS:
            node = Atom(r"\ldots")
        elif node.text in _NEGATED:
            yield Atom(r"\not")
            node = Atom(_NEGATED[node.text])
        yield node
    elif kind is Group:
        yield from _lenient(node.body)
    elif kind is Scripts:
        base = None if node.base is None else _lenient((node.base,))
        *front, last = base or (None,)
        yield from front
        sub, sup = (script and (_lenient(script) or None) for script in (node.sub, node.sup))
        if sub or sup:
            yield Scripts(last, sub, sup)
        elif last is not None:
            yield last
    elif kind is Call and node.name in (r"\boldsymbol", r"\bm", r"\pmb"):
        for part in _lenient(node.args[0]):
            yield from _bold(part)
    elif kind is Call:
        name = {r"\widehat": r"\hat", r"\widetilde": r"\tilde", r"\widecheck": r"\check"}.get(node.name, node.name)
        yield Call(name, tuple(map(_lenient, node.args)), node.option, "")
    elif kind is Environment:
        yield node._replace(rows=tuple([tuple(map(_lenient, row)) for row in node.rows]))
    elif kind is not Text:
        yield node
    elif not node.name.startswith(r"\tag"):
        yield Atom(node.text) if node.text in TEXT_SIGNS else node  # a hyphen is a minus, a bold bracket a bracket


_NEGATED = {rf"\n{name}": rf"\{name}" for name in names(
    "leq geq leqslant geqslant leqq geqq sim cong prec succ preceq succeq subseteq supseteq subseteqq supseteqq vdash"
    " vDash Vdash VDash rightarrow leftarrow leftrightarrow Rightarrow Leftarrow Leftrightarrow exists trianglelefteq"
    " trianglerighteq")} | {
    r"\nless": "<", r"\ngtr": ">", r"\nmid": "|", r"\nparallel": r"\|", r"\ntriangleleft": r"\vartriangleleft",
    r"\ntriangleright": r"\vartriangleright"}
r"""Negated signs that are one glyph: meant as \not before the sign."""


def _bold(node: Node) -> Iterator[Node]:
    """A part of something bold: the alphabet for letters, the command for other ordinary symbols."""
    if type(node) is Atom and node.text in tex.STYLED and node.font in ("", "mathrm", "mathit", "mathbf"):
        yield Atom(node.text, "mathbf")
    elif type(node) is Scripts and node.base is not None:
        *front, last = _bold(node.base)
        yield from front
        yield Scripts(last, node.sub and tuple([p for n in node.sub for p in _bold(n)]),
                      node.sup and tuple([p for n in node.sup for p in _bold(n)]))
    elif type(node) is Atom and node.text in tex.ORD:
        yield Call(r"\boldsymbol", ((node,),))
    else:
        yield node
