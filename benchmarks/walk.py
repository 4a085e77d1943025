"""Does what a page says, in its order, and holds what is said against what the page shows.

    python benchmarks/walk.py latexocr/training/README.md "From a data set to a server" FOLDER [--write]

Runs the Python and the commands (`$ ...`) of the blocks under a heading in FOLDER, which holds what they name of data
and environments. `latexocr serve` goes on until the end. Prints everything that was said, then each line that the page
shows and nothing said; numbers may differ, and are told. Exits with 1 where a command fails or a line was not said.
With --write the page then shows what was said now, in the lines that it showed before.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

NUMBER = re.compile(r"[+−-]?\d[\d.,:e-]*")
FRAME = re.compile(r"[^\t]*\t| {4}read +|.*")
"""What of a line is not an answer of the model: the name of a picture, or a word in front."""


def steps(page: str, heading: str) -> Iterator[tuple[str, list[str]]]:
    """Each command under a heading, with the lines shown below it; a Python block is a command that shows nothing."""
    _, found, section = page.partition(f"\n## {heading}\n")
    if not found:
        sys.exit(f"There is no heading '## {heading}'.")
    for language, text in re.findall(r"^```(python|console)\n(.*?)^```", section.partition("\n## ")[0], re.M | re.S):
        if language == "python":
            yield f"python - <<'END'\n{text}END", []
            continue
        for part in re.split(r"^\$ ", text, flags=re.M)[1:]:
            command = re.match(r"(?:.*\\\n)*.*", part)[0]
            shown = part.removeprefix(command).splitlines()
            yield command, [line for line in shown if line.strip() and line != "..."]


def run(command: str, folder: Path, serving: list[subprocess.Popen]) -> tuple[str, bool]:
    """What a command says on both streams, and whether it went well; of a server, until it tells how to ask it."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    process = subprocess.Popen(["bash", "-c", command], cwd=folder, env=os.environ | {"PATH": path}, text=True,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if not command.startswith("latexocr serve "):
        said = process.communicate()[0]
        return said, process.returncode == 0
    serving.append(process)
    said = ""
    for line in process.stdout:
        said += line
        if "Ctrl-C stops it" in line:
            return said, True
    return said, False


def again(shown: list[str], said: list[str]) -> list[str]:
    """The lines that are shown, as they were said now: in their order, with other numbers, with another answer."""
    found, start = [], 0
    for line in shown:
        for same in (str.rstrip, lambda text: NUMBER.sub("0", text.rstrip()), lambda text: FRAME.match(text)[0]):
            place = next((n for n in range(start, len(said)) if same(said[n]) == same(line)), None)
            if place is not None:
                start = place + 1
                break
        found.append(line if place is None else said[place].rstrip())
    return found


def main(page: Path, heading: str, folder: Path, *, write: bool = False) -> int:
    serving: list[subprocess.Popen] = []
    missing, other = [], []
    text = page.read_text(encoding="utf-8")
    try:
        for command, shown in steps(page.read_text(encoding="utf-8"), heading):
            said, well = run(command, folder, serving)
            print(f"$ {command}\n{said}", flush=True)
            lines = {line.rstrip() for line in said.splitlines()}
            blank = {NUMBER.sub("0", line) for line in lines}
            missing += [] if well else [f"failed: {command}"]
            missing += [line for line in shown if NUMBER.sub("0", line.rstrip()) not in blank]
            other += [line for line in shown if line.rstrip() not in lines and line not in missing]
            for old, new in zip(shown, again(shown, said.splitlines()), strict=True):
                before, _, after = text.partition(f"$ {command}\n")
                text = before + f"$ {command}\n" + after.replace(f"{old}\n", f"{new}\n", 1) if after else text
    finally:
        for process in serving:
            process.terminate()
            process.wait()
    if write:
        page.write_text(text, encoding="utf-8")
    print(*(f"with other numbers: {line}" for line in other), *(f"NOT SAID: {line}" for line in missing), sep="\n")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), write=sys.argv[4:] == ["--write"]))
