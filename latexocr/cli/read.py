"""The verb that reads pictures: transcribe."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from mimetypes import MimeTypes
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, arg

from latexocr.cli import options as shared
from latexocr.cli.options import Generate, Loading, Verb
from latexocr.errors import UserError
from latexocr.latex.delimiters import wrapped
from latexocr.reading import GenerateConfig
from latexocr.wording import counted

if TYPE_CHECKING:
    from latexocr.bench.transcripts import Transcript
    from latexocr.data.inputs import Inputs
    from latexocr.records import Prediction


SPELLED = {n: chr(n).encode("unicode_escape").decode() for n in (*range(32), *range(127, 160))}
"""Signs in names and answers that would steer a terminal or break a line, as they are printed. All else stays
(`wording.visible` spells out blanks and joiners too): a line is to name its file as the file system does."""


@dataclass(frozen=True)
class Transcribe:
    paths: Annotated[Positional[tuple[str, ...]], arg(metavar="INPUT ...")]
    """Pictures, folders, 'patterns', PDFs, URLs, lists (.txt, .jsonl, .csv), "-" (a list on stdin), or "clipboard"."""
    model: str = "builtin"
    """"builtin", a model or adapter folder, hub name, or a server's URL (http://host:8000/v1; several with commas)."""
    out: Annotated[Path | None, arg(metavar="PLACE")] = None
    """A folder, for results.jsonl and results.html: the current one unless given; a lone picture is only printed.
    Or a file: .jsonl, .csv, .md, .tex, .mml or .html."""
    wrap: Literal["auto", "none", "inline", "dollars", "parentheses", "display", "equation"] = "auto"
    """Delimiters: none, inline $ $, dollars $$ $$, parentheses \\( \\), display \\[ \\], equation.
    auto: those of the format."""
    boxes: Annotated[Path | None, arg(metavar="FILE")] = None
    """Where formulas are on the pages of PDFs: [{"page": 3, "box": [left, top, right, bottom]}, ...], in points."""
    min_confidence: Annotated[float, arg(metavar="0-1")] = 0.0
    """Leave answers of less confidence for a person: not printed, marked in results.html, listed on stderr."""
    retry_errors: bool = False
    """Read pictures again that failed in an earlier run."""
    generate: Generate = GenerateConfig()
    loading: Annotated[Loading, arg(name="")] = Loading()


def transcribe(options: Transcribe) -> int:
    _check(options)
    inputs = _inputs(options)
    shown = _Shown(options)
    alone = options.out is None and _is_one(inputs)
    if alone:
        for prediction in shared.load(options.model, options.generate, options.loading).read(iter(inputs)):
            shown.plainly(prediction)
        return 1 if shown.failed else 0
    return _into(options, inputs, shown)


def _check(options: Transcribe) -> None:
    if not options.paths:
        raise UserError("no pictures given. Give pictures or folders, for example: latexocr transcribe examples/")
    if not all(map(str.strip, options.paths)):
        raise UserError("a name without letters is given (by a variable that is not set?). Give pictures or folders.")
    if not 0 <= options.min_confidence <= 1:
        raise UserError(f"--min-confidence is {options.min_confidence:g}; it must be between 0 and 1.")


def _inputs(options: Transcribe) -> Inputs:
    from latexocr.data.boxes import Boxes, read_boxes
    from latexocr.data.inputs import Inputs

    return Inputs(options.paths, read_boxes(options.boxes) if options.boxes else Boxes())


def _is_one(inputs: Inputs) -> bool:
    """Whether this is one picture, and not a folder, which may grow."""
    lone = len(inputs.words) == 1 and not os.path.isdir(inputs.words[0])
    return lone and len(list(islice(inputs, 2))) == 1


def _into(options: Transcribe, inputs: Inputs, shown: _Shown) -> int:
    """Transcribe into a folder; make the file that is asked for."""
    from latexocr.bench.folder import read_runs
    from latexocr.bench.outputs import FORMATS, write_as
    from latexocr.bench.transcripts import COLUMN, ON_PAGE, UNSURE, transcribe, write_page

    out = options.out or Path()
    asked = _ending_of(out, (*FORMATS, ".html"))
    folder = out.with_name(out.name + ".run") if asked else out
    run = shared.run_record(options.model, _named(options.paths), [], options.generate, options.loading)
    run = replace(run, data_sha256="")  # Pictures may be added; each is compared with what was read of it.
    done = transcribe(lambda: shared.load(options.model, options.generate, options.loading), lambda: iter(inputs),
                      folder, run, retry_errors=options.retry_errors, show=shown.with_name)
    page = out if asked == ".html" else folder / f"{COLUMN}.html"
    if asked in FORMATS:
        write_as(out, done.results, options.wrap)
    else:
        write_page(page, lambda: iter(inputs), done, read_runs(folder)[COLUMN], options.min_confidence or UNSURE)
    _say(" and ".join(map(str, [out] if asked else [done.results, page])))
    if done.n > ON_PAGE and asked not in FORMATS:
        _say(f"{page} shows the first {ON_PAGE:,} of {done.n:,} pictures")
    return _ending(done, shown)


