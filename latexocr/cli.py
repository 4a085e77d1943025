"""The command line: one function a verb. Results on stdout, progress and complaints on stderr.

Exit code 0 when all went well, 1 when some pictures could not be read, 2 for what the user can fix, 130 for Ctrl-C.
Options and their help are made from dataclasses. Models and training are imported by the verb that needs them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro
from tyro.conf import Positional, arg

from latexocr.errors import UserError
from latexocr.reading import GenerateConfig

if TYPE_CHECKING:
    from latexocr.bench.folder import Run
    from latexocr.reading import Reader
    from latexocr.records import Prediction, Sample

Generate = Annotated[GenerateConfig, arg(name="")]
Folder = Annotated[Path, arg(metavar="FOLDER")]


@dataclass(frozen=True)
class Loading:
    device: str = "auto"
    """Where a model runs in this process: auto, cpu, cuda or mps."""
    dtype: str = "auto"
    """Its numbers: auto, float32, bfloat16 or float16."""
    download: bool = False
    """Let a hub model be fetched."""
    trust_remote_code: bool = False
    """Run Python code that the model's folder brings. Only for models you trust as you trust a program."""


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


@dataclass(frozen=True)
class Bench:
    data: str
    """Pictures with references: a folder, FILE.jsonl, im2latex:FOLDER or crohme:FOLDER."""
    out: Folder
    """Folder of this run. A run that was stopped continues; one of other settings is never overwritten."""
    base: str = "builtin"
    """A model, as for transcribe, or a predictions file (.jsonl) of anybody."""
    tuned: str | None = None
    """A second model or predictions file, compared with the first."""
    limit: int | None = None
    """Take this many samples, drawn at random; a larger limit holds those of a smaller one."""
    retry_errors: bool = False
    """Read samples again that failed in an earlier run."""
    generate: Generate = GenerateConfig()
    loading: Annotated[Loading, arg(name="")] = Loading()


@dataclass(frozen=True)
class Score:
    predictions: Annotated[Positional[Path], arg(metavar="FILE")]
    """JSON lines with 'id' and 'latex'."""
    data: str
    """Pictures with references: a folder, FILE.jsonl, im2latex:FOLDER or crohme:FOLDER."""
    against: Annotated[Path | None, arg(metavar="FILE")] = None
    """A second predictions file, the base that the first is compared with."""


@dataclass(frozen=True)
class Export:
    adapter: Annotated[Positional[Path], arg(metavar="ADAPTER")]
    """Folder that `latexocr train` wrote."""
    out: Annotated[Positional[Path], arg(metavar="FOLDER")]
    """Folder of the merged model, for transformers and vLLM."""
    data: str = ""
    """Pictures on which adapter and export must agree; those of the training unless given."""
    download: bool = False
    """Let the base model be fetched from a hub."""
    trust_remote_code: bool = False
    """Run Python code that the model's folder brings. Only for models you trust as you trust a program."""


def transcribe(options: Transcribe) -> int:
    from latexocr.bench.run import Deferred
    from latexocr.bench.transcripts import transcribe as into_folder

    samples = _pictures(options.paths)
    reader = Deferred(lambda: _load(options.model, options.generate, options.loading))
    if options.out is None and len(samples) == 1 and options.paths[0].is_file():
        predictions = list(reader.read(samples))
        for prediction in predictions:
            _print(prediction)
    else:
        out = options.out or Path()
        run = _run(options.model, ", ".join(map(str, options.paths)), samples, options.generate, options.loading)
        run = replace(run, data_sha256="")  # Pictures may be added; each is compared with what was read of it.
        predictions = into_folder(reader, samples, out, run, retry_errors=options.retry_errors, show=_print)
        print(f"latexocr: {out / 'results.jsonl'} and {out / 'results.html'}", file=sys.stderr)
    return _ending(predictions)


def bench(options: Bench) -> int:
    from latexocr.bench.folder import read_runs
    from latexocr.bench.judge import evaluate, refuse_bare
    from latexocr.bench.report import table, write_report
    from latexocr.bench.run import Deferred, draw, record, recorded
    from latexocr.data.sources import load

    everything = load(options.data)
    samples = draw(everything, options.limit)
    refuse_bare(samples)  # Now, not after hours of reading.
    models = {"base": options.base} | ({"tuned": options.tuned} if options.tuned else {})
    columns = {}
    for name, model in models.items():
        run = _run(model, options.data, samples, options.generate, options.loading)
        reader = (recorded(Path(model), everything, samples) if model.endswith(".jsonl")
                  else Deferred(partial(_load, model, options.generate, options.loading)))
        columns[name] = record(reader, samples, options.out, name, run, retry_errors=options.retry_errors)
    runs = read_runs(options.out)
    report = evaluate(samples, columns, {name: runs[name] for name in columns})
    write_report(report, samples, options.out)
    print(table(report))
    print(f"latexocr: {options.out / 'report.html'} and {options.out / 'report.json'}", file=sys.stderr)
    return 0


