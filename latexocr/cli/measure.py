"""The verbs that measure: bench, which reads and scores, and gate; those that need no model are in `scores`."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from latexocr.cli import options as shared
from latexocr.cli import scores
from latexocr.cli.options import Folder, Generate, Loading, Verb
from latexocr.errors import UserError
from latexocr.reading import BATCH, GenerateConfig

if TYPE_CHECKING:
    from latexocr.bench.readings import Column
    from latexocr.records import Sample


@dataclass(frozen=True)
class Bench:
    data: str
    """Pictures with references, a SPEC as everywhere; or suite:NAME, or suite:NAME=SPEC where its data lies there."""
    out: Folder
    """Folder of this run. A run that was stopped continues; one of other settings is never overwritten."""
    base: str = "builtin"
    """A model, as for transcribe, or a predictions file (.jsonl) of anybody."""
    tuned: str | None = None
    """A second model or predictions file, compared with the first."""
    model: Annotated[tuple[str, ...], arg(metavar="NAME=WHAT ...")] = ()
    """More of them, each compared with the base: merged=models/a served=http://127.0.0.1:8000/v1 theirs=gpt.jsonl."""
    choose_prompt_on: Annotated[str | None, arg(metavar="SPEC")] = None
    """Pictures with references, none of those that are scored.
    An untuned base of several declared prompts reads up to 200 of them with each: the best is what it is asked."""
    limit: int | None = None
    """Take this many samples, drawn at random; a larger limit holds those of a smaller one."""
    retry_errors: bool = False
    """Read samples again that failed in an earlier run."""
    layout: bool = False
    """Also draw every formula with TeX, and compare where each sign stands."""
    robust: int | None = None
    """Also read this many of the pictures after each of 19 kinds of damage at three strengths: 57 times as many."""
    probe: int | None = None
    """Also read this many again, and once more one at a time: answers that change are noise, and bound any gain."""
    dollars_per_hour: float | None = None
    """Price of this machine: gives the cost of 1,000 formulas."""
    generate: Generate = GenerateConfig()
    loading: Annotated[Loading, arg(name="")] = Loading()


def bench(options: Bench) -> int:
    from latexocr.bench.contamination import training_of
    from latexocr.bench.folder import read_runs
    from latexocr.bench.judge import evaluate, refuse_bare
    from latexocr.bench.readings import More, read, with_more
    from latexocr.bench.report import write_report
    from latexocr.bench.run import draw
    from latexocr.bench.suites import suite_of
    from latexocr.bench.terminal import table
    from latexocr.data.sources import load

    _refuse_odd(options)
    models = _models(options)
    suite = suite_of(options.data)
    everything = load(suite.source if suite else options.data)
    if suite:
        suite.check(everything)
    samples, more = draw(everything, options.limit), More(options.probe, options.robust)
    refuse_bare(samples)  # Now, not after hours of reading.
    asked = {name: _asked(options, name, model, samples) for name, model in models.items()}
    columns = {name: _column(asked[name], name, model, everything, samples) for name, model in models.items()}
    readings = {name: read(column, samples, options.out, more, retry_errors=options.retry_errors)
                for name, column in columns.items()}  # All columns are known good before the first is read.
    runs = read_runs(options.out)
    trained = {name: known for name, model in models.items() if (known := training_of(model, samples))}
    report = evaluate(samples, {name: one.all for name, one in readings.items()}, {name: runs[name] for name in models},
                      trained=trained, layout=options.layout)
    report = with_more(report, samples, readings, runs, more, options.dollars_per_hour)
    write_report(report, samples, options.out)
    print(table(report))
    print(f"latexocr: {options.out / 'report.html'} and {options.out / 'report.json'}", file=sys.stderr)
    return 0


def _refuse_odd(options: Bench) -> None:
    """Raise UserError on a number that means nothing: now, not after hours of reading."""
    shared.refuse_below(1, limit=options.limit, probe=options.probe, robust=options.robust)
    if options.choose_prompt_on and options.generate.prompt:
        raise UserError("--prompt names a prompt, and --choose-prompt-on is to find one: give one of them.")
    if options.dollars_per_hour is not None and not 0 <= options.dollars_per_hour < float("inf"):
        raise UserError(f"--dollars-per-hour {options.dollars_per_hour}: expected 0 or more.")


