"""BLEU, for comparison with papers only: corpus BLEU-4 by sacreBLEU, from counts that are summed over pairs.

Takes tokens, gives counts; summed counts give a score of 0 to 100. The formula is sacreBLEU's own: here n-grams are
only counted, so that resamples need no second look at the text (Post, 2018: A call for clarity in reporting BLEU).
"""

from __future__ import annotations

from collections import Counter
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from latexocr.latex.aliases import NO_ALIASES, Aliases
from latexocr.latex.canonical import Level
from latexocr.scoring.forms import KEPT, form, tokens

if TYPE_CHECKING:
    import numpy as np

ORDER = 4
Counts = tuple[float, ...]


def token_counts(prediction: str, reference: str, aliases: Aliases = NO_ALIASES) -> Counts:
    """Of our tokens, sacreBLEU's own tokenisation being off."""
    return counts(tokens(prediction, aliases), tokens(reference, aliases))


def despaced_counts(prediction: str, reference: str) -> Counts:
    r"""Of words as sacreBLEU's 13a cuts them from LaTeX without its needless spaces (the surface form).

    The setting of UniMERNet's tables with sacreBLEU's smoothing and a removal of spaces that knows tokens. On the
    answers of one system to CROHME 2014, 13a gave 90.2 with spaces and 95.1 without: never to be set beside `bleu`.
    """
    predicted, expected = (words_13a(form(latex, Level.SURFACE)) for latex in (prediction, reference))
    return counts(predicted, expected)


def counts(predicted: tuple[str, ...], expected: tuple[str, ...]) -> Counts:
    """Lengths of both, then n-grams found and n-grams written for n = 1 to 4, as sacreBLEU counts them."""
    lengths = len(predicted), len(expected)
    written = [max(0, lengths[0] - n) for n in range(ORDER)]
    if predicted == expected:
        return (*lengths, *written, *written)
    found = [sum(map(min, map(grams.__getitem__, both), map(allowed.__getitem__, both)))
             for grams, allowed in zip(_grams(predicted), _grams(expected)) for both in [grams.keys() & allowed.keys()]]
    return (*lengths, *found, *written)


@lru_cache(maxsize=KEPT)
def _grams(row: tuple[str, ...]) -> list[Counter[tuple[str, ...]]]:
    """How often each n-gram stands in a row, for n = 1 to 4."""
    return [Counter(zip(*(row[i:] for i in range(n)))) for n in range(1, ORDER + 1)]


def value(summed: np.ndarray, smooth: str = "exp") -> np.ndarray:
    """Corpus BLEU, 0 to 100, by sacreBLEU from its statistics, of each row of summed counts."""
    import numpy as np
    from sacrebleu.metrics.bleu import BLEU

    scores = [BLEU.compute_bleu(row[2:2 + ORDER], row[2 + ORDER:], row[0], row[1], smooth_method=smooth).score
              for row in summed.reshape(-1, summed.shape[-1]).astype(np.int64).tolist()]
    return np.array(scores).reshape(summed.shape[:-1])


def unit_value(summed: np.ndarray) -> np.ndarray:
    """As `value`, but 0 to 1, and 0 where no n-gram of some length is found: as `evaluate` counts."""
    return value(summed, smooth="none") / 100


@lru_cache(maxsize=KEPT)
def words_13a(text: str) -> tuple[str, ...]:
    """The words of a text as sacreBLEU's default tokenizer (mteval-v13a) cuts them."""
    return tuple(_tokenizer()(text).split())


@cache
def _tokenizer():
    from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

    return Tokenizer13a()
