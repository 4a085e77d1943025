r"""Tokens -> a small syntax tree of a formula.

What cannot be parsed is a value, `Unparsable`, with the reason; nothing here raises. Other names of the same command
and font switches are resolved while parsing: each letter carries its alphabet. `write` is the way back.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from latexocr.latex import commands as tex
from latexocr.latex import plain
from latexocr.latex.nodes import Atom, Call, Environment, Fenced, Group, Node, Scripts, Text, is_space
from latexocr.latex.tokens import TEXT_COMMANDS, detokenize

MAX_DEPTH = 60
"""Deeper nesting is no formula, and would end the interpreter's stack."""
_DEPTH_OF = "more than 60 levels of nesting"


class Unparsable(NamedTuple):
    """Why a formula has no tree, and at which token."""

    reason: str
    position: int

    @property
    def unbalanced(self) -> bool:
        """Whether something was opened and not closed, or closed and not opened."""
        return "without its" in self.reason


class _Stop(Exception):
    """Ends a parse; never leaves this module."""


def parse(tokens: Sequence[str], names: Mapping[str, str] = tex.ALIASES) -> tuple[Node, ...] | Unparsable:
    """The tree of a formula, or why there is none. `names`: other names of symbols, and the symbols."""
    parser = _Parser([names.get(token, token) for token in tokens
                      if len(token) == 1 or (token not in tex.UNSEEN and not token.startswith(r"\label"))])
    try:
        return parser.nodes(_END, "")
    except (_Stop, RecursionError) as stop:
        return Unparsable(str(stop) if isinstance(stop, _Stop) else _DEPTH_OF, parser.at)


@functools.cache
def _atoms(font: str) -> Mapping[str, Atom]:
    """The node of each symbol that is itself, where this alphabet is on."""
    return {token: Atom(token, font) for token in tex.STYLED} | {token: Atom(token) for token in tex.ATOMS}


_END = frozenset({""})
_BRACE = frozenset({"}"})
_BRACKET = frozenset({"]"})
_RIGHT = frozenset({r"\right"})
_LIMITS = frozenset({r"\limits", r"\nolimits", r"\displaylimits"})
_STRAY = {"}": "a } without its {", "": "a {, \\left or \\begin without its end",
          r"\right": r"a \right without its \left", "$": "a $ within the formula", "#": "a # (parameter of a macro)"}


