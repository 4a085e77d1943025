"""The verbs that measure: bench, which reads and scores; those that need no model are in `scores`."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from latexocr.cli import options as shared
from latexocr.cli import scores
from latexocr.cli.options import Folder, Generate, Loading, Verb
from latexocr.reading import GenerateConfig


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


def bench(options: Bench) -> int:
    from latexocr.bench.contamination import training_of
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
        run = shared.run_record(model, options.data, samples, options.generate, options.loading)
        reader = (recorded(Path(model), everything, samples) if model.endswith(".jsonl")
                  else Deferred(partial(shared.load, model, options.generate, options.loading)))
        columns[name] = record(reader, samples, options.out, name, run, retry_errors=options.retry_errors)
    runs = read_runs(options.out)
    trained = {name: known for name, model in models.items() if (known := training_of(model, samples))}
    report = evaluate(samples, columns, {name: runs[name] for name in columns}, trained=trained)
    write_report(report, samples, options.out)
    print(table(report))
    print(f"latexocr: {options.out / 'report.html'} and {options.out / 'report.json'}", file=sys.stderr)
    return 0


VERBS = {
    "bench": Verb("Measure a model, or compare two, on pictures with known formulas.",
                  "latexocr bench --data crohme:test2014 --tuned runs/a --out runs/bench",
                  lambda: Bench, bench),
} | scores.VERBS
