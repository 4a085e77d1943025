"""Batches at the same time: in order, as one after the other, no more than wanted, given up when nobody wants them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from latexocr.errors import UserError
from latexocr.reading import GenerateConfig
from latexocr.reading.flow import Stopped
from latexocr.reading.local import AT_ONCE, load_model
from latexocr.reading.parallel import each, twin
from latexocr.records import Sample
from tests.conftest import drawn
from tests.families import FAMILIES

SHORT = GenerateConfig(max_tokens=12, batch_size=3)


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    """As on a machine of two cores, wherever this runs."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("family", FAMILIES)
def test_two_at_once_answer_as_one_after_the_other(family, tmp_path):
    """Families note in their modules what belongs to the batch in work, such as by how much positions are ahead."""
    FAMILIES[family](tmp_path)
    reader = load_model(tmp_path, device="cpu", dtype="float32", config=SHORT)
    samples = drawn(20, alphabet="0123456789abcxyz+-", longest=14, seed=5)
    samples[7:7] = [Sample("bad", tmp_path / "missing.png", "x")]
    alone = [replace(prediction, confidence=None) for prediction in replace(reader, at_once=1).read(samples)]
    together = list(reader.read(samples))
    assert reader.at_once == AT_ONCE == 2 and [prediction.id for prediction in alone] == [one.id for one in samples]
    assert [replace(prediction, confidence=None) for prediction in together] == alone
    assert len({prediction.reply for prediction in alone}) > 3, "a model that says one thing proves nothing"


def test_a_twin_has_the_same_weights_in_modules_of_its_own(tiny_model):
    model = load_model(tiny_model, device="cpu").model
    other = twin(model)
    both = [dict(one.named_parameters()) | dict(one.named_buffers()) for one in (model, other)]
    assert both[0].keys() == both[1].keys() and all(both[0][name] is both[1][name] for name in both[0])
    assert not {id(module) for module in model.modules()} & {id(module) for module in other.modules()}
    patches = [module for module in other.modules() if isinstance(module, torch.nn.Conv3d)]
    assert patches and all(module.forward.args == (module,) for module in patches), "still those of the first"


class Work:
    """Waits; remembers how many did at once, with how many threads of torch each, and in which twin."""

    def __init__(self) -> None:
        self.lock, self.now, self.most = threading.Lock(), 0, 0
        self.threads, self.models = set(), []

    def __call__(self, batch, model, watch):
        with self.lock:
            assert not any(model is busy for busy in self.models), "two batches in one twin"
            self.models.append(model)
            self.now, self.most = self.now + 1, max(self.most, self.now + 1)
            self.threads.add(torch.get_num_threads())
        time.sleep(0.02 if batch % 3 else 0.06)
        watch([])
        with self.lock:
            self.now -= 1
            self.models = [busy for busy in self.models if busy is not model]
        return -batch


@pytest.mark.parametrize(("batches", "at_once", "most", "threads"), [
    (range(9), 2, 2, {1}), (range(9), 1, 1, {2}), (range(1), 2, 1, {2}), (range(0), 2, 0, set())])
def test_in_order_and_no_more_at_once_than_wanted(batches, at_once, most, threads):
    work = Work()
    assert list(each(batches, work, torch.nn.Linear(2, 2), at_once)) == [(batch, -batch) for batch in batches]
    assert (work.most, work.threads) == (most, threads) and torch.get_num_threads() == 2


def test_a_stream_is_not_taken_far_ahead():
    taken = []
    found = each((taken.append(batch) or batch for batch in range(99)), Work(), torch.nn.Linear(2, 2), 2)
    assert next(found) == (0, 0) and len(taken) <= 4
    found.close()


def test_what_a_batch_raises_is_raised_in_its_place():
    def work(batch, model, watch):
        if batch == 2:
            raise UserError("the third")
        return batch

    found = each(range(9), work, torch.nn.Linear(2, 2), 2)
    assert [next(found), next(found)] == [(0, 0), (1, 1)]
    with pytest.raises(UserError, match="the third"):
        next(found)


def test_what_nobody_wants_is_given_up_at_its_next_token():
    """As when Ctrl-C is pressed: whoever waits does not wait for the answers."""
    stopped, begun, before = [], threading.Event(), set(threading.enumerate())

    def work(batch, model, watch):
        if batch == 0:
            assert begun.wait(60)
            return batch
        begun.set()
        try:
            for _ in range(6000):
                time.sleep(0.01)
                watch([])
        except Stopped:
            stopped.append(batch)
            raise

    found = each(range(9), work, torch.nn.Linear(2, 2), 2)
    assert next(found) == (0, 0)
    began = time.monotonic()
    found.close()
    assert time.monotonic() - began < 5 and stopped and set(threading.enumerate()) <= before


def test_drawn_tokens_come_from_one_source_in_one_order(tiny_model):
    """Of two threads each would draw what the other left: a seed would not give the same answers again."""
    warm = load_model(tiny_model, device="cpu", dtype="float32",
                      config=replace(SHORT, temperature=1.5, seed=1))
    samples = drawn(12, alphabet="0123456789abcxyz+-", longest=14, seed=5)
    first, again = ([prediction.reply for prediction in warm.read(samples)] for _ in range(2))
    assert first == again
