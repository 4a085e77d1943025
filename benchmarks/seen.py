"""What a score rests on: which items the training corpus holds, and how the documents themselves spell them.

    python benchmarks/seen.py formulas.jsonl.gz runs/validation runs/im2latex

For every run: how many references the corpus of the embedded model holds at the syntax level (in another spelling,
perhaps), and the share right at the visual level among them and among the others. For formulas of held-out documents
also the share equal, at each level, to what the documents wrote: the references of drawn pictures are canonical
spellings, and some are tables composed of several formulas. Where documents spell one canonical formula in several
ways, the first counts. Takes four minutes.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from latexocr.latex.canonical import Level, canonical, equal
from latexocr.training import stream


def spellings(corpus: Path, *, validation: bool = False) -> Iterator[tuple[str, str]]:
    """Syntax form and own spelling of every formula of a split."""
    for formulas in stream.load_corpus(corpus, validation=validation).classes:
        for latex in formulas:
            yield canonical(latex, Level.SYNTAX), latex


def main(corpus: Path, folders: list[Path]) -> None:
    runs = {folder: json.loads((folder / "report.json").read_text(encoding="utf-8"))["rows"] for folder in folders}
    forms = {folder: [canonical(row["reference"], Level.SYNTAX) for row in rows] for folder, rows in runs.items()}
    wanted = {form for found in forms.values() for form in found if form}
    seen = {form for form, _ in spellings(corpus) if form in wanted}
    written: dict[str, str] = {}
    for form, latex in spellings(corpus, validation=True):
        written.setdefault(form, latex)
    for folder, rows in runs.items():
        print(f"{folder}: {len(rows)} pictures")
        answers = [row["answers"]["base"] for row in rows]
        for name, among in (("in the corpus", True), ("not in the corpus", False)):
            right = [answer["correct"] for answer, form in zip(answers, forms[folder]) if (form in seen) == among]
            if right:
                print(f"  {name}: {len(right)}, visual {100 * sum(right) / len(right):.1f} %")
        known = [(answer["latex"], written[form]) for answer, form in zip(answers, forms[folder]) if form in written]
        print(f"  in held-out documents: {len(known)}")
        for level in Level if known else ():
            same = sum(equal(answer, spelling, level) for answer, spelling in known)
            print(f"    as the documents spell it, {level.name.lower()}: {100 * same / len(known):.1f} %")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(f"seen.py: expected CORPUS RUN ...\n{__doc__}")
    main(Path(sys.argv[1]), [Path(folder) for folder in sys.argv[2:]])
