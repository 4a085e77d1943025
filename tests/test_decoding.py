"""Decoding: the same tokens as transformers' own loop, each answer until its own end, none in circles for ever."""

from __future__ import annotations

import functools
import itertools
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from latexocr.reading import GenerateConfig
from latexocr.reading.conversation import conversation
from latexocr.reading.decoding import LOOP, PERIOD, Answer, circle, decode, loop_end
from latexocr.reading.images import prepare
from latexocr.reading.inputs import encode, render
from latexocr.reading.local import load_model
from tests.conftest import drawn
from tests.families import FAMILIES

CONFIG = GenerateConfig(max_tokens=60)
"""Too few for circles."""


@pytest.mark.parametrize(("answer", "circles"), [
    ([3] * LOOP, True),
    ([1, 2, 3] * (LOOP // 3), True),
    ([7, 8] + list(range(12)) * (LOOP // 12), True),
    (list(range(LOOP)), False),
    (list(range(13)) * 8, False),  # a matrix of equal rows is no circle
    ([3] * (LOOP - 1), False),
    ([3] * (LOOP - 1) + [4], False),
])
def test_what_is_a_circle(answer, circles):
    assert bool(circle(answer)) == circles


PIECE = st.lists(st.integers(0, 3), min_size=1, max_size=PERIOD + 2)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(PIECE, st.integers(1, 90)), max_size=4))
def test_a_finished_answer_is_cut_where_a_growing_one_is_ended(pieces):
    tokens = list(itertools.chain.from_iterable(piece * times for piece, times in pieces))[:300]
    growing = Answer()
    for token in tokens:
        growing.add(token, -0.1, ends={9}, most=1000)
    assert (loop_end(tokens) or len(tokens)) == len(growing.tokens)
    assert growing.done == (loop_end(tokens) is not None) and not growing.ended
    assert loop_end([str(token) for token in tokens]) == loop_end(tokens)


def test_an_answer_takes_nothing_more_when_it_is_done():
    ended, full = Answer(), Answer()
    for token in (5, 6, 9, 7):
        ended.add(token, -token, ends={9}, most=5)
        full.add(token, -token, ends=set(), most=2)
    assert (ended.tokens, ended.log_probabilities, ended.ended, ended.done) == ([5, 6], [-5, -6, -9], True, True)
    assert (full.tokens, full.log_probabilities, full.ended, full.done) == ([5, 6], [-5, -6], False, True)


def parting(answers):
    """The token that comes first at the most different places: taken for an end token, it parts the rows of a batch."""
    return max(set(itertools.chain.from_iterable(answers)), key=lambda token: len({
        answer.index(token) for answer in answers if token in answer}))


def questions(reader, samples):
    """The encoded questions to the pictures of some samples, padded to one length."""
    pictures = [prepare(sample.image) for sample in samples]
    texts = [render(reader.processor, conversation(picture), ask=True) for picture in pictures]
    return encode(reader.processor, texts, pictures, side="left")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_batch_says_what_the_loop_of_transformers_says_and_as_surely(family, tmp_path):
    """Answers that end at many places, by a token that was made their end, so that rows leave the batch on the way."""
    FAMILIES[family](tmp_path)
    reader = load_model(tmp_path, device="cpu")
    asked = questions(reader, drawn(9, alphabet="0123456789abcxyz+-", longest=14, seed=5))
    with torch.inference_mode():
        whole = reader.model.generate(**asked, max_new_tokens=CONFIG.max_tokens, do_sample=False, output_logits=True,
                                      return_dict_in_generate=True)
    said = whole.sequences[:, asked["input_ids"].shape[1]:].tolist()
    sure = torch.stack(whole.logits, dim=1).float().log_softmax(-1)
    ends = reader.ends | {parting(said)}
    answers = decode(reader.model, asked, ends=ends, config=CONFIG)
    lengths = set()
    for answer, row, probabilities in zip(answers, said, sure, strict=True):
        end = next((place for place, one in enumerate(row) if one in ends), None)
        expected = row[:end]
        assert (answer.tokens, answer.ended) == (expected, end is not None)
        spoken = row[:len(expected) + answer.ended]
        assert answer.log_probabilities == pytest.approx(
            [float(probabilities[place, one]) for place, one in enumerate(spoken)], abs=2e-3)
        lengths.add(len(expected))
    assert len(lengths) > 2, "rows that leave together prove nothing"


def test_rows_that_have_ended_leave_the_batch(tiny_model, monkeypatch):
    reader = load_model(tiny_model, device="cpu")
    asked = questions(reader, drawn(9, alphabet="0123456789abcxyz+-", longest=14, seed=5))
    free = decode(reader.model, asked, ends=reader.ends, config=CONFIG)
    ends = reader.ends | {parting([answer.tokens for answer in free])}
    rows = []
    forward = type(reader.model).forward

    @functools.wraps(forward)  # `generate` looks at its parameters
    def counted(self, *args, **kwargs):
        rows.append(len(kwargs["input_ids"]))
        return forward(self, *args, **kwargs)

    monkeypatch.setattr(type(reader.model), "forward", counted)
    answers = decode(reader.model, asked, ends=ends, config=CONFIG)
    assert rows[0] == 9 and rows[-1] < 9 and rows == sorted(rows, reverse=True)
    assert sum(rows) < 9 * len(rows)
    assert [answer.tokens for answer in answers] != [answer.tokens for answer in free]


def test_a_seed_draws_the_same_answers_again(tiny_model):
    samples = drawn(5, seed=3)
    warm = load_model(tiny_model, device="cpu", config=GenerateConfig(max_tokens=20, temperature=1.5, seed=1))
    first, again = ([prediction.reply for prediction in warm.read(samples)] for _ in range(2))
    other = [p.reply for p in replace(warm, config=replace(warm.config, seed=2)).read(samples)]
    greedy = [p.reply for p in replace(warm, config=replace(warm.config, temperature=0.0)).read(samples)]
    assert first == again and first != other and first != greedy


def test_pieces_put_together_are_the_reply(tiny_model):
    reader = load_model(tiny_model, device="cpu", config=GenerateConfig(max_tokens=30))
    sample, pieces = drawn(1)[0], []
    prediction = reader.stream(sample, pieces.append)
    assert len(pieces) > 10
    assert "".join(pieces) == prediction.reply == next(reader.read([sample])).reply


def test_a_model_that_only_repeats_itself_is_stopped_early(tiny_model, monkeypatch):
    """A real model whose every next token is the same: its answer ends after LOOP tokens, as one cut short."""
    reader = load_model(tiny_model, device="cpu", config=GenerateConfig(max_tokens=400))
    token = max(reader.ends) + 1
    monkeypatch.setattr(reader.model.lm_head, "forward", lambda hidden: torch.nn.functional.one_hot(
        torch.full(hidden.shape[:-1], token), reader.model.config.text_config.vocab_size).float())
    prediction, = reader.read(drawn(1))
    assert not prediction.error
    assert (prediction.stop, prediction.tokens) == ("length", LOOP)
