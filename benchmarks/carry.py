"""Packs a TeX with all its font sets for a GPU machine without a network: `python benchmarks/carry.py CORPUS FOLDER`.

The pretraining draws its pictures where it trains. This draws formulas of CORPUS (as for pretrain.sh) in every font set
that this machine has, looks with strace at what the programs of TeX open, and packs that into tex-1.tar.xz,
tex-2.tar.xz ... of some 50 MiB each, to be unpacked there as root: `for f in tex-*.tar.xz; do tar xJf $f -C /; done`.
Needs strace, and the Debian packages that pretrain.sh names. Both machines are x86-64.
"""

from __future__ import annotations

import io
import random
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from latexocr.data.fonts import available_fonts
from latexocr.data.typeset import BODY_SIZES, draw
from latexocr.training.stream import TOKEN, load_corpus

LIMIT = 50 * 2**20
"""Bytes of a part, nearly."""
OFTEN, TIMES, SAMPLE = 20, 10, 3000
"""Tokens found so often in the sample are drawn so many times in every font set; formulas looked at for each length."""
TREES = ("/usr/share/texlive/", "/usr/share/texmf/", "/usr/share/fonts/", "/var/lib/texmf/", "/etc/texmf/")
PROGRAMS = ("latex", "dvipng", "kpsewhich")
OF_THE_SYSTEM = re.compile(r"/(libc|libm|libpthread|libdl|ld-linux-x86-64)\.so")
"""Libraries that every machine has, and that must be its own."""
OPENED = re.compile(r'"(/[^"]+)"[^"]*= (?!-1)')
WRAPPER = '#!/bin/sh\nLD_LIBRARY_PATH=/opt/tex exec /opt/tex/{0} "$@"\n'


def telling(corpus: Path) -> list[str]:
    """Formulas that together hold every frequent token of the corpus."""
    chance = random.Random(0)
    pool = [latex for formulas in load_corpus(corpus).classes
            for latex in chance.sample(formulas, min(SAMPLE, len(formulas)))]
    found = Counter(token for latex in pool for token in set(TOKEN.findall(latex)))
    missing = {token: TIMES for token, times in found.items() if times >= OFTEN}
    chosen = []
    for latex in pool:
        tokens = {token for token in TOKEN.findall(latex) if missing.get(token)}
        if tokens:
            chosen.append(latex)
            missing.update({token: missing[token] - 1 for token in tokens})
    return chosen


def opened(formulas: Path, font: str) -> set[str]:
    """Files of TeX that drawing the formulas in a font set opens, in each of the sizes."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        subprocess.run(["strace", "-f", "-qq", "--seccomp-bpf", "-e", "trace=open,openat,execve,access,readlink", "-o",
                        str(log), sys.executable, __file__, "draw", str(formulas), font], check=True)
        found = set(OPENED.findall(log.read_text(errors="replace")))
    return {path for path in found if path.startswith(TREES) and Path(path).is_file()}


def outlines(paths: set[str]) -> set[str]:
    """The glyphs of every font whose measures were read, drawn or not."""
    fonts = {Path(path).stem for path in paths if path.endswith((".tfm", ".vf"))}
    names = {f"{font}.pfb" for font in fonts}
    for line in Path(_found("psfonts.map")[0]).read_text(errors="replace").splitlines():
        if line.split(" ", 1)[0] in fonts:
            names |= {name.lstrip("<[") for name in re.findall(r"<\S+", line)}
    return set(_found(*names))


def _found(*names: str) -> list[str]:
    return subprocess.run(["kpsewhich", *names], capture_output=True, text=True).stdout.split()


def programs() -> Iterator[tuple[str, bytes]]:
    """Names under which the programs and their libraries are packed, and what they hold."""
    for program in PROGRAMS:
        path = shutil.which(program)
        yield f"opt/tex/{program}", Path(path).resolve().read_bytes()
        yield f"usr/local/bin/{program}", WRAPPER.format(program).encode()
        for library in re.findall(r"=> (/\S+)", subprocess.run(["ldd", path], capture_output=True, text=True).stdout):
            if not OF_THE_SYSTEM.search(library):
                yield f"opt/tex/{Path(library).name}", Path(library).read_bytes()


def pack(files: dict[str, bytes], folder: Path) -> None:
    """As few parts as LIMIT allows; what xz still holds back when a part is closed comes to some MiB more."""
    names, number = sorted(files), 0
    while names:
        number += 1
        out = folder / f"tex-{number}.tar.xz"
        with out.open("wb") as raw, tarfile.open(fileobj=raw, mode="w:xz") as tar:
            while names and raw.tell() < LIMIT:
                name = names.pop(0)
                member = tarfile.TarInfo(name)
                member.size, member.mode = len(files[name]), 0o755
                tar.addfile(member, io.BytesIO(files[name]))
        print(f"{out}: {out.stat().st_size / 2**20:.1f} MiB")


def main(corpus: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    listed = folder / "formulas.txt"
    listed.write_text("\n".join(" ".join(latex.split()) for latex in telling(corpus)))
    paths: set[str] = set()
    for number, font in enumerate(available_fonts(), 1):
        paths |= opened(listed, font)
        print(f"{number}/{len(available_fonts())} {font}: {len(paths)} files", flush=True)
    pack({path[1:]: Path(path).read_bytes() for path in paths | outlines(paths)} | dict(programs()), folder)


if __name__ == "__main__":
    if sys.argv[1] == "draw":
        for body in BODY_SIZES:
            draw(Path(sys.argv[2]).read_text().splitlines(), font=sys.argv[3], size=body)
    else:
        main(Path(sys.argv[1]), Path(sys.argv[2]))
