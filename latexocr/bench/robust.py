"""What damage to the pictures costs: the same pictures after each kind of damage, at three strengths.

Takes samples and a reader, gives predictions of damaged pictures, and of these the loss. What damage is, and how
strong, is said in `data.degrade`: the same definition as in training. Each picture is damaged alike for every model.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from zlib import crc32

from latexocr.data.degrade import DEGRADATIONS, STRENGTHS, degrade_picture
from latexocr.reading import Reader
from latexocr.records import Prediction, Sample
from latexocr.scoring.failures import scored_text
from latexocr.scoring.metrics import METRICS, Score, tabulate
from latexocr.scoring.resampling import by_group, tally
from latexocr.scoring.statistics import score

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Loss:
    """What damage took of the score on the same pictures undamaged, 0 to 1 (below 0 it helped), with its paired 95 %
    interval; no number where that score is 0."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Robust:
    """Scores in the headline metric after one kind of damage at one strength, and the losses, by column.

    Of kind "none" are the undamaged pictures; of kind "all", all kinds together, each picture drawn as a whole.
    """

    kind: str
    strength: str
    n: int
    scores: Mapping[str, Score]
    losses: Mapping[str, Loss]


def damaged(samples: Sequence[Sample]) -> list[Sample]:
    """Each sample once for each kind and strength, to be read through `Damaging`: the pictures are still whole."""
    return [replace(sample, id=_name(kind, strength, sample))
            for kind in DEGRADATIONS for strength in STRENGTHS for sample in samples]


def _name(kind: str, strength: str, sample: Sample) -> str:
    return f"{kind}/{strength}/{sample.id}"


class Damaging:
    """A reader that is shown the samples of `damaged` with their pictures damaged, made when they are read."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def read(self, samples: Iterable[Sample]) -> Iterator[Prediction]:
        yield from self._reader.read(map(_damage, samples))


def _damage(sample: Sample) -> Sample:
    """The sample with its picture damaged as its id says; a picture that cannot be opened is the reader's to refuse."""
    import numpy as np
    from PIL import Image, ImageOps

    kind, strength, _ = sample.id.split("/", 2)
    try:
        opened = Image.open(sample.image) if isinstance(sample.image, Path) else sample.image
        whole = ImageOps.exif_transpose(opened)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return sample
    random = np.random.default_rng(crc32(sample.id.encode()))
    return replace(sample, image=degrade_picture(whole, {kind: STRENGTHS[strength]}, random))


def robustness(samples: Sequence[Sample], whole: Mapping[str, Sequence[Prediction]],
               broken: Mapping[str, Sequence[Prediction]], metric: str, *, seed: int = 0) -> list[Robust]:
    """The undamaged pictures, then each kind and strength, then all kinds at each strength.

    `whole` and `broken` have by column the predictions of `samples` and of `damaged(samples)`.
    """
    found = [Robust("none", "", len(samples), {name: score(METRICS[metric], _table(samples, answers, metric), seed=seed)
                                               for name, answers in whole.items()}, {})]
    tables = {name: {prediction.id: row for prediction, row in
                     zip(answers, _table(damaged(samples), answers, metric), strict=True)}
              for name, answers in broken.items()}
    clean = {name: _table(samples, whole[name], metric) for name in broken}
    everything: dict[str, list[Robust]] = {"each": [], "all": []}
    for strength in STRENGTHS:
        for kinds in ([kind] for kind in DEGRADATIONS):
            everything["each"].append(_robust(kinds, strength, samples, clean, tables, metric, seed))
        everything["all"].append(_robust(list(DEGRADATIONS), strength, samples, clean, tables, metric, seed))
    order = list(DEGRADATIONS)
    return found + sorted(everything["each"], key=lambda one: order.index(one.kind)) + everything["all"]


def _robust(kinds: Sequence[str], strength: str, samples: Sequence[Sample], clean: Mapping[str, np.ndarray],
            tables: Mapping[str, Mapping[str, np.ndarray]], metric: str, seed: int) -> Robust:
    import numpy as np

    names = [_name(kind, strength, sample) for kind in kinds for sample in samples]
    groups = [sample.id for _ in kinds for sample in samples] if len(kinds) > 1 else None
    rows = {column: np.array([table[name] for name in names]) for column, table in tables.items()}
    return Robust("all" if groups else kinds[0], strength, len(names),
                  {column: score(METRICS[metric], table, seed=seed, groups=groups) for column, table in rows.items()},
                  {column: _loss(np.tile(clean[column], (len(kinds), 1)), table, groups, seed)
                   for column, table in rows.items()})


def _loss(clean: np.ndarray, broken: np.ndarray, groups: Sequence[Hashable] | None, seed: int) -> Loss:
    """1 - broken / clean of the paired sums of right answers."""
    import numpy as np

    both = tally(by_group(np.hstack([clean[:, :1], broken[:, :1]]), groups), seed)
    with np.errstate(divide="ignore", invalid="ignore"):
        value, lost = (1 - sums[..., 1] / sums[..., 0] for sums in (both.sums, both.resamples))
    kept = lost[~np.isnan(lost)]  # Resamples in which nothing was right tell of no loss.
    with np.errstate(invalid="ignore"):
        low, high = np.quantile(kept, [0.025, 0.975]).tolist() if len(kept) else (np.nan, np.nan)
    return Loss(float(value), low, high)


def _table(samples: Sequence[Sample], predictions: Sequence[Prediction], metric: str) -> np.ndarray:
    return tabulate(METRICS[metric], [(scored_text(prediction, sample.latex or ""), sample.latex or "")
                                      for sample, prediction in zip(samples, predictions, strict=True)])