def score(options: Score) -> int:
    from latexocr.bench.judge import evaluate
    from latexocr.bench.report import table
    from latexocr.data.sources import load
    from latexocr.records import read_predictions

    files = [options.against, options.predictions] if options.against else [options.predictions]
    columns = dict(zip(("base", "tuned"), map(read_predictions, files), strict=False))
    if not options.against:
        columns = {options.predictions.name: columns["base"]}
    print(table(evaluate(load(options.data), columns, runs={})))
    return 0


def train(options: Any) -> int:
    from latexocr.training.lora import train as train_adapter

    print(train_adapter(options))
    return 0


def export(options: Export) -> int:
    from latexocr.data.sources import load
    from latexocr.training.export import export as export_model

    samples = load(options.data) if options.data else None
    print(export_model(options.adapter, options.out, samples=samples, download=options.download,
                       trust_remote_code=options.trust_remote_code))
    return 0


def _train_options() -> type:
    from latexocr.training.lora import TrainConfig

    return TrainConfig


@dataclass(frozen=True)
class Verb:
    summary: str
    example: str
    options: Callable[[], type]
    run: Callable[[Any], int]


VERBS = {
    "transcribe": Verb("Turn pictures of formulas into LaTeX.", "latexocr transcribe examples/ --out results",
                       lambda: Transcribe, transcribe),
    "bench": Verb("Measure a model, or compare two, on pictures with known formulas.",
                  "latexocr bench --data crohme:test2014 --tuned runs/a --out runs/bench",
                  lambda: Bench, bench),
    "score": Verb("Score a predictions file; no model is needed.",
                  "latexocr score predictions.jsonl --data crohme:test2014", lambda: Score, score),
    "train": Verb("Tune a model on your pictures with LoRA.",
                  "latexocr train --data my.jsonl --out runs/a", _train_options, train),
    "export": Verb("Merge an adapter into its base: one folder that vLLM serves.", "latexocr export runs/a models/a",
                   lambda: Export, export),
}


def _usage() -> str:
    lines = ["Pictures of formulas to LaTeX: use it, tune it, measure it.", "", "usage: latexocr VERB [OPTIONS]", ""]
    for name, verb in VERBS.items():
        lines += [f"  {name:<12}{verb.summary}", f"  {'':<12}  {verb.example}"]
    return "\n".join([*lines, "", "Options of a verb: `latexocr VERB --help`. Version: `latexocr --version`."])


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line; the exit code."""
    # Read when torch is loaded. Threads that spin while they wait take the cores from those that work: on two cores
    # that other programs used too, reading took 127 s with spinning and 20 s without.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        code = _dispatch(list(sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()
        return code
    except UserError as e:
        print(f"latexocr: {' '.join(str(e).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nlatexocr: interrupted; the same command continues where it stopped.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # Whoever read the output (`head`) has enough; at exit Python must not try again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def _dispatch(argv: list[str]) -> int:
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(_usage())
        return 0
    if argv[0] in ("-V", "--version"):
        from importlib.metadata import PackageNotFoundError, version

        try:
            print(f"latexocr {version('latexocr')}")
        except PackageNotFoundError:
            print("latexocr, from a folder of source that is not installed")
        return 0
    verb = VERBS.get(argv[0])
    if verb is None:
        raise UserError(f"no verb '{argv[0]}'. There are: {', '.join(VERBS)}; `latexocr --help` shows examples.")
    description = f"{verb.summary}\n\nExample: {verb.example}"
    return verb.run(tyro.cli(verb.options(), prog=f"latexocr {argv[0]}", description=description, args=argv[1:]))


def _load(model: str, generate: GenerateConfig, loading: Loading) -> Reader:
    from latexocr.model import LatexOCRModel

    return LatexOCRModel.load(model, config=generate, **asdict(loading))


def _run(model: str, data: str, samples: Sequence[Sample], generate: GenerateConfig, loading: Loading) -> Run:
    """The run that these options ask for; what changes only the speed is not among its settings."""
    from latexocr.bench.folder import describe

    settings = {**asdict(generate), "dtype": loading.dtype}
    del settings["batch_size"]
    return describe(model, data, samples, settings, download=loading.download)


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


if __name__ == "__main__":
    sys.exit(main())
