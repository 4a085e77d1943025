r"""The visual level: what a reader sees as one formula gets one tree, whatever the spacing and sizes.

Takes trees of the syntax level. Spaces, sizes of brackets, styles, colours and the place of limits go; a named function
is its upright letters; matrices are rows of cells between their brackets, and alignments are rows.
"""

from __future__ import annotations

from latexocr.latex import commands as tex
from latexocr.latex.commands import names
from latexocr.latex.nodes import Atom, Call, Environment, Fenced, Group, Node, Scripts, Text, is_space
from latexocr.latex.syntax import syntax
from latexocr.latex.tokens import tokenize
from latexocr.latex.tree import Unparsable, parse

Nodes = tuple[Node, ...]
BREAK = Atom("\\\\")


def visual(nodes: Nodes) -> Nodes:
    """What is seen of a formula of the syntax level."""
    seen = _list(nodes)
    if len(seen) == 1 and isinstance(seen[0], Environment) and seen[0].name == "aligned":
        (block,) = seen
        return _joined(tuple([part for row in block.rows for part in (BREAK, *row[0])][1:]))
    return seen


def _list(nodes: Nodes) -> Nodes:
    out: list[Node] = []
    for at, node in enumerate(nodes):
        if type(node) is Atom:
            if node.text == r"\dots":
                after = nodes[at + 1].text if at + 1 < len(nodes) and type(nodes[at + 1]) is Atom else ","
                between = (after in tex.SPACED and after not in (",", ";", ":")) or after in tex.OPERATORS
                node = Atom(r"\cdots" if between else r"\ldots")
            out += _symbol(node)
        else:
            out += _CHANGES[type(node)](node)
    return _joined(tuple(out))


def _joined(nodes: Nodes) -> Nodes:
    """Three dots in a row are dots."""
    if len(nodes) < 3:
        return nodes
    out: list[Node] = []
    for node in nodes:
        out.append(node)
        for dot, dots in ((".", r"\ldots"), (r"\cdot", r"\cdots")):
            if node == (dot, "") and out[-3:] == [Atom(dot)] * 3:
                out[-3:] = [Atom(dots)]
    return tuple(out)


def _symbol(node: Atom) -> Nodes:
    text = node.text
    if text in tex.STYLED:
        return (Atom(text),) if node.font == "mathrm" and text in tex.UPRIGHT else (node,)
    if is_space(node) or text in _UNSEEN or text.startswith(r"\color"):
        return ()
    if text[1:] in _FUNCTIONS and text[0] == "\\":
        return _upright(_FUNCTIONS[text[1:]])
    return _SAME.get(text, (node,))


def _upright(word: str) -> Nodes:
    return tuple([Atom(letter, "" if letter in tex.UPRIGHT or letter not in tex.STYLED else "mathrm")
                  for letter in word if not letter.isspace()])


_UNSEEN = tex.STYLES | tex.SIZES | {"&", r"\noalign", r"\strut"}
_FUNCTIONS = {name: name for name in tex.FUNCTIONS | tex.LIMIT_FUNCTIONS | {"limsup", "liminf", "bmod"}} | {
    "bmod": "mod", "injlim": "injlim", "projlim": "projlim"}
_SAME = {name: tuple(map(Atom, shown.split())) for name, shown in {
    r"\mid": "|", r"\lvert": "|", r"\rvert": "|", r"\lVert": r"\|", r"\rVert": r"\|", r"\parallel": r"\|",
    r"\perp": r"\bot", r"\colon": ":", r"\vcentcolon": ":", r"\setminus": r"\backslash",
    r"\bigtriangleup": r"\triangle", r"\notin": r"\not \in", r"\implies": r"\Longrightarrow",
    r"\iff": r"\Longleftrightarrow", r"\coloneqq": ": =",
    r"\eqqcolon": "= :", r"\rhd": r"\vartriangleright", r"\lhd": r"\vartriangleleft", r"\unrhd": r"\trianglerighteq",
    r"\unlhd": r"\trianglelefteq", r"\dotsc": r"\ldots", r"\dotso": r"\ldots", r"\dotsb": r"\cdots",
    r"\dotsm": r"\cdots", r"\dotsi": r"\cdots", r"\iint": r"\int \int", r"\iiint": r"\int \int \int",
    r"\ldotp": ".", r"\cdotp": r"\cdot", r"\intop": r"\int", r"\neq": r"\not =",
}.items()}
r"""The same glyphs with other space around them; \neq is \not and =."""


