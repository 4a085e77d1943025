"""How well a model reads while it learns: free-running answers to watched samples, and a few shown as they are written.

Takes the model between two steps and hands it back as it was. Knows nothing of optimisers or batches.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from latexocr.reading import GenerateConfig
from latexocr.reading.local import LocalReader
from latexocr.records import Sample

if TYPE_CHECKING:
    from transformers import ProcessorMixin

    from latexocr.scoring.metrics import Score

READ, SHOWN = 200, 3
"""Watched samples that are read at a checkpoint, and those whose answers are shown."""
WIDTH = 1.96
"""Standard errors to each side of a 95 % interval."""
METRICS = ("exact_visual", "edit_distance")


@dataclass(frozen=True)
class Trial:
    """Samples that are read, not learned, by the model as it is: greedy and free-running, as it will be used."""

    samples: Sequence[Sample]
    """Those read at each checkpoint; empty: none."""
    shown: Sequence[Sample]
    """Those whose answers are shown before, during and after."""
    processor: ProcessorMixin
    ends: Collection[int]
    prompt: str
    max_tokens: int
    """Most tokens of an answer. One that is cut off counts as it is."""
    mode: Callable[[Any], AbstractContextManager[None]]
    """In its context a model in training reads; engines differ in what that takes."""

    @classmethod
    def of(cls, watched: Sequence[Sample], learned: Sequence[Sample], processor: ProcessorMixin, ends: Collection[int],
           prompt: str, mode: Callable[[Any], AbstractContextManager[None]]) -> Trial:
        """A trial on READ of the watched samples, drawn at random; without any, learned ones are shown."""
        chance = random.Random(0)
        read = _some([sample for sample in watched if sample.latex], READ, chance)
        shown = read[:SHOWN] or _some([sample for sample in learned if sample.latex], SHOWN, chance)
        tokens = processor.tokenizer([sample.latex for sample in read or shown], add_special_tokens=False)["input_ids"]
        return cls(read, shown, processor, ends, prompt, 2 * max(map(len, tokens)) + 8, mode)

    def scores(self, model: Any) -> dict[str, Score]:
        """Each of METRICS over all samples; in a run of several processes each reads its part. A failure is wrong."""
        from accelerate import PartialState
        from accelerate.utils import gather_object

        from latexocr.scoring.metrics import METRICS as KNOWN
        from latexocr.scoring.metrics import tabulate
        from latexocr.scoring.statistics import score

        state = PartialState()
        part = self.samples[state.process_index::state.num_processes]
        with self._reading(model):
            answers = [prediction.latex for prediction in self._reader(model).read(part)]
        pairs = gather_object([(answer, sample.latex) for answer, sample in zip(answers, part)])
        return {name: score(KNOWN[name], tabulate(KNOWN[name], pairs)) for name in METRICS}

    def show(self, model: Any, when: str) -> None:
        """Write the shown samples' answers to stderr, each piece as the model says it."""
        with self._reading(model):
            reader = self._reader(model)
            for sample in self.shown:
                _say(f"{when}, {sample.id}\n    is    {' '.join((sample.latex or '').split())}\n    read  ")
                reader.stream(sample, _say)
                _say("\n")

    @contextmanager
    def _reading(self, model: Any) -> Iterator[None]:
        """Greedily, whatever the checkpoint's own settings say."""
        from transformers import GenerationConfig

        base = model.get_base_model()
        settings = base.generation_config
        base.generation_config = GenerationConfig(eos_token_id=sorted(self.ends), pad_token_id=self._pad)
        try:
            with self.mode(model):
                yield
        finally:
            base.generation_config = settings

    @property
    def _pad(self) -> int:
        pad = self.processor.tokenizer.pad_token_id
        return min(self.ends) if pad is None else pad

    def _reader(self, model: Any) -> LocalReader:
        config = GenerateConfig(max_tokens=self.max_tokens)
        return LocalReader(model, self.processor, frozenset(self.ends), config, self.prompt)


def _some(samples: list[Sample], count: int, chance: random.Random) -> list[Sample]:
    return chance.sample(samples, min(count, len(samples)))


def _say(text: str) -> None:
    print(text, end="", file=sys.stderr, flush=True)


def standing(scores: Mapping[str, Score], done: float) -> float:
    """What decides which checkpoint is kept, less is better; `done`: the part of all steps, 0 to 1.

    The edit distance, which tells two apart also when few answers are wholly right, or nearly all; less up to its
    standard error towards the end: of two that cannot be told apart, the later has learned longer, at a lower rate.
    """
    edits = scores["edit_distance"]
    return edits.value - done * (edits.high - edits.low) / (2 * WIDTH)


def words(scores: Mapping[str, Score]) -> str:
    """Scores as a progress line has them, with interval and n."""
    n = next(iter(scores.values())).n
    return ", ".join(f"{_short(name)} {100 * s.value:.1f} % [{100 * s.low:.1f}, {100 * s.high:.1f}]"
                     for name, s in scores.items()) + f" of {n} read freely"


def _short(name: str) -> str:
    return name.replace("_visual", "").replace("_", " ")
