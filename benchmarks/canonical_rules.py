"""Rules of spelling as changes of a formula: some keep what is seen, some break it.

The table alone; what a change does is in `canonical_changes.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

from canonical_changes import (
    BIG,
    Change,
    above_to,
    alias,
    any_of,
    argument_of_several,
    at_one,
    between,
    body,
    brace_moved,
    braced,
    call,
    case,
    cells_swapped,
    column_letters,
    dropped,
    end_of,
    environment,
    fences,
    font_switch,
    functions,
    has_both,
    insert,
    is_symbol,
    joined,
    letter_place,
    neighbours,
    plain_place,
    scripts_swapped,
    swap,
    unfenced,
    unwrapped,
    wrap,
)

from latexocr.latex import commands as tex
from latexocr.latex import tokenize


@dataclass(frozen=True)
class Rule:
    """One change of spelling."""

    name: str
    keeps: bool
    """Whether a reader is meant to see the same formula; what TeX draws decides."""
    change: Change
    flat: bool = False
    """Whether one spelling sets fractions large and the other small, so that TeX is asked with all of them small."""


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