def _ending_of(out: Path, known: Sequence[str]) -> str:
    """The ending of the file that is asked for, "" for a folder. Raises UserError where it is of no known format."""
    ending = out.suffix.lower()
    if ending in known or out.is_dir():
        return "" if out.is_dir() else ending
    if MimeTypes().guess_type(out.name)[0]:  # By Python's own table, the same on every machine.
        raise UserError(f"--out {out}: found {ending}, expected a file that ends in {', '.join(known)}, or a folder.")
    return ""


def _named(words: Sequence[str]) -> str:
    """What was given, for the record of the run, which must not grow with it."""
    return ", ".join(words[:20]) + (f" and {len(words) - 20} more" if len(words) > 20 else "")


class _Shown:
    """What is printed of each prediction: the formula on stdout, also of a failure; reasons on stderr."""

    def __init__(self, options: Transcribe) -> None:
        self._wrap, self._least = options.wrap.replace("auto", "none"), options.min_confidence
        self.failed = self.for_review = 0

    def with_name(self, prediction: Prediction) -> None:
        """A line: name, tab, formula."""
        if self._is_sure(prediction):
            formula = " ".join(wrapped(prediction.latex, self._wrap).split())
            _print(f"{prediction.id.translate(SPELLED)}\t{formula.translate(SPELLED)}")

    def plainly(self, prediction: Prediction) -> None:
        """The formula and nothing else, for a pipe."""
        if self._is_sure(prediction) and prediction.stop != "error":
            _print(wrapped(prediction.latex, self._wrap))

    def _is_sure(self, prediction: Prediction) -> bool:
        """Whether an answer is to be printed; what is to be said of it is said."""
        if prediction.stop == "error":
            self.failed += 1
            named = f"/{prediction.error.partition(': ')[0]}".endswith(f"/{prediction.id}")
            _say(prediction.error if named else f"{prediction.id}: {prediction.error}")
        elif self._least and (prediction.confidence is None or prediction.confidence < self._least):
            self.for_review += 1
            known = "no confidence" if prediction.confidence is None else f"confidence {prediction.confidence:.4g}"
            _say(f"{prediction.id}: {known}, below {self._least:g}: for review")
            return False
        return True


def _print(line: str) -> None:
    """A line on stdout. Raises UserError where it cannot be written to."""
    try:
        print(line, flush=True)
    except BrokenPipeError:  # Whoever reads has seen enough: the end of the program.
        raise
    except OSError as e:
        raise UserError(f"Standard output cannot be written to ({e.strerror}).") from e


def _say(what: str) -> None:
    print(f"latexocr: {' '.join(what.translate(SPELLED).split())}", file=sys.stderr)


def _ending(done: Transcript, shown: _Shown) -> int:
    """The last lines; the exit code."""
    if shown.for_review:
        _say(f"{shown.for_review} of {counted(done.read, 'answer')} for review")
    if done.read:
        _say(_speed(done))
    if done.failures:
        _say(f"{done.failures:,} of {counted(f'{done.n:,}', 'picture')} could not be read; --retry-errors tries again.")
    return 1 if done.failures else 0


def _speed(done: Transcript) -> str:
    seconds = max(done.seconds, 1e-9)
    parts = [counted(f"{done.read:,}", "picture"), f"errors: {done.failures:,}",
             f"{done.read / seconds:.3g} pictures/s"]
    if done.latency is not None and done.latency.n:
        parts += [f"answers within {done.latency.percentile(0.5):.2g} s (p50), {done.latency.percentile(0.95):.2g} s "
                  "(p95)"]
    return ", ".join([*parts, f"{done.tokens / seconds:.3g} tokens/s"])


VERBS = {
    "transcribe": Verb("Turn pictures of formulas into LaTeX.", "latexocr transcribe examples/ --out results",
                       lambda: Transcribe, transcribe),
}
