r"""The visual level: what a reader sees as one formula gets one tree, whatever the spacing and sizes.

Takes trees of the syntax level. Spaces, sizes of brackets, styles, colours and the place of limits go; a named function
is its upright letters; matrices are rows of cells between their brackets, and alignments are rows.
"""

from __future__ import annotations

import re
from functools import lru_cache

from latexocr.latex import commands as tex
from latexocr.latex.bold import BOLD, bold
from latexocr.latex.commands import names
from latexocr.latex.grids import extend, lines, table
from latexocr.latex.nodes import Atom, Call, Environment, Fenced, Group, Node, Scripts, Text, is_space
from latexocr.latex.syntax import BREAK, syntax, without_last_breaks
from latexocr.latex.tokens import tokenize
from latexocr.latex.tree import Unparsable, parse

Nodes = tuple[Node, ...]


def visual(nodes: Nodes) -> Nodes:
    """What is seen of a formula of the syntax level."""
    seen = without_last_breaks(_list(nodes))
    if alone := lines(seen):
        return _joined(tuple([part for line in alone for part in (BREAK, *line)][1:]))
    return seen


def _list(nodes: Nodes) -> Nodes:
    out: list[Node] = []
    for at, node in enumerate(nodes):
        kind = type(node)
        if kind is Atom:
            if node.text == r"\dots":
                after = nodes[at + 1].text if at + 1 < len(nodes) and type(nodes[at + 1]) is Atom else ","
                between = after in _RAISES_DOTS
                node = Atom(r"\cdots" if between else r"\ldots")
            out += _symbol(node)
        else:
            extend(out, _CHANGES[kind](node))
    return _joined(tuple(out))


_RAISES_DOTS = (tex.OPERATORS | tex.SPACED | tex.SYMBOLS) - {",", ";", ":", r"\vdots", r"\ddots"}
r"""Operators and relations: \dots before one of them lie on its axis."""


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


@lru_cache(maxsize=4096)
def _symbol(node: Atom) -> Nodes:
    text = node.text
    if text in tex.STYLED:
        return (Atom(text),) if node.font == "mathrm" and text in tex.UPRIGHT else (node,)
    if is_space(node) or text in _UNSEEN or text.startswith(r"\color"):
        return ()
    if text[1:] in _FUNCTIONS and text[0] == "\\":
        return _upright(_FUNCTIONS[text[1:]])
    if text in _LIMIT_SIGNS:
        return (Call(_LIMIT_SIGNS[text], (_upright("lim"),)),)
    return _SAME.get(text, (node,))


def _upright(word: str) -> Nodes:
    return tuple([Atom(letter, "" if letter in tex.UPRIGHT or letter not in tex.STYLED else "mathrm")
                  for letter in word if not letter.isspace()])


_UNSEEN = tex.STYLES | tex.SIZES | {"&", r"\strut", r"\mathstrut", r"\null"}
_LIMIT_SIGNS = {r"\varlimsup": r"\overline", r"\varliminf": r"\underline", r"\varinjlim": r"\underrightarrow",
                r"\varprojlim": r"\underleftarrow"}
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
    r"\impliedby": r"\Longleftarrow", r"\arrowvert": "|", r"\Arrowvert": r"\|", r"\ordinarycolon": ":",
    r"\And": r"\&", r"\ointop": r"\oint", r"\dblcolon": ": :", r"\Coloneqq": ": : =",
    r"\varbigtriangleup": r"\triangle",
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
    if type(node.base) is Call and node.base.name in _STACKS and node.limits != r"\nolimits" and (
            not _is_named(before) if before else node.limits):
        before = (Call(r"\underset", (sub, before)),) if sub else before
        return (Call(r"\overset", (sup, before)),) if sup else before
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
    if name in BOLD:
        return bold(_list(node.args[0]))
    if name in _BESIDE and (found := _as_limit(name, _list(node.args[0]), _list(node.args[1]))):
        return found
    if name in _AROUND:
        left, right = _AROUND[name]
        return _list((*map(Atom, left.split()), *_upright("mod" if name in (r"\pmod", r"\mod") else ""),
                      *node.args[0], *map(Atom, right.split())))
    if name in _STACKED or name == r"\genfrac":
        return _fraction_of(node)
    args = tuple([_list(argument) for argument in node.args])
    option = _list(node.option) if node.option else None
    return (Call(_RENAMED.get(name, name), args, option or None, node.font),)


_NO_INK = frozenset({r"\phantom", r"\hphantom", r"\vphantom", r"\noalign"})
_STACKS = frozenset({r"\mathop", r"\operatorname*"})
r"""What hangs on these stands above and below, as with \overset and \underset."""
_BESIDE = frozenset({r"\overset", r"\underset", r"\stackrel"})
_TRANSPARENT = names(r"\mathop \mathrel \mathbin \mathord \mathopen \mathclose \mathpunct \mathinner \smash \mathrlap"
                         r" \mathllap \mathclap \rlap \llap \clap \operatorname \operatorname* \mathchoice")
_AROUND = {r"\pmod": ("(", ")"), r"\mod": ("", ""), r"\pod": ("(", ")"), r"\ket": ("|", r"\rangle"),
           r"\Ket": ("|", r"\rangle"), r"\bra": (r"\langle", "|"), r"\Bra": (r"\langle", "|"),
           r"\braket": (r"\langle", r"\rangle"), r"\Braket": (r"\langle", r"\rangle"), r"\set": (r"\{", r"\}"),
           r"\Set": (r"\{", r"\}")}
