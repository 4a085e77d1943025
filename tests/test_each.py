"""Every sample of a stream gets its prediction, whatever the reader does, and no more of the stream is held."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from latexocr.bench.each import read_each
from latexocr.errors import UserError
from latexocr.records import Prediction, Sample


def stream(n: int, taken: list[str] | None = None) -> Iterator[Sample]:
    for i in range(n):
        if taken is not None:
            taken.append(str(i))
        yield Sample(str(i), None)


class Breaking:
    """Reads `ahead` samples at a time; breaks on some, and on the others with them."""

    def __init__(self, ahead: int, broken: set[str] = frozenset()) -> None:
        self.ahead, self.broken = ahead, broken

    def read(self, samples):
        batch = []
        for sample in samples:
            batch.append(sample)
            if len(batch) == self.ahead:
                yield from self._answers(batch)
                batch = []
        yield from self._answers(batch)

    def _answers(self, batch):
        for sample in batch:
            if sample.id in self.broken:
                raise ValueError(f"cannot {sample.id}")
        return [Prediction(sample.id, f"x_{sample.id}") for sample in batch]


@pytest.mark.parametrize("ahead", [1, 2, 5, 100])
@pytest.mark.parametrize("broken", [set(), {"0"}, {"2"}, {"19"}, {"1", "2"}, {str(i) for i in range(20)}])
def test_one_that_breaks_the_reader_fails_alone(ahead, broken):
    pairs = list(read_each(Breaking(ahead, broken), stream(20)))
    assert [sample.id for sample, _ in pairs] == [p.id for _, p in pairs] == [str(i) for i in range(20)]
    assert {p.id for _, p in pairs if p.stop == "error"} == broken
    assert all(p.error == f"ValueError: cannot {p.id}" for _, p in pairs if p.stop == "error")


def test_nothing_is_nothing():
    assert list(read_each(Breaking(3), [])) == []


@pytest.mark.parametrize("ahead", [1, 7])
def test_a_stream_is_not_read_ahead_of_the_reader(ahead):
    taken: list[str] = []
    pairs = read_each(Breaking(ahead), stream(1000, taken))
    for _ in range(10):
        next(pairs)
    assert len(taken) <= 10 + ahead


@pytest.mark.parametrize("answers", [[], ["0"], ["1", "0"], ["0", "1", "2", "3"], ["0", "0"], list("012345")])
@pytest.mark.parametrize("takes", [0, 1, 5])
def test_a_reader_that_leaves_out_or_mixes_up_samples_is_refused(answers, takes):
    class Wrong:
        def read(self, samples):
            for _ in zip(range(takes), samples):
                pass
            yield from [Prediction(id, "x") for id in answers]

    with pytest.raises(UserError, match="one"):
        list(read_each(Wrong(), stream(5)))


def test_what_a_user_can_fix_stops_at_once():
    class Away:
        def read(self, samples):
            yield Prediction(next(iter(samples)).id, "x")
            raise UserError("No server answers.")

    pairs = read_each(Away(), stream(5))
    assert next(pairs)[1].latex == "x"
    with pytest.raises(UserError, match="No server"):
        next(pairs)
