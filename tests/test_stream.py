"""What the embedded model learns from: which formulas, as TeX draws them, every glyph in its cell."""

from __future__ import annotations

import gzip
import itertools
import json
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from latexocr.data.typeset import Drawing, available
from latexocr.errors import UserError
from latexocr.latex.canonical import Level, canonical
from latexocr.reading.images import INK, canvas
from latexocr.tex.dvi import Glyph
from latexocr.training import stream

FORMULAS = (r"x^2", r"a+b=c", r"\frac{1}{2}", r"\alpha_i", r"2\le n", r"\sqrt{y}", r"\sin x", r"f(x)", r"K", r"3.14",
            r"\sum_{i=0}^{n} i^2 = \frac{n(n+1)(2n+1)}{6}",
            r"\int_0^\infty e^{-x^2}\,dx=\frac{\sqrt{\pi}}{2}",
            r"\left(\begin{matrix} a & b \\ c & d \end{matrix}\right)\in\mathbb{R}^{2\times 2}")
needs_tex = pytest.mark.skipif(not available(), reason="needs TeX (latex, dvipng)")


@pytest.fixture(scope="module")
def tokenizer(untrained_model: Path):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(untrained_model)


@pytest.fixture(scope="module")
def drawn(tokenizer) -> list[stream.Example]:
    return stream.examples(corpus_of(FORMULAS), tokenizer, np.random.default_rng(0), count=60)


def corpus_of(formulas) -> stream.Corpus:
    lengths = [len(stream.TOKEN.findall(formula)) for formula in formulas]
    limits = [0, *stream.LENGTH_SHARES]
    return stream.Corpus(tuple(
        tuple(f for f, n in zip(formulas, lengths) if low < n <= high) for low, high in itertools.pairwise(limits)))


def corpus_file(folder: Path, rows: list) -> Path:
    path = folder / "corpus.jsonl.gz"
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    return path


def row(latex: str = "x", source: str = "arxiv", doc: int = 0) -> dict:
    return {"latex": latex, "source": source, "doc": doc}


def test_one_document_in_fifty_is_held_out():
    assert 150 < sum(map(stream.is_validation, range(10_000))) < 250


def test_documents_are_in_one_split_whole(tmp_path):
    path = corpus_file(tmp_path, [row(f"x_{{{doc}}}={i}", doc=doc) for doc in range(1000) for i in range(3)])
    train, held_out = (set().union(*stream.load_corpus(path, validation=v).classes) for v in (False, True))
    assert len(train) + len(held_out) == 3000 and not train & held_out
    documents = {formula.partition("=")[0] for formula in train}
    assert 5 < 1000 - len(documents) < 50
    assert not documents & {formula.partition("=")[0] for formula in held_out}


@pytest.mark.parametrize(("found", "kept"), [
    (row("a+b"), True),
    (row("a+b", source="crohme"), False),
    (row("a+b", source="mooculus"), False),
    (row("a+b", source="apex"), False),
    (row(r"\phantom{a}+b"), False),
    (row(r"\label{eq}a"), False),
    (row(r"\rule{1pt}{1pt}"), False),
    (row(r"\ruled"), True),
    (row("x" * 256), True),
    (row("x" * 257), False),
])
def test_what_may_not_or_cannot_be_learned_is_left_out(tmp_path, found, kept):
    assert not stream.is_validation(0) and not stream.is_validation(1)
    path = corpus_file(tmp_path, [found, row("0", doc=1)])
    formulas = set().union(*stream.load_corpus(path).classes)
    assert formulas == {"0", *([found["latex"]] if kept else [])}


def test_formulas_are_sorted_by_their_tokens(tmp_path):
    lengths = (1, 8, 9, 16, 17, 64, 65, 128, 129, 256)
    path = corpus_file(tmp_path, [row(r"\alpha " * length) for length in lengths])
    classes = stream.load_corpus(path).classes
    assert [[formula.count("alpha") for formula in group] for group in classes] == [
        [1, 8], [9, 16], [17], [64], [65, 128], [129, 256]]


