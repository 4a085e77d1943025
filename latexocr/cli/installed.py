"""What is installed, against what this package declares for itself and for its extras, read from its own metadata.

Gives Findings: what is known of one thing that verbs use. What is installed may not start, so packages are imported.
"""

from __future__ import annotations

import functools
import os
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from importlib import import_module, metadata
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from latexocr.errors import UserError

if TYPE_CHECKING:
    from packaging.requirements import Requirement

PATIENCE = 300
"""Seconds until a package that is imported in a process of its own counts as hanging."""


@dataclass(frozen=True)
class Finding:
    """What is known of one thing that verbs use."""

    verbs: str
    """The verbs that need it."""
    name: str
    state: Literal["ok", "partly", "missing", "broken", "none"]
    """`none` is no fault: what is not here, and need not be."""
    found: str
    get: str = ""
    """The command that gets or mends it."""
    needed: bool = False
    """Whether `transcribe` cannot do without."""

    def broken(self, why: str, get: str) -> Finding:
        """The same thing, found broken."""
        return replace(self, state="broken", found=f"{self.found}; {why}", get=get)


def requirements(extra: str = "") -> list[Requirement]:
    """What this package declares for any use, or for an extra alone; of this machine's kind. None if not installed."""
    try:
        declared = _parsed(metadata.requires("latexocr") or ())
    except metadata.PackageNotFoundError:
        return []
    always, wanted = ([one for one in declared if one.marker is None or one.marker.evaluate({"extra": which})]
                      for which in ("", extra))
    return [one for one in wanted if one.name != "latexocr" and not (extra and one in always)]


def outdated(pyproject: Path) -> bool:
    """Whether the installed metadata ask for other packages than a clone's pyproject.toml, where there is one."""
    try:
        project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    except (OSError, ValueError, KeyError):
        return False
    sets = {"": project["dependencies"], **project["optional-dependencies"]}
    written = {(one.name, one.specifier) for lines in sets.values() for one in _parsed(lines)}
    known = {(one.name, one.specifier) for one in _parsed(metadata.requires("latexocr") or ())}
    return written != known


def _parsed(lines: Iterable[str]) -> list[Requirement]:
    try:
        from packaging.requirements import Requirement
    except ImportError as e:
        raise UserError(f"The package packaging is missing, which compares versions: {pip('packaging')}") from e
    return [Requirement(line) for line in lines]


def pip(*words: str) -> str:
    """The command that installs into this environment."""
    return shlex.join([sys.executable, "-m", "pip", "install", *words])


def package(verbs: str, wanted: Requirement, get: str) -> Finding:
    """Whether a package is installed in a version of the range; it is not imported."""
    try:
        version = metadata.version(wanted.name)
    except metadata.PackageNotFoundError:
        return Finding(verbs, wanted.name, "missing", f"wants {wanted.specifier or 'any version'}", get)
    found = Finding(verbs, wanted.name, "ok", version + (f", wants {wanted.specifier}" if wanted.specifier else ""))
    if wanted.specifier.contains(version, prereleases=True):
        return found
    return replace(found, state="broken", get=pip(f"{wanted.name}{wanted.specifier}"))


def packages(verbs: str, extra: str = "") -> list[Finding]:
    """Each package of an extra, or of those that any use needs: whether it is of the range, and can be imported."""
    found = []
    for wanted in requirements(extra):
        one = package(verbs, wanted, pip(f"latexocr[{extra}]" if extra else "latexocr"))
        if one.state == "ok" and (why := _import(wanted.name)):
            again = pip("--force-reinstall", "--no-deps", f"{wanted.name}=={metadata.version(wanted.name)}")
            one = one.broken(f"does not start ({why})", again)
        found.append(replace(one, needed=not extra))
    return found


@functools.cache
def _modules() -> dict[str, list[str]]:
    """Distribution, in lower case -> its top-level modules."""
    found: dict[str, list[str]] = {}
    for module, distributions in metadata.packages_distributions().items():
        for distribution in distributions:
            found.setdefault(distribution.lower(), []).append(module)
    return found


def _import(distribution: str) -> str:
    """Why a package cannot be imported; "" where it can."""
    modules = _modules().get(distribution.lower(), [distribution])
    try:
        import_module(distribution if distribution in modules else modules[0])
    except Exception as e:  # Whatever a package raises when it is imported is the finding.
        return reason(e)
    return ""


def import_apart(python: str, module: str, **variables: str) -> str:
    """Why an interpreter cannot import a package, in a process of its own without a hub; "" where it can."""
    try:
        done = subprocess.run([python, "-P", "-c", f"import {module}"], capture_output=True, text=True,
                              timeout=PATIENCE, env=os.environ | {"HF_HUB_OFFLINE": "1"} | variables)
    except (OSError, subprocess.TimeoutExpired) as e:
        return reason(e)
    return "" if done.returncode == 0 else (done.stderr.strip().splitlines() or ["no reason given"])[-1][:200]


def reason(error: Exception) -> str:
    """What an exception says, in one short line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:200]
