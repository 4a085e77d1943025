r"""What `\boldsymbol` and `\bm` draw, symbol by symbol: `\boldsymbol{a1}` is `\boldsymbol{a}\mathbf{1}`.

Takes and gives nodes of the visual level.
"""

from __future__ import annotations

from latexocr.latex import commands as tex
from latexocr.latex.commands import names
from latexocr.latex.nodes import Atom, Call, Node, Scripts

Nodes = tuple[Node, ...]
BOLD = names(r"\boldsymbol \bm")


def bold(nodes: Nodes) -> Nodes:
    """Each symbol in bold. Digits and capital Greek letters are those of \\mathbf: TeX has one bold of them."""
    return tuple([part for node in nodes for part in _bold(node)])


def _bold(node: Node) -> Nodes:
    kind = type(node)
    if kind is Atom and (node.font in ("mathrm", "mathbf") or (node.text in tex.UPRIGHT and not node.font)):
        return (Atom(node.text, "mathbf"),)
    if kind is Scripts:
        sub, sup = (script and bold(script) for script in (node.sub, node.sup))
        *front, last = _bold(node.base) if node.base is not None else (None,)
        return (*front, Scripts(last, sub, sup))
    if kind is Call and node.name == r"\frac":
        return (node._replace(args=tuple(map(bold, node.args))),)
    if kind is Call and node.name == r"\boldsymbol":
        return (node,)
    return (Call(r"\boldsymbol", ((node,),)),)
