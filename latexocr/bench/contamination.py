"""Whether a model saw the test set in training: read from the record that its training left in its folder.

Takes a model as a user names it and test samples, gives what its training data and they have in common. Knows nothing
of scores; a score on data that was seen says little of data that was not.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from latexocr.data.overlap import Overlap, overlap
from latexocr.data.sources import content_hash, load
from latexocr.errors import UserError
from latexocr.records import Sample

RECORD = "run.json"
"""What `latexocr train` leaves in the folder of an adapter, and `latexocr export` in that of a model."""


@dataclass(frozen=True)
class Training:
    """What is known of the data that one model was trained on."""

    data: str
    """Its SPEC."""
    overlap: Overlap | None
    """None where it is not to be found on this machine."""
    problem: str = ""
    """Why nothing, or nothing certain, can be said; empty otherwise."""

    @property
    def seen(self) -> frozenset[str]:
        """Ids of the test samples that were seen in training, as far as is known."""
        return self.overlap.seen if self.overlap else frozenset()

    def sentence(self) -> str:
        """What is known, in one or two sentences."""
        found = self.overlap.sentence() if self.overlap else "whether it saw the test samples is not known."
        contaminated = self.overlap is not None and self.overlap.contaminated
        return (f"{'Contaminated: ' if contaminated else ''}trained on {self.data}; {found}"
                f"{f' ({self.problem})' if self.problem else ''}")


def training_of(model: str, samples: Sequence[Sample]) -> Training | None:
    """What the training of a model has in common with test samples; None where the model has no record of one.

    Training data that has moved or changed is no error, but said.
    """
    try:
        settings = json.loads((Path(model).expanduser() / RECORD).read_text(encoding="utf-8"))["settings"]
        data, digest = settings["data"], settings["data_sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not data:
        return Training("samples that were in memory", None, "its record names no data")
    try:
        trained_on = load(data)
    except UserError as e:
        return Training(data, None, str(e))
    found = Training(data, overlap(samples, trained_on))
    return found if content_hash(trained_on) == digest else replace(found, problem="that data has changed since")
