"""The command line: one function a verb. Results on stdout, progress and complaints on stderr.

Exit code 0 when all went well, 1 when some pictures could not be read, 2 for what the user can fix, 130 for Ctrl-C.
Options and their help are made from dataclasses. Models and training are imported by the verb that needs them.
"""

from __future__ import annotations

import io
import itertools
import os
import sys
from collections.abc import Sequence

from latexocr.cli import data, doctor, measure, read, serve, train
from latexocr.cli.parsing import parse
from latexocr.errors import UserError

VERBS = {**read.VERBS, **measure.VERBS, **train.VERBS, **serve.VERBS, **data.VERBS, **doctor.VERBS}
"""By name; a name of two words (`data audit`) is a verb of a family."""


def _usage() -> str:
    lines = ["Pictures of formulas to LaTeX: use it, tune it, measure it.", "", "usage: latexocr VERB [OPTIONS]", ""]
    for name, verb in VERBS.items():
        lines += [f"  {name:<14}{verb.summary}", f"  {'':<14}  {verb.example}"]
    return "\n".join([*lines, "", "Options of a verb: `latexocr VERB --help`. Version: `latexocr --version`."])


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line; the exit code."""
    # Read when torch is loaded. Threads that spin while they wait take the cores from those that work: on two cores
    # that other programs used too, reading took 127 s with spinning and 20 s without.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    _open_streams()
    try:
        code = _dispatch(list(sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()
        return code
    except UserError as e:
        print(f"latexocr: {' '.join(str(e).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nlatexocr: interrupted; the same command continues where it stopped.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # Whoever read the output (`head`) has enough; at exit Python must not try again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def _open_streams() -> None:
    """Let standard output and error take every line: spelled out is what a terminal has no signs for, and half a
    character; where whoever started this has closed one (`>&-`), what goes there is for nobody."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def chosen(argv: Sequence[str]) -> tuple[str, list[str]]:
    """The verb of a command line, of two words where there is such a one, and what follows it."""
    words = 2 if " ".join(argv[:2]) in VERBS else 1
    return " ".join(argv[:words]), list(argv[words:])


def _refuse_twice(arguments: Sequence[str]) -> None:
    """Raise a UserError where an option is given twice: only the last would count, and the first be lost in silence."""
    own = itertools.takewhile(lambda word: word != "--", arguments)
    names = [word.partition("=")[0].replace("_", "-") for word in own if word.startswith("--")]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise UserError(f"{twice} is given twice, and only the last would count. Give it once; where it takes several "
                        f"values, all after it: {twice} A B.")


def _dispatch(argv: list[str]) -> int:
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(_usage())
        return 0
    if argv[0] in ("-V", "--version"):
        from importlib.metadata import PackageNotFoundError, version

        try:
            print(f"latexocr {version('latexocr')}")
        except PackageNotFoundError:
            print("latexocr, from a folder of source that is not installed")
        return 0
    name, arguments = chosen(argv)
    verb = VERBS.get(name)
    if verb is None:
        family = [each for each in VERBS if each.startswith(f"{name} ")]
        raise UserError(f"no verb '{name}'. There are: {', '.join(family or VERBS)}; `latexocr --help` shows examples.")
    _refuse_twice(arguments)
    description = f"{verb.summary}\n\nExample: {verb.example}"
    return verb.run(parse(verb.options(), name, description, arguments))
