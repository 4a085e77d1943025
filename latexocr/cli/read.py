"""The verb that reads pictures: transcribe."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from latexocr.cli import options as shared
from latexocr.cli.options import Generate, Loading, Verb
from latexocr.errors import UserError
from latexocr.reading import GenerateConfig

if TYPE_CHECKING:
    from latexocr.records import Prediction, Sample


@dataclass(frozen=True)
class Transcribe:
    paths: Annotated[Positional[tuple[Path, ...]], arg(metavar="PATH ...")]
    """Pictures, folders of pictures, or JSON lines that name pictures."""
    model: str = "builtin"
    """"builtin", a model or adapter folder, a hub name, or the URL of a server (http://host:8000/v1)."""
    out: Annotated[Path | None, arg(metavar="FOLDER")] = None
    """Where results.jsonl and results.html go: the current folder unless given. A lone picture is only printed then."""
    retry_errors: bool = False
    """Read pictures again that failed in an earlier run."""
    generate: Generate = GenerateConfig()
    loading: Annotated[Loading, arg(name="")] = Loading()


def transcribe(options: Transcribe) -> int:
    from latexocr.bench.run import Deferred
    from latexocr.bench.transcripts import transcribe as into_folder

    samples = _pictures(options.paths)
    reader = Deferred(lambda: shared.load(options.model, options.generate, options.loading))
    if options.out is None and len(samples) == 1 and options.paths[0].is_file():
        predictions = list(reader.read(samples))
        for prediction in predictions:
            _print(prediction)
    else:
        out = options.out or Path()
        run = shared.run_record(options.model, ", ".join(map(str, options.paths)), samples, options.generate,
                                options.loading)
        run = replace(run, data_sha256="")  # Pictures may be added; each is compared with what was read of it.
        predictions = into_folder(reader, samples, out, run, retry_errors=options.retry_errors, show=_print)
        print(f"latexocr: {out / 'results.jsonl'} and {out / 'results.html'}", file=sys.stderr)
    return _ending(predictions)


def _pictures(paths: Sequence[Path]) -> list[Sample]:
    """The samples of all paths. With several, ids are the paths as given, so that equal names stay apart."""
    from latexocr.data.sources import load

    if not paths:
        raise UserError("no pictures given. Give pictures or folders, for example: latexocr transcribe examples/")
    if len(paths) == 1:
        return load(str(paths[0]))
    found: dict[str, Sample] = {}
    for path in paths:
        for sample in load(str(path)):
            whole = path.is_file() and path.suffix != ".jsonl"
            found.setdefault(str(path if whole else path / sample.id), sample)
    return [replace(sample, id=id) for id, sample in found.items()]


def _print(prediction: Prediction) -> None:
    """One line on stdout, also for a failure; its reason goes to stderr."""
    print(f"{prediction.id}\t{' '.join(prediction.latex.split())}", flush=True)
    if prediction.stop == "error":
        print(f"latexocr: {prediction.id}: {prediction.error}", file=sys.stderr)


def _ending(predictions: Sequence[Prediction]) -> int:
    failed = sum(prediction.stop == "error" for prediction in predictions)
    if failed:
        print(f"latexocr: {failed} of {len(predictions)} pictures could not be read; --retry-errors tries them again.",
              file=sys.stderr)
    return 1 if failed else 0


VERBS = {
    "transcribe": Verb("Turn pictures of formulas into LaTeX.", "latexocr transcribe examples/ --out results",
                       lambda: Transcribe, transcribe),
}
