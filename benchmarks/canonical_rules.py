"""Rules of spelling as changes of a formula: some keep what is seen, some break it.

Takes the tokens of a real formula and a source of chance, gives the tokens changed, or None where the rule finds
nothing.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from latexocr.latex import commands as tex
from latexocr.latex import tokenize
from latexocr.latex.tokens import TEXT_COMMANDS

Tokens = list[str]
Change = Callable[[Tokens, random.Random], "Tokens | None"]


@dataclass(frozen=True)
class Rule:
    """One change of spelling."""

    name: str
    keeps: bool
    """Whether a reader is meant to see the same formula; what TeX draws decides."""
    change: Change
    flat: bool = False
    """Whether one spelling sets fractions large and the other small, so that TeX is asked with all of them small."""


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


RULES = [
    Rule("spacing: put in", True, insert(r"\,", r"\;", r"\!", r"\quad", "~", r"\hspace{2mm}", r"\mkern3mu", r"\:",
                                         r"\hskip 3pt plus 1pt")),
    Rule("spacing: taken out", True, dropped(*tex.SPACES)),
    Rule("nothing: put in", True, insert("{}", r"\phantom{x}", r"\hphantom{ab}", r"\strut", r"\nobreak", r"\relax")),
    Rule("style: put in", True, insert(r"\displaystyle", r"\textstyle")),
    Rule("colour: put in", True, any_of(wrap(r"\textcolor{red}{", "}"), wrap(r"{\color{blue}", "}"))),
    Rule("braces: one symbol", True, wrap("{", "}")),
    Rule("class: \\mathrel{x} ...", True, any_of(*(wrap(c + "{", "}") for c in (
        r"\mathrel", r"\mathbin", r"\mathord", r"\mathopen", r"\mathpunct", r"\ensuremath")))),
    Rule("script order", True, at_one(has_both, scripts_swapped)),
    Rule("braces: script", True, at_one(
        lambda t, at: t[at] in ("^", "_") and at + 1 < len(t) and is_symbol(t[at + 1]) and t[at + 1] != "'",
        lambda t, at: [*t[:at + 1], "{", t[at + 1], "}", *t[at + 2:]])),
    Rule("prime", True, swap("'", r"^{\prime}")),
    Rule("prime: ^{'}", True, swap("'", "^{'}")),
    Rule("fraction size", True, any_of(*(swap(r"\frac", other) for other in (r"\dfrac", r"\tfrac", r"\cfrac")))),
    Rule("\\over", True, call(r"\frac", lambda a: braced([*a[0], r"\over", *a[1]]), 2)),
    Rule("\\genfrac", True, call(r"\frac", lambda a: [*tokenize(r"\genfrac{}{}{}{}"), *braced(a[0]),
                                                    *braced(a[1])], 2)),
    Rule("\\above", True, call(r"\frac", lambda a: braced([*a[0], *tokenize(r"\above0.4pt"), *a[1]]), 2)),
    Rule("\\overwithdelims", True, call(r"\frac", lambda a: [
        *tokenize(r"\left("), r"\frac", *braced(a[0]), *braced(a[1]), *tokenize(r"\right)")], 2)),
    Rule("\\choose", True, call(r"\binom", lambda a: braced([*a[0], r"\choose", *a[1]]), 2)),
    Rule("\\binom as column", True, call(r"\binom", lambda a: [
        r"\begin{pmatrix}", *a[0], r"\\", *a[1], r"\end{pmatrix}"], 2)),
    Rule("\\root", True, at_one(lambda t, at: t[at] == r"\sqrt" and t[at + 1:at + 2] == ["["] and "]" in t[at:],
                                lambda t, at: [*t[:at], r"\root", *t[at + 2:t.index("]", at)], r"\of",
                                               *t[t.index("]", at) + 1:]])),
    Rule("\\left \\right: put in", True, fences),
    Rule("\\left \\right: taken out", True, unfenced),
    Rule("limits", True, at_one(lambda t, at: t[at] in BIG and t[at + 1:at + 2] and t[at + 1] in "_^",
                                lambda t, at: [*t[:at + 1], r"\limits", *t[at + 1:]])),
    Rule("limits by \\underset", True, at_one(
        lambda t, at: t[at] in BIG - {r"\int"} and t[at + 1:at + 2] == ["_"] and at + 2 < len(t)
        and t[end_of(t, at + 2):end_of(t, at + 2) + 1] != ["^"],
        lambda t, at: [*t[:at], r"\underset", *braced(body(t, at + 2, end_of(t, at + 2))), "{", t[at], "}",
                       *t[end_of(t, at + 2):]])),
    Rule("alias", True, alias),
    Rule("\\not", True, any_of(swap(r"\neq", r"\not="), swap(r"\ne", r"\not="), swap(r"\notin", r"\not\in"))),
    Rule("dots: ...", True, swap(r"\ldots", "...")),
    Rule("dots: \\dots", True, any_of(swap(r"\ldots", r"\dots"), swap(r"\cdots", r"\dots"))),
    Rule("old fonts", True, font_switch),
    Rule("\\mathrm and \\text", True, any_of(call(r"\mathrm", between(r"\text{", "}")),
                                             call(r"\mathrm", between(r"\textrm{", "}")),
                                             call(r"\mathbf", between(r"\textbf{", "}")))),
    Rule("\\text and \\mbox", True, any_of(swap(r"\text", r"\mbox"), swap(r"\text", r"\textrm"))),
    Rule("\\sin by letters", True, any_of(functions(r"\mathrm{NAME}"), functions(r"\operatorname{NAME}"),
                                          functions(r"\text{NAME}"), functions(r"\mathop{\rm NAME}\nolimits"))),
    Rule("\\bm and \\boldsymbol", True, any_of(swap(r"\bm", r"\boldsymbol"), swap(r"\boldsymbol", r"\bm"))),
    Rule("\\boldsymbol in parts", True, at_one(
        lambda t, at: t[at] in (r"\boldsymbol", r"\bm") and t[at + 1:at + 2] == ["{"] and t[at + 4:at + 5] == ["}"]
        and is_symbol(t[at + 2]) and is_symbol(t[at + 3]),
        lambda t, at: [*t[:at], t[at], "{", t[at + 2], "}", t[at], "{", t[at + 3], "}", *t[at + 5:]])),
    Rule("\\stackrel", True, any_of(call(r"\stackrel", above_to(r"\overset"), 2),
                                    call(r"\overset", above_to(r"\stackrel"), 2))),
    Rule("\\mathop limits", True, any_of(
        call(r"\overset", lambda a: [r"\mathop", *braced(a[1]), r"\limits", "^", *braced(a[0])], 2),
        call(r"\underset", lambda a: [r"\mathop", *braced(a[1]), r"\limits", "_", *braced(a[0])], 2))),
    Rule("bars", True, any_of(swap("|", r"\vert"), swap(r"\|", r"\Vert"), swap(r"\mid", "|"), swap(r"\lvert", "|"),
                              swap(r"\rvert", "|"), swap("|", r"\mid"))),
    Rule("matrix as array", True, any_of(*(
        environment(name, rf"\left{left}\begin{{array}}{{COLUMNS}}", rf"\end{{array}}\right{right}", columns="c")
        for name, left, right in (("pmatrix", "(", ")"), ("bmatrix", "[", "]"), ("vmatrix", "|", "|"),
                                  ("Bmatrix", r"\{", r"\}"), ("matrix", ".", "."), ("Vmatrix", r"\|", r"\|"))))),
    Rule("cases as array", True, environment("cases", r"\left\{\begin{array}{COLUMNS}", r"\end{array}\right.",
                                             columns="l")),
    Rule("array letters", True, column_letters),
    Rule("aligned as array", True, environment("aligned", r"\begin{array}{rl}", r"\end{array}"), flat=True),
    Rule("aligned as column", True, any_of(*(
        joined("aligned", rf"\begin{{{new}}}{letter}", rf"\end{{{new}}}") for new, letter in (
            ("gathered", ""), ("matrix", ""), ("array", "{l}"), ("split", "")))), flat=True),
    Rule("substack as subarray", True, call(r"\substack", between(r"\begin{subarray}{l}", r"\end{subarray}"))),
    Rule("row space", True, swap(r"\\", r"\\[2pt]")),
    Rule("\\boxed as \\fbox", True, call(r"\boxed", between(r"\fbox{$", "$}")), flat=True),
    Rule("letter case", False, at_one(letter_place, case)),
    Rule("neighbours swapped", False, at_one(
        lambda t, at: at + 1 < len(t) and plain_place(t, at) and plain_place(t, at + 1) and t[at] != t[at + 1],
        neighbours)),
    Rule("symbol dropped", False, at_one(plain_place, lambda t, at: [*t[:at], *t[at + 1:]])),
    Rule("symbol doubled", False, at_one(plain_place, lambda t, at: [*t[:at], t[at], *t[at:]])),
    Rule("sub for super", False, any_of(swap("_", "^"), swap("^", "_"))),
    Rule("script on the line", False, dropped("^", "_")),
    Rule("x^{ab} -> x^ab", False, at_one(argument_of_several, unwrapped)),
    Rule("\\sqrt{3}a -> \\sqrt{3a}", False, at_one(
        lambda t, at: t[at] == "}" and at + 1 < len(t) and is_symbol(t[at + 1]), brace_moved)),
    Rule("prime lost", False, dropped("'", r"\prime")),
    Rule("variant letters", False, any_of(*(swap(f"\\{a}", f"\\{b}") for a, b in (
        ("epsilon", "varepsilon"), ("varepsilon", "epsilon"), ("phi", "varphi"), ("varphi", "phi"),
        ("theta", "vartheta"), ("leq", "leqslant"), ("emptyset", "varnothing"), ("rho", "varrho"))))),
    Rule("alphabet lost", False, any_of(*(call(f, lambda a: braced(a[0])) for f in (
        r"\mathbb", r"\mathbf", r"\mathcal", r"\mathrm", r"\mathfrak", r"\boldsymbol", r"\text")))),
    Rule("alphabet changed", False, any_of(swap(r"\mathcal", r"\mathscr"), swap(r"\mathbf", r"\boldsymbol"),
                                           swap(r"\mathrm", r"\mathit"), swap(r"\mathbb", r"\mathbf"),
                                           swap(r"\boldsymbol", r"\mathbf"))),
    Rule("\\sin as letters", False, functions("NAME")),
    Rule("accent changed", False, any_of(*(swap(f"\\{a}", f"\\{b}") for a, b in (
        ("hat", "widehat"), ("tilde", "widetilde"), ("bar", "overline"), ("overline", "bar"), ("widehat", "hat"),
        ("widetilde", "tilde"), ("dot", "ddot"), ("vec", "bar"))))),
    Rule("accent lost", False, any_of(*(call(a, lambda args: braced(args[0])) for a in sorted(tex.ACCENTS)))),
    Rule("dots raised", False, any_of(swap(r"\ldots", r"\cdots"), swap(r"\cdots", r"\ldots"))),
    Rule("bracket kind", False, any_of(swap("(", "["), swap(")", "]"), swap("[", "("), swap(r"\{", "("))),
    Rule("root index lost", False, at_one(
        lambda t, at: t[at] == r"\sqrt" and t[at + 1:at + 2] == ["["] and "]" in t[at:],
        lambda t, at: [*t[:at + 1], *t[t.index("]", at) + 1:]])),
    Rule("fraction turned", False, call(r"\frac", lambda a: [r"\frac", *braced(a[1]), *braced(a[0])], 2)),
    Rule("fraction bar lost", False, call(r"\frac", lambda a: braced([*a[0], r"\atop", *a[1]]), 2)),
    Rule("over for under", False, any_of(swap(r"\overset", r"\underset"), swap(r"\underset", r"\overset"),
                                         swap(r"\overline", r"\underline"), swap(r"\underbrace", r"\overbrace"))),
    Rule("cells swapped", False, at_one(
        lambda t, at: t[at] == "&" and 0 < at < len(t) - 1 and is_symbol(t[at - 1]) and is_symbol(t[at + 1])
        and t[at - 1] != t[at + 1], cells_swapped)),
    Rule("cells run together", False, any_of(*(joined(
        name, rf"\left{left}\begin{{array}}{{c}}", rf"\end{{array}}\right{right}")
        for name, left, right in (("pmatrix", "(", ")"), ("bmatrix", "[", "]"))))),
    Rule("row break lost", False, dropped(r"\\")),
    Rule("matrix brackets", False, any_of(environment("pmatrix", r"\begin{bmatrix}", r"\end{bmatrix}"),
                                          environment("bmatrix", r"\begin{vmatrix}", r"\end{vmatrix}"))),
    Rule("staggered scripts", False, at_one(has_both, lambda t, at: [
        *t[:end_of(t, at + 1)], "{", "}", *t[end_of(t, at + 1):]])),
    Rule("negation lost", False, any_of(swap(r"\neq", "="), swap(r"\notin", r"\in"), swap(r"\not", ""))),
    Rule("text in bold", False, swap(r"\text", r"\textbf")),
    Rule("rule between columns", False, at_one(
        lambda t, at: t[at].startswith(r"\begin{array}"), lambda t, at: [*t[:at + 2], "|", *t[at + 2:]])),
]
