"""An endless stream of training batches: formulas drawn by TeX as they are needed, each batch of one canvas.

Takes a corpus of formulas and a tokenizer, gives batches of pictures, target tokens and the cells where TeX put which
glyph. Knows nothing of the model.
"""

from __future__ import annotations

import bisect
import contextlib
import gzip
import json
import math
import os
import re
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from latexocr.data.degrade import as_sent, degrade
from latexocr.data.fonts import FONTS, available_fonts
from latexocr.data.hands import Hands, write
from latexocr.data.typeset import BODY_SIZES, Drawing, draw
from latexocr.errors import UserError
from latexocr.latex.canonical import Level, canonical
from latexocr.reading.images import GLYPH_HEIGHT, MARGIN, Fitted, canvas, fit, flatten, place
from latexocr.training.tables import BREAK, table

NON_COMMERCIAL = frozenset({"crohme", "mooculus", "apex"})
"""Sources whose licence forbids what ships."""
SCHOOL = frozenset({"k12", "k12b", "hme100k", "gaokao", "agieval", "toramath", "qwenmath"})
"""Sources of what is mostly written by hand: exercises, not papers."""
LENGTH_SHARES = {8: 0.12, 16: 0.19, 32: 0.25, 64: 0.20, 128: 0.16, 256: 0.08}
"""Longest formula of a class, in LaTeX tokens, and how often the class is drawn."""
NOT_A_PICTURE = re.compile(
    r"\\(color|textcolor|[hv]?phantom|tiny|small|scriptsize|large|Large|smash|raisebox|[hv]space|kern|mskip|hskip|rule"
    r"|label|tag|href|ref|fbox|colorbox|textcircled|hbox|mbox)\b|\\(boldsymbol|bm)\s*\{[^{}]*\\(boldsymbol|bm)\b")
"""Formulas with these are left out: the picture does not show what was written, or (bold in bold) TeX never ends."""
TOKEN = re.compile(r"\\[a-zA-Z]+|\\.|\S")
"""A quick count of LaTeX tokens, to sort 1.6 million formulas by length in seconds."""
UNSEEN_SPACE = re.compile(r"(?<!\\)\\!")
SAME_SPACES = re.compile(r"(?<!\\)(\\[,:;> ]|\\q?quad(?![a-zA-Z])|~)(?:\s*\1(?:(?<!quad)|(?![a-zA-Z])))+")
"""Space that brings signs closer, and space after space: a picture does not show how many. Taught them, models repeat
them without end."""
TABLE_SHARE, COMPOSED_SHARE = 0.16, 0.6
"""How often a formula of several rows or columns is drawn, and how many of those are composed; real ones are rare."""
HAND_SHARE, HAND_LONGEST = 0.5, 96
"""How many chunks are written by hand, where hands are given; the longest formula of those, in pieces."""
SCHOOL_SHARE = 0.5
"""How many of the chunks by hand are of exercises."""
RESOLUTIONS, HAND_RESOLUTIONS = (65, 80, 100, 120, 150, 180, 220), (130, 200, 300, 300)
"""Dots an inch of a chunk: small letters on a screen are 5 pixels high, those of a prepared picture 9."""
LARGEST_SPREAD = 0.7
"""Logarithm of how far the height of a picture's symbols is off in training, at most."""
SENT_SHARE = 0.5
"""How many pictures of a training stream are damaged before they are prepared, as those are that users send."""
SMALLEST = 100
"""Dots an inch from which on a drawing may lose half of its size: below, letters would be 3 pixels high."""
UNPLACED = -100
"""Class of a glyph that may not be where TeX put it any more; no loss is taken of it."""
CELL = 16
"""Side of the square that one visual token covers, in pixels."""
GLYPH_CLASSES = 16384
"""Glyphs are told apart by a hash of font and code into so many classes."""
CHUNK = 400
"""Formulas of one TeX document."""


@dataclass(frozen=True)
class Corpus:
    """Formulas by length class; one split, by document."""

    classes: tuple[tuple[str, ...], ...]
    """By length, as LENGTH_SHARES."""
    tables: tuple[str, ...] = ()
    """Those of several rows or columns once more; without any, none are composed either."""
    school: tuple[tuple[str, ...], ...] = ()
    """Those of exercises once more, by length."""


@dataclass(frozen=True)
class Example:
    """One drawn formula: what it looks like, what it says, where its glyphs are."""

    latex: str
    pixels: np.ndarray
    tokens: np.ndarray
    glyphs: np.ndarray
    """float32, (n, 3): x and y of the middle in pixels of `pixels`, and the class."""
    sent: bool = False
    """Whether it was damaged before it was prepared."""


@dataclass(frozen=True)
class Batch:
    """Examples of one canvas: pictures (B, H, W) uint8; tokens (B, L) int64, -100 after their end; glyphs (n, 2)."""

    pixels: np.ndarray
    tokens: np.ndarray
    glyphs: np.ndarray


def is_validation(document: int) -> bool:
    """Whether a document is held out: one in fifty, by a hash of its number."""
    return zlib.crc32(str(document).encode()) % 50 == 0


