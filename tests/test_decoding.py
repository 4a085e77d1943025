"""Decoding: the same tokens as transformers' own loop, each answer until its own end, taken back where it circles."""

from __future__ import annotations

import functools
import itertools
import random
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from latexocr.reading import GenerateConfig
from latexocr.reading.conversation import conversation
from latexocr.reading.decoding import LOOP, PERIOD, RESTARTS, ROUNDS, Answer, Pieces, circle, decode, loop_end
from latexocr.reading.images import prepare
from latexocr.reading.inputs import encode, render
from latexocr.reading.local import load_model
from tests.conftest import drawn
from tests.families import FAMILIES

CONFIG = GenerateConfig(max_tokens=60)
"""Too few for circles."""
LONG = GenerateConfig(max_tokens=280)
"""Untrained models have gone in circles by then."""


@pytest.mark.parametrize(("answer", "circles"), [
    ([3] * LOOP, 1),
    ([1, 2, 3] * (LOOP // 3), 3),
    ([7, 8] + list(range(12)) * ROUNDS, 12),
    ([7, 8] + list(range(PERIOD)) * ROUNDS, PERIOD),
    (list(range(PERIOD + 1)) * ROUNDS, 0),
    (list(range(12)) * ROUNDS + [0], 12),
    (list(range(12)) * (ROUNDS - 1), 0),  # a matrix of nine equal rows is no circle
    (list(range(LOOP)), 0),
    (list(range(13)) * 8, 0),
    ([3] * (LOOP - 1), 0),
    ([3] * (LOOP - 1) + [4], 0),
])
def test_what_is_a_circle(answer, circles):
    assert circle(answer) == circles


PIECE = st.lists(st.integers(0, 3), min_size=1, max_size=PERIOD + 2)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(PIECE, st.integers(1, 90)), max_size=4))
def test_a_finished_answer_is_cut_where_a_growing_one_is_ended(pieces):
    tokens = list(itertools.chain.from_iterable(piece * times for piece, times in pieces))[:500]
    growing = Answer(restarts=0)
    for token in tokens:
        growing.add(token, -0.1, ends={9}, most=1000)
    assert (loop_end(tokens) or len(tokens)) == len(growing.tokens) == len(growing.log_probabilities)
    assert growing.done == (loop_end(tokens) is not None) and not growing.ended
    assert loop_end([str(token) for token in tokens]) == loop_end(tokens)


def test_an_answer_takes_nothing_more_when_it_is_done():
    ended, full = Answer(), Answer()
    for token in (5, 6, 9, 7):
        ended.add(token, -token, ends={9}, most=5)
        full.add(token, -token, ends=set(), most=2)
    assert (ended.tokens, ended.log_probabilities, ended.ended, ended.done) == ([5, 6], [-5, -6, -9], True, True)
    assert (full.tokens, full.log_probabilities, full.ended, full.done) == ([5, 6], [-5, -6], False, True)


