"""How the pictures of a batch are answered: token by token, each until it has ended or goes in circles.

Takes a model and what `inputs.encode` made of the questions, gives answers as tokens with their probabilities. Before
the first token everything is transformers' own: `generate` prepares cache, positions and masks, as each family needs
them, and then hands over to `_answer`. Its own loop computes on for an answer that has ended, until the longest has;
here answers that have ended leave the batch. Knows nothing of pictures or formulas.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from latexocr.reading import GenerateConfig

if TYPE_CHECKING:
    import torch
    from transformers import BatchFeature, GenerationConfig, LogitsProcessorList, PreTrainedTokenizerBase

LOOP, PERIOD = 72, 12
"""An answer goes in circles when its last 72 tokens repeat a piece of at most 12, six times or more."""
RETIRE = 8
"""When an eighth of a batch has ended it leaves: that copies the keys and values of the others, so not at each one."""


@dataclass
class Answer:
    """What a model has said so far to one picture."""

    tokens: list[int] = field(default_factory=list)
    """Without the end token."""
    log_probabilities: list[float] = field(default_factory=list)
    """Of each token, and of the end token where it ended; before any temperature."""
    ended: bool = False
    """By the model itself. One that goes in circles or has no more room is done without."""
    done: bool = False

    def add(self, token: int, log_probability: float, *, ends: Collection[int], most: int) -> None:
        """One more token, where it is not done: `most` is how many it may have, `ends` are those that end it."""
        if self.done:
            return
        self.log_probabilities.append(log_probability)
        if token in ends:
            self.ended = self.done = True
        else:
            self.tokens.append(token)
            self.done = len(self.tokens) >= most or in_circles(self.tokens)


def decode(model: Any, inputs: BatchFeature, *, ends: Collection[int], config: GenerateConfig,
           watch: Callable[[Sequence[int]], None] = lambda tokens: None) -> list[Answer]:
    """The answers to a batch of encoded questions, in their order; `watch` sees the first as it grows."""
    import torch

    sampling: dict[str, Any] = {"do_sample": False}
    if config.temperature:
        sampling = {"do_sample": True, "temperature": config.temperature}
        torch.manual_seed(config.seed)
    loop = partial(_answer, ends=ends, most=config.max_tokens, watch=watch)
    with torch.inference_mode():
        return model.generate(**inputs, **sampling, max_new_tokens=config.max_tokens, custom_generate=loop)


def _answer(model: Any, input_ids: torch.Tensor, logits_processor: LogitsProcessorList,
            generation_config: GenerationConfig, *, ends: Collection[int], most: int,
            watch: Callable[[Sequence[int]], None], stopping_criteria: Any = None, **kwargs: Any) -> list[Answer]:
    """The loop after the preparations of `generate`; `kwargs` are what the model is called with, the cache among it."""
    import torch

    from latexocr.reading.cache import make_room, retire

    make_room(kwargs)
    answers = [Answer() for _ in input_ids]
    rows, new = list(answers), 1 if kwargs["use_cache"] else None
    outputs = model(**model.prepare_inputs_for_generation(input_ids, is_first_iteration=True, **kwargs))
    with model._optimize_model_for_decode():
        while True:
            kwargs = model._update_model_kwargs_for_generation(outputs, kwargs)
            logits = outputs.logits[:, -1].float()
            tokens = _choose(logits_processor(input_ids, logits), sample=generation_config.do_sample)
            input_ids = torch.cat([input_ids, tokens], dim=1)
            chosen = logits.log_softmax(dim=-1).gather(1, tokens)
            # In one, as a GPU is waited for each time; float32 holds every number of a token.
            for answer, (token, log_probability) in zip(rows, torch.cat([tokens.float(), chosen], dim=1).tolist()):
                answer.add(int(token), log_probability, ends=ends, most=most)
            watch(answers[0].tokens)
            going = [place for place, answer in enumerate(rows) if not answer.done]
            if not going:
                return answers
            if RETIRE * (len(rows) - len(going)) >= len(rows) and retire(kwargs, going, input_ids.shape):
                input_ids, rows = input_ids[going], [rows[place] for place in going]
            outputs = model(**model.prepare_inputs_for_generation(input_ids, next_sequence_length=new, **kwargs))


def _choose(scores: torch.Tensor, *, sample: bool) -> torch.Tensor:
    """The next token of each row, (rows, 1)."""
    return scores.softmax(dim=-1).multinomial(1) if sample else scores.argmax(dim=-1, keepdim=True)


class Pieces:
    """Writes an answer as it grows. (The streamer of transformers waits for a space, and LaTeX has few.)"""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, write: Callable[[str], None]) -> None:
        self._tokenizer, self._write, self._written = tokenizer, write, ""

    def __call__(self, tokens: Sequence[int]) -> None:
        """The tokens so far."""
        text = self._tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        self._write(text[len(self._written):])
        self._written = text


def in_circles(tokens: Sequence[object]) -> bool:
    """Whether the last tokens of an answer only repeat a piece."""
    tail = tokens[-LOOP:]
    return len(tail) == LOOP and any(tail[-1] == tail[-1 - period] and tail[period:] == tail[:-period]
                                     for period in range(1, PERIOD + 1))


def loop_end(tokens: Sequence[object]) -> int | None:
    """How many tokens of a finished answer stand before it is ended for going in circles; None where it does not.

    For readers whose model runs elsewhere: with this their answers are those of a model in this process.
    """
    return next((end for end in range(LOOP, len(tokens) + 1) if in_circles(tokens[end - LOOP:end])), None)
