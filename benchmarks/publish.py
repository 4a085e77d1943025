"""Copy what may be published of a benchmark run: record, predictions, and the report without its rows; and check it.

    python benchmarks/publish.py runs/im2latex benchmarks/results/im2latex_sample
    python benchmarks/publish.py score benchmarks/results/crohme_2014 crohme:data/test2014 tuned=crohme:data/train
    python benchmarks/publish.py table benchmarks/results/*/report.json        # the rows of the README, and signatures
    python benchmarks/publish.py differences benchmarks/results/*/report.json  # each column against the first
    python benchmarks/publish.py endless benchmarks/results/*/predictions-base.jsonl    # answers without an end

The rows of a report hold the references, and the page the pictures: other people's data, which stays out of here.
Columns that were predictions files of other runs bring those runs' records: read.json. `score` makes the report again
from the published predictions, with the code of today and no model, and keeps what reading cost; COLUMN=SPEC names what
a column was trained on.
Data that is not the one that was read is refused.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from latexocr.bench.contamination import Training
from latexocr.bench.folder import read_runs
from latexocr.bench.judge import evaluate
from latexocr.bench.report import as_json, difference, p_value, shown
from latexocr.bench.run import draw
from latexocr.data.overlap import overlap
from latexocr.data.sources import content_hash, load
from latexocr.errors import UserError
from latexocr.provenance import write_text
from latexocr.records import read_predictions
from latexocr.scoring.metrics import Comparison
from latexocr.scoring.statistics import wilson

METRICS = {"exact_surface": "exact, surface %", "exact_syntax": "exact, syntax %",
           "exact_visual": "**exact, visual %**", "edit_distance": "edit distance %", "bleu": "BLEU"}


def publish(run: Path, out: Path) -> None:
    """Write `run.json`, `read.json`, `predictions-*.jsonl` and `report.json` of a run to OUT."""
    out.mkdir(parents=True, exist_ok=True)
    if found := dict(readings(run)):
        write_text(out / "read.json", json.dumps(found, indent=2, ensure_ascii=False) + "\n")
    for source in (run / "run.json", *run.glob("predictions-*.jsonl")):
        shutil.copy(source, out / source.name)
    report = json.loads((run / "report.json").read_text(encoding="utf-8"))
    text = json.dumps({**report, "rows": []}, indent=1, ensure_ascii=False)
    (out / "report.json").write_text(text + "\n", encoding="utf-8")


def readings(run: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Columns of a run that were predictions files, with the records of the runs that wrote these files."""
    for name, column in read_runs(run).items():
        file = Path(column.model)
        written = read_runs(file.parent) if file.suffix == ".jsonl" else {}
        if found := written.get(file.stem.removeprefix("predictions-")):
            yield name, asdict(found)


def score(results: Path, spec: str, trained: list[str]) -> None:
    """Replace `report.json` of published results by that of their predictions under today's rules."""
    runs = read_runs(results)
    samples = draw(load(spec), min(run.n for run in runs.values()))
    if {run.data_sha256 for run in runs.values()} != {content_hash(samples)}:
        raise UserError(f"{spec}: not the samples that {results} was read from.")
    columns = {name: read_predictions(results / f"predictions-{name}.jsonl") for name in runs}
    known = {name: Training(data, overlap(samples, load(data)))
             for name, _, data in (one.partition("=") for one in trained)}
    read = json.loads((results / "report.json").read_text(encoding="utf-8"))
    report = as_json(evaluate(samples, columns, runs, trained=known)) | {"rows": [], "costs": read["costs"]}
    write_text(results / "report.json", json.dumps(report, indent=1, ensure_ascii=False) + "\n")


def table(paths: list[Path]) -> str:
    """Published reports as a table in Markdown, a row for each of their columns, and the signatures below it."""
    lines = [f"<!-- results: {' '.join(METRICS)} -->", f"| data | model | n | {' | '.join(METRICS.values())} |",
             "|---" * (3 + len(METRICS)) + "|"]
    signatures: dict[str, None] = {}
    for path in paths:
        for column, scores in json.loads(path.read_text(encoding="utf-8"))["scores"].items():
            named = {score["metric"]: score for score in scores}
            cells = [_cell(named[metric]) for metric in METRICS]
            n = named["exact_visual"]["n"]
            lines.append(f"| [{path.parent.name}]({path}) | {column} | {n} | {' | '.join(cells)} |")
            signatures |= {named[metric]["signature"]: None for metric in METRICS}
    return "\n".join([*lines, "", *(f"    {signature}" for signature in signatures)])


def differences(paths: list[Path]) -> str:
    """Published comparisons at the visual level as a table in Markdown, a row for each column but the first."""
    lines = ["| data | column | against | n | exact, visual, points | p | verdict |", "|---" * 7 + "|"]
    for path in paths:
        report = json.loads(path.read_text(encoding="utf-8"))
        for column, compared in report["comparisons"].items():
            found = next(Comparison(**one) for one in compared if one["metric"] == "exact_visual")
            lines.append(f"| [{path.parent.name}]({path}) | {column} | {next(iter(report['scores']))} | {found.n} | "
                         f"{difference(found)} | {p_value(found.p)} | {found.verdict} |")
    return "\n".join(lines)


def endless(paths: list[Path]) -> str:
    """How many answers of predictions files had to be cut off, or are empty; where nothing could be read counts too."""
    answers = [answer for path in paths for answer in read_predictions(path)]
    bad = [answer.id for answer in answers if answer.stop != "end" or not answer.latex]
    low, high = (f"{100 * bound:.2f}" for bound in wilson(len(bad), len(answers)))
    return "\n".join([f"{len(bad)} of {len(answers)} answers cut off or empty: {100 * len(bad) / len(answers):.2f} % "
                      f"[{low}, {high}]", *bad])


def _cell(score: dict) -> str:
    value, low, high = (shown(score[key], score["metric"]) for key in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"


TABLES = {"table": table, "differences": differences, "endless": endless}


if __name__ == "__main__":
    try:
        if len(sys.argv) > 2 and sys.argv[1] in TABLES:
            print(TABLES[sys.argv[1]]([Path(path) for path in sys.argv[2:]]))
        elif len(sys.argv) > 3 and sys.argv[1] == "score":
            score(Path(sys.argv[2]), sys.argv[3], sys.argv[4:])
        elif len(sys.argv) == 3:
            publish(Path(sys.argv[1]), Path(sys.argv[2]))
        else:
            sys.exit("publish.py: expected RUN OUT, score RESULTS SPEC, table or differences REPORT..., or endless "
                     f"PREDICTIONS...\n{__doc__}")
    except UserError as e:
        sys.exit(f"publish.py: {e}")
    except (OSError, ValueError, LookupError, TypeError) as e:
        sys.exit(f"publish.py: not the folder or report of a finished run ({type(e).__name__}: {e})")