def load_corpus(path: Path, *, validation: bool = False) -> Corpus:
    """The formulas of a corpus file that may be trained on, or those of its held-out documents.

    Each line of the gzipped file is an object with `latex`, `source` and `doc`. Raises UserError otherwise.
    """
    classes: list[list[str]] = [[] for _ in LENGTH_SHARES]
    school: list[list[str]] = [[] for _ in LENGTH_SHARES]
    tables: list[str] = []
    limits = list(LENGTH_SHARES)
    try:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for row in map(json.loads, lines):
                if row["source"] in NON_COMMERCIAL or is_validation(row["doc"]) != validation:
                    continue
                if NOT_A_PICTURE.search(row["latex"]):
                    continue
                length = len(TOKEN.findall(row["latex"]))
                if length <= limits[-1]:
                    place = bisect.bisect_left(limits, length)
                    classes[place].append(row["latex"])
                    if row["source"] in SCHOOL:
                        school[place].append(row["latex"])
                    if BREAK.search(row["latex"]):
                        tables.append(row["latex"])
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError) as e:
        raise UserError(f"{path}: not a corpus ({type(e).__name__}: {e}). Expected gzipped JSON lines with 'latex', "
                        "'source' and 'doc'.") from e
    if not any(classes):
        raise UserError(f"{path}: no formulas in its {'held-out' if validation else 'training'} documents. One "
                        "document in fifty is held out: give a corpus of hundreds.")
    return Corpus(tuple(map(tuple, classes)), tuple(tables), tuple(map(tuple, school)))


def examples(corpus: Corpus, tokenizer, rng: np.random.Generator, *, longest: int = 256, fonts: tuple[str, ...] = (),
             count: int = CHUNK, sent: float = 0.0) -> list[Example]:
    """Up to `count` formulas drawn in one font and size, in their level-2 spelling; what TeX refuses is left out.

    `sent` is the share that is damaged before it is prepared.
    """
    targets = [canonical(formula, Level.SYNTAX) for formula in _formulas(corpus, rng, longest, count)]
    font = str(rng.choice(fonts)) if fonts else _training_font(rng)
    dpi = int(rng.choice(RESOLUTIONS))
    drawings = draw(targets, font=font, size=str(rng.choice(BODY_SIZES)), dpi=dpi, display=bool(rng.random() < 0.75))
    return _examples(targets, drawings, tokenizer, longest, dpi, rng, spread=0.12, sent=sent)


def written(corpus: Corpus, tokenizer, rng: np.random.Generator, hands: Hands, *, longest: int = HAND_LONGEST,
            count: int = CHUNK, sent: float = 0.0) -> list[Example]:
    """Up to `count` formulas as `examples` gives them, but written by hand: what no hand can write is left out."""
    longest = min(longest, HAND_LONGEST)
    if corpus.school and all(corpus.school[:3]) and rng.random() < SCHOOL_SHARE:
        corpus = replace(corpus, classes=corpus.school)
    targets = [canonical(formula, Level.SYNTAX) for formula in _formulas(corpus, rng, longest, count)]
    dpi = int(rng.choice(HAND_RESOLUTIONS))
    drawings = write(targets, hands, rng, dpi=dpi)
    return _examples(targets, drawings, tokenizer, longest, dpi, rng, spread=0.2, sent=sent)


def _formulas(corpus: Corpus, rng: np.random.Generator, longest: int, count: int) -> list[str]:
    limits = np.array(list(LENGTH_SHARES))
    held = np.array([bool(formulas) for formulas in corpus.classes])
    shares = np.array(list(LENGTH_SHARES.values())) * held * (limits <= max(longest, limits[held][0]))
    groups = [corpus.classes[i] for i in rng.choice(len(limits), size=count, p=shares / shares.sum())]
    formulas = [group[rng.integers(len(group))] for group in groups]
    if corpus.tables and longest > limits[1]:
        for place in np.flatnonzero(rng.random(count) < TABLE_SHARE):
            composed = rng.random() < COMPOSED_SHARE
            lines = corpus.classes[1 + int(rng.random() < 0.4)] or corpus.classes[1]
            formulas[place] = (table(corpus.classes[0], lines, rng, longest=longest) if composed
                               else corpus.tables[rng.integers(len(corpus.tables))])
    return [SAME_SPACES.sub(r"\1", UNSEEN_SPACE.sub(" ", formula)) for formula in formulas]


def _examples(targets: list[str], drawings: list[Drawing | None], tokenizer, longest: int, dpi: int,
              rng: np.random.Generator, *, spread: float, sent: float) -> list[Example]:
    pieces = tokenizer(targets, add_special_tokens=False)["input_ids"]
    return [_example(target, drawing, ids, dpi, rng, spread, sent)
            for target, drawing, ids in zip(targets, drawings, pieces, strict=True)
            if drawing is not None and len(ids) <= longest and min(drawing.image.size) > 3]


