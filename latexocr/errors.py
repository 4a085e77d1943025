"""The one exception a user can fix; the command line shows it as one line and exits with code 2."""


class UserError(Exception):
    """What was found, what was expected, and what to do about it, in one line."""
