"""An answer that goes in circles is ended, as one that was cut short; the others of its batch go on."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from latexocr.reading import GenerateConfig
from latexocr.reading.decoding import LOOP, PERIOD, Loops, loop_end
from latexocr.reading.local import load_model
from tests.conftest import drawn

PROMPT = 5


def rows(*answers: list[int]) -> torch.Tensor:
    return torch.tensor([[9] * PROMPT + answer for answer in answers])


@pytest.mark.parametrize(("answer", "loops"), [
    ([3] * LOOP, True),
    ([1, 2, 3] * (LOOP // 3), True),
    ([7, 8] + list(range(12)) * (LOOP // 12), True),
    (list(range(LOOP)), False),
    (list(range(13)) * 8, False),  # a matrix of equal rows is no circle
    ([3] * (LOOP - 1), False),
    ([3] * (LOOP - 1) + [4], False),
])
def test_what_is_a_circle(answer, loops):
    watch = Loops(PROMPT)
    assert watch(rows(answer), None).tolist() == [loops]
    assert watch.ended == ({0: len(answer)} if loops else {})


def test_only_the_row_in_question_ends_and_where_it_ended_is_kept():
    watch = Loops(PROMPT)
    fine, round_and_round = list(range(100, 100 + LOOP)), [3, 4] * (LOOP // 2)
    assert watch(rows(fine, round_and_round), None).tolist() == [False, True]
    watch(rows([*fine, 1], [*round_and_round, 3]), None)
    assert watch.ended == {1: LOOP}


PIECE = st.lists(st.integers(0, 3), min_size=1, max_size=PERIOD + 2)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(PIECE, st.integers(1, 90)), max_size=4))
def test_a_finished_answer_is_cut_where_a_growing_one_is_ended(pieces):
    tokens = list(itertools.chain.from_iterable(piece * times for piece, times in pieces))[:300]
    watch = Loops(PROMPT)
    growing = (length for length in range(1, len(tokens) + 1) if watch(rows(tokens[:length]), None).item())
    assert loop_end(tokens) == next(growing, None)
    assert loop_end([str(token) for token in tokens]) == loop_end(tokens)


def test_a_model_that_only_repeats_itself_is_stopped_early(tiny_model, monkeypatch):
    """A real model whose every next token is the same: its answer ends after LOOP tokens, as one cut short."""
    reader = load_model(tiny_model, device="cpu", config=GenerateConfig(max_tokens=400))
    token = max(reader.ends) + 1
    monkeypatch.setattr(reader.model.lm_head, "forward", lambda hidden: torch.nn.functional.one_hot(
        torch.full(hidden.shape[:-1], token), reader.model.config.text_config.vocab_size).float())
    prediction, = reader.read(drawn(1))
    assert not prediction.error
    assert (prediction.stop, prediction.tokens) == ("length", LOOP)
