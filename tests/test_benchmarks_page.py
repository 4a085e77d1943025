"""benchmarks/README.md names every script, suite and result that lies there; run.sh says what it lacks."""

from __future__ import annotations

import subprocess
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "benchmarks"


def test_every_script_suite_and_result_is_named():
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    scripts = [path.name for path in FOLDER.iterdir() if path.suffix in (".py", ".sh", ".yml")]
    suites = [path.stem for path in (FOLDER / "suites").glob("*.json")]
    results = [path.name for path in (FOLDER / "results").iterdir() if path.is_dir()]
    assert min(map(len, (scripts, suites, results))) > 0
    assert [name for name in (*scripts, *suites, *results) if f"`{name}`" not in page] == []


def test_run_without_its_arguments_says_what_it_expects():
    done = subprocess.run(["sh", FOLDER / "run.sh", "data"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (2, "run.sh: expected DATA OUT [LIMIT]\n")
