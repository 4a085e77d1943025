r"""Symbols that a user declares to be the same, beyond what TeX draws alike: a choice of their data, not of ours.

References that write `\epsilon` and `\varepsilon` for one letter are scored fairly with
`declare({r"\varepsilon": r"\epsilon"})`. What is declared holds from the syntax level on, and goes into the signature
of every number: `str(aliases)`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass

from latexocr.errors import UserError
from latexocr.latex import commands as tex
from latexocr.latex.tokens import tokenize


@dataclass(frozen=True)
class Aliases:
    """Other names of symbols: (name, symbol) pairs, in order. Made by `declare`."""

    pairs: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return ",".join(f"{name}={symbol}" for name, symbol in self.pairs)


NO_ALIASES = Aliases()


def declare(table: Mapping[str, str]) -> Aliases:
    r"""The aliases of a table, name -> symbol. Raises UserError where a side is not one symbol of mathematics, or where
    a symbol is a name as well."""
    pairs = sorted((_symbol(name), _symbol(symbol)) for name, symbol in table.items())
    seen = [name for name, _ in pairs]
    for name, symbol in pairs:
        if symbol in seen or seen.count(name) > 1:
            raise UserError(f"The aliases give {name} or {symbol} two meanings. Each name needs one symbol, and no "
                            f"symbol may be a name.")
    return Aliases(tuple(pairs))


def _symbol(latex: str) -> str:
    r"""The built-in name of a symbol: `\ne` is declared where `\neq` is."""
    tokens = tokenize(latex)
    symbol = tex.ALIASES.get(tokens[0], tokens[0]) if len(tokens) == 1 else ""
    if not _SYMBOL.fullmatch(symbol) or symbol in tex.TAKES_ARGUMENTS:
        raise UserError(f"{latex!r} cannot be an alias. Expected one sign or one command without arguments, such as "
                        f"\\varepsilon.")
    return symbol


_SYMBOL = re.compile(r"\\[a-zA-Z]+|[^\\{}^_&$#%~'\s]")


@functools.cache
def names(aliases: Aliases) -> Mapping[str, str]:
    """All names that are not the first: the built-in ones and the declared ones."""
    declared = dict(aliases.pairs)
    return {name: declared.get(symbol, symbol) for name, symbol in tex.ALIASES.items()} | declared