def _training_font(rng: np.random.Generator) -> str:
    names = [name for name in available_fonts() if FONTS[name].share]
    shares = np.array([FONTS[name].share for name in names])
    return str(rng.choice(names, p=shares / shares.sum()))


def _example(latex: str, drawing: Drawing, ids: list[int], dpi: int, rng: np.random.Generator, spread: float,
             sent: float = 0.0) -> Example:
    # On a scan or a small picture, preparation takes the height of symbols for another one: seldom, but then by far.
    amiss = float(np.clip(rng.standard_t(3) * spread, -LARGEST_SPREAD, LARGEST_SPREAD))
    grey, damaged = np.asarray(drawing.image), bool(sent) and rng.random() < sent
    if damaged:
        with contextlib.suppress(UserError):  # Too faint to be read at all: as it was drawn.
            grey = flatten(as_sent(drawing.image, rng, smaller=dpi >= SMALLEST))
    fitted: Fitted = fit(grey, GLYPH_HEIGHT * math.exp(amiss))
    pixels_a_point = dpi / 72.27
    glyphs = np.array([
        (((g.left + g.right) / 2 * pixels_a_point - fitted.left) * fitted.scale,
         ((g.top + g.bottom) / 2 * pixels_a_point - fitted.top) * fitted.scale,
         zlib.crc32(f"{g.font}/{g.code}".encode()) % GLYPH_CLASSES if not damaged else UNPLACED)
        for g in drawing.glyphs], dtype=np.float32)
    return Example(latex, fitted.pixels, np.array(ids, dtype=np.int64), glyphs.reshape(-1, 3), damaged)


def collate(group: list[Example], end: int, rng: np.random.Generator | None) -> Batch:
    """A batch of examples of one canvas; with `rng`, each moved about its canvas, and degraded unless it was before."""
    rows, columns = canvas(*group[0].pixels.shape)
    pixels = np.empty((len(group), rows, columns), np.uint8)
    longest = -(-(max(len(e.tokens) for e in group) + 1) // 16) * 16
    tokens = np.full((len(group), longest), -100, np.int64)
    cells = []
    for i, example in enumerate(group):
        height, width = example.pixels.shape
        top, left = (rows - height) // 2, MARGIN
        ink = example.pixels
        if rng is not None:
            top, left = int(rng.integers(0, rows - height + 1)), int(rng.integers(0, min(columns - width, 24) + 1))
            ink = ink if example.sent else degrade(ink, rng)
        pixels[i] = place(ink, (top, left))
        tokens[i, : len(example.tokens)] = example.tokens
        tokens[i, len(example.tokens)] = end
        x = np.clip((example.glyphs[:, 0] + left) // CELL, 0, columns // CELL - 1)
        y = np.clip((example.glyphs[:, 1] + top) // CELL, 0, rows // CELL - 1)
        cell = i * (rows // CELL) * (columns // CELL) + y * (columns // CELL) + x
        cells.append(np.stack([cell, example.glyphs[:, 2]], axis=1).astype(np.int64))
    return Batch(pixels, tokens, np.concatenate(cells))


@dataclass(frozen=True)
class Schedule:
    """How a stream goes on: short formulas first, then all."""

    short_seconds: float
    """So long only formulas of up to 16 tokens are drawn; then so long again, up to 64."""
    replay: int
    """Times an example is shown again, degraded anew."""
    pixels_a_batch: int
    most: int = 512
    """Pictures in a batch, at most."""


def batches(corpus: Corpus, tokenizer, schedule: Schedule, *, seed: int, started: float, hands: Hands | None = None
            ) -> Iterator[Batch]:
    """Batches without end, part of them by hand where hands are given.

    `started` is the time (seconds, `time.time()`) from which the schedule counts.
    """
    rng = np.random.default_rng(seed)
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    waiting: dict[tuple[int, int], list[Example]] = {}
    shown: list[Example] = []
    while True:
        age = time.time() - started
        longest = 16 if age < schedule.short_seconds else 64 if age < 2 * schedule.short_seconds else 256
        by_hand = hands is not None and rng.random() < HAND_SHARE
        fresh = (written(corpus, tokenizer, rng, hands, longest=longest, sent=SENT_SHARE) if by_hand
                 else examples(corpus, tokenizer, rng, longest=longest, sent=SENT_SHARE))
        shown = (shown + fresh)[-12_000:]
        again = [shown[i] for i in rng.integers(len(shown), size=schedule.replay * len(fresh))] if shown else []
        for example in fresh + again:
            size = canvas(*example.pixels.shape)
            group = waiting.setdefault(size, [])
            group.append(example)
            if len(group) >= min(schedule.most, max(8, schedule.pixels_a_batch // (size[0] * size[1]))):
                yield collate(waiting.pop(size), end, rng)


def warm() -> None:
    """Draw a formula in every font of this machine once, so that workers need not look for files.

    What is found is kept by this process: start the workers from it, by a fork, after this.
    """
    formulas = [r"x^{2}+\frac{\alpha}{\mathbf{B}}\sum_{i}\mathcal{L}\mathbb{R}\mathfrak{g}"]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda font: draw(formulas, font=font), available_fonts()))
