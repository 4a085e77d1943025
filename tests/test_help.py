"""What `--help` says of an option breaks where a sentence ends: tyro keeps the line breaks of the source there."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import textwrap
from collections.abc import Iterator

import pytest

from latexocr import cli


def options(kind: type) -> Iterator[type]:
    """A dataclass of options, and those that its fields hold."""
    yield kind
    for field in dataclasses.fields(kind):
        if dataclasses.is_dataclass(field.default):
            yield from options(type(field.default))


def told(kind: type) -> dict[str, list[str]]:
    """Option -> the lines below it that tell what it does."""
    body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0].body
    return {field.target.id: [line.strip() for line in text.value.value.splitlines()] for field, text in
            itertools.pairwise(body) if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr)}


@pytest.mark.parametrize("verb", list(cli.VERBS))
def test_lines_of_the_source_end_with_a_sentence(verb):
    found = {(kind.__name__, name): lines for kind in options(cli.VERBS[verb].options())
             for name, lines in told(kind).items()}
    broken = {where: lines for where, lines in found.items() if any(line[-1] not in ".:" for line in lines[:-1])}
    assert found and broken == {}
