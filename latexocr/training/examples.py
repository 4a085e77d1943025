"""What a training learns from: samples whose pictures are prepared and whose formulas are spelled as wanted.

Takes samples, gives Examples for the collator. Knows nothing of batches or models but their tokenizer.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from latexocr.errors import UserError
from latexocr.provenance import cores
from latexocr.reading.conversation import formula
from latexocr.records import Sample
from latexocr.training import ranks
from latexocr.training.collate import Example
from latexocr.training.pictures import Prepared, prepare_all, refuse_unreadable
from latexocr.training.settings import TrainConfig

FEWEST = 30
"""Held-out samples below which they would tell nothing."""


@dataclass(frozen=True)
class Material:
    """Samples with what was made of their pictures."""

    samples: Sequence[Sample]
    pictures: Sequence[Prepared | UserError]


def given(samples: Sequence[Sample] | None, spec: str, name: str, *, optional: bool = False) -> list[Sample]:
    """The samples given, or those of a data SPEC. Raises UserError where there is neither and they are needed."""
    from latexocr.data.sources import load

    if samples is None and not spec:
        if optional:
            return []
        raise UserError(f"No {name} to train on: give --{name} SPEC (a folder, a JSON-lines file, crohme:FOLDER ...).")
    if samples is None:
        return load(spec)
    found = [samples] if isinstance(samples, Sample) else list(samples)
    odd = next((one for one in found if not isinstance(one, Sample)), None)
    if odd is not None:
        raise UserError(f"Of {name} one is {odd!r:.80}; each has to be a latexocr.Sample. Or give {name}=SPEC.")
    return found


def divided(samples: list[Sample], config: TrainConfig) -> tuple[list[Sample], list[Sample]]:
    """The samples to learn from and those held out, all of a formula on one side; none where those would be few."""
    from latexocr.data.splits import split

    if not config.held_out or len(samples) * config.held_out < FEWEST:
        return samples, []
    parts = split(samples, 1 - config.held_out, by="formula", seed=config.seed)
    return parts.train, parts.test


def material(samples: Sequence[Sample], config: TrainConfig) -> Material:
    """All pictures prepared. Raises UserError naming those that cannot be read, unless they may be skipped."""
    processes = config.workers if config.workers is not None else cores() - 1
    pictures = prepare_all(samples, processes=processes)
    if not config.skip_unreadable:
        refuse_unreadable(samples, pictures)
    return Material(samples, pictures)


def usable(made: Material, config: TrainConfig, tokenizer: Any) -> list[Example]:
    """The samples that can be learned from, formulas spelled as wanted; why others cannot is said on stderr.

    Raises UserError where there are none.
    """
    from latexocr.latex.canonical import Level, canonical

    formulas = [formula(sample.latex or "") for sample in made.samples]
    if config.spelling == "canonical":
        formulas = [canonical(latex, Level.SYNTAX) for latex in formulas]
    tokenized = tokenizer(formulas, add_special_tokens=False)["input_ids"] if formulas else []
    own = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
    found, without = [], Counter()
    for sample, picture, latex, tokens in zip(made.samples, made.pictures, formulas, tokenized):
        if not isinstance(picture, Prepared):
            without["a picture that cannot be read"] += 1
        elif not latex:
            without["no formula"] += 1
        elif len(tokens) > config.max_tokens:
            without[f"a formula of more than {config.max_tokens} tokens"] += 1
        elif own & set(tokens):
            without["a formula with one of the model's own tokens in it"] += 1
        else:
            found.append(Example(sample.id, picture, latex))
    reasons = ", ".join(f"{count} with {reason}" for reason, count in without.items())
    if not found:
        raise UserError(f"None of {len(made.samples)} samples can be learned from{': ' * bool(reasons)}{reasons}. Each "
                        f"needs a picture that can be read and a formula of at most {config.max_tokens} tokens.")
    if reasons:
        _say_once(f"{sum(without.values())} of {len(made.samples)} samples are left out: {reasons}.")
    return found


def overlap(watched: Sequence[Sample], learned: Sequence[Sample]) -> dict[str, Any] | None:
    """What of the watched data is learned from, for the record; said on stderr where what is shown is too good."""
    from latexocr.data.overlap import overlap as compare

    if not watched:
        return None
    found = compare(watched, learned)
    if found.contaminated:
        _say_once(f"the loss on eval_data will be too good: {found.sentence()}")
    return {"sentence": found.sentence(), "contaminated": found.contaminated, **found.counts}


def _say_once(text: str) -> None:
    """A line on stderr, by one of several processes."""
    if ranks.rank() == 0:
        print(f"latexocr: {text}", file=sys.stderr)