@pytest.mark.parametrize("content", [
    pytest.param(b"plain text\n", id="not gzipped"),
    pytest.param(gzip.compress(b"not json\n"), id="not JSON"),
    pytest.param(gzip.compress(b'{"latex": "x"}\n'), id="no source"),
    pytest.param(gzip.compress(b'["x"]\n'), id="no object"),
    pytest.param(gzip.compress(b'{"latex": 1, "source": "a", "doc": 0}\n'), id="latex is a number"),
    pytest.param(gzip.compress(b"\xff\xfe\n"), id="not UTF-8"),
    pytest.param(gzip.compress(bytes(range(200)) * 99)[:-30], id="cut off"),
    pytest.param(gzip.compress(b""), id="empty"),
    pytest.param(gzip.compress(json.dumps(row(source="crohme")).encode()), id="nothing free"),
    pytest.param(None, id="missing"),
])
def test_a_bad_corpus_is_one_line(tmp_path, content):
    path = tmp_path / "corpus.jsonl.gz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        stream.load_corpus(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_training_draws_every_font_but_those_kept_for_validation(tokenizer, monkeypatch):
    asked = []
    monkeypatch.setattr(stream, "draw", lambda formulas, **style: asked.append(style["font"]) or [None] * len(formulas))
    monkeypatch.setattr(stream, "available_fonts", lambda: ("cm", "tx", "palatino", "px", "mathdesign-charter"))
    rng = np.random.default_rng(0)
    for _ in range(60):
        stream.examples(corpus_of(FORMULAS), tokenizer, rng, count=1)
    assert set(asked) == {"cm", "tx"}
    asked.clear()
    stream.examples(corpus_of(FORMULAS), tokenizer, rng, count=1, fonts=("px",))
    assert asked == ["px"]


@needs_tex
def test_an_example_says_in_tokens_what_its_canonical_spelling_is(drawn, tokenizer):
    spellings = {canonical(formula, Level.SYNTAX) for formula in FORMULAS}
    assert len({example.latex for example in drawn}) > 8
    for example in drawn:
        assert example.latex in spellings
        assert tokenizer.decode(example.tokens) == example.latex
        assert not set(example.tokens.tolist()) & set(tokenizer.all_special_ids)


@needs_tex
def test_what_tex_refuses_and_what_is_too_long_is_left_out(tokenizer):
    corpus = stream.Corpus(((r"\undefined x", "x+y", "abcdefghijkl"), (), (), (), (), ()))
    rng = np.random.default_rng(0)
    assert {e.latex for e in stream.examples(corpus, tokenizer, rng, count=20)} == {"x+y", "abcdefghijkl"}
    assert {e.latex for e in stream.examples(corpus, tokenizer, rng, longest=8, count=20)} == {"x+y"}


