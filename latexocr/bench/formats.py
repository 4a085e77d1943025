"""A Report for other places: Markdown for a pull request, a table for a paper, a card for the hub.

Takes a Report, gives text; names and data of others are escaped for each. Computes no score.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import isfinite

from latexocr.bench.changes import Change, changes
from latexocr.bench.judge import HEADLINE, Report
from latexocr.bench.lines import MAIN, Line, lines
from latexocr.bench.report import SHOWN, difference, interval, p_value, shown, verdict_line, warnings
from latexocr.scoring.metrics import Comparison, Score
from latexocr.wording import counted

PAPER = {"exact_syntax": "Exact, syntax", HEADLINE: "Exact, visual", "edit_distance": "Edit dist.", "bleu": "BLEU"}
"""Columns of the table for a paper, which are as many as an article is wide, with their heads."""

HUB = {HEADLINE: "exact_match", "exact_syntax": "exact_match", "edit_distance": "edit_distance", "bleu": "sacrebleu"}
"""Metrics of a card, with the names that the hub knows them by."""


def markdown(report: Report) -> str:
    """Verdict, main scores, where it got better and worse, and what they rest on."""
    changed = changes(report)
    found = [f"### {_md(change.heading())}\n\n{_md(verdict_line(report.scores, name, report.comparisons[name]))}\n"
             for name, change in changed.items()]
    return "\n".join([
        *found, _md_scores([line for line in lines(report) if line.metric in MAIN], list(report.scores)),
        *(_md_changes(change) for change in changed.values()), *(f"- {_md(warning)}" for warning in warnings(report)),
        *([""] if warnings(report) else []), _md_rests_on(report)])


def _md(text: str) -> str:
    """Text that Markdown and HTML leave as it is, in one line."""
    return re.sub(r"([\\`*_\[\]#|~@])", r"\\\1", " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;"))


def _md_scores(shown_lines: Sequence[Line], columns: Sequence[str]) -> str:
    """One other column is compared in columns of their own; of more, each has its difference below its score."""
    apart = columns[1:] if len(columns) == 2 else []
    head = ["metric", *columns, *(cell for name in apart for cell in (f"{name} − {columns[0]}", "verdict"))]
    rows = [head, ["---"] + ["---:"] * len(columns) + ["---:", "---"] * len(apart)]
    for line in shown_lines:
        name = f"{line.label} {line.arrow} {line.unit}".strip()
        row = [f"**{name}**" if line.metric == HEADLINE else name]
        row += [interval(line.scores[c]) + ("" if apart else _md_below(line.comparisons.get(c))) for c in columns]
        for c in (line.comparisons.get(other) for other in apart):
            row += [difference(c), f"{c.verdict.partition(' (')[0]}, p {_equals(c.p)}"] if c else ["", ""]
        rows.append(row)
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def _md_below(c: Comparison | None) -> str:
    return f"<br>{difference(c)}{' *' if c.verdict in ('better', 'worse') else ''}" if c else ""


def _equals(p: float) -> str:
    return p_value(p) if p < 0.001 else f"= {p_value(p)}"


def _md_changes(change: Change) -> str:
    return f"**Worse.** {_md(change.worse_sentence())}\n\n**Better.** {_md(change.better_sentence())}\n"


def _md_rests_on(report: Report) -> str:
    first = next(iter(report.scores.values()))
    runs = [f"- {_md(name)}: {_md(run.model)}, on {counted(run.n, 'sample')} of {_md(run.data)} "
            f"(sha256 {run.data_sha256[:12]})"
            for name, run in report.runs.items()]
    signatures = [f"- `{score.signature}`" for score in first if score.metric in MAIN]
    legend = f"n = {_pairs(report)}; in brackets, 95 % intervals; ↑ higher is better, ↓ lower{_stars(report)}"
    return "\n".join([f"<details><summary>{legend}</summary>", "", *runs, *signatures, "", "</details>", ""])


def _stars(report: Report) -> str:
    base, *others = report.scores
    return f"; below, the difference from {_md(base)}, * where there is shown to be one" if len(others) > 1 else ""


def _pairs(report: Report) -> int:
    """Samples that the headline counts."""
    return next(score.n for score in next(iter(report.scores.values())) if score.metric == HEADLINE)


def latex_table(report: Report) -> str:
    """A table of booktabs: a row a model. An asterisk says that the difference from the first is shown; the signatures
    of the numbers are comments."""
    chosen = [line for line in lines(report) if line.metric in PAPER]
    head = " & ".join(_tex(f"{PAPER[line.metric]} {line.arrow}") for line in chosen)
    rows = [f"{_tex(name)} & {' & '.join(_tex_cell(line, name) for line in chosen)} \\\\" for name in report.scores]
    data = next((run.data for run in report.runs.values()), "")
    caption = (f"Formula recognition on {counted(_pairs(report), 'sample')}{f' of {data}' if data else ''}; "
               "all from 0 to 100, with 95 % intervals")
    star = f" $^*$: differs from {_tex(next(iter(report.scores)))} (paired, $p < 0.05$)." if report.comparisons else ""
    comments = [f"% {_tex(name)}: {_tex(run.model)}" for name, run in report.runs.items()]
    comments += [f"% {line.scores[next(iter(report.scores))].signature}" for line in chosen]
    return "\n".join([*comments, r"\begin{table}", r"\centering\small", rf"\caption{{{_tex(caption)}.{star}}}",
                      rf"\begin{{tabular}}{{l{'r' * len(chosen)}}}", r"\toprule", rf"model & {head} \\", r"\midrule",
                      *rows, r"\bottomrule", r"\end{tabular}", r"\end{table}", ""])


_TEX = {**{sign: f"\\{sign}" for sign in "&%$#_{}"}, "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
        "\\": r"\textbackslash{}", "≤": r"$\leq$", "↑": r"$\uparrow$", "↓": r"$\downarrow$"}


def _tex(text: str) -> str:
    """Text that TeX prints as it is, in one line; of letters that a plain document has no font for, question marks."""
    return "".join(_TEX.get(sign, sign if sign.isascii() and sign.isprintable() else "?")
                   for sign in " ".join(text.split()))


def _tex_cell(line: Line, name: str) -> str:
    score, compared = line.scores[name], line.comparisons.get(name)
    star = "$^*$" if compared and compared.verdict in ("better", "worse") else ""
    ends = ", ".join(shown(end, score.metric).replace("–", "--") for end in (score.low, score.high))
    return rf"{shown(score.value, score.metric).replace('–', '--')}{star} {{\scriptsize [{ends}]}}"


def card(report: Report, column: str) -> str:
    """A model card of one column: the hub reads the scores from its head, a person the same table as in `markdown`."""
    from huggingface_hub import EvalResult, ModelCardData

    run = report.runs.get(column)
    source, data = (run.data, run.data_sha256) if run else ("", "")
    found = {score.metric: score for score in report.scores[column]}
    results = [EvalResult(
        task_type="image-to-text", task_name="Formula recognition", dataset_name=source or "unknown",
        dataset_type=_dataset(source), dataset_args={"sha256": data}, metric_type=HUB[line.metric],
        metric_name=f"{line.label} ({line.unit})" if line.unit else line.label,
        metric_value=_value(found[line.metric]), metric_args=_rests_on(found[line.metric]),
    ) for line in lines(report) if line.metric in HUB and isfinite(found[line.metric].value)]
    head = ModelCardData(model_name=run.model if run else column, eval_results=results, pipeline_tag="image-to-text",
                         library_name="latexocr", tags=["latex", "ocr", "mathematics"])
    return f"---\n{head.to_yaml()}\n---\n\n# {_md(run.model if run else column)}\n\n{markdown(report)}"


def _dataset(source: str) -> str:
    """The hub's name of a data set that is there, else the SPEC as one word."""
    if source.startswith("hf:"):
        return source.split(":")[1]
    return re.sub(r"[^\w.-]+", "-", source).strip("-") or "unknown"


def _value(score: Score) -> float:
    return round(score.value * 100 if SHOWN[score.metric].unit == "%" else score.value, 2)


def _rests_on(score: Score) -> dict[str, str | int]:
    return {"interval": f"{shown(score.low, score.metric)} to {shown(score.high, score.metric)} (95 %)", "n": score.n,
            "signature": score.signature}
