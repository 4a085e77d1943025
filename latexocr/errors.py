"""The one exception a user can fix; the command line shows it as one line and exits with code 2."""

from __future__ import annotations


class UserError(Exception):
    """What was found, what was expected, and what to do about it, in one line.

    What cannot be printed is spelled out (a line break as `\\n`): names of files and texts of others are part of it.
    """

    def __init__(self, message: str) -> None:
        super().__init__("".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in message))
