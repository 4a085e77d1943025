"""The nodes of the syntax tree of a formula: what `tree` makes, `syntax` and `visual` change, and `write` spells."""

from __future__ import annotations

from typing import NamedTuple

from latexocr.latex import commands as tex


class Atom(NamedTuple):
    """One symbol, a space, or a command without arguments."""

    text: str
    font: str = ""


class Group(NamedTuple):
    """Braces that are no argument."""

    body: tuple[Node, ...]


class Scripts(NamedTuple):
    r"""A base with what stands below and above it. `limits` is \limits or \nolimits where written."""

    base: Node | None
    sub: tuple[Node, ...] | None
    sup: tuple[Node, ...] | None
    limits: str = ""


class Call(NamedTuple):
    """A command with its arguments. `font` is the alphabet of an accent's glyph."""

    name: str
    args: tuple[tuple[Node, ...], ...]
    option: tuple[Node, ...] | None = None
    font: str = ""


class Text(NamedTuple):
    """A command and its text, as written."""

    name: str
    text: str


class Fenced(NamedTuple):
    r"""\left ... \right."""

    left: str
    body: tuple[Node, ...]
    right: str


class Environment(NamedTuple):
    r"""Rows of cells; `breaks` are the row ends between them; `argument` is what follows \begin{name}, as written."""

    name: str
    argument: str
    rows: tuple[tuple[tuple[Node, ...], ...], ...]
    breaks: tuple[str, ...]


Node = Atom | Group | Scripts | Call | Text | Fenced | Environment


def is_space(node: Node) -> bool:
    """Whether a node is space and nothing else."""
    return isinstance(node, Atom) and (node.text in tex.SPACES or node.text.startswith(tex.SPACE_PREFIXES))
