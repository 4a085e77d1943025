"""Changes of spelling, from which `canonical_rules.py` makes its rules: of one token, of a call, of an environment.

A change takes the tokens of a real formula and a source of chance, gives the tokens changed, or None where it finds
nothing.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

from latexocr.latex import commands as tex
from latexocr.latex import tokenize
from latexocr.latex.tokens import TEXT_COMMANDS

Tokens = list[str]
Change = Callable[[Tokens, random.Random], "Tokens | None"]


def end_of(tokens: Sequence[str], start: int) -> int:
    """The place after the argument that begins there."""
    if tokens[start] != "{":
        return start + 1
    depth = 0
    for at in range(start, len(tokens)):
        depth += (tokens[at] == "{") - (tokens[at] == "}")
        if not depth:
            return at + 1
    return len(tokens)


def body(tokens: Sequence[str], start: int, end: int) -> Tokens:
    return list(tokens[start + 1:end - 1] if tokens[start] == "{" else tokens[start:end])


def in_text(tokens: Sequence[str]) -> list[bool]:
    """Whether each token is no formula of its own: text, or the argument of an environment."""
    inside, depth = [], 0
    for at, token in enumerate(tokens):
        if depth:
            depth += (token == "{") - (token == "}")
        elif token == "{" and at and (tokens[at - 1] in TEXT_COMMANDS or tokens[at - 1] == r"\operatorname"
                                      or tokens[at - 1].startswith((r"\begin{arr", r"\begin{sub", r"\begin{aligneda"))):
            depth = 1
        inside.append(bool(depth))
    return inside


def at_one(found: Callable[[Tokens, int], bool], made: Callable[[Tokens, int], Tokens]) -> Change:
    """A change at one place, by chance, of those where `found` holds; `made` gives all tokens."""
    def change(tokens: Tokens, rng: random.Random) -> Tokens | None:
        text = in_text(tokens)
        places = [at for at in range(len(tokens)) if not text[at] and found(tokens, at)]
        return made(list(tokens), rng.choice(places)) if places else None
    return change


def swap(one: str, other: str) -> Change:
    """One token by others, everywhere."""
    def change(tokens: Tokens, rng: random.Random) -> Tokens | None:
        text = in_text(tokens)
        return [new for token, inside in zip(tokens, text, strict=True)
                for new in (tokenize(other) if token == one and not inside else (token,))] if one in tokens else None
    return change


def any_of(*changes: Change) -> Change:
    """The first that changes something, in an order by chance."""
    def change(tokens: Tokens, rng: random.Random) -> Tokens | None:
        return next((new for each in rng.sample(changes, len(changes)) if (new := each(tokens, rng)) is not None), None)
    return change


def insert(*pieces: str) -> Change:
    """A piece between two symbols, where it breaks no command from its argument."""
    def change(tokens: Tokens, rng: random.Random) -> Tokens | None:
        text = in_text(tokens)
        places = [at for at in range(1, len(tokens)) if not text[at] and not text[at - 1] and is_symbol(tokens[at - 1])
                  and is_symbol(tokens[at]) and (at < 2 or tokens[at - 2] not in TAKERS)]
        if not places:
            return None
        at = rng.choice(places)
        return [*tokens[:at], *tokenize(rng.choice(pieces)), *tokens[at:]]
    return change


TAKERS = tex.TAKES_ARGUMENTS | {"^", "_"}


def is_symbol(token: str) -> bool:
    return token in tex.STYLED or token in tex.SPACED or token in tex.OPEN or token in tex.CLOSE or token in tex.ORD


def plain_place(tokens: Tokens, at: int) -> bool:
    """A symbol that is nobody's argument, script or base."""
    return is_symbol(tokens[at]) and (at == 0 or is_symbol(tokens[at - 1])) and (
        at < 2 or tokens[at - 2] not in TAKERS) and (at + 1 == len(tokens) or is_symbol(tokens[at + 1]))


def wrap(before: str, after: str) -> Change:
    return at_one(plain_place, lambda t, at: [*t[:at], *tokenize(before), t[at], *tokenize(after), *t[at + 1:]])


