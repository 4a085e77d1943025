"""Samples -> the batches a model learns from, one collator for every family.

Takes indices into a list of samples, gives tensors with labels on the answer and its end token alone.
Knows nothing of optimisers, adapters or files.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from latexocr.errors import UserError
from latexocr.reading.conversation import conversation
from latexocr.reading.images import prepare
from latexocr.reading.inputs import adds_special_tokens, encode, render
from latexocr.records import Sample

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image
    from transformers import ProcessorMixin

IGNORED = -100
"""The label of a token that does not count in the loss (torch's convention)."""


@dataclass(frozen=True)
class Collator:
    """The tensors of some samples: what the processor gives, padded on the right, and `labels`.

    Pictures are prepared and conversations written here, as in use, batch by batch (in the loader's processes).
    """

    processor: ProcessorMixin
    samples: Sequence[Sample]
    ends: Collection[int]
    """Tokens that end an answer."""

    def __call__(self, rows: Sequence[Mapping[str, int]]) -> dict[str, torch.Tensor]:
        """The batch of rows that name samples by their "sample" index."""
        samples = [self.samples[row["sample"]] for row in rows]
        pictures, formulas = [], []
        for sample in samples:
            try:
                pictures.append(prepare(sample.image))
                formulas.append(sample.latex)
            except UserError as e:
                print(f"Left out of a batch: {sample.id}: {e}", file=sys.stderr)
        if not pictures:
            raise UserError(f"No picture of {', '.join(sample.id for sample in samples)} can be read. Check the data.")
        return self.batch(pictures, formulas)

    def batch(self, pictures: Sequence[Image], formulas: Sequence[str]) -> dict[str, torch.Tensor]:
        """The batch of prepared pictures and their formulas."""
        texts = [render(self.processor, conversation(*pair), ask=False) for pair in zip(pictures, formulas)]
        answers = [answer_tokens(self.processor, *pair, ends=self.ends) for pair in zip(pictures, formulas)]
        inputs = dict(encode(self.processor, texts, list(pictures), side="right"))
        inputs["labels"] = _labels(inputs["input_ids"], inputs["attention_mask"], answers, self.ends)
        return inputs


def answer_tokens(processor: ProcessorMixin, picture: Image, formula: str, *, ends: Collection[int]) -> list[int]:
    """What the model has to say after the prompt: the formula's tokens in their place, end token included.

    What the template writes after the end token is kept: it tells where the answer begins, counted from the right.
    Raises UserError where the template gives no prompt that the conversation begins with, or no end.
    """
    prompt = render(processor, conversation(picture), ask=True)
    full = render(processor, conversation(picture, formula), ask=False)
    add = adds_special_tokens(processor, full)
    asked = _without_end(processor.tokenizer(prompt, add_special_tokens=add)["input_ids"], add, ends)
    said = processor.tokenizer(full, add_special_tokens=add)["input_ids"]
    if said[:len(asked)] != asked:
        raise UserError("The chat template of this model writes a question otherwise when an answer follows (found "
                        f"{full!r:.120}, expected it to begin with {prompt!r:.120}), so this model cannot be tuned.")
    answer = said[len(asked):]
    if not any(token in ends for token in answer):
        raise UserError(f"The chat template of this model writes no end token after an answer (found {full[-40:]!r}): "
                        "the model would never learn to stop.")
    return answer


def _without_end(tokens: list[int], added: bool, ends: Collection[int]) -> list[int]:
    """A prompt without the end token that some tokenizers add to every text."""
    return tokens[:-1] if added and tokens and tokens[-1] in ends else tokens


def _labels(input_ids: torch.Tensor, attention_mask: torch.Tensor, answers: Sequence[list[int]],
            ends: Collection[int]) -> torch.Tensor:
    """Labels of rows whose last tokens are the answers: each answer up to its end token, the rest ignored."""
    import torch

    labels = torch.full_like(input_ids, IGNORED)
    for row, answer in enumerate(answers):
        stop = int(attention_mask[row].sum())
        start = stop - len(answer)
        found = input_ids[row, start:stop].tolist()
        assert found == answer, f"the processor wrote another answer: {found} instead of {answer}"
        learned = 1 + next(i for i, token in enumerate(answer) if token in ends)
        labels[row, start:start + learned] = input_ids[row, start:start + learned]
    return labels
