r"""The syntax level: a tree -> the tree of the one spelling that draws exactly the same picture.

Braces go where TeX draws the same without them. A group is an ordinary symbol to TeX, so its braces matter where its
first or last symbol is none, and where a script hangs on it (TeXbook, chapter 18 and appendix G).
"""

from __future__ import annotations

from latexocr.latex import commands as tex
from latexocr.latex.commands import names
from latexocr.latex.functions import function, named, word
from latexocr.latex.nodes import Atom, Call, Environment, Fenced, Group, Node, Scripts, Text, is_space

Nodes = tuple[Node, ...]
_SWITCHES = tex.STYLES | tex.SIZES
_KEEP_BRACES = names(r"\mathop \boldsymbol \bm \pmb \overset \underset")
"""Their argument gives its class or its height to the whole, or is centred if it is one symbol."""
_BOLD = names(r"\boldsymbol \bm \pmb")
_GENFRAC = {("", "", "", "0"): r"\dfrac", ("", "", "", "1"): r"\tfrac", ("", "", "", ""): r"\frac",
            ("(", ")", "0pt", ""): r"\binom", ("(", ")", "0pt", "0"): r"\dbinom", ("(", ")", "0pt", "1"): r"\tbinom"}
BREAK = Atom("\\\\")
_WRAPPERS = frozenset({"equation*", "displaymath", "math"})


def syntax(nodes: Nodes) -> Nodes:
    """The same picture in the one spelling."""
    if len(nodes) == 1 and type(nodes[0]) is Environment and nodes[0].name in _WRAPPERS and (
            len(nodes[0].rows) == len(nodes[0].rows[0]) == 1):
        return syntax(nodes[0].rows[0][0])
    return _list(without_last_breaks(nodes), "start", False)


def without_last_breaks(nodes: Nodes) -> Nodes:
    """A row break at the end of a formula begins nothing."""
    while nodes and nodes[-1] == BREAK:
        nodes = nodes[:-1]
    return nodes


def _list(nodes: Nodes, before: str, script: bool) -> Nodes:
    """A list in its one spelling. `before`: class of what stands before it; `script`: whether text is set smaller."""
    changed = [_one(node, script) for node in nodes]
    if len(changed) > 1:
        _join_not(changed)
        changed = [Group((node,)) if type(node) is Atom and node.font and at and _is_unknown(changed[at - 1]) else node
                   for at, node in enumerate(changed)]
    for node in changed:
        if type(node) is Group:
            return _without_braces(changed, before)
    return tuple(changed)


def _one(node: Node, script: bool) -> Node:
    kind = type(node)
    if kind is not Atom:
        return _CHANGES[kind](node, script)
    if node.text in tex.ATOMS:
        return node
    if node.text[0] != "\\":
        return node if node.font != "mathrm" or node.text not in tex.UPRIGHT else Atom(node.text)
    return _symbol(node)


def _symbol(node: Atom) -> Atom:
    text = node.text
    if node.font == "mathrm" and text in tex.UPRIGHT:
        return Atom(text)
    if text.startswith((r"\hskip", r"\kern", r"\mskip", r"\mkern")) and text[-1].isalpha() and text[-2].isalpha():
        command, size = (r"\mspace", text[6:]) if text[1] == "m" else (r"\hspace", text[5 if text[1] == "k" else 6:])
        text = f"{command}{{{size.removeprefix('+')}}}"
    elif text.startswith(r"\hspace*"):
        text = text.replace("*", "", 1)
    else:
        return node
    return Atom(tex.SAME_SPACE.get(text, text))


def _join_not(nodes: list[Node]) -> None:
    r"""`\not=` is how LaTeX defines \neq."""
    for at in range(len(nodes) - 1, 0, -1):
        first, second = nodes[at - 1], nodes[at]
        if type(first) is Atom and first.text == r"\not" and type(second) is Atom and second.text == "=":
            nodes[at - 1:at + 1] = [Atom(r"\neq")]


