"""Every sample of a stream gets its prediction, whatever a reader does.

Takes a reader and samples, gives pairs. Knows nothing of files.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain

from latexocr.errors import UserError
from latexocr.reading import Reader
from latexocr.records import Prediction, Sample, failure


def read_each(reader: Reader, samples: Iterable[Sample]) -> Iterator[tuple[Sample, Prediction]]:
    """Each sample with its prediction, in order; of a stream, only those are kept that the reader has in work.

    Where the reader breaks, the sample that broke it becomes a failure and the rest goes on. A batch breaks as a whole,
    so after a break the next sample is read alone: only a sample that fails alone is one. A UserError (no model, no
    server) stops the run, which can be continued.
    """
    asked: deque[Sample] = deque()
    stream, singly = iter(samples), False

    def taken() -> Iterator[Sample]:
        for sample in stream:
            asked.append(sample)
            yield sample

    while asked or next(taken(), None):
        try:
            todo = [asked[0]] if singly else chain(tuple(asked), taken())
            for prediction in reader.read(todo):
                if not asked or prediction.id != asked[0].id:
                    raise UserError(f"The reader answered {prediction.id!r} where {asked[0].id if asked else ''!r} was "
                                    "asked. A reader yields one prediction a sample, in order.")
                yield asked.popleft(), prediction
            if asked and not singly:
                raise UserError(f"The reader gave no prediction for {asked[0].id!r}. It must yield one a sample.")
            singly = False
        except UserError:
            raise
        except Exception as e:  # Whatever a model's code raises on one picture must not lose the others.
            if singly:
                yield (sample := asked.popleft()), failure(sample, f"{type(e).__name__}: {e}")
            singly = not singly

