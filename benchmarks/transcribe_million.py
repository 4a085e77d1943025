"""Memory and time of `latexocr transcribe` over very many pictures: hard links, and a reader that answers at once.

    python benchmarks/transcribe_million.py /tmp/million 10000 100000 1000000

Each size is transcribed in a process of its own from an empty folder, then started again when all is done, and once
more after half of the results were cut off. Prints seconds of a processor, starting Python and making the page of the
first 2,000 pictures among them, and the most memory that the process held.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

WORKER = """
import resource, sys
from latexocr import cli
from latexocr.bench import transcripts
from latexocr.records import Prediction

class Stub:
    def read(self, samples):
        for sample in samples:
            yield Prediction(sample.id, "x_{1}^{2}+y_{1}^{2}=z", "x_{1}^{2}+y_{1}^{2}=z", 17, confidence=0.987)

cli.options.load = lambda *_: Stub()
code = cli.main(sys.argv[1:])
used = resource.getrusage(resource.RUSAGE_SELF)
print(f"{used.ru_utime + used.ru_stime:.1f} s, {used.ru_maxrss // 1024} MB, exit code {code}", file=sys.stderr)
"""


def grow(folder: Path, n: int, *, flat: bool) -> None:
    """A folder with n pictures, all the same file: a thousand in each folder of it, or all in one."""
    source = Path(__file__).parent.parent / "examples/matrix.png"
    folder.mkdir(parents=True)
    for number in range(n):
        inside = folder / "all" if flat else folder / f"{number // 1000:04d}"
        if number % 1000 == 0:
            inside.mkdir(exist_ok=True)
        picture = inside / f"{number:07d}.png"
        if number % 30_000 == 0:  # a file may have no more than some 65,000 names
            original = shutil.copy(source, picture)
        else:
            os.link(original, picture)


def timed(*arguments: object) -> str:
    """The last line that a transcription says of itself."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", WORKER, "transcribe", *map(str, arguments)]
    with tempfile.TemporaryFile("w+") as said:  # not in memory: a process begins with its parent's as its most
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=said, env=environment)
        said.seek(0)
        return said.readlines()[-1].strip()


def main() -> None:
    place = Path(sys.argv[1])
    for size in map(int, sys.argv[2:]):
        for flat in (False, True):
            folder, out = place / "in", place / "out"
            shutil.rmtree(place, ignore_errors=True)
            grow(folder, size, flat=flat)
            arguments = (folder, "--model", "http://127.0.0.1:9/v1", "--out", out)
            print(f"{size:,} pictures, {'in one folder' if flat else 'a thousand a folder'}: {timed(*arguments)}; "
                  f"again: {timed(*arguments)}", end="", flush=True)
            results = out / "results.jsonl"
            os.truncate(results, results.stat().st_size // 2)
            print(f"; after half: {timed(*arguments)}", flush=True)
    shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    main()
