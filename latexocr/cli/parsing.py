"""A command line into the options of a verb; what is wrong with it, in one line.

tyro tells that in a box: a paragraph, with the options it is about and their help, and what else could have been meant.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr
from itertools import takewhile
from typing import Any

import tyro

from latexocr.errors import UserError

HELP_INDENT = 8
"""Columns from which on the help of an option stands; the option itself stands at half of it."""
RULER = frozenset("─-")


def parse(kind: type, name: str, description: str, arguments: Sequence[str]) -> Any:
    """The options that a command line gives to a verb. Raises UserError on what it does not take; --help exits."""
    said = io.StringIO()
    try:
        with redirect_stderr(said):
            return tyro.cli(kind, prog=f"latexocr {name}", description=description, args=arguments)
    except SystemExit as e:
        if not e.code:
            raise
        raise UserError(f"{told(said.getvalue())} All options: latexocr {name} --help") from None


def told(box: str) -> str:
    """What a box says first, and what could have been meant; options without their help."""
    sections = list(filter(None, (" ".join(_words(section)) for section in _sections(box))))
    meant = [section for section in sections[1:] if section.startswith("Perhaps you meant")]
    found = [section if section.endswith(".") else f"{section}." for section in [*sections[:1], *meant]]
    return " ".join(found or box.split())


def _sections(box: str) -> Iterator[list[str]]:
    """The lines between one ruler and the next, without the title and the frame, which is of blanks in ASCII."""
    inside = textwrap.dedent("\n".join(line.strip("│╰╯").rstrip() for line in box.splitlines()[1:]))
    section: list[str] = []
    for line in inside.splitlines():
        if line and RULER.issuperset(line.strip()):
            yield section
            section = []
        else:
            section.append(line)
    yield section


def _words(section: Sequence[str]) -> Iterator[str]:
    """The first paragraph, with commas between its options."""
    lines = [line for line in takewhile(str.strip, section) if len(line) - len(line.lstrip()) < HELP_INDENT]
    for line, after in zip(lines, [*lines[1:], ""]):
        both = line.startswith("    ") and after.startswith("    ")
        yield line.strip() + ("," if both else "")
