r"""Names of functions: `\operatorname{sin}` and `\mathop{\rm sin}` are `\sin`.

Takes and gives nodes.
"""

from __future__ import annotations

from latexocr.latex import commands as tex
from latexocr.latex.nodes import Atom, Call, Node


def word(node: Node) -> str:
    r"""The name of a function written as \operatorname{name} or \mathop{\rm name}; empty for anything else."""
    if type(node) is not Call or not node.name.startswith((r"\operatorname", r"\mathop")) or len(node.args[0]) < 2:
        return ""
    if all(type(letter) is Atom and letter.font == "mathrm" and letter.text not in tex.UPRIGHT
           for letter in node.args[0]):
        return "".join(letter.text for letter in node.args[0])
    return ""


def function(name: str, starred: bool) -> Node:
    """The command of a function, whose scripts are limits where it is starred."""
    if name in (tex.LIMIT_FUNCTIONS if starred else tex.FUNCTIONS):
        return Atom("\\" + name)
    return Call(r"\operatorname*" if starred else r"\operatorname", (tuple([Atom(c, "mathrm") for c in name]),))


def named(node: Node) -> Node:
    """Without scripts, whether they would stand below or beside a function makes no difference."""
    if name := word(node):
        return function(name, name in tex.LIMIT_FUNCTIONS)
    return node._replace(name=r"\operatorname") if type(node) is Call and node.name == r"\operatorname*" else node
