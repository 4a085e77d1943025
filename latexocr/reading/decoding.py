"""What watches an answer: the probability of each token, and whether it goes in circles.

Takes what transformers' `generate` hands to its processors and criteria, or the tokens of an answer that another engine
has finished. Knows nothing of pictures or formulas.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase

LOOP, PERIOD = 72, 12
"""An answer goes in circles when its last 72 tokens repeat a piece of at most 12, six times or more."""


class Loops:
    """A stopping criterion that ends an answer which repeats itself; the other answers of the batch go on."""

    def __init__(self, prompt: int) -> None:
        self.prompt = prompt
        self.ended: dict[int, int] = {}
        """By row of the batch: tokens of the answer when it was ended. Rows that had ended before may be among them."""

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **_: object) -> torch.Tensor:
        import torch

        length = input_ids.shape[1] - self.prompt
        if length < LOOP:
            return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)
        tail = input_ids[:, -LOOP:]
        looping = torch.stack([(tail[:, period:] == tail[:, :-period]).all(dim=1) for period in range(1, PERIOD + 1)])
        looping = looping.any(dim=0)
        for row in looping.nonzero().flatten().tolist():
            self.ended.setdefault(row, length)
        return looping


class ChosenProbabilities:
    """A logits processor that collects the log probability of each chosen token; one step of logits is kept."""

    def __init__(self, prompt: int) -> None:
        self.prompt = prompt
        self._last: torch.Tensor | None = None
        self._chosen: list[torch.Tensor] = []

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        self._settle(input_ids[:, -1])
        self._last = scores.float().log_softmax(dim=-1)
        return scores

    def _settle(self, tokens: torch.Tensor) -> None:
        if self._last is not None:
            self._chosen.append(self._last.gather(1, tokens[:, None]))

    def of(self, answers: torch.Tensor) -> torch.Tensor:
        """Log probabilities of the tokens of `answers`, the same shape; those after an end token mean nothing."""
        import torch

        self._settle(answers[:, -1])
        return torch.cat(self._chosen, dim=1)


class Pieces:
    """A streamer that writes an answer as it grows. (That of transformers waits for a space, and LaTeX has few.)"""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, write: Callable[[str], None]) -> None:
        self._tokenizer, self._write = tokenizer, write
        self._asked, self._written = False, ""
        self._tokens: list[int] = []

    def put(self, value: torch.Tensor) -> None:
        """The prompt at first, then one token after the other."""
        if not self._asked:
            self._asked = True
            return
        self._tokens += value.flatten().tolist()
        text = self._tokenizer.decode(self._tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        self._write(text[len(self._written):])
        self._written = text

    def end(self) -> None:
        """Nothing is held back."""


def loop_end(tokens: Sequence[object]) -> int | None:
    """How many tokens of a finished answer `Loops` would have let stand; None where it does not go in circles.

    For readers whose model runs elsewhere: with this their answers are those of a model in this process.
    """
    ends = [end for period in range(1, PERIOD + 1) if (end := _periodic(tokens, period))]
    return min(ends, default=None)


def _periodic(tokens: Sequence[object], period: int) -> int | None:
    """Length of the shortest beginning whose last `LOOP` tokens repeat a piece of this length."""
    same = 0
    for place in range(period, len(tokens)):
        same = same + 1 if tokens[place] == tokens[place - period] else 0
        if same == LOOP - period:
            return place + 1
    return None
