r"""What KaTeX draws of a formula, in text to compare: its MathML, and the glyphs of its HTML with their fonts.

Takes formulas, gives strings: KaTeX draws two formulas of one string alike. MathML alone would not do: it has one sign
for `\emptyset` and `\varnothing`, for `\hbar` and `\hslash`, for `\mathcal` and `\mathscr` and a dozen more, so the
glyphs must agree as well. Many formulas a process of Node; each may expand a thousand macros and opens nothing.
"""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from latexocr.errors import UserError

SECONDS_AT_LEAST, FORMULAS_A_SECOND = 60, 20
"""The limit of a process, on the clock; KaTeX draws thousands a second."""
AT_ONCE = 2000
"""Formulas of a process."""
LONGEST = 10_000
"""Characters: KaTeX takes time by their square, a minute for a hundred thousand. Longer formulas are refused."""
_PROGRAM = r"""
const katex = require(process.argv[1]);
const refuse = () => { throw new Error("would be shown as its name alone"); };
const options = {displayMode: true, output: "htmlAndMathml", strict: "ignore", trust: refuse};
const formulas = JSON.parse(require("fs").readFileSync(0, "utf8"));
if (!formulas.length) process.stdout.write(katex.version);
for (const latex of formulas) {
  let drawn = null;
  try {
    const [mathml, html] = katex.renderToString(latex, options).split('<span class="katex-html"');
    const glyphs = html.matchAll(/<span class="([^"]*)"[^>]*>([^<]+)</g);
    drawn = mathml.slice(mathml.indexOf("<semantics>") + 11, mathml.lastIndexOf("<annotation"));
    drawn += Array.from(glyphs, ([, fonts, glyph]) => `\n${fonts} ${glyph}`).join("");
  } catch (refusal) {}
  process.stdout.write(JSON.stringify(drawn) + "\n");
}
"""


def version() -> str:
    """Of KaTeX. Raises UserError where it is not installed."""
    return _version(_package())


@functools.cache
def _version(package: str) -> str:
    told = subprocess.run(["node", "-e", _PROGRAM, package], input="[]", capture_output=True, text=True, check=False)
    if told.returncode:
        reason = next((line for line in told.stderr.splitlines() if "Error" in line), "no reason given")
        raise UserError(f"KaTeX in {package} does not run ({reason}). Install another: npm install -g katex.")
    return told.stdout


def _package() -> str:
    """The folder of the Node package whose command `katex` is on the path."""
    command = shutil.which("katex")
    if not (command and shutil.which("node")):
        raise UserError("KaTeX is not installed. Debian has it: apt install katex; so has Node: npm install -g katex.")
    return str(Path(command).resolve().parent)


def drawings(formulas: Iterable[str]) -> dict[str, str | None]:
    """What KaTeX draws of each formula; None for one that it refuses. Raises UserError where it is not installed."""
    package = _package()
    _version(package)
    found: dict[str, str | None] = dict.fromkeys(formulas)
    waiting = [formula for formula in found if len(formula) <= LONGEST]
    while waiting:
        told = _drawn(package, waiting[:AT_ONCE])
        found |= zip(waiting, told)
        dead = len(told) < len(waiting[:AT_ONCE])  # of the formula that is next
        del waiting[:len(told) + dead]
    return found


def _drawn(package: str, formulas: Sequence[str]) -> list[str | None]:
    """What one process tells, a line a formula: fewer than were asked for if it dies or takes too long."""
    limit = SECONDS_AT_LEAST + len(formulas) / FORMULAS_A_SECOND
    try:
        told = subprocess.run(["node", "-e", _PROGRAM, package], input=json.dumps(formulas).encode(),
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=limit, check=False).stdout
    except subprocess.TimeoutExpired as late:
        told = late.stdout or b""
    return [json.loads(line) for line in told.split(b"\n")[:-1]]