def _group(node: Group) -> Nodes:
    return _list(node.body)


def _scripts(node: Scripts) -> Nodes:
    sub = _list(node.sub) or None if node.sub else None
    sup = _sup(_list(node.sup)) or None if node.sup else None
    before: Nodes = () if node.base is None else _list((node.base,))
    if sub is None and sup is None:
        return before
    if not before:
        return (Scripts(None, sub, sup),)
    *front, last = before
    if type(last) is Scripts:
        if (sub is None or last.sub is None) and (sup is None or last.sup is None):
            return (*front, Scripts(last.base, sub or last.sub, sup or last.sup))
        return (*before, Scripts(None, sub, sup))
    return (*front, Scripts(last, sub, sup))


def _sup(nodes: Nodes) -> Nodes:
    r"""A prime written as a superscript's own superscript, `^{'}`, is a prime."""
    prime = (Atom(r"\prime"),)
    return tuple([part for node in nodes for part in (
        node.sup if type(node) is Scripts and node.base is None and node.sub is None and set(node.sup) == set(prime)
        else (node,))])


def _call(node: Call) -> Nodes:
    name = node.name
    if name in tex.SIZED:
        return _delimiter(node.args[0][0].text)
    if name in _NO_INK:
        return ()
    if name in _TRANSPARENT or name.startswith(r"\textcolor"):
        return _list(node.args[0])
    if name in _AROUND:
        left, right = _AROUND[name]
        return _list((*map(Atom, left.split()), *_upright("mod" if name in (r"\pmod", r"\mod") else ""),
                      *node.args[0], *map(Atom, right.split())))
    if name in _STACKED or name == r"\genfrac":
        return _fraction_of(node)
    args = tuple([_list(argument) for argument in node.args])
    option = _list(node.option) if node.option else None
    return (Call(_RENAMED.get(name, name), args, option or None, node.font),)


_NO_INK = frozenset({r"\phantom", r"\hphantom", r"\vphantom"})
_TRANSPARENT = names(r"\mathop \mathrel \mathbin \mathord \mathopen \mathclose \mathpunct \mathinner \smash \mathrlap"
                         r" \mathllap \mathclap \rlap \llap \clap \operatorname \operatorname* \mathchoice")
_AROUND = {r"\pmod": ("(", ")"), r"\mod": ("", ""), r"\pod": ("(", ")"), r"\ket": ("|", r"\rangle"),
           r"\Ket": ("|", r"\rangle"), r"\bra": (r"\langle", "|"), r"\Bra": (r"\langle", "|"),
           r"\braket": (r"\langle", r"\rangle"), r"\Braket": (r"\langle", r"\rangle"), r"\set": (r"\{", r"\}"),
           r"\Set": (r"\{", r"\}")}
_STACKED = frozenset({r"\binom", r"\dbinom", r"\tbinom"})
_RENAMED = {r"\dfrac": r"\frac", r"\tfrac": r"\frac", r"\cfrac": r"\frac", r"\stackrel": r"\overset",
            r"\underbar": r"\underline"}


def _fraction_of(node: Call) -> Nodes:
    r"""Two rows in brackets: \binom and its kin are columns; \genfrac with a line is a fraction."""
    above, below = node.args[-2:]
    left: Nodes = (Atom("("),) if len(node.args) == 2 else node.args[0]
    right: Nodes = (Atom(")"),) if len(node.args) == 2 else node.args[1]
    if len(node.args) == 6 and "".join(n.text for n in node.args[2] if type(n) is Atom) not in ("0pt", "0mu", "0em"):
        return _list((*left, Call(r"\frac", (above, below)), *right))
    return _list((*left, Environment("matrix", "", ((above,), (below,)), ("\\\\",)), *right))


