"""Which test samples a training set holds: as the same picture, the same formula, or nearly the same one.

Takes two sets of samples, gives an `Overlap`: for each test sample that was seen, how and in which training sample.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from latexocr.data.fingerprints import Fingerprint, alike, fingerprint
from latexocr.data.near import SHARE, nearest
from latexocr.latex.canonical import Level, canonical
from latexocr.latex.tokens import tokenize
from latexocr.records import Sample
from latexocr.wording import counted

Value = TypeVar("Value", str, bytes)

KINDS = {
    "picture": "the same picture",
    "exact": "the same formula, spelled alike",
    "canonical": "the same formula in another spelling",
    "near": f"nearly the same formula (at most {100 * SHARE:.0f} % of its tokens differ)",
}
"""How a test sample can have been seen; the first that holds counts."""
SHORT = 8
"""Formulas of fewer tokens recur in any two sets by chance: `x=0` that was seen is no leak."""


@dataclass(frozen=True)
class Match:
    """How one test sample was seen."""

    kind: str
    """One of KINDS."""
    train_id: str
    edits: int = 0
    """Token edits between the two formulas; only where they are nearly the same."""


@dataclass(frozen=True)
class Overlap:
    """What of a test set a training set holds."""

    n: int
    """Test samples."""
    n_train: int
    matches: Mapping[str, Match]
    """By id of the test sample."""
    short: frozenset[str]
    """Ids of those matches whose formula has fewer than SHORT tokens and whose picture was not seen."""

    @property
    def counts(self) -> dict[str, int]:
        """How many test samples were seen in each way."""
        return {kind: sum(match.kind == kind for match in self.matches.values()) for kind in KINDS}

    @property
    def seen(self) -> frozenset[str]:
        """Ids of the test samples that were seen: picture or formula, nearly the same not counted."""
        return frozenset(id_ for id_, match in self.matches.items() if match.kind != "near")

    @property
    def contaminated(self) -> bool:
        """Whether a score on this test set is too good: a picture or a formula that is not short was seen."""
        return bool(self.seen - self.short)

    def sentence(self) -> str:
        """What was found, with the numbers that matter."""
        counts = self.counts
        if not self.matches:
            return (f"None of {counted(self.n, 'test sample')} is among the "
                    f"{counted(self.n_train, 'training sample')}, nor nearly so.")
        ways = (f"{counts['picture']} as pictures, {counts['exact']} as formulas, {counts['canonical']} as formulas "
                "spelled otherwise")
        short = len(self.seen & self.short)
        chance = f"; {short} of these have fewer than {SHORT} tokens and recur by chance" if short else ""
        share = f"{100 * len(self.seen) / self.n:.1f} %"
        return (f"{len(self.seen)} of {counted(self.n, 'test sample')} ({share}) are among the "
                f"{counted(self.n_train, 'training sample')}: {ways}{chance}. {counts['near']} more "
                f"{'is' if counts['near'] == 1 else 'are'} there nearly.")


@dataclass(frozen=True)
class Index:
    """A set of samples, and by what they are recognised."""

    samples: Sequence[Sample]
    forms: Sequence[str]
    """The formula of each as it looks (level VISUAL); "" for none."""
    prints: Sequence[Fingerprint]


def index(samples: Sequence[Sample]) -> Index:
    """Read the samples' formulas and pictures: 0.2 ms for a formula, 2 ms for a picture. A bar is on stderr."""
    from tqdm import tqdm

    forms = [canonical(sample.latex or "", Level.VISUAL) for sample in samples]
    bar = tqdm(samples, desc="looking at pictures", unit="", leave=False, disable=None)
    return Index(samples, forms, [fingerprint(sample.image) for sample in bar])


def overlap(test: Sequence[Sample] | Index, train: Sequence[Sample] | Index) -> Overlap:
    """What of `test` is in `train`, by picture, by formula and by nearly the same formula.

    Pictures count as the same where their ink is the same pixel by pixel, or where they look alike and the formula is
    the same. What was indexed already is not read again.
    """
    test, train = (side if isinstance(side, Index) else index(side) for side in (test, train))
    by_form = by_value(train.forms)
    found = _seen_formulas(test, train, by_form)
    found |= _near_formulas(test, train, by_form, [i for i, s in enumerate(test.samples) if s.id not in found])
    found |= _seen_pictures(test, train, by_form)
    matches = {sample.id: found[sample.id] for sample in test.samples if sample.id in found}
    short = frozenset(sample.id for sample, form in zip(test.samples, test.forms, strict=True)
                      if sample.id in matches and matches[sample.id].kind != "picture" and len(tokenize(form)) < SHORT)
    return Overlap(len(test.samples), len(train.samples), matches, short)


def by_value(values: Iterable[Value]) -> dict[Value, list[int]]:
    """Value -> numbers of those that have it; nothing for empty values."""
    found: dict[Value, list[int]] = {}
    for number, value in enumerate(values):
        if value:
            found.setdefault(value, []).append(number)
    return found


def _seen_formulas(test: Index, train: Index, by_form: Mapping[str, Sequence[int]]) -> dict[str, Match]:
    found = {}
    for sample, form in zip(test.samples, test.forms, strict=True):
        if numbers := by_form.get(form):
            surface = canonical(sample.latex or "", Level.SURFACE)
            same = [j for j in numbers if canonical(train.samples[j].latex or "", Level.SURFACE) == surface]
            kind, number = ("exact", same[0]) if same else ("canonical", numbers[0])
            found[sample.id] = Match(kind, train.samples[number].id)
    return found


def _near_formulas(test: Index, train: Index, by_form: Mapping[str, Sequence[int]], unseen: Sequence[int]
                   ) -> dict[str, Match]:
    known = list(by_form)
    near = nearest([tokenize(test.forms[i]) for i in unseen], [tokenize(form) for form in known])
    return {test.samples[i].id: Match("near", train.samples[by_form[known[hit.number]][0]].id, hit.edits)
            for i, hit in zip(unseen, near, strict=True) if hit}


def _seen_pictures(test: Index, train: Index, by_form: Mapping[str, Sequence[int]]) -> dict[str, Match]:
    by_content = by_value(print_.content for print_ in train.prints)
    found = {}
    for sample, print_, form in zip(test.samples, test.prints, test.forms, strict=True):
        same = by_content.get(print_.content) or [j for j in by_form.get(form, []) if alike(print_, train.prints[j])]
        if same:
            found[sample.id] = Match("picture", train.samples[same[0]].id)
    return found