def _models(options: Bench) -> dict[str, str]:
    """Name of each column -> model or predictions file."""
    found = {"base": options.base} | ({"tuned": options.tuned} if options.tuned else {})
    for given in options.model:
        name, equals, what = given.partition("=")
        if not equals or not what or not re.fullmatch(r"[A-Za-z0-9_-]+", name):
            raise UserError(f"--model {given}: expected NAME=WHAT, the name of letters, digits, - and _, for example "
                            "merged=models/a.")
        if name.lower() in map(str.lower, found):  # Names become file names.
            raise UserError(f"--model {given}: there is a column '{name}' already. Give another name.")
        found[name] = what
    return found


def _asked(options: Bench, name: str, model: str, samples: Sequence[Sample]) -> Bench:
    """The options of one column: those given, with the prompt that its base reads best with where there is a choice."""
    from latexocr.bench import prompts
    from latexocr.data.sources import load

    declared = () if options.generate.prompt else prompts.candidates(model, download=options.loading.download)
    if not declared:
        return replace(options, choose_prompt_on=None)
    if not options.choose_prompt_on:
        print(f"latexocr: {name} is asked with the first of its declared prompts ({', '.join(declared)}); "
              "--choose-prompt-on SPEC finds out which it reads best with.", file=sys.stderr)
        return options
    others = prompts.apart(load(options.choose_prompt_on), samples)

    def column(prompt: str) -> Column:
        tried = replace(options, data=options.choose_prompt_on, choose_prompt_on=None,
                        generate=replace(options.generate, prompt=prompt))
        return _column(tried, f"{name}-{prompt}", model, others, others)

    choice = prompts.choose(declared, column, others, options.out)
    print(f"latexocr: {name} is {choice.sentence()}", file=sys.stderr)
    return replace(options, generate=replace(options.generate, prompt=choice.prompt))


def _column(options: Bench, name: str, model: str, everything: Sequence[Sample], samples: Sequence[Sample]) -> Column:
    """The column of a model, which is loaded when it is needed, or of a predictions file."""
    from latexocr.bench.readings import Column
    from latexocr.bench.run import Deferred, recorded

    run = shared.run_record(model, options.data, samples, options.generate, options.loading)
    if options.choose_prompt_on:
        run = replace(run, settings={**run.settings, "prompt_chosen_on": options.choose_prompt_on})
    if model.endswith(".jsonl"):
        return Column(name, recorded(Path(model), everything, samples), run)
    reader = Deferred(partial(shared.load, model, options.generate, options.loading))
    at_once = options.generate.batch_size or (None if "://" in model else BATCH)
    return Column(name, reader, run, at_once)


@dataclass(frozen=True)
class Gate:
    report: Annotated[Positional[Path], arg(metavar="REPORT.json")]
    """The report to judge."""
    against: Annotated[Path, arg(metavar="BASELINE.json")]
    """A report of the same data; it may be older, both are counted anew."""
    metric: str = "exact"
    """What must not drop (of an error rate: rise): exact, which is exact_visual; or edit_distance, bleu, any other."""
    allow_drop: float = 0.0
    """Loss that is allowed, in points of per cent, or of BLEU."""
    column: str | None = None
    """Column of the report. Unless given: its only one, or "tuned". The baseline's is the same, or its only one."""
    seed: int = 0
    """Of resampling."""


def gate(options: Gate) -> int:
    from latexocr.bench.gate import gate as judge
    from latexocr.bench.gate import read_column, sentence

    shared.refuse_below(0, seed=options.seed)
    column = read_column(options.report, options.column)
    baseline = read_column(options.against, like=column.name)
    found = judge(column, baseline, options.metric, options.allow_drop, seed=options.seed)
    print(f"{'FAILED' if found.closed else 'passed'}: {sentence(found)}\n{found.signature}")
    return 1 if found.closed else 0


VERBS = {
    "bench": Verb("Measure a model, or compare several, on pictures with known formulas.",
                  "latexocr bench --data crohme:test2014 --tuned runs/a --out runs/bench",
                  lambda: Bench, bench),
    "gate": Verb("Fail where a report is worse than a baseline, and the loss is real.",
                 "latexocr gate runs/new/report.json --against old.json --allow-drop 0.5", lambda: Gate, gate),
} | scores.VERBS
