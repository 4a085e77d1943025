"""Who reads an image: one Protocol, and the settings of generation that every reader honours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import isfinite
from typing import Literal, Protocol

from latexocr.errors import UserError
from latexocr.records import Prediction, Sample

Engine = Literal["transformers", "vllm", "ray"]
"""What runs a model: one of the first two in this process, or Ray, with transformers on the nodes of a cluster."""
BATCH = 64
"""Pictures that a model in this process reads together at most, unless told otherwise."""


@dataclass(frozen=True)
class GenerateConfig:
    """How a model writes its answer. Greedy unless told otherwise: two runs then agree.

    Raises UserError for a number with which nothing can be read.
    """

    max_tokens: int = 512
    """Most tokens of an answer; a longer one ends with stop="length"."""
    temperature: float = 0.0
    """0 is greedy; above it, tokens are sampled."""
    seed: int = 0
    """Seed of sampling; without effect at temperature 0."""
    batch_size: int | None = None
    """Pictures read together, or requests in flight to a server. Unless given: 64, or what the server's times allow."""
    prompt: str = ""
    """Name of a prompt (reading/conversation.py). Unless given: what it was tuned with, or the best of its base."""

    def __post_init__(self) -> None:
        if self.max_tokens < 1:
            raise UserError(f"max_tokens is {self.max_tokens}; expected at least 1.")
        if not (isfinite(self.temperature) and self.temperature >= 0):
            raise UserError(f"temperature is {self.temperature}; expected 0 (greedy) or more.")
        if self.batch_size is not None and self.batch_size < 1:
            raise UserError(f"batch_size is {self.batch_size}; expected at least 1.")


class Reader(Protocol):
    """Turns samples into predictions: exactly one each, in the order given; a failure is a prediction too."""

    def read(self, samples: Iterable[Sample]) -> Iterator[Prediction]: ...