_STACKED = frozenset({r"\binom", r"\dbinom", r"\tbinom"})
_RENAMED = {r"\dfrac": r"\frac", r"\tfrac": r"\frac", r"\cfrac": r"\frac", r"\stackrel": r"\overset",
            r"\underbar": r"\underline"}


def _is_named(nodes: Nodes) -> bool:
    """Whether a large operator or a name in upright letters, with or without scripts: where its limits stand means
    nothing."""
    last = nodes[-1].base if type(nodes[-1]) is Scripts else nodes[-1]
    if type(last) is Atom and last.text in tex.BIG_OPERATORS:
        return all(node == last for node in nodes[:-1])
    return len(nodes) > 1 and all(type(node) is Atom and node.font == "mathrm" for node in (*nodes[:-1], last))


def _as_limit(name: str, script: Nodes, base: Nodes) -> Nodes:
    r"""`\underset{x}{\max}` is `\max_{x}`, and nothing beside a base is nothing; empty where the base is no operator
    or has that script already."""
    if not script:
        return base
    if not base or not _is_named(base):
        return ()
    *front, last = base
    hung = last if type(last) is Scripts else Scripts(last, None, None)
    if name == r"\underset":
        return () if hung.sub else (*front, hung._replace(sub=script))
    return () if hung.sup else (*front, hung._replace(sup=script))


def _fraction_of(node: Call) -> Nodes:
    r"""Two rows in brackets: \binom and its kin are columns; \genfrac with a line is a fraction."""
    above, below = node.args[-2:]
    left: Nodes = (Atom("("),) if len(node.args) == 2 else node.args[0]
    right: Nodes = (Atom(")"),) if len(node.args) == 2 else node.args[1]
    if len(node.args) == 6 and not _NO_LINE.fullmatch("".join(n.text for n in node.args[2] if type(n) is Atom)):
        return _list((*left, Call(r"\frac", (above, below)), *right))
    return _list((*left, Environment("matrix", "", ((above,), (below,)), ("\\\\",)), *right))


_NO_LINE = re.compile(r"0*\.?0*(?:[a-z]{2})")


def _text(node: Text) -> Nodes:
    if node.name == r"\fbox":
        return (Call(r"\boxed", (_text(Text(r"\text", node.text)),)),)
    if node.name not in tex.TEXT_FONTS and node.name != r"\emph":
        return (node,)
    if "$" in node.text:
        parts: list[Node] = []
        for number, part in enumerate(node.text.split("$")):
            parts += _formula(part) if number % 2 else _text(Text(r"\text", part))
        return tuple(parts)
    font = tex.TEXT_FONTS.get(node.name, "mathit")
    shown: list[Node] = []
    before = ""
    for token in tokenize(node.text):
        if (token[0] == "\\" and token not in tex.SPACES and not token[1:2].isalpha()) or len(token) == 1:
            if token in "'^_&#" or token == "\\\\":
                return (Text(_TEXT_COMMANDS[font], node.text.strip()),)
            if token == before and token in _LIGATURES and font != "mathtt":
                shown[-1] = Text(_TEXT_COMMANDS[font], shown[-1].text + token)
            elif token not in "{}~":
                shown.append(_sign(tex.SIGN_ALIASES.get(token, token), font))
        elif token not in tex.SPACES and not token.startswith(tex.SPACE_PREFIXES):
            return (Text(_TEXT_COMMANDS[font], node.text.strip()),)
        before = token
    return tuple(shown)


_LIGATURES = frozenset("-`")
r"""Two or three of them in a row are a dash or a quotation mark, but in \texttt; a ' is left as written."""


TEXT_SIGNS = frozenset("-()[]?!/+=")
"""Signs that the font of a text changes."""


def _sign(sign: str, font: str) -> Node:
    """A sign of text in mathematics. A hyphen is no minus, and a bracket has the font of its word; a comma or a full
    stop looks the same in both."""
    if sign in tex.STYLED:
        return Atom(sign, "" if font == "mathrm" and sign in tex.UPRIGHT else font)
    if sign == "-" or (font != "mathrm" and sign in TEXT_SIGNS):
        return Text(_TEXT_COMMANDS[font], sign)
    return Atom(sign)


_TEXT_COMMANDS = {"mathrm": r"\text", "mathbf": r"\textbf", "mathit": r"\textit", "mathsf": r"\textsf",
                  "mathtt": r"\texttt"}


def _formula(latex: str) -> Nodes:
    tree = parse(tokenize(latex))
    return (Text(r"\text", f"${latex}$"),) if isinstance(tree, Unparsable) else _list(syntax(tree))


def _delimiter(text: str) -> Nodes:
    return () if text == "." else _symbol(Atom(text))


def _fenced(node: Fenced) -> Nodes:
    out = list(_delimiter(node.left))
    extend(out, _list(node.body))
    return (*out, *_delimiter(node.right))


def _environment(node: Environment) -> Nodes:
    return table(node, tuple([tuple([_list(cell) for cell in row]) for row in node.rows]))


_CHANGES = {Group: _group, Scripts: _scripts, Call: _call, Text: _text, Fenced: _fenced, Environment: _environment}