def _class(node: Node) -> str:
    """The class of a node in spacing, as far as braces around it depend on it."""
    kind = type(node)
    if kind is Atom:
        text = node.text
        return ("ord" if text in tex.ORD else "open" if text in tex.OPEN else "close" if text in tex.CLOSE
                else "spaced" if text in tex.SPACED else "op" if text in tex.OPERATORS else "other")
    if kind is Scripts:
        return "ord" if node.base is None else _class(node.base)
    if kind is Group or kind is Text:
        return "ord"
    if kind is Call:
        if node.name in tex.ORD_CALLS or (node.name in _BOLD and set(map(_class, node.args[0])) == {"ord"}):
            return "ord"
        if node.name in tex.SIZED and node.name != r"\middle":
            return {"l": "open", "r": "close", "m": "other"}.get(node.name[-1], "ord")
        return "op" if node.name.startswith(r"\operatorname") else "other"
    return "other"


def _edges(body: Nodes) -> tuple[str, str]:
    """Classes of the first and the last symbol."""
    symbols = [node for node in body if not is_space(node)]
    return (_class(symbols[0]), _class(symbols[-1])) if symbols else ("", "")


def _without_braces(nodes: list[Node], before: str) -> Nodes:
    """A list without the braces that change nothing."""
    start, nodes = before, _without_empty_groups(nodes, before)
    out: list[Node] = []
    for at, node in enumerate(nodes):
        if type(node) is Group and node.body and not _needs_braces(node.body, before, nodes, at):
            out += node.body
            before = _edges(node.body)[1] or before
        else:
            out.append(node)
            before = before if is_space(node) else _class(node)
    return tuple(_without_empty_groups(out, start))  # those that stood at the head of a group, too


def _without_empty_groups(nodes: list[Node], before: str) -> list[Node]:
    kept: list[Node] = []
    for at, node in enumerate(nodes):
        if type(node) is not Group or node.body or not _invisible(before, nodes, at):
            kept.append(node)
            before = before if is_space(node) else _class(node)
    return kept


def _needs_braces(body: Nodes, before: str, nodes: list[Node], at: int) -> bool:
    first, last = _edges(body)
    ends_well = at == len(nodes) - 1 or (last in ("ord", "close") and not any(_is_switch(node) for node in body))
    begins_well = before == "start" or first == "ord" or (
        first == "open" and before in ("ord", "close", "open", "spaced"))
    looked_at = at > 0 and (_is_unknown(nodes[at - 1]) or (_is_dots(nodes[at - 1]) and first != "ord"))
    return looked_at or not ends_well or not begins_well


def _is_dots(node: Node) -> bool:
    """Dots look at what follows them: a bracket or a brace make a difference."""
    return type(node) is Atom and node.text in tex.DOTS


def _is_unknown(node: Node) -> bool:
    """Whether a command is none we know: a group after it may be its argument."""
    return type(node) is Atom and len(node.text) > 2 and node.text[0] == "\\" and node.text[-1].isalpha() and (
        _class(node) == "other") and not is_space(node) and node.text not in tex.PLAIN


def _is_switch(node: Node) -> bool:
    return type(node) is Atom and (node.text in _SWITCHES or node.text.startswith(r"\color"))


def _invisible(before: str, nodes: list[Node], at: int) -> bool:
    """Whether an empty group, an ordinary symbol without ink, changes no space here."""
    after = next((_class(node) for node in nodes[at + 1:] if not is_space(node)), "")
    if at and (_is_unknown(nodes[at - 1]) or _is_dots(nodes[at - 1])):
        return False
    return before in ("ord", "close") or after == "ord" or (after == "open" and before in ("start", "open", "spaced"))


def _group(node: Group, script: bool) -> Node:
    body = _list(node.body, "start", script)
    return Group(() if body == (Group(()),) else body)


