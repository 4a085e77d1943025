"""Whether a data set can be believed: broken references, broken pictures, contradictions, doubles.

Takes samples, gives an `Audit`: under each kind of fault, what was found and in which samples. Reads every picture;
asks TeX where it is installed. Says nothing of what to do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from latexocr.data.fingerprints import alike
from latexocr.data.overlap import Index, Overlap, by_value, index, overlap
from latexocr.latex.canonical import Level, canonical
from latexocr.latex.tokens import tokenize
from latexocr.latex.tree import Unparsable, parse
from latexocr.records import Sample
from latexocr.tex import run as tex
from latexocr.wording import counted

LONGEST = 512
"""Tokens of a reference beyond which it counts as over-long, unless told otherwise."""
FAULTS = {
    "empty": "no reference, or nothing in it",
    "unbalanced": "braces, environments or \\left and \\right that do not pair",
    "unparsable": "a reference that is not LaTeX of a formula",
    "refused": "a reference that TeX does not typeset",
    "over-long": "a reference of more tokens than models are trained on",
    "picture": "a picture that cannot be opened, or shows nothing",
    "contradiction": "one picture, different formulas",
    "double": "one picture more than once, with the same formula",
}
"""What can be wrong, in the order of a report."""


@dataclass(frozen=True)
class Finding:
    """One fault: the samples it concerns, and what it is."""

    ids: tuple[str, ...]
    note: str


@dataclass(frozen=True)
class Audit:
    """All that was found in a data set."""

    n: int
    faults: Mapping[str, Sequence[Finding]]
    """By kind, all of FAULTS; a sample may be under several."""
    asked_tex: bool
    """Whether TeX was there and was asked."""
    formulas: int
    """Different formulas, as they look."""
    repeated: Mapping[str, int]
    """Formula -> how many samples show it, where more than one does, most first. That is no fault: people write the
    same thing twice. But such samples must not be split between training and test."""
    lengths: Mapping[str, int]
    """Samples by tokens of the reference."""
    overlap: Overlap | None = None
    """With the set it was held against, if there was one."""

    @property
    def faulty(self) -> frozenset[str]:
        """Ids of all samples with a fault."""
        return frozenset(id_ for found in self.faults.values() for finding in found for id_ in finding.ids)


def audit(samples: Sequence[Sample], against: Sequence[Sample] | None = None, *, longest: int = LONGEST,
          ask_tex: bool = True) -> Audit:
    """What is wrong with `samples`; with `against`, a test set, also which of its samples are among them.

    `longest` is in LaTeX tokens. TeX is asked for formulas that can be parsed, each once, where it is installed.
    """
    known = index(samples)
    faults: dict[str, list[Finding]] = {kind: [] for kind in FAULTS}
    sound = []
    for number, sample in enumerate(samples):
        kind, note = _reference_fault(sample.latex or "", longest)
        if kind:
            faults[kind].append(Finding((sample.id,), note))
        if kind in ("", "over-long"):
            sound.append(number)
    asked = ask_tex and tex.available()
    if asked:
        faults["refused"] = _refused([samples[number] for number in sound])
    faults["picture"] = [Finding((sample.id,), print_.problem)
                         for sample, print_ in zip(samples, known.prints, strict=True) if print_.problem]
    faults["contradiction"], faults["double"] = _same_pictures(known)
    counts = Counter(filter(None, known.forms))
    return Audit(len(samples), faults, asked, len(counts), {form: n for form, n in counts.most_common() if n > 1},
                 _lengths(samples), None if against is None else overlap(against, known))


def _reference_fault(latex: str, longest: int) -> tuple[str, str]:
    """Kind of fault and a note; two empty strings for a sound reference."""
    tokens = tokenize(canonical(latex, Level.SURFACE))
    if not tokens:
        return "empty", "no reference" if not latex else "nothing but space, comment or wrapping"
    tree = parse(tokens)
    if isinstance(tree, Unparsable):
        return "unbalanced" if tree.unbalanced else "unparsable", tree.reason
    return ("over-long", f"{counted(len(tokens), 'token')}") if len(tokens) > longest else ("", "")


def _refused(samples: Sequence[Sample], at_once: int = 400) -> list[Finding]:
    """Formulas that TeX does not typeset, in the spelling that draws the same as what was written."""
    from tqdm import tqdm

    spelled: dict[str, list[str]] = {}
    for sample in samples:
        spelled.setdefault(canonical(sample.latex or "", Level.SYNTAX), []).append(sample.id)
    formulas = list(spelled)
    bar = tqdm(range(0, len(formulas), at_once), desc="asking TeX", unit="", leave=False, disable=None)
    pages = [page for start in bar for page in tex.pages(formulas[start : start + at_once])]
    return [Finding((id_,), "TeX stops at it") for formula, page in zip(formulas, pages, strict=True) if page is None
            for id_ in spelled[formula]]


def _same_pictures(known: Index) -> tuple[list[Finding], list[Finding]]:
    """Contradictions and doubles."""
    prints, names = known.prints, [sample.id for sample in known.samples]
    contradictions, doubles = [], []
    for numbers in _grouped(print_.content for print_ in prints):
        ids, spoken = tuple(names[number] for number in numbers), {known.forms[number] for number in numbers}
        if len(spoken) > 1:
            contradictions.append(Finding(ids, f"{len(spoken)} formulas"))
        else:
            doubles.append(Finding(ids, "the same pixels"))
    for numbers in _grouped(known.forms):
        kept: list[int] = []
        for number in numbers:
            twin = next((other for other in kept if alike(prints[number], prints[other])), None)
            if twin is None:
                kept.append(number)
            elif prints[number].content != prints[twin].content:
                doubles.append(Finding((names[twin], names[number]), "a copy, scaled or saved anew"))
    return contradictions, doubles


def _grouped(values: Iterable[str] | Iterable[bytes]) -> list[list[int]]:
    """Numbers of equal values that are not empty, where there are several."""
    return [numbers for numbers in by_value(values).values() if len(numbers) > 1]


def _lengths(samples: Sequence[Sample]) -> dict[str, int]:
    edges = (8, 16, 32, 64, 128)
    names = [f"{low + 1}–{high}" for low, high in zip((0, *edges), edges)] + [f"{edges[-1] + 1}+"]
    tokens = [len(tokenize(sample.latex or "")) for sample in samples]
    counts = Counter(sum(n > edge for edge in edges) for n in tokens)
    return {name: counts[number] for number, name in enumerate(names)}