def test_taken_back_to_the_first_round_and_not_that_way_again():
    answer = Answer()
    gone = [answer.add(token, -token, ends={9}, most=100) for token in [5, *[1, 2] * (LOOP // 2)]]
    assert gone == [0] * LOOP + [LOOP - 2]
    assert (answer.tokens, answer.log_probabilities, answer.done) == ([5, 1, 2], [-5, -1, -2], False)
    assert answer.barred == {1}  # what began the second round
    for token in (3, 1):
        assert answer.add(token, -3, ends={9}, most=100) == 0 and answer.barred == set()
    assert answer.add(2, -3, ends={9}, most=100) == 0
    assert (answer.tokens, answer.barred) == ([5, 1, 2, 3, 1, 2], {1})  # nor later
    assert answer.add(4, -3, ends={9}, most=100) == answer.add(2, -3, ends={9}, most=100) == 0
    assert answer.add(1, -3, ends={9}, most=100) == 0 and answer.barred == {2}  # from wherever a round begins


def test_what_led_in_circles_from_a_place_is_forbidden_there_for_good():
    """The second circle would begin before what was kept: that stays, and neither way is gone again."""
    answer = Answer()
    for token in [*[1, 2] * (LOOP // 2), *[2] * (LOOP - 1)]:
        answer.add(token, 0.0, ends=(), most=100)
    assert (answer.tokens, answer.barred, answer.restarts) == ([1, 2], {1, 2}, RESTARTS - 2)


def grown(best, *, ends, most, **fields):
    """An answer whose next token is the best that is not barred, and what was settled after each; `best(tokens)` gives
    all tokens, the best first."""
    answer, settled = Answer(ends=frozenset(ends), **fields), []
    for _ in range((RESTARTS + 1) * most + 1):
        if answer.done:
            return answer, settled
        token = next(token for token in best(answer.tokens) if token not in answer.barred)
        before = len(answer.tokens)
        gone = answer.add(token, -float(token), ends=ends, most=most)
        assert answer.done or len(answer.tokens) == before + 1 - gone
        settled.append(list(answer.settled))
    raise AssertionError("an answer that never ends")


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 3), st.integers(2, 6), st.integers(0, RESTARTS))
def test_no_answer_goes_in_circles_whatever_the_model_finds_best(seed, memory, vocabulary, restarts):
    """A model that looks at its last few tokens: most of its answers go in circles."""
    @functools.cache
    def ranks(seen):
        return tuple(random.Random(f"{seed} {seen}").sample(range(vocabulary), vocabulary))

    answer, settled = grown(lambda tokens: ranks(tuple(tokens[-memory:] if memory else ())), ends={0}, most=300,
                            restarts=restarts)
    assert answer.tokens and 0 not in answer.tokens
    assert answer.ended or len(answer.tokens) == 300 or not answer.restarts
    assert loop_end(answer.tokens) is None
    assert answer.log_probabilities == [-float(token) for token in answer.tokens] + [-0.0] * answer.ended
    for earlier, later in itertools.pairwise(settled):
        assert later[:len(earlier)] == earlier
    assert settled[-1] == answer.tokens


def test_what_does_not_repeat_is_settled_at_once():
    answer = Answer()
    for token in range(40):
        answer.add(token, 0.0, ends=(), most=100)
        assert answer.settled == list(range(token + 1))
    answer.add(39, 0.0, ends=(), most=100)
    assert answer.settled == list(range(40))


def parting(answers):
    """The token that comes first at the most different places: taken for an end token, it parts the rows of a batch.

    None that begins an answer, for no answer may be empty.
    """
    return max(set(itertools.chain.from_iterable(answers)) - {answer[0] for answer in answers}, key=lambda token: len({
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
    reader = load_model(tmp_path, device="cpu", dtype="float32")
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
    reader = load_model(tiny_model, device="cpu", dtype="float32")
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
    config = GenerateConfig(max_tokens=20, temperature=1.5, seed=1)
    warm = load_model(tiny_model, device="cpu", dtype="float32", config=config)
    first, again = ([prediction.reply for prediction in warm.read(samples)] for _ in range(2))
    other = [p.reply for p in replace(warm, config=replace(warm.config, seed=2)).read(samples)]
    greedy = [p.reply for p in replace(warm, config=replace(warm.config, temperature=0.0)).read(samples)]
    assert first == again and first != other and first != greedy


def test_pieces_put_together_are_the_reply(tiny_model):
    reader = load_model(tiny_model, device="cpu", dtype="float32", config=GenerateConfig(max_tokens=30))
    sample, pieces = drawn(1)[0], []
    prediction = reader.stream(sample, pieces.append)
    assert len(pieces) > 10
    assert "".join(pieces) == prediction.reply == next(reader.read([sample])).reply


def test_a_character_of_several_tokens_is_written_when_it_is_whole(tiny_model):
    tokenizer, written = load_model(tiny_model, device="cpu").processor.tokenizer, []
    tokens = tokenizer("x\u8717y", add_special_tokens=False)["input_ids"] + tokenizer("\u8717")["input_ids"][:1]
    pieces = Pieces(tokenizer, written.append)
    for count in range(len(tokens) + 1):
        pieces(tokens[:count])
    assert "".join(written) == "x\u8717y" and len(tokens) > 4 > len([piece for piece in written if piece])
    pieces.end(tokens)
    assert "".join(written) == "x\u8717y\ufffd"  # half of one, with which the answer was cut off


def scored(reader, sample, answer):
    """Log-probabilities of all tokens at each place of an answer, by one pass over all of it: (tokens, all)."""
    asked = questions(reader, [sample])
    said = torch.tensor([answer.tokens])
    whole = {**asked, "input_ids": torch.cat([asked["input_ids"], said], dim=1),
             "attention_mask": torch.ones(1, asked["input_ids"].shape[1] + said.shape[1], dtype=torch.long)}
    whole |= {name: torch.cat([asked[name], torch.zeros_like(said)], dim=1) for name in asked if "token_type" in name}
    with torch.inference_mode():
        logits = reader.model(**whole).logits[0, asked["input_ids"].shape[1] - 1:]
    return logits.float().log_softmax(-1)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_batch_that_is_taken_back_says_what_one_pass_finds_best(family, tmp_path):
    """Untrained models soon go in circles: each row several times, at other places than its neighbours."""
    FAMILIES[family](tmp_path)
    reader = load_model(tmp_path, device="cpu", dtype="float32")
    samples = drawn(5, alphabet="0123456789abcxyz+-", longest=14, seed=5)
    answers = decode(reader.model, questions(reader, samples), ends=reader.ends, config=LONG)
    assert sum(answer.restarts < RESTARTS for answer in answers) >= 3, "no circles"
    assert len({answer.kept for answer in answers}) > 2
    for sample, answer in zip(samples, answers, strict=True):
        sure = scored(reader, sample, answer)
        spoken = answer.tokens + sorted(reader.ends)[:1] * answer.ended
        assert answer.log_probabilities == pytest.approx(sure[range(len(spoken)), spoken].tolist(), abs=1e-4)
        surest = sure[:len(spoken)].max(dim=-1).values.tolist()
        others = [place for place, (own, best) in enumerate(zip(answer.log_probabilities, surest)) if own < best - 1e-3]
        others = [place for place in others if place]  # At the first, an end was not allowed.
        assert bool(others) == (answer.restarts < RESTARTS)
        for place in others:
            assert int(sure[place].argmax()) in replace(answer, tokens=answer.tokens[:place], done=False).barred


def test_an_answer_that_circles_does_not_change_its_neighbours(tiny_model):
    """Until the first of a batch is taken back, and after."""
    reader = load_model(tiny_model, device="cpu", dtype="float32")
    samples = drawn(4, alphabet="0123456789abcxyz+-", longest=14, seed=5)
    together = decode(reader.model, questions(reader, samples), ends=reader.ends, config=LONG)
    alone = [decode(reader.model, questions(reader, [sample]), ends=reader.ends, config=LONG)[0] for sample in samples]
    assert [answer.tokens for answer in together] == [answer.tokens for answer in alone]
    assert len({answer.kept for answer in together}) > 2, "rows that are taken back together prove nothing"


def test_sampling_is_taken_back_too(tiny_model):
    """At so low a temperature as to be all but greedy."""
    reader = load_model(tiny_model, device="cpu", dtype="float32")
    asked = questions(reader, drawn(2, alphabet="0123456789abcxyz+-", longest=14, seed=5))
    greedy, sampled = (decode(reader.model, asked, ends=reader.ends, config=replace(LONG, temperature=temperature))
                       for temperature in (0.0, 1e-5))
    assert [answer.tokens for answer in sampled] == [answer.tokens for answer in greedy]
    assert any(answer.restarts < RESTARTS for answer in sampled)


def test_no_answer_is_empty(tiny_model):
    """Though the model would begin with an end: then comes the next best, and its probability is as it was."""
    reader = load_model(tiny_model, device="cpu", dtype="float32")
    sample, = drawn(1)
    [free] = decode(reader.model, questions(reader, [sample]), ends=reader.ends, config=CONFIG)
    first = free.tokens[0]
    [answer] = decode(reader.model, questions(reader, [sample]), ends={first}, config=CONFIG)
    sure = scored(reader, sample, free)[0]
    second = int(sure.topk(2).indices[1])
    assert answer.tokens[0] == second != first
    assert answer.log_probabilities[0] == pytest.approx(float(sure[second]), abs=1e-4)


def test_pieces_of_an_answer_that_was_taken_back_are_the_reply(tiny_model):
    reader = load_model(tiny_model, device="cpu", dtype="float32", config=LONG)
    sample = drawn(1, alphabet="0123456789abcxyz+-", longest=14, seed=5)[0]
    [answer] = decode(reader.model, questions(reader, [sample]), ends=reader.ends, config=LONG)
    assert answer.kept, "no circles"
    pieces = []
    prediction = reader.stream(sample, pieces.append)
    assert "".join(pieces) == prediction.reply and prediction.tokens == len(answer.tokens)


def test_a_model_that_keeps_its_state_elsewhere_is_cut_at_once(tiny_model, monkeypatch):
    """Such as in layers of a cache that are not ours, some of which forget."""
    monkeypatch.setattr("latexocr.reading.cache.make_room", lambda kwargs: None)
    reader = load_model(tiny_model, device="cpu", dtype="float32")
    answers = decode(reader.model, questions(reader, drawn(
        3, alphabet="0123456789abcxyz+-", longest=14, seed=5)), ends=reader.ends, config=LONG)
    assert any(answer.kept and len(answer.tokens) == answer.kept < LONG.max_tokens for answer in answers), "no circles"
    assert all(answer.done and not answer.restarts for answer in answers)


def test_a_model_that_only_repeats_itself_is_stopped_early(tiny_model, monkeypatch):
    """A real model whose best next token is always the same, then others in their order, an end the last: each time
    that it is taken back, it goes in a circle with one more. Then its answer is one cut short, after a round."""
    reader = load_model(tiny_model, device="cpu", dtype="float32", config=GenerateConfig(max_tokens=400))
    vocabulary = reader.model.config.text_config.vocab_size
    order = torch.arange(vocabulary, 0, -1.0)
    order[5] = vocabulary + 1
    monkeypatch.setattr(reader.model.lm_head, "forward", lambda hidden: order.expand(*hidden.shape[:-1], -1))
    prediction, = replace(reader, ends=frozenset({vocabulary - 1})).read(drawn(1))
    assert not prediction.error
    assert (prediction.stop, prediction.tokens) == ("length", RESTARTS + 1)