class _Parser:
    def __init__(self, tokens: list[str]):
        self.tokens = ["\\\\" if token.startswith("\\\\") else token for token in tokens]
        self.tokens.append("")
        self.source = tokens
        self.at = 0
        self.depth = 0

    def nodes(self, stops: frozenset[str], font: str) -> tuple[Node, ...]:
        """Nodes up to one of the stops, which is left unread."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise _Stop(_DEPTH_OF)
        found: list[Node] = []
        fraction: tuple[str, tuple[str, ...], tuple[Node, ...]] | None = None
        tokens, atoms = self.tokens, _atoms(font)
        while (token := tokens[self.at]) not in stops:
            if token in atoms:
                self.at += 1
                found.append(atoms[token])
            elif token in ("^", "_", "'"):
                self.scripts(found, font)
            elif token in plain.FRACTIONS or (token.startswith(r"\above") and not token[6:].isalpha()):
                if fraction:
                    raise _Stop(f"two of {fraction[0]} and {token} in one group")
                fraction, found = (token, self.fraction(token), tuple(found)), []
            elif token in tex.FONT_SWITCHES:
                self.at += 1
                font = tex.FONT_SWITCHES[token]
                atoms = _atoms(font)
            elif token in _LIMITS:
                self.limits(found)
            else:
                found.append(self.node(font))
        self.depth -= 1
        if fraction:
            return (plain.fraction(fraction[1], fraction[2], tuple(found)),)
        return tuple(found)

    def node(self, font: str) -> Node:
        """One node, without its scripts."""
        token = self.tokens[self.at]
        if token in _STRAY or token in _LIMITS or token in plain.FRACTIONS:
            raise _Stop(_STRAY.get(token, f"{token} with nothing before it"))
        self.at += 1
        if token == "{":
            return Group(self.until("}", _BRACE, font))
        if token[0] != "\\":
            token = tex.SIGN_ALIASES.get(token, token)
            return Atom(token, font if token in tex.STYLED else "")
        if token in tex.FONT_COMMANDS:
            return Group(self.letters(tex.FONT_COMMANDS[token]))
        if token in tex.IN_BRACES:
            return Group((Atom(tex.IN_BRACES[token]),))
        if token in tex.ARGUMENTS or token.startswith(r"\textcolor{"):
            return self.call(token, font)
        if token in plain.CALLS:
            return self.plain_call(token, font)
        if token == r"\left":
            left = self.delimiter()
            body = self.until(r"\right", _RIGHT, font)
            return Fenced(left, body, self.delimiter())
        if token in tex.SIZED:
            return Call(token, ((Atom(self.delimiter()),),))
        if token.startswith(r"\begin{"):
            return self.environment(token[7:-1])
        if token in TEXT_COMMANDS:
            return Text(token, self.raw())
        if token in tex.ROWS_IN_BRACES:
            if self.tokens[self.at] != "{":
                return Environment(tex.ROWS_IN_BRACES[token], "", ((self.argument(""),),), ())
            self.at += 1
            rows, breaks = self.rows("}")
            return Environment(tex.ROWS_IN_BRACES[token], "", rows, breaks)
        if token.startswith(r"\end{"):
            raise _Stop(f"{token} without its \\begin")
        if token in (r"\verb", "\\"):
            raise _Stop(f"{token} in a formula")
        return Atom(token, font if token in tex.STYLED else "")

    def until(self, end: str, stops: frozenset[str], font: str) -> tuple[Node, ...]:
        body = self.nodes(stops, font)
        assert self.tokens[self.at] == end
        self.at += 1
        return body

    def argument(self, font: str) -> tuple[Node, ...]:
        token = self.tokens[self.at]
        if token == "{":
            self.at += 1
            return self.until("}", _BRACE, font)
        if token in ("", "^", "_", "'", "&", "\\\\"):
            raise _Stop(f"{token or 'the end'} where an argument is needed")
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise _Stop(_DEPTH_OF)
        if token in tex.FONT_SWITCHES:
            self.at += 1
            body = self.argument(tex.FONT_SWITCHES[token])
        else:
            body = (self.node(font),)
        self.depth -= 1
        return body

    def letters(self, font: str) -> tuple[Node, ...]:
        r"""What an alphabet is given. To TeX, `\mathbf\mathcal{L}` is `{\mathbf\mathcal}{L}`: neither reaches the L."""
        if self.tokens[self.at] in tex.FONT_COMMANDS:
            self.at += 1
            return ()
        return self.argument(font)

    def call(self, name: str, font: str) -> Node:
        option = None
        inner = "" if name in tex.FONT_ENDS else "mathrm" if name.startswith(r"\operatorname") else font
        if name in tex.OPTION and self.tokens[self.at] == "[":
            self.at += 1
            option = self.until("]", _BRACKET, inner)
        args = tuple([self.argument("" if name == r"\genfrac" and number < 4 else inner)
                      for number in range(tex.ARGUMENTS.get(name, 1))])
        return Call(name, args, option, font if name in tex.ACCENTS and name != r"\vec" else "")

    def plain_call(self, token: str, font: str) -> Node:
        name, end, takes_option = plain.CALLS[token]
        first = self.until(end, frozenset({end}), font)
        last = self.argument(font)
        return Call(name, (last,), first) if takes_option else Call(name, (first, last))

    def fraction(self, token: str) -> tuple[str, ...]:
        self.at += 1
        return plain.spec(token, *[self.delimiter() for _ in range(plain.DELIMITERS.get(token, 0))])

    def delimiter(self) -> str:
        token = self.tokens[self.at]
        if token == "{" and self.tokens[self.at + 2:self.at + 3] == ["}"]:
            token = self.tokens[self.at + 1]
            self.at += 2
        token = tex.DELIMITER_ALIASES.get(token, token)
        if token not in tex.DELIMITERS:
            raise _Stop(f"{token or 'the end'} where a delimiter is needed")
        self.at += 1
        return token

    def scripts(self, found: list[Node], font: str) -> None:
        """Read one script or a row of primes, and hang it on the last node."""
        base, sub, sup, limits = _base(found)
        token = self.tokens[self.at]
        if token == "_":
            if sub is not None:
                raise _Stop("two subscripts on one base")
            self.at += 1
            sub = self.argument(font)
        else:
            if sup is not None:
                raise _Stop("two superscripts on one base")
            primes = 0
            while self.tokens[self.at] == "'":
                self.at += 1
                primes += 1
            sup = (Atom(r"\prime"),) * primes
            if self.tokens[self.at] == "^":
                self.at += 1
                sup += self.argument(font)
        found.append(Scripts(base, sub, sup, limits))

    def limits(self, found: list[Node]) -> None:
        base, sub, sup, _ = _base(found)
        if base is None:
            raise _Stop(f"{self.tokens[self.at]} with nothing before it")
        found.append(Scripts(base, sub, sup, self.tokens[self.at]))
        self.at += 1

    def raw(self) -> str:
        """The argument of a text command, as written."""
        if self.tokens[self.at] != "{":
            self.at += 1
            if self.tokens[self.at - 1] in _STRAY:
                raise _Stop("a text is missing")
            return self.tokens[self.at - 1]
        depth, start = 0, self.at + 1
        while True:
            token = self.tokens[self.at]
            self.at += 1
            depth += (token == "{") - (token == "}")
            if not token:
                raise _Stop(_STRAY[""])
            if not depth:
                return detokenize(self.tokens[start:self.at - 1])

    def environment(self, name: str) -> Environment:
        argument = ""
        if name in tex.ENVIRONMENT_OPTION and self.tokens[self.at] == "[":
            start = self.at
            while self.tokens[self.at] not in ("]", ""):
                self.at += 1
            if not self.tokens[self.at]:
                raise _Stop("a [ without its ]")
            self.at += 1
            argument = "".join(self.tokens[start:self.at])
        if name in tex.ENVIRONMENT_ARGUMENT:
            argument += "{" + self.raw() + "}"
        rows, breaks = self.rows(rf"\end{{{name}}}")
        return Environment(name, argument, rows, breaks)

    def rows(self, end: str) -> tuple[tuple[tuple[tuple[Node, ...], ...], ...], tuple[str, ...]]:
        """The cells of each row, and the row ends between them; the end is read."""
        stops = frozenset({"&", end, "\\\\"})
        rows, cells, breaks = [], [], []
        while True:
            cells.append(self.nodes(stops, ""))
            self.at += 1
            token = self.tokens[self.at - 1]
            if token != "&":
                rows.append(tuple(cells))
                cells = []
                if token == end:
                    return tuple(rows), tuple(breaks)
                breaks.append(self.source[self.at - 1])


def _base(found: list[Node]) -> Scripts:
    """The last node, taken off the list, as a base for scripts; an empty base after what TeX hangs no script on."""
    if found:
        last = found[-1]
        if isinstance(last, Scripts):
            return found.pop()
        if isinstance(last, Group) and not last.body:
            found.pop()
        elif not isinstance(last, Atom) or (not is_space(last) and last.text not in _NO_BASE):
            return Scripts(found.pop(), None, None)
    return Scripts(None, None, None)


_NO_BASE = tex.STYLES | tex.SIZES | tex.UNSEEN | {"\\\\", "&", r"\hline"}
