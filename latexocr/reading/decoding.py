"""How the pictures of a batch are answered: token by token, each until it has ended.

Takes a model and what `inputs.encode` made of the questions, gives answers as tokens with their probabilities. Before
the first token everything is transformers' own: `generate` prepares cache, positions and masks, as each family needs
them, and then hands over to `_answer`. Its own loop computes on for an answer that has ended, until the longest has;
here answers that have ended leave the batch, and one that goes in circles is taken back to where that began and has to
go on otherwise. Knows nothing of pictures or formulas.
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

LOOP, ROUNDS, PERIOD = 72, 10, 32
"""An answer goes in circles when its last 72 tokens or more are a piece of at most 32, ten times or more: a matrix of
nine equal rows does not."""
RESTARTS = 8
"""How often an answer that goes in circles is taken back and goes on; then it ends after the first round."""
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
    """By the model itself. One that goes in circles again and again, or has no more room, is done without."""
    done: bool = False
    kept: int = 0
    """Tokens that are never taken back."""
    ends: frozenset[int] = frozenset()
    """What may not come first."""
    spent: dict[tuple[int, ...], int] = field(default_factory=dict)
    """Each round of a circle that was taken back, from wherever it begins, and what came after it."""
    restarts: int = RESTARTS
    """How often it may still be taken back."""

    @property
    def barred(self) -> frozenset[int]:
        """What may not come next: the end of an answer that is empty, and another round of what went in circles."""
        if self.done or not self.tokens:
            return frozenset() if self.done else self.ends
        rounds = (tuple(self.tokens[-period:]) for period in {len(piece) for piece in self.spent})
        return frozenset(self.spent[piece] for piece in rounds if piece in self.spent)

    @property
    def settled(self) -> list[int]:
        """The first tokens, as many as are not taken back whatever comes: less than all of them where they repeat."""
        if self.done:
            return self.tokens
        return self.tokens[:max(self.kept, min(_first_round(self.tokens, period) for period in range(1, PERIOD + 1)))]

    def add(self, token: int, log_probability: float, *, ends: Collection[int], most: int) -> int:
        """One more token, where it is not done: `most` is how many it may have, `ends` are those that end it.

        Where it goes in circles, all but the first round is taken back. It is done then if that was too often, or else
        goes on from there, where what began the second round is forbidden. Returns how many tokens it goes back for
        that, this one among them; 0 where it just goes on or is done.
        """
        if self.done:
            return 0
        self.log_probabilities.append(log_probability)
        if token in ends:
            self.ended = self.done = True
            return 0
        self.tokens.append(token)
        period = circle(self.tokens)
        self.done = not self.restarts if period else len(self.tokens) >= most
        gone = self._go_back(_first_round(self.tokens, period), period) if period else 0
        return 0 if self.done else gone

    def _go_back(self, place: int, period: int) -> int:
        """Keep the tokens before this place, and at least those that were kept before; how many are gone."""
        piece = self.tokens[-period:]
        for start in range(period):
            self.spent[(*piece[start:], *piece[:start])] = piece[start]
        self.kept, self.restarts = max(self.kept, place), max(0, self.restarts - 1)
        gone = len(self.tokens) - self.kept
        del self.tokens[self.kept:], self.log_probabilities[self.kept:]
        return gone


def decode(model: Any, inputs: BatchFeature, *, ends: Collection[int], config: GenerateConfig,
           watch: Callable[[Sequence[int]], None] = lambda tokens: None) -> list[Answer]:
    """The answers to a batch of encoded questions, in their order; none is empty.

    `watch` sees the first as it grows: the tokens that are not taken back.
    """
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

    from latexocr.reading.cache import make_room, retire, rewind, rewinds

    make_room(kwargs)
    restarts = RESTARTS if rewinds(kwargs, input_ids.shape) else 0
    answers = [Answer(ends=frozenset(ends), restarts=restarts) for _ in input_ids]
    rows, new = list(answers), 1 if kwargs["use_cache"] else None
    outputs = model(**model.prepare_inputs_for_generation(input_ids, is_first_iteration=True, **kwargs))
    with model._optimize_model_for_decode():
        while True:
            kwargs = model._update_model_kwargs_for_generation(outputs, kwargs)
            logits = outputs.logits[:, -1].float()
            sure = logits.log_softmax(dim=-1)  # Before any token is forbidden, as the processors may change in place.
            scores = _without(logits_processor(input_ids, logits), [answer.barred for answer in rows])
            tokens = _choose(scores, sample=generation_config.do_sample)
            input_ids = torch.cat([input_ids, tokens], dim=1)
            # In one, as a GPU is waited for each time; float32 holds every number of a token.
            both = torch.cat([tokens.float(), sure.gather(1, tokens)], dim=1).tolist()
            for row, (answer, (token, log_probability)) in enumerate(zip(rows, both, strict=True)):
                if gone := answer.add(int(token), log_probability, ends=ends, most=most):
                    rewind(kwargs, row, gone)
                    input_ids[row, -1] = answer.tokens[-1]
            watch(answers[0].settled)
            going = [place for place, answer in enumerate(rows) if not answer.done]
            if not going:
                return answers
            if RETIRE * (len(rows) - len(going)) >= len(rows) and retire(kwargs, going, input_ids.shape):
                input_ids, rows = input_ids[going], [rows[place] for place in going]
            outputs = model(**model.prepare_inputs_for_generation(input_ids, next_sequence_length=new, **kwargs))


def _without(scores: torch.Tensor, barred: Sequence[Collection[int]]) -> torch.Tensor:
    """The scores of each row, those of its barred tokens so low that they are never chosen; in place."""
    for row, tokens in enumerate(barred):
        if tokens:
            scores[row, list(tokens)] = float("-inf")
    return scores


def _choose(scores: torch.Tensor, *, sample: bool) -> torch.Tensor:
    """The next token of each row, (rows, 1)."""
    return scores.softmax(dim=-1).multinomial(1) if sample else scores.argmax(dim=-1, keepdim=True)


class Pieces:
    """Writes an answer as it grows. (The streamer of transformers waits for a space, and LaTeX has few.)"""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, write: Callable[[str], None]) -> None:
        self._tokenizer, self._write, self._written = tokenizer, write, ""

    def __call__(self, tokens: Sequence[int]) -> None:
        """The tokens so far. A character of several is written when it is whole."""
        self._go_on(self._text(tokens).rstrip("\ufffd"))

    def end(self, tokens: Sequence[int]) -> None:
        """All tokens of the answer."""
        self._go_on(self._text(tokens))

    def _text(self, tokens: Sequence[int]) -> str:
        return self._tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)

    def _go_on(self, text: str) -> None:
        self._write(text[len(self._written):])
        self._written = max(self._written, text, key=len)


def circle(tokens: Sequence[object]) -> int:
    """How many tokens the piece has that the last tokens of an answer only repeat; 0 where they do not."""
    for period in range(1, PERIOD + 1):
        length = _length(period)
        if len(tokens) < length:
            return 0
        if tokens[-1] == tokens[-1 - period] and tokens[period - length:] == tokens[-length:-period]:
            return period
    return 0


def loop_end(tokens: Sequence[object]) -> int | None:
    """How many tokens of a finished answer stand to the end of the first round of a circle; None where it has none.

    For readers whose model runs elsewhere, where an answer cannot go on from there.
    """
    longest = _length(PERIOD)
    for end in range(LOOP, len(tokens) + 1):
        if period := circle(tokens[max(0, end - longest):end]):
            return _first_round(tokens[:end], period)
    return None


def _length(period: int) -> int:
    """How many tokens of rounds with this period are a circle."""
    return max(LOOP, ROUNDS * period)


def _first_round(tokens: Sequence[object], period: int) -> int:
    """Where the first round ends of what the last tokens repeat with this period: at the end if they do not."""
    place = len(tokens)
    while place > period and tokens[place - 1] == tokens[place - 1 - period]:
        place -= 1
    return place
