"""The script of a GPU lease: what is packed in pieces comes out whole."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "lease.sh"
CALL = 64 * 2**20
"""Bytes that travel with a call, at most."""


def lease(*arguments: object, cwd: Path, **variables: object) -> str:
    done = subprocess.run(["bash", SCRIPT, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, timeout=120,
                          env=os.environ | {"PYTHON": sys.executable} | {k: str(v) for k, v in variables.items()})
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_pieces_fit_a_call_beside_the_checkout_and_are_whole_again(tmp_path):
    checkout, work, sent = tmp_path / "checkout", tmp_path / "work", tmp_path / "hands.npz"
    weights = checkout / "latexocr" / "builtin" / "model.safetensors"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(os.urandom(30 * 2**20))
    (checkout / "large.bin").write_bytes(os.urandom(5 * 2**20))
    sent.write_bytes(os.urandom(40 * 2**20))
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    for order in (["init", "-q"], ["add", "."], ["commit", "-qm", "all"]):
        subprocess.run([*git, *order], cwd=checkout, check=True)
    lease("pack", tmp_path / "pieces", sent, cwd=checkout)
    pieces = sorted((tmp_path / "pieces").iterdir())
    assert [piece.name for piece in pieces] == ["1", "2"]
    for piece in pieces:
        assert (piece / "piece").stat().st_size + 5 * 2**20 < CALL
        lease("take", piece, cwd=checkout, WORK=work)
    with tarfile.open(work / "all.tar") as tar:
        assert tar.extractfile("./hands.npz").read() == sent.read_bytes()
        assert tar.extractfile("./code/latexocr/builtin/model.safetensors").read() == weights.read_bytes()
