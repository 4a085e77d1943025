"""`benchmarks/walk.py` fails where a page shows what its commands do not say; the page it walks goes the whole way."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "benchmarks/walk.py"
PAGE = ROOT / "latexocr/training/README.md"
HEADING = "From a data set to a server"


def walk(folder: Path, text: str, *options: str) -> tuple[int, str]:
    page = folder / "page.md"
    page.write_text(f"# Page\n\n## Other\n\n```console\n$ false\n```\n\n## This\n\n{text}\n## Next\n\n"
                    "```console\n$ false\n```\n")
    done = subprocess.run([sys.executable, SCRIPT, page, "This", folder, *options],
                          capture_output=True, text=True)
    return done.returncode, done.stdout


@pytest.mark.parametrize(("text", "code", "told"), [
    ("```console\n$ echo a; echo b\na\n...\n```\n", 0, "$ echo a; echo b\na\nb\n"),
    ("```console\n$ echo a \\\n    b\na b\n```\n", 0, "a b\n"),
    ("```console\n$ echo a\na\nb\n```\n", 1, "NOT SAID: b\n"),
    ("```console\n$ echo loss 0.52, 4 pictures/s\nloss 0.61, 3 pictures/s\n```\n", 0,
     "with other numbers: loss 0.61, 3 pictures/s\n"),
    ("```console\n$ echo better\nworse\n```\n", 1, "NOT SAID: worse\n"),
    ("```console\n$ echo a >&2; exit 3\na\n```\n", 1, "failed: echo a >&2; exit 3\n"),
    ("```python\nfrom pathlib import Path\nPath('made').write_text('x\\n')\n```\n\n```console\n$ cat made\nx\n```\n", 0,
     "$ cat made\nx\n"),
    ("```python\nraise SystemExit(1)\n```\n", 1, "failed: python"),
    ("```sh\nfalse\n```\n", 0, ""),
])
def test_what_a_page_shows_has_to_be_said(tmp_path, text, code, told):
    found, said = walk(tmp_path, text)
    assert found == code and told in said


def test_a_page_is_written_anew_with_what_is_said_now(tmp_path):
    said = ["step 1: 0.5", "step 2: 0.4", "a.png\tx^{2}", "    read  y", "same"]
    (tmp_path / "said").write_text("".join(f"{line}\n" for line in said))
    page = ["step 1: 0.9", "...", "a.png\tq", "    read  q", "same", "gone"]
    text = "Words: step 1: 0.9\n\n```console\n$ cat said\n{}```\n"
    code, told = walk(tmp_path, text.format("".join(f"{line}\n" for line in page)), "--write")
    assert code == 1 and "NOT SAID: gone" in told
    now = ["step 1: 0.5", "...", "a.png\tx^{2}", "    read  y", "same", "gone"]
    assert text.format("".join(f"{line}\n" for line in now)) in (tmp_path / "page.md").read_text()


def test_the_page_goes_the_whole_way_and_shows_what_every_step_says():
    steps = runpy.run_path(str(SCRIPT))["steps"]
    found = [(command, shown) for command, shown in steps(PAGE.read_text(encoding="utf-8"), HEADING)
             if command.startswith("latexocr ")]
    verbs = [" ".join(word for word in command.split()[1:3] if word.isalpha()) for command, _ in found]
    assert verbs == ["data convert", "data convert", "data audit", "train", "bench", "export", "serve", "transcribe"]
    assert all(shown for _, shown in found)
    assert "hf:unsloth/LaTeX_OCR" in found[0][0]
