"""Samples -> the batches a model learns from, one collator for every family and both engines.

Takes indices into a list of samples, gives tensors with labels on the answer and its end token alone.
Knows nothing of optimisers, adapters or files.

TRL's and Unsloth's own collators do not do: their prompt/completion form loses `moe_mm_token_type_ids` (native
ERNIE-4.5-VL stops with an IndexError), TRL's `messages` form puts the loss on prompt and picture tokens as well, and
Unsloth's shrinks pictures. What each family needs beyond that is said in `reading.inputs.encode`, which use shares.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from latexocr.errors import UserError
from latexocr.reading import ernie_remote
from latexocr.reading.conversation import PROMPT
from latexocr.reading.inputs import Frame, adds_special_tokens, encode, frame
from latexocr.training.pictures import Prepared

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image
    from transformers import ProcessorMixin

IGNORED = -100
"""The label of a token that does not count in the loss (torch's convention)."""


@dataclass(frozen=True)
class Example:
    """What a sample is to a model that learns: its prepared picture, and its formula as it is to be said."""

    id: str
    picture: Prepared
    latex: str


@dataclass(frozen=True)
class Collator:
    """The tensors of some examples: what the processor gives, padded on the right, and `labels`."""

    processor: ProcessorMixin
    examples: Sequence[Example]
    ends: Collection[int]
    """Tokens that end an answer."""
    prompt: str = PROMPT
    positions: Callable[..., Any] | None = None
    """The model's own `get_rope_index`: its loop over rows then runs in the loader's processes, not between steps."""

    def __call__(self, rows: Sequence[Mapping[str, int]]) -> dict[str, torch.Tensor]:
        """The batch of rows that name examples by their "sample" index."""
        examples = [self.examples[row["sample"]] for row in rows]
        return self.batch([example.picture.image() for example in examples], [example.latex for example in examples])

    def batch(self, pictures: Sequence[Image], formulas: Sequence[str]) -> dict[str, torch.Tensor]:
        """The batch of prepared pictures and their formulas."""
        texts = [self.frame.answered(latex) for latex in formulas]
        answers = [self.answer_tokens(latex) for latex in formulas]
        inputs = dict(encode(self.processor, texts, list(pictures), side="right"))
        inputs["labels"] = _labels(inputs["input_ids"], inputs["attention_mask"], answers, self.ends)
        if self.positions is not None:
            inputs["position_ids"], _ = self.positions(
                inputs["input_ids"], mm_token_type_ids=inputs["mm_token_type_ids"],
                image_grid_thw=inputs["image_grid_thw"], attention_mask=inputs["attention_mask"])
        return ernie_remote.for_training(inputs) if "image_type_ids" in inputs else inputs

    def lengths(self) -> list[int]:
        """The tokens of each example: of its picture, whose number is measured once a size, and of its formula."""
        from PIL import Image as Pillow

        sizes = sorted({(example.picture.width, example.picture.height) for example in self.examples})
        around = {size: self.batch([Pillow.new("RGB", size, "white")], [""])["input_ids"].shape[1] for size in sizes}
        formulas = self.processor.tokenizer([example.latex for example in self.examples], add_special_tokens=False)
        return [around[example.picture.width, example.picture.height] + len(tokens)
                for example, tokens in zip(self.examples, formulas["input_ids"])]

    @cached_property
    def frame(self) -> Frame:
        return frame(self.processor, self.prompt)

    @cached_property
    def _question(self) -> list[int]:
        """The tokens of the question, the picture's placeholder one of them, without an end that the tokenizer adds."""
        tokens = self._tokens(self.frame.question)
        added = adds_special_tokens(self.processor, self.frame.question)
        return tokens[:-1] if added and tokens and tokens[-1] in self.ends else tokens

    def _tokens(self, text: str) -> list[int]:
        return self.processor.tokenizer(text, add_special_tokens=adds_special_tokens(self.processor, text))["input_ids"]

    def answer_tokens(self, latex: str) -> list[int]:
        """What the model has to say after the question: the formula's tokens in their place, end token included.

        What the template writes after the end token is kept: it tells where the answer begins, counted from the right.
        Raises UserError where question and answer share a token, or the template writes no end.
        """
        said = self._tokens(self.frame.answered(latex))
        answer = said[len(self._question):]
        if said[:len(self._question)] != self._question:
            raise UserError("The tokenizer of this model joins the end of the question with the answer (found "
                            f"{self.frame.question[-40:]!r} before {latex[:40]!r}), so this model cannot be tuned.")
        if not any(token in self.ends for token in answer):
            raise UserError("The chat template of this model writes no end token after an answer (found "
                            f"{self.frame.ending!r:.80}): the model would never learn to stop.")
        return answer


def positions_of(model: Any) -> Callable[..., Any] | None:
    """How a model numbers the places of pictures and words, on an object of its class that has no weights.

    Takes a model without its adapter. None for families whose places are those of a line of text.
    """
    from torch import nn

    kind = type(getattr(model, "model", None))
    if not hasattr(kind, "get_rope_index"):
        return None
    shell = kind.__new__(kind)
    nn.Module.__init__(shell)
    shell.config = model.config
    return shell.get_rope_index


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
