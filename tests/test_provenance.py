"""Where a result comes from: the commit of the code, and which uncommitted changes it had."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from latexocr import provenance
from latexocr.errors import UserError


@pytest.fixture
def checkout(tmp_path, monkeypatch) -> Path:
    """A repository of one commit that holds the module, as far as the module can tell."""
    module = tmp_path / "provenance.py"
    module.write_text("a = 1\n")
    for command in (["init", "-q"], ["add", "."], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "a"]):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    monkeypatch.setattr(provenance, "__file__", str(module))
    return tmp_path


def code() -> tuple[str | None, bool | None, str | None]:
    start = provenance.start()
    return start["commit"], start["uncommitted_changes"], start["uncommitted_sha256"]


def test_a_clean_checkout_is_its_commit(checkout):
    head = subprocess.run(["git", "-C", str(checkout), "rev-parse", "HEAD"], capture_output=True, text=True).stdout
    (checkout / "notes.txt").write_text("not tracked")
    assert code() == (head.strip(), False, None)


def test_two_dirty_checkouts_of_one_commit_are_told_apart(checkout):
    found = []
    for content in (b"a = 2\n", b"a = 3\n", b"a = '\xe4'\n", b"a = 2\n"):
        (checkout / "provenance.py").write_bytes(content)
        commit, dirty, digest = code()
        assert dirty and len(digest) == 64
        found.append((commit, digest))
    assert found[0] == found[3] and len(set(found)) == 3


def test_a_record_holds_what_is_no_utf8(tmp_path):
    text = json.dumps({"command": ["latexocr", os.fsdecode(b"\xe9.png")]}, ensure_ascii=False)
    provenance.write_text(tmp_path / "run.json", text)
    assert json.loads((tmp_path / "run.json").read_text(encoding="utf-8")) == json.loads(text)


def test_a_file_is_replaced_at_once_and_whoever_reads_the_old_one_reads_it_to_its_end(tmp_path):
    path = tmp_path / "run.json"
    provenance.write_text(path, "old")
    with path.open(encoding="utf-8") as old:
        provenance.write_text(path, "a new one")
        assert (old.read(), path.read_text("utf-8")) == ("old", "a new one")
    assert list(tmp_path.iterdir()) == [path]


def test_a_record_that_cannot_be_written_leaves_nothing_half_done(tmp_path):
    (tmp_path / "run.json").mkdir()
    with pytest.raises(UserError, match="cannot be written"):
        provenance.write_text(tmp_path / "run.json", "{}")
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_an_installed_copy_in_somebodys_repository_is_no_checkout(checkout, monkeypatch):
    (checkout / "venv").mkdir()
    (checkout / "venv" / "provenance.py").write_text("")
    monkeypatch.setattr(provenance, "__file__", str(checkout / "venv" / "provenance.py"))
    assert code() == (None, None, None)


def test_cores_are_those_that_this_process_may_use():
    """As under taskset, or in a container that was given some."""
    program = ("import os; os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1]); "
               "from latexocr.provenance import cores; print(cores())")
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert said == "1\n" and provenance.cores() == len(os.sched_getaffinity(0))
