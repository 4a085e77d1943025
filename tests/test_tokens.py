"""Tokens of LaTeX and the formula inside a reply."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latexocr.latex.tokens import detokenize, tokenize, unwrap

PIECES = [r"\alpha", r"\frac", "{", "}", "x", "2", "^", "_", r"\\", "&", r"\{", r"\,", r"\ ", r"\begin{array}",
          r"\left", "(", "'", r"\text", r"\hspace{1em}", r"\\[2pt]", "[", "]", "*", r"\operatorname*", "$", "~", "%"]
source = st.lists(st.sampled_from([*PIECES, " ", "\n"]), max_size=30).map("".join)


@pytest.mark.parametrize("latex, tokens", [
    (r"\frac {a} {b}", [r"\frac", "{", "a", "}", "{", "b", "}"]),
    (r"\alpha x+\beta", [r"\alpha", "x", "+", r"\beta"]),
    (r"\sinx \sin x", [r"\sinx", r"\sin", "x"]),
    (r"\text { if  x }y z", [r"\text", "{", " ", "i", "f", " ", "x", " ", "}", "y", "z"]),
    (r"\text{a $x y$ b}", [r"\text", "{", "a", " ", "$", "x", "y", "$", " ", "b", "}"]),
    (r"\begin {array} { c  c }", [r"\begin{array}", "{", "c", "c", "}"]),
    (r"a \\ [2 pt] b", ["a", r"\\[2pt]", "b"]),
    (r"a \\ [x]", ["a", r"\\", "[", "x", "]"]),
    (r"\hspace { 1 em }\hskip 2pt\mkern-3mu", [r"\hspace{1em}", r"\hskip2pt", r"\mkern-3mu"]),
    (r"a\above 1pt b\vskip 2pt plus 1fil", ["a", r"\above1pt", "b", r"\vskip2ptplus1fil"]),
    (r"\operatorname * {a}", [r"\operatorname*", "{", "a", "}"]),
    ("a % a remark\n b", ["a", "b"]),
    (r"50\% of", ["5", "0", r"\%", "o", "f"]),
    ("a\\\nb", ["a", "\\ ", "b"]),
    ("\\", ["\\"]),
    ("", []),
])
def test_tokenize(latex, tokens):
    assert tokenize(latex) == tokens


@pytest.mark.parametrize("tokens, latex", [
    ([r"\alpha", "x"], r"\alpha x"),
    ([r"\alpha", "2", r"\beta", "{"], r"\alpha2\beta{"),
    ([r"\begin{cases}", "x"], r"\begin{cases}x"),
    ([r"\{", "x"], r"\{x"),
    ([r"\\", "[", "x"], r"\\ [x"),
])
def test_a_space_stands_only_where_tex_needs_one(tokens, latex):
    assert detokenize(tokens) == latex


@given(source)
def test_text_of_tokens_has_the_same_tokens(latex):
    tokens = tokenize(latex)
    assert tokenize(detokenize(tokens)) == tokens


@given(st.lists(st.sampled_from([r"\alpha", "x", "{", "}", "^", r"\frac", "2", r"\\", "&", r"\left", "("])), st.data())
def test_spaces_between_tokens_change_nothing(tokens, data):
    spaces = data.draw(st.lists(st.sampled_from([" ", "  ", "\n"]), min_size=len(tokens), max_size=len(tokens)))
    spaced = "".join(token + space for token, space in zip(tokens, spaces, strict=True))
    assert tokenize(spaced) == tokenize(detokenize(tokens))


@pytest.mark.parametrize("reply, formula", [
    (" x ", "x"),
    ("$x$", "x"),
    ("$$ x $$", "x"),
    (r"\[x\]", "x"),
    (r"\(x\)", "x"),
    ("```latex\nx\n```", "x"),
    ("```\n\\[x\\]\n```", "x"),
    ("```x```", "x"),
    ("```latex x```", "x"),
    ("```\na\n```\nor\n```\nb\n```", "```\na\n```\nor\n```\nb\n```"),
    ("<think>\n\n</think>\n\n$x$", "x"),
    ("$a$ and $b$", "$a$ and $b$"),
    (r"\(a\) and \(b\)", r"\(a\) and \(b\)"),
    (r"$\text{$x$}$", r"\text{$x$}"),
    ("The formula is $x$.", "The formula is $x$."),
    ("$a\\ $", "a\\ "),
    (r"\$5\$", r"\$5\$"),
    (r"$5\$", r"$5\$"),
    ("$", "$"),
    ("", ""),
])
def test_unwrap(reply, formula):
    assert unwrap(reply) == formula


@given(st.text(alphabet="$\\[]()x `{}\n%", max_size=20))
def test_unwrap_twice_is_unwrap_once(reply):
    assert unwrap(unwrap(reply)) == unwrap(reply)


def test_long_input_takes_linear_time():
    for hostile in ("\\hspace{" * 50_000, "\\\\" + " " * 200_000, "\\begin " * 50_000, "$" * 100_000, "{" * 100_000,
                    "\\hskip" + "1" * 100_000, "`" * 100_000, "\\" * 100_001):
        assert tokenize(hostile)
        unwrap(hostile)