def _text(node: Text) -> Nodes:
    if node.name not in tex.TEXT_FONTS and node.name != r"\emph":
        return (node,)
    if "$" in node.text:
        parts: list[Node] = []
        for number, part in enumerate(node.text.split("$")):
            parts += _formula(part) if number % 2 else _text(Text(r"\text", part))
        return tuple(parts)
    font = tex.TEXT_FONTS.get(node.name, "mathit")
    shown: list[Node] = []
    for token in tokenize(node.text):
        if (token[0] == "\\" and token not in tex.SPACES and not token[1:2].isalpha()) or len(token) == 1:
            if token in "'^_&#" or token == "\\\\":
                return (Text(r"\text", node.text.strip()),)
            if token not in "{}~":
                token = tex.SIGN_ALIASES.get(token, token)
                shown.append(Atom(token, font if token in tex.STYLED and not (
                    font == "mathrm" and token in tex.UPRIGHT) else ""))
        elif token not in tex.SPACES and not token.startswith(tex.SPACE_PREFIXES):
            return (Text(r"\text", node.text.strip()),)
    return tuple(shown)


def _formula(latex: str) -> Nodes:
    tree = parse(tokenize(latex))
    return (Text(r"\text", f"${latex}$"),) if isinstance(tree, Unparsable) else _list(syntax(tree))


def _delimiter(text: str) -> Nodes:
    return () if text == "." else _symbol(Atom(text))


def _fenced(node: Fenced) -> Nodes:
    return (*_delimiter(node.left), *_list(node.body), *_delimiter(node.right))


_BRACKETS = {"pmatrix": ("(", ")"), "bmatrix": ("[", "]"), "Bmatrix": (r"\{", r"\}"), "vmatrix": ("|", "|"),
             "Vmatrix": (r"\|", r"\|"), "cases": (r"\{", ""), "dcases": (r"\{", ""), "rcases": ("", r"\}")}
_GRIDS = names(r"matrix array tabular smallmatrix subarray \substack psmallmatrix bsmallmatrix")
_ALIGNED = names("aligned align alignat alignedat split gathered gather multline eqnarray flalign equation")


def _environment(node: Environment) -> Nodes:
    name = node.name.removesuffix("*")
    rows = tuple([tuple([_list(cell) for cell in row]) for row in node.rows])
    if name in _ALIGNED or (name in _GRIDS and "|" not in node.argument and _is_alignment(rows)):
        lines = tuple([line for row in rows if (line := tuple([part for cell in row for part in cell]))])
        return _block("aligned", tuple([(line,) for line in lines]))
    if name not in _GRIDS and name not in _BRACKETS:
        return (Environment(node.name, node.argument, rows, node.breaks),)
    left, right = _BRACKETS.get(name, ("", ""))
    if "|" in node.argument:
        spec = "".join("|" if c == "|" else "c" for c in node.argument if c in "|clrp")
        block: Nodes = (Environment("array", f"{{{spec}}}", rows, ("\\\\",) * (len(rows) - 1)),)
    else:
        block = _block("matrix", tuple([_trimmed(row) for row in rows]))
    return (*map(Atom, left.split()), *block, *map(Atom, right.split()))


def _is_alignment(rows: tuple[tuple[Nodes, ...], ...]) -> bool:
    """Whether a table of three columns is an equation with its relations in the middle."""
    middles = [row[1] for row in rows if len(row) > 1]
    return any(middles) and all(len(row) <= 3 for row in rows) and any(len(row) == 3 for row in rows) and all(
        not middle or "".join(n.text for n in middle if type(n) is Atom) in _RELATIONS for middle in middles)


_RELATIONS = names(r"= \leq \geq < > \equiv \sim \approx \rightarrow \simeq : \in \propto \Rightarrow \not=") | {
    ":=", "=:"}


def _trimmed(row: tuple[Nodes, ...]) -> tuple[Nodes, ...]:
    """Empty cells at the end of a row are not seen."""
    while len(row) > 1 and not row[-1]:
        row = row[:-1]
    return row


def _block(name: str, rows: tuple[tuple[Nodes, ...], ...]) -> Nodes:
    """Rows of cells; empty rows at the end are not seen, and a single cell is its content."""
    while rows and not any(rows[-1]):
        rows = rows[:-1]
    if not rows:
        return ()
    if len(rows) == 1 and len(rows[0]) == 1:
        return rows[0][0]
    return (Environment(name, "", rows, ("\\\\",) * (len(rows) - 1)),)


_CHANGES = {Group: _group, Scripts: _scripts, Call: _call, Text: _text, Fenced: _fenced, Environment: _environment}