def call(name: str, made: Callable[[list[Tokens]], Tokens], arguments: int = 1) -> Change:
    """A command with its arguments, in braces or not, spelled otherwise."""
    def rebuilt(tokens: Tokens, at: int) -> Tokens:
        found, end = [], at + 1
        for _ in range(arguments):
            if end >= len(tokens):
                return tokens
            start, end = end, end_of(tokens, end)
            found.append(body(tokens, start, end))
        return [*tokens[:at], *made(found), *tokens[end:]]
    return at_one(lambda t, at: t[at] == name and at + 1 < len(t), rebuilt)


def braced(tokens: Tokens) -> Tokens:
    return ["{", *tokens, "}"]


def between(opening: str, closing: str) -> Callable[[list[Tokens]], Tokens]:
    return lambda args: [*tokenize(opening), *args[0], *tokenize(closing)]


def fences(tokens: Tokens, rng: random.Random) -> Tokens | None:
    r"""A pair of brackets at one depth of braces: \left and \right before them."""
    pairs, stack = [], []
    for at, token in enumerate(tokens):
        if token in ("{", "&", r"\\") or token.startswith((r"\begin", r"\end", r"\left", r"\right")):
            stack.append((at, token))
        elif token == "}":
            while stack and stack[-1][1] != "{":
                stack.pop()
            stack[-1:] = []
        elif token in ("(", "["):
            stack.append((at, token))
        elif token in (")", "]") and stack and stack[-1][1] == {")": "(", "]": "["}[token]:
            pairs.append((stack.pop()[0], at))
    pairs = [(a, b) for a, b in pairs if not (a and (tokens[a - 1] in tex.SIZED or tokens[a - 1] in TAKERS))]
    if not pairs or any(in_text(tokens)):
        return None
    start, end = rng.choice(pairs)
    left, right = rng.choice([(r"\left", r"\right"), (r"\big", r"\big"), (r"\Bigl", r"\Bigr"), (r"\biggl", r"\biggr")])
    return [*tokens[:start], left, *tokens[start:end], right, *tokens[end:]]


def unfenced(tokens: Tokens, rng: random.Random) -> Tokens | None:
    if not {r"\left", r"\right"} & set(tokens):
        return None
    return [token for at, token in enumerate(tokens) if token not in (r"\left", r"\right") and not (
        token == "." and at and tokens[at - 1] in (r"\left", r"\right"))]


def scripts_swapped(tokens: Tokens, at: int) -> Tokens:
    middle = end_of(tokens, at + 1)
    end = end_of(tokens, middle + 1)
    return [*tokens[:at], *tokens[middle:end], *tokens[at:middle], *tokens[end:]]


def has_both(tokens: Tokens, at: int) -> bool:
    if tokens[at] not in "^_" or at + 2 >= len(tokens):
        return False
    end = end_of(tokens, at + 1)
    return end + 1 < len(tokens) and tokens[end] in "^_" and tokens[end] != tokens[at]


def environment(old: str, before: str, after: str, *, columns: str = "") -> Change:
    """An environment by what goes before and after its cells; {} stands for letters of its columns."""
    def change(tokens: Tokens, rng: random.Random) -> Tokens | None:
        start = next((at for at, token in enumerate(tokens) if token == rf"\begin{{{old}}}"), None)
        if start is None or tokens.count(rf"\end{{{old}}}") != 1:
            return None
        end = tokens.index(rf"\end{{{old}}}")
        first = end_of(tokens, start + 1) if old in ("array", "subarray") else start + 1
        letters = columns * (tokens[first:end].count("&") + 1)
        return [*tokens[:start], *tokenize(before.replace("COLUMNS", letters)), *tokens[first:end], *tokenize(after),
                *tokens[end + 1:]]
    return change


def joined(old: str, before: str, after: str) -> Change:
    """An environment without the marks between its cells."""
    def change(tokens: Tokens, rng: random.Random) -> Tokens | None:
        if tokens.count(rf"\begin{{{old}}}") != 1 or tokens.count(rf"\end{{{old}}}") != 1:
            return None
        start, end = tokens.index(rf"\begin{{{old}}}"), tokens.index(rf"\end{{{old}}}")
        inside = tokens[start + 1:end]
        if any(token.startswith((r"\begin", r"\substack")) for token in inside) or "&" not in inside:
            return None
        return [*tokens[:start], *tokenize(before), *[token for token in inside if token != "&"], *tokenize(after),
                *tokens[end + 1:]]
    return change