@needs_tex
def test_glyphs_are_named_where_their_ink_is(drawn):
    for example in drawn:
        batch = stream.collate([example], 2, None)
        rows, columns = batch.pixels.shape[1:]
        cells = (batch.pixels[0] < INK).reshape(rows // 16, 16, columns // 16, 16).any(axis=(1, 3)).ravel()
        named = batch.glyphs[:, 0]
        assert len(named) == len(example.glyphs) > 0
        # The middle of a root or of a large bracket may be empty, that of a symbol is not.
        assert cells[named].mean() > 0.8, example.latex


@needs_tex
def test_a_glyph_has_one_name_and_lies_in_the_middle_of_its_ink(tokenizer):
    for seed in range(4):
        alone, = stream.examples(corpus_of(["K"]), tokenizer, np.random.default_rng(seed), fonts=("cm",), count=1)
        assert alone.glyphs[:, 2].tolist() == [zlib.crc32(b"cmmi/%d" % ord("K")) % stream.GLYPH_CLASSES]
        assert alone.glyphs[0, :2] == pytest.approx(np.array(alone.pixels.shape[::-1]) / 2, abs=2.5)  # of 16


def test_cropping_and_scaling_take_the_glyphs_along():
    picture = Image.new("L", (200, 120), 255)
    ImageDraw.Draw(picture).rectangle([150, 60, 169, 99], fill=0)
    box = Glyph("cmr", 1, *(side / 2 for side in (150, 60, 170, 100)))
    found = stream._example("x", Drawing(picture, [box]), [1], 2 * 72.27, np.random.default_rng(0), spread=0.12)
    height, width = found.pixels.shape
    assert found.glyphs[0, :2] == pytest.approx((width / 2, height / 2), abs=0.5) and height < 30


def two_signs(gap: int = 120) -> Drawing:
    picture = Image.new("L", (gap + 80, 60), 255)
    for left in (30, 30 + gap):
        ImageDraw.Draw(picture).rectangle([left, 20, left + 13, 39], fill=0)
    return Drawing(picture, [Glyph("cmr", 1, left / 2, 10, left / 2 + 7, 20) for left in (30, 30 + gap)])


def test_what_is_damaged_before_it_is_prepared_is_so_once_and_its_glyphs_bear_no_loss():
    rngs = [np.random.default_rng(seed) for seed in range(30)]
    plain = stream._example("x", two_signs(), [1], 144, np.random.default_rng(0), 0)
    sent = [stream._example("x", two_signs(), [1], 144, rng, 0, sent=1) for rng in rngs]
    assert not plain.sent and (plain.glyphs[:, 2] >= 0).all()
    assert len({one.pixels.tobytes() for one in sent}) > 20
    for one in sent:
        assert one.sent and (one.glyphs[:, 2] == stream.UNPLACED).all()
        batch = stream.collate([one], 2, np.random.default_rng(1))
        assert (np.sort(batch.pixels[batch.pixels < 255]) == np.sort(one.pixels[one.pixels < 255])).all()
    half = [stream._example("x", two_signs(), [1], 144, np.random.default_rng(seed), 0, sent=0.5) for seed in range(60)]
    assert 15 < sum(one.sent for one in half) < 45


def test_a_small_drawing_loses_no_pixels(monkeypatch):
    seen = []
    monkeypatch.setattr(stream, "as_sent", lambda image, rng, *, smaller: seen.append(smaller) or image)
    for dpi in (65, 100):
        stream._example("x", two_signs(), [1], dpi, np.random.default_rng(0), 0, sent=1)
    assert seen == [False, True]


@needs_tex
def test_validation_is_drawn_whole_and_training_is_not(tokenizer):
    corpus = corpus_of(FORMULAS)
    assert not any(one.sent for one in stream.examples(corpus, tokenizer, np.random.default_rng(0), count=20))
    some = stream.examples(corpus, tokenizer, np.random.default_rng(0), count=40, sent=stream.SENT_SHARE)
    assert 0 < sum(one.sent for one in some) < len(some)


def example(width: int, tokens: int, glyph: tuple[float, float]) -> stream.Example:
    pixels = np.zeros((20, width), np.uint8)
    return stream.Example("", pixels, np.arange(5, 5 + tokens), np.array([[*glyph, 7]], np.float32))


def test_collate_ends_answers_and_counts_cells_through_the_batch():
    group = [example(50, 3, (10, 10)), example(40, 17, (39, 19)), example(45, 0, (-3, 99))]
    assert {canvas(*e.pixels.shape) for e in group} == {(32, 64)}
    batch = stream.collate(group, 2, None)
    assert batch.pixels.shape == (3, 32, 64) and batch.pixels.dtype == np.uint8
    assert batch.tokens.shape == (3, 32)
    assert batch.tokens[0].tolist() == [5, 6, 7, 2] + [-100] * 28
    assert batch.tokens[1].tolist() == [*range(5, 22), 2] + [-100] * 14
    assert batch.tokens[2].tolist() == [2] + [-100] * 31
    # Ink begins at (6, 4); 2 rows of 4 cells a picture.
    assert batch.glyphs.tolist() == [[4 * 1 + 0, 7], [8 + 4 * 1 + 2, 7], [16 + 4 * 1 + 0, 7]]


def test_with_chance_pictures_move_and_their_glyphs_with_them():
    places, greys = set(), set()
    for seed in range(30):
        batch = stream.collate([example(20, 1, (10, 10))], 2, np.random.default_rng(seed))
        ink = np.argwhere(batch.pixels[0] < INK)
        y, x = ink.mean(axis=0)
        (cell, _), = batch.glyphs
        middle = np.array([cell // 4 * 16 + 8, cell % 4 * 16 + 8])
        assert np.abs(middle - (y, x)).max() <= 10
        places.add(int(cell))
        greys |= set(batch.pixels.ravel().tolist())
    assert len(places) > 3
    assert len(greys) > 30, "none was degraded"


@needs_tex
def test_batches_are_of_one_canvas_and_as_large_as_allowed(tokenizer):
    corpus, schedule = corpus_of(FORMULAS), stream.Schedule(short_seconds=0, replay=2, pixels_a_batch=60_000, most=20)
    arriving = stream.batches(corpus, tokenizer, schedule, seed=1, started=time.time())
    found = list(itertools.islice(arriving, 12))
    sizes = {batch.pixels.shape[1:] for batch in found}
    assert len(sizes) > 2
    assert max((batch.tokens != -100).sum(axis=1).max() for batch in found) > 64  # the matrix: nothing is too long
    for batch in found:
        count, rows, columns = batch.pixels.shape
        assert (rows, columns) == canvas(rows - 8, columns - 8)
        assert count == len(batch.tokens) == min(20, max(8, 60_000 // (rows * columns)))
        assert (batch.tokens == tokenizer.eos_token_id).any(axis=1).all()
    again = next(stream.batches(corpus, tokenizer, schedule, seed=1, started=time.time()))
    assert np.array_equal(again.pixels, found[0].pixels) and np.array_equal(again.tokens, found[0].tokens)


@pytest.mark.parametrize(("found", "taught"), [
    (r"a\!\!b", "a  b"), (r"\alpha\!x", r"\alpha x"), (r"a\ \ \ b", r"a\ b"), (r"a\,\,\, b", r"a\, b"), ("a~~b", "a~b"),
    (r"a\quad \quad b", r"a\quad b"), (r"a\,\;b", r"a\,\;b"), (r"x\\!y", r"x\\!y"), (r"\\\\ \\ x", r"\\\\ \\ x"),
    (r"\quad\quadrant", r"\quad\quadrant"), (r"a\,b\,c", r"a\,b\,c")])
def test_spaces_that_a_picture_does_not_show_are_not_taught(found, taught):
    assert stream._formulas(corpus_of([found]), np.random.default_rng(0), 256, 2) == [taught] * 2


def test_half_of_what_is_written_by_hand_are_exercises(tmp_path, tokenizer, monkeypatch):
    path = corpus_file(tmp_path, [row("x" * n, source=source, doc=doc) for doc, source in ((0, "arxiv"), (1, "k12"))
                                  for n in (5 + doc, 10 + doc, 20 + doc, 40 + doc)])
    corpus = stream.load_corpus(path)
    assert [list(map(len, group)) for group in corpus.school] == [[6], [11], [21], [41], [], []]
    asked = []
    monkeypatch.setattr(stream, "write", lambda formulas, *_, **__: asked.append(formulas) or [None] * len(formulas))
    rng = np.random.default_rng(0)
    for _ in range(60):
        stream.written(corpus, tokenizer, rng, None, count=9)
    exercises = [all(len(formula) % 5 == 1 for formula in formulas) for formulas in asked]
    assert 15 < sum(exercises) < 45
    asked.clear()
    stream.written(corpus_of(FORMULAS), tokenizer, rng, None, count=9)
    assert len(asked) == 1


@needs_tex
@pytest.mark.parametrize(("replay", "documents"), [(0, 4), (3, 1)])
def test_replay_shows_what_was_drawn_again(tokenizer, monkeypatch, replay, documents):
    drawings, draw = [], stream.examples
    monkeypatch.setattr(stream, "examples", lambda *given, **style: drawings.append(
        draw(*given, count=25, fonts=("cm",), **style))
                        or drawings[-1])
    monkeypatch.setattr(stream, "RESOLUTIONS", (150,))  # All of one canvas, or nearly.
    monkeypatch.setattr(stream, "SENT_SHARE", 0.0)
    schedule = stream.Schedule(short_seconds=0, replay=replay, pixels_a_batch=8_000_000, most=4)
    arriving = stream.batches(corpus_of(["a+b"]), tokenizer, schedule, seed=1, started=time.time())
    assert sum(len(batch.pixels) for batch in itertools.islice(arriving, 24)) == 96
    assert len(drawings) == documents


@needs_tex
def test_short_formulas_come_first(tokenizer):
    short = next(stream.batches(corpus_of(FORMULAS), tokenizer, stream.Schedule(1000, 1, 8_000_000), seed=1,
                                started=time.time()))
    assert (short.tokens != -100).sum(axis=1).max() <= 17