def _scripts(node: Scripts, script: bool) -> Node:
    sub = node.sub and _list(node.sub, "start", True)
    sup = node.sup and _list(node.sup, "start", True)
    limits = node.limits
    if node.base is None:
        return Scripts(None, sub, sup, limits)
    base: Node | None
    if type(node.base) is Call:
        base = _with_arguments(node.base, script)
        name = word(base)
        if name and (sub is not None or sup is not None):
            base = function(name, base.name != r"\operatorname" and limits != r"\nolimits")
            limits = "" if limits == r"\nolimits" else limits
        elif sub is None and sup is None:
            base = named(base)
    elif type(node.base) is Text and len(node.base.text) == 1 and (sub is not None or sup is not None):
        base = _text_name(node.base, script)
    else:
        base = _one(node.base, script)
    if sub is None and sup is None:
        return base
    if type(base) is Group:
        base = _bare(base)
    if limits == r"\nolimits" and type(base) is Atom and (base.text in tex.INTEGRALS or base.text[1:] in tex.FUNCTIONS):
        limits = ""
    return Scripts(base, sub, sup, limits)


def _bare(group: Group) -> Node | None:
    """A base without its braces, where it is one ordinary symbol; None for an empty one."""
    if not group.body:
        return None
    if len(group.body) == 1:
        (node,) = group.body
        if type(node) is Group:
            return _bare(node)
        if type(node) in (Atom, Text, Call) and _class(node) == "ord" and getattr(node, "name", "") not in tex.SIZED:
            return node
    return group


def _call(node: Call, script: bool) -> Node:
    return named(_with_arguments(node, script))


def _with_arguments(node: Call, script: bool) -> Node:
    name, args = node.name, node.args
    if name in tex.SIZED:
        return node
    if name in (r"\mathord", r"\ensuremath"):
        return _group(Group(args[0]), script)
    if name == r"\genfrac":
        key = tuple("".join(n.text if type(n) is Atom else "?" for n in argument) for argument in args[:4])
        if key in _GENFRAC:
            name, args = _GENFRAC[key], args[4:]
    before = "other" if name in _KEEP_BRACES else "start"
    changed = tuple([_argument(argument, before, script) for argument in args])
    option = None if not node.option else _list(node.option, "start", True)
    return Call(name, changed, option, "" if node.font == "mathrm" else node.font)


def _argument(argument: Nodes, before: str, script: bool) -> Nodes:
    """An argument; where its braces matter, so do the ones within it, but a word is a word."""
    if before == "other" and len(argument) == 1 and type(_one(argument[0], script)) is Group:
        body = _one(argument[0], script).body
        return body if body and all(_class(node) == "ord" for node in body) else (Group(body),)
    return _list(argument, before, script)


def _is_word(text: str) -> bool:
    return text.isascii() and text.isalnum()


def _text_name(node: Text, script: bool) -> Text:
    plain = not script and "\\" not in node.text and "$" not in node.text
    return Text(r"\text", node.text) if node.name == r"\mbox" and plain else node


def _text(node: Text, script: bool) -> Node:
    node = _text_name(node, script)
    if not node.text and node.name in tex.TEXT_FONTS:
        return Group(())
    if not _is_word(node.text) or node.name not in tex.TEXT_FONTS or node.name == r"\mbox":
        return node
    font = tex.TEXT_FONTS[node.name]
    return Group(tuple([Atom(sign, "" if font == "mathrm" and sign in tex.UPRIGHT else font) for sign in node.text]))


def _fenced(node: Fenced, script: bool) -> Node:
    body = _list((*node.body, _CLOSING), "start", script)
    return Fenced(node.left, body[:-1], node.right)


_CLOSING = Atom(")")
"""Stands for the right delimiter while the braces before it are weighed."""


def _environment(node: Environment, script: bool) -> Node:
    rows, breaks = node.rows, node.breaks
    if len(rows) > 1 and rows[-1] == ((),) != rows[-2] and breaks[-1] == "\\\\":
        rows, breaks = rows[:-1], breaks[:-1]
    after_atom = node.name in tex.CELL_AFTER_ATOM
    rows = tuple([tuple([_list(cell, "ord" if after_atom and column % 2 else "start", False)
                         for column, cell in enumerate(row)]) for row in rows])
    if node.name == "subarray" and node.argument == "{c}":
        return Environment(r"\substack", "", rows, breaks)
    return Environment(node.name, node.argument.removeprefix("[c]"), rows, breaks)


_CHANGES = {Group: _group, Scripts: _scripts, Call: _call, Text: _text, Fenced: _fenced, Environment: _environment}