def column_letters(tokens: Tokens, rng: random.Random) -> Tokens | None:
    start = next((at for at, token in enumerate(tokens) if token == r"\begin{array}"), None)
    if start is None:
        return None
    end = end_of(tokens, start + 1)
    return [*tokens[:start + 1], *[rng.choice("lcr") if t in ("l", "c", "r") else t for t in tokens[start + 1:end]],
            *tokens[end:]]


def cells_swapped(tokens: Tokens, at: int) -> Tokens:
    first, second = tokens[at - 1], tokens[at + 1]
    return [*tokens[:at - 1], second, "&", first, *tokens[at + 2:]]


def dropped(*names: str) -> Change:
    return at_one(lambda t, at: t[at] in names, lambda t, at: [*t[:at], *t[at + 1:]])


def unwrapped(tokens: Tokens, at: int) -> Tokens:
    """`x^{ab}` -> `x^ab`: an argument of several tokens loses its braces."""
    end = end_of(tokens, at + 1)
    return [*tokens[:at + 1], *tokens[at + 2:end - 1], *tokens[end:]]


def brace_moved(tokens: Tokens, at: int) -> Tokens:
    r"""`\sqrt{3}a` -> `\sqrt{3a}`."""
    return [*tokens[:at], tokens[at + 1], "}", *tokens[at + 2:]]


def case(tokens: Tokens, at: int) -> Tokens:
    return [*tokens[:at], tokens[at].swapcase(), *tokens[at + 1:]]


def neighbours(tokens: Tokens, at: int) -> Tokens:
    return [*tokens[:at], tokens[at + 1], tokens[at], *tokens[at + 2:]]


def functions(spelling: str) -> Change:
    return at_one(lambda t, at: t[at][1:] in tex.FUNCTIONS and (at + 1 == len(t) or t[at + 1] not in ("_", "^")),
                  lambda t, at: [*t[:at], *tokenize(spelling.replace("NAME", t[at][1:])), *t[at + 1:]])


def alias(tokens: Tokens, rng: random.Random) -> Tokens | None:
    others: dict[str, list[str]] = {}
    for name, symbol in tex.ALIASES.items():
        if symbol in tokens and not name.startswith((r"\text", r"\bgroup", r"\egroup", r"\hbox", r"\\", r"\operator")):
            others.setdefault(symbol, []).append(name)
    if not others or any(in_text(tokens)) or any(t in FENCE_LIKE for t in tokens):
        return None
    symbol = rng.choice(sorted(others))
    return [rng.choice(others[symbol]) if token == symbol else token for token in tokens]


FENCE_LIKE = frozenset({r"\left", r"\right"}) | tex.SIZED


def font_switch(tokens: Tokens, rng: random.Random) -> Tokens | None:
    switches = {r"\mathrm": r"\rm", r"\mathbf": r"\bf", r"\mathcal": r"\cal", r"\mathit": r"\it", r"\mathsf": r"\sf"}
    return any_of(*(call(new, lambda args, old=old: ["{", old, *args[0], "}"]) for new, old in switches.items()))(
        tokens, rng)


BIG = {r"\sum", r"\prod", r"\int", r"\bigcup", r"\bigcap", r"\bigoplus", r"\lim", r"\max", r"\min", r"\sup", r"\inf"}
LETTER = re.compile(r"[a-zA-Z]")


def letter_place(tokens: Tokens, at: int) -> bool:
    return bool(LETTER.fullmatch(tokens[at])) and tokens[at] not in ("l", "c", "r") and (
        at == 0 or not tokens[at - 1].startswith((r"\begin", r"\hspace")))


def argument_of_several(tokens: Tokens, at: int) -> bool:
    return tokens[at] in ("^", "_") and tokens[at + 1:at + 2] == ["{"] and end_of(tokens, at + 1) > at + 4 and (
        is_symbol(tokens[at + 2]) and is_symbol(tokens[at + 3]))


def above_to(kind: str) -> Callable[[list[Tokens]], Tokens]:
    return lambda args: [kind, *braced(args[0]), *braced(args[1])]
