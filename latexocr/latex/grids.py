"""Tables as a reader sees them: rows of cells between their brackets, and rows of an alignment.

Takes the name of an environment and its cells at the visual level, gives nodes.
"""

from __future__ import annotations

from latexocr.latex import commands as tex
from latexocr.latex.commands import names
from latexocr.latex.nodes import Atom, Environment, Node, Scripts

Nodes = tuple[Node, ...]
Rows = tuple[tuple[Nodes, ...], ...]

_BRACKETS = {"pmatrix": ("(", ")"), "bmatrix": ("[", "]"), "Bmatrix": (r"\{", r"\}"), "vmatrix": ("|", "|"),
             "Vmatrix": (r"\|", r"\|"), "psmallmatrix": ("(", ")"), "bsmallmatrix": ("[", "]"),
             "Bsmallmatrix": (r"\{", r"\}"), "vsmallmatrix": ("|", "|"), "Vsmallmatrix": (r"\|", r"\|"),
             "cases": (r"\{", ""), "dcases": (r"\{", ""), "rcases": ("", r"\}"), "drcases": ("", r"\}")}
_GRIDS = names(r"matrix array tabular smallmatrix subarray \substack")
_ALIGNED = names("aligned align alignat alignedat split gathered gather multline multlined eqnarray flalign equation"
                 " displaymath math")
_RELATIONS = names(r"= \leq \geq < > \equiv \sim \approx \rightarrow \simeq : \in \propto \Rightarrow \not=") | {
    ":=", "=:"}
_RELATION_SIGNS = names(
    r"= < > : \leq \geq \leqslant \geqslant \ll \gg \equiv \sim \simeq \approx \cong \propto \triangleq \doteq \not"
    r" \prec \succ \preceq \succeq \lesssim \gtrsim \precsim \succsim \subset \subseteq \supset \supseteq \in"
    r" \rightarrow \leftarrow \Rightarrow \Leftrightarrow \Longrightarrow \Longleftrightarrow \longrightarrow"
    r" \mapsto \vdash")


def table(node: Environment, rows: Rows) -> Nodes:
    """What is seen of an environment whose cells are seen as `rows`."""
    name = node.name.removesuffix("*")
    if name not in _ALIGNED and name not in _GRIDS and name not in _BRACKETS:
        return (Environment(node.name, node.argument, rows, node.breaks),)
    left, right = _BRACKETS.get(name, ("", ""))
    if name in _ALIGNED or ("|" not in node.argument and _is_alignment(rows)):
        joined = [line for row in rows if (line := _line(row))]
        seen = block(tuple([(line,) for line in joined]))
    elif "|" in node.argument:
        spec = "".join("|" if c == "|" else "c" for c in node.argument if c in "|clrp")
        seen = (Environment("array", f"{{{spec}}}", rows, ("\\\\",) * (len(rows) - 1)),)
    else:
        seen = block(tuple([_trimmed(row) for row in rows]))
    return (*map(Atom, left.split()), *seen, *map(Atom, right.split()))


def _line(row: tuple[Nodes, ...]) -> Nodes:
    """A row without the marks between its cells."""
    out: list[Node] = []
    for cell in row:
        extend(out, cell)
    return tuple(out)


def extend(out: list[Node], nodes: Nodes) -> None:
    """Put nodes after others. Scripts on nothing stand beside what is before them, unless that has some of its own."""
    if out and nodes and type(nodes[0]) is Scripts and nodes[0].base is None and type(out[-1]) is not Scripts and (
            getattr(out[-1], "text", "") not in _NOTHING_HANGS):
        out[-1] = nodes[0]._replace(base=out[-1])
        nodes = nodes[1:]
    out += nodes


_NOTHING_HANGS = tex.BIG_OPERATORS | {"\\\\"}
"""A script on one of these is a limit, or begins a row."""


def _is_alignment(rows: Rows) -> bool:
    """Whether a table is an equation a row: three columns with the relation in the middle, or two, where in some row
    the second begins with a relation."""
    if any(len(row) > 3 for row in rows):
        return False
    if any(len(row) == 3 for row in rows):
        middles = [row[1] for row in rows if len(row) > 1]
        return any(middles) and all(not middle or _signs(middle) in _RELATIONS for middle in middles)
    return any(_signs(row[1][:1]) in _RELATION_SIGNS for row in rows if len(row) > 1)


def _signs(nodes: Nodes) -> str:
    return "".join(node.text if type(node) is Atom else "?" for node in nodes)


def _trimmed(row: tuple[Nodes, ...]) -> tuple[Nodes, ...]:
    """Empty cells at the end of a row are not seen."""
    while len(row) > 1 and not row[-1]:
        row = row[:-1]
    return row


def block(rows: Rows) -> Nodes:
    """Rows of cells; empty rows at the end are not seen, and a single cell is its content. A column is what an
    alignment is: lines one below the other."""
    while rows and not any(rows[-1]):
        rows = rows[:-1]
    if not rows:
        return ()
    if len(rows) == 1 and len(rows[0]) == 1:
        return rows[0][0]
    return (Environment("matrix", "", rows, ("\\\\",) * (len(rows) - 1)),)


def lines(nodes: Nodes) -> tuple[Nodes, ...]:
    """The lines of a column that stands alone; none for anything else."""
    if len(nodes) == 1 and type(nodes[0]) is Environment and nodes[0].name == "matrix" and (
            all(len(row) == 1 for row in nodes[0].rows)):
        return tuple([row[0] for row in nodes[0].rows])
    return ()
