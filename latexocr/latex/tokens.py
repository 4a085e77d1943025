r"""LaTeX text <-> tokens, and the formula inside a model's reply.

Takes and gives strings. A token is a control word or symbol, `\begin{name}`, a command with its dimension
(`\\[2pt]`, `\hspace{1em}`), or one character. Spaces mean nothing in mathematics and are no tokens; inside `\text{..}`
they are. Comments are no tokens. Knows nothing of what the tokens mean together: that is `tree`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from latexocr.latex.commands import names

TEXT_COMMANDS = names(
    r"\text \textrm \textbf \textit \textsf \texttt \textnormal \textup \textmd \textsl \textsc \emph \mbox \hbox \vbox"
    r" \fbox \textcircled \tag \tag* \ref \eqref \cite")
"""Commands whose argument is text: spaces in it are drawn."""

_UNIT = r"(?:true\s*)?(?:pt|em|ex|mu|cm|mm|in|pc|bp|sp|dd|cc|fil{1,3})"
DIMENSION = rf"[-+]?\s*(?:\d{{1,9}}(?:\.\d{{0,9}})?|\.\d{{1,9}})\s*{_UNIT}"
_PIECE = re.compile(
    r"\\(?:"
    r"(?:begin|end)\s*\{\s*[a-zA-Z]+\*?\s*\}"
    rf"|(?:hskip|vskip|kern|mkern|mskip|raise|lower|above)\s*{DIMENSION}(?:\s*(?:plus|minus)\s*{DIMENSION})*"
    r"|(?:[hmv]space(?:\s*\*)?|label|rule\s*\{[^{}]*\}|(?:text)?color|colorbox)(?:\s*\[[^][{}]*\])?\s*\{[^{}]*\}"
    r"|(?:operatorname|hspace|vspace|tag)\s*\*"
    r"|[a-zA-Z]+"
    rf"|\\\s*\*?(?:\s*\[\s*{DIMENSION}\s*\])?"
    r"|\s"
    r"|.)"
    r"|%[^\n]*\n?|\s+|.",
    re.DOTALL,
)
_CONTROL_WORD = re.compile(r"\\[a-zA-Z]+")
_WRAPPERS = (("$$", "$$"), ("$", "$"), (r"\[", r"\]"), (r"\(", r"\)"))
_FENCE = "```"
_FENCE_LANGUAGE = re.compile(r"[a-zA-Z]*[ \t]*\n|(?:latex|tex|math)\b")


def tokenize(latex: str) -> list[str]:
    """The tokens of a formula; the same list however many spaces stand between them."""
    pieces = _PIECE.findall(latex)
    if not TEXT_COMMANDS.isdisjoint(pieces):
        return _with_text_spaces(pieces)
    return [_tidy(piece) if len(piece) > 1 else piece for piece in pieces if piece[0] != "%" and not piece.isspace()]


def detokenize(tokens: Sequence[str]) -> str:
    """The tokens as text, with a space only where TeX needs one."""
    parts: list[str] = []
    word_before = row_before = False
    for token in tokens:
        first = token[:1]
        if (word_before and first.isascii() and first.isalpha()) or (row_before and first in ("[", "*")):
            parts.append(" ")
        parts.append(token)
        word_before = first == "\\" and token[1:].isalpha() and token.isascii()
        row_before = token == "\\\\"
    return "".join(parts)


def _tidy(piece: str) -> str:
    if piece[0] != "\\" or not any(map(str.isspace, piece)):
        return piece
    if len(piece) == 2:
        return "\\ "
    return re.sub(r"\s+", "", piece)


def _with_text_spaces(pieces: list[str]) -> list[str]:
    """Tokens where some pieces lie in text: there a run of spaces is the token " "."""
    tokens: list[str] = []
    depths: list[int] = []  # brace depth of each text around the place; -1 is mathematics within a text
    for piece in pieces:
        in_text = bool(depths) and depths[-1] >= 0
        if piece.isspace():
            if in_text and depths[-1] and tokens[-1] != " " and not _CONTROL_WORD.fullmatch(tokens[-1]):
                tokens.append(" ")
            continue
        if piece[0] == "%":
            continue
        if in_text:
            depths[-1] += (piece == "{") - (piece == "}")
            if depths[-1] <= 0:
                depths.pop()
            elif piece == "$":
                depths.append(-1)
        elif depths and piece == "$":
            depths.pop()
        if piece in TEXT_COMMANDS:
            depths.append(0)
        tokens.append(_tidy(piece) if len(piece) > 1 else piece)
    return tokens


def unwrap(reply: str) -> str:
    r"""The formula inside a reply: white space, `$`, `$$`, `\[ \]`, `\( \)`, a code fence or a thinking part around it
    removed. Prose around a formula stays: an answer in prose is not the formula."""
    text = _strip(reply)
    if text.startswith("<think>") and "</think>" in text:
        text = _strip(text[text.index("</think>") + len("</think>"):])
    while True:
        inner = _strip(_unwrapped_once(text))
        if inner == text:
            return text
        text = inner


def _unwrapped_once(text: str) -> str:
    if len(text) >= 6 and text.startswith(_FENCE) and text.endswith(_FENCE) and _FENCE not in text[3:-3]:
        return _FENCE_LANGUAGE.sub("", text[3:-3], count=1) if _FENCE_LANGUAGE.match(text[3:-3]) else text[3:-3]
    for opening, closing in _WRAPPERS:
        size = len(opening)
        if len(text) >= 2 * size and text.startswith(opening) and text.endswith(closing):
            inner = text[size:-size]
            if not _ends_in_backslash(inner) and not _breaks(inner, opening, closing):
                return inner
    return text


def _breaks(inner: str, opening: str, closing: str) -> bool:
    r"""Whether the text between is not one formula but several: `$a$ and $b$`."""
    depth = 0
    for piece in _PIECE.findall(inner):
        depth += (piece == "{") - (piece == "}")
        if depth == 0 and piece in ("$", opening, closing):
            return True
    return False


def _strip(text: str) -> str:
    r"""Without white space around it, but a control space (`\ `) at the end stays whole."""
    stripped = text.strip()
    return stripped + " " if len(stripped) < len(text.lstrip()) and _ends_in_backslash(stripped) else stripped


def _ends_in_backslash(text: str) -> bool:
    return (len(text) - len(text.rstrip("\\"))) % 2 == 1
