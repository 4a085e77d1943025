"""Planted faults of each kind are found, and none in clean data."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from rapidfuzz.distance import Levenshtein

from latexocr.bench.audit_page import audit_page
from latexocr.data.audit import FAULTS, audit
from latexocr.data.fingerprints import alike, fingerprint
from latexocr.data.near import SHARE, nearest
from latexocr.data.overlap import overlap
from latexocr.data.sheet import contact_sheet
from latexocr.data.splits import split
from latexocr.errors import UserError
from latexocr.records import Sample
from latexocr.tex import run as tex

FONT = ImageFont.load_default(size=48)
needs_tex = pytest.mark.skipif(not tex.available(), reason="needs TeX")


def drawn(text: str) -> Image.Image:
    """A picture that shows a string, black on white."""
    picture = Image.new("L", (24 + 28 * len(text), 90), 255)
    ImageDraw.Draw(picture).text((12, 16), text, fill=0, font=FONT)
    return picture


def sample(name: str, latex: str | None, image: Image.Image | Path | None = None, subset: str = "") -> Sample:
    return Sample(name, image or drawn(latex or name), latex, subset)


def clean(n: int = 12) -> list[Sample]:
    return [sample(f"s{i}", rf"{'abcdefghijklmnop'[i]}+{i}=x^{{{i + 20}}}-7y") for i in range(n)]


def faults(samples: list[Sample], **options) -> dict[str, list[tuple[str, ...]]]:
    found = audit(samples, **options).faults
    assert list(found) == list(FAULTS)
    return {kind: [finding.ids for finding in findings] for kind, findings in found.items() if findings}


def test_clean_data_has_no_faults():
    report = audit(clean(), clean()[:0])
    assert not report.faulty and not any(report.faults.values())
    assert (report.n, report.formulas, report.repeated) == (12, 12, {})
    assert sum(report.lengths.values()) == 12 and not report.overlap.matches


@pytest.mark.parametrize(("kind", "latex"), [
    ("empty", None), ("empty", ""), ("empty", "  $ $ "), ("empty", "% all of it a comment"),
    ("unbalanced", r"\frac{a}{b"), ("unbalanced", "a}+b"), ("unbalanced", r"\left( a"),
    ("unbalanced", r"\begin{matrix} a & b"),
    ("unparsable", "a^1^2"), ("unparsable", "x # y"), ("unparsable", "x = $ y"),
    ("over-long", "a+" * 300 + "b"),
])
def test_a_planted_reference_is_found(kind, latex):
    assert faults([*clean(), sample("planted", latex)], ask_tex=False) == {kind: [("planted",)]}


@needs_tex
def test_what_tex_refuses_is_found():
    planted = [sample("unknown", r"a+\nosuchcommand+c"), replace(clean()[3], id="again"),
               sample("long", r"\nosuchcommand" + "+a" * 300, drawn("long"))]
    report = audit([*clean(), *planted])
    assert report.asked_tex
    assert [finding.ids for finding in report.faults["refused"]] == [("unknown",), ("long",)]


def test_without_tex_nothing_is_refused_and_it_is_said(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    report = audit([*clean(), sample("unknown", r"a+\nosuchcommand+c")])
    assert not report.asked_tex and not report.faulty


def test_longest_is_in_tokens():
    assert faults([sample("a", "x+y")], longest=3, ask_tex=False) == {}
    assert faults([sample("a", "x+y")], longest=2, ask_tex=False) == {"over-long": [("a",)]}


def test_broken_pictures_are_found(tmp_path):
    (tmp_path / "half.png").write_bytes(b"\x89PNG\r\n\x1a\n only the beginning")
    planted = [sample("none", "a+1", tmp_path / "none.png"), sample("half", "a+2", tmp_path / "half.png"),
               sample("white", "a+3", Image.new("L", (40, 20), 255)), sample("black", "a+4", Image.new("1", (9, 9), 0))]
    report = audit([*clean(), *planted], ask_tex=False)
    assert {finding.ids[0]: finding.note.split(" (")[0] for finding in report.faults["picture"]} == {
        "none": "cannot be opened", "half": "cannot be opened", "white": "blank", "black": "blank"}


def test_contradictions_are_found_whatever_the_format_and_the_margin(tmp_path):
    picture = clean()[4].image
    wide = Image.new("RGB", (picture.width + 80, picture.height + 40), "white")
    wide.paste(picture, (50, 10))
    wide.save(tmp_path / "other.bmp")
    planted = [sample("other", "z", tmp_path / "other.bmp")]
    assert faults([*clean(), *planted], ask_tex=False) == {"contradiction": [("s4", "other")]}


def test_another_spelling_is_no_contradiction():
    one = sample("a", r"\frac12 \le x")
    found = faults([one, Sample("b", one.image, r"\frac{1}{2}\leq x")], ask_tex=False)
    assert found == {"double": [("a", "b")]}


def turned(image: Image.Image) -> Image.Image:
    """The picture as a telephone held upright saves it: on its side, with a note of how to turn it."""
    aside = image.rotate(90, expand=True)
    aside.getexif()[0x0112] = 6  # Orientation
    return aside


@pytest.mark.parametrize("change", [
    lambda image: image,
    lambda image: Image.fromarray(255 - np.asarray(image)),
    lambda image: image.convert("RGBA"),
    lambda image: image.resize((image.width * 2, image.height * 2), Image.Resampling.BICUBIC),
    lambda image: image.resize((image.width * 7 // 10, image.height * 7 // 10), Image.Resampling.BICUBIC),
    lambda image: image.filter(ImageFilter.GaussianBlur(0.8)),
    lambda image: turned(image),
])
def test_copies_are_doubles(change):
    one = clean()[5]
    assert faults([*clean(), replace(one, id="copy", image=change(one.image))], ask_tex=False) == {
        "double": [("s5", "copy")]}


def test_the_same_formula_written_twice_is_no_fault_but_is_counted():
    again = Sample("again", Image.fromarray(np.roll(np.asarray(drawn("x y z")), 3)), clean()[0].latex)
    report = audit([*clean(), again], ask_tex=False)
    assert not report.faulty and list(report.repeated.values()) == [2]


def test_pictures_of_other_formulas_are_not_alike():
    prints = [fingerprint(drawn(text)) for text in ("a+b=c", "x-y=2z", "f(t)", "12345", "k(1-k)")]
    assert not any(alike(a, b) for i, a in enumerate(prints) for b in prints[:i])


def test_a_large_picture_of_two_sizes_is_alike():
    large = drawn("a+b=c").resize((4000, 3000))
    assert alike(fingerprint(large), fingerprint(large.resize((2000, 1500))))


def test_broken_files_of_every_kind_are_findings_and_an_empty_cell_never_a_traceback(tmp_path):
    rng = random.Random(0)
    samples = []
    for kind in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM"):
        drawn("x+y").save(tmp_path / f"whole.{kind}", kind)
        whole = (tmp_path / f"whole.{kind}").read_bytes()
        for number in range(25):
            broken = bytearray(whole[: rng.randrange(1, len(whole) + 1)])
            for _ in range(rng.randrange(1, 9)):
                broken[rng.randrange(len(broken))] = rng.randrange(256)
            path = tmp_path / f"{number}.{kind}"
            path.write_bytes(broken)
            samples.append(Sample(path.name, path, "x+y"))
    report = audit(samples, ask_tex=False)
    assert len(report.faults["picture"]) > 30
    assert contact_sheet([(s.image, s.latex) for s in samples]).width
    assert "cannot be opened" in audit_page(report, samples, "broken")


@pytest.mark.parametrize("ink", ["black", "white"])
def test_ink_on_transparent_paper_is_ink(ink):
    clear = Image.new("RGBA", (200, 60), ink)
    clear.putalpha(Image.fromarray(255 - np.asarray(drawn("x+y").resize((200, 60)))))
    assert not fingerprint(clear).problem


# Overlap


def written(formulas: list[str], name: str) -> list[Sample]:
    """Samples whose pictures have nothing to do with one another."""
    rng = np.random.default_rng(sum(map(ord, name)))
    return [Sample(f"{name}{i}", Image.fromarray(rng.integers(0, 256, (20, 60), dtype=np.uint8)), formula)
            for i, formula in enumerate(formulas)]


LONG = r"\sum_{i=0}^{n} a_{i} x^{i} + b_{0} + c_{1} - d_{2} = 0"
TRAIN = [LONG, r"\frac{1}{2}\leq x+y-z+w", "a=b", r"f(x)=\int_{0}^{1} g(t) dt + h(x)"]


@pytest.mark.parametrize(("formula", "kind", "train_id", "edits"), [
    (LONG, "exact", "train0", 0),
    (LONG.replace(" ", ""), "exact", "train0", 0),
    (r"\frac12 \le x+y-z+w", "canonical", "train1", 0),
    (LONG.replace("d_", "e_"), "near", "train0", 1),
    (LONG.replace("= 0", r"= 0,"), "near", "train0", 1),
    (LONG.replace("x^{i}", "x^{i} y"), "near", "train0", 1),
    ("a=b", "exact", "train2", 0),
])
def test_a_formula_that_was_seen_is_found(formula, kind, train_id, edits):
    found = overlap(written([formula, r"\alpha\beta\gamma"], "test"), written(TRAIN, "train"))
    assert list(found.matches) == ["test0"]
    match = found.matches["test0"]
    assert (match.kind, match.train_id, match.edits) == (kind, train_id, edits)
    assert found.counts[kind] == 1 and sum(found.counts.values()) == 1
    assert found.seen == (frozenset() if kind == "near" else {"test0"})
    assert found.contaminated == (kind != "near" and formula != "a=b")
    assert str(found.n) in found.sentence() and "1" in found.sentence()


def test_a_picture_that_was_seen_counts_first_and_also_with_another_formula():
    train = written(TRAIN, "train")
    test = [Sample("same", train[0].image, LONG), Sample("other", train[3].image, r"\omega"), *written(["q"], "test")]
    found = overlap(test, train)
    assert {id_: (match.kind, match.train_id) for id_, match in found.matches.items()} == {
        "same": ("picture", "train0"), "other": ("picture", "train3")}
    assert found.contaminated and found.sentence().startswith("2 of 3 test samples (66.7 %)")


def test_nothing_in_common():
    found = overlap(written(["a+b", r"\alpha"], "test"), written(TRAIN, "train"))
    assert not found.matches and not found.contaminated and found.sentence().startswith("None of 2")


def test_samples_without_reference_or_picture_do_not_match_one_another():
    bare = [Sample("a", Path("/nowhere/a.png"), None), Sample("b", Path("/nowhere/b.png"), "")]
    assert not overlap(bare, bare).matches


def test_the_overlap_is_in_the_audit():
    report = audit(clean(), [replace(clean()[2], id="test")], ask_tex=False)
    assert report.overlap.matches["test"].kind == "picture" and report.overlap.matches["test"].train_id == "s2"


TOKENS = st.lists(st.sampled_from(["a", "b", r"\frac", "{", "}", "^", "1"]), max_size=40)


@settings(max_examples=60, deadline=None)
@given(st.lists(TOKENS, max_size=8), st.lists(TOKENS, max_size=12), st.randoms(use_true_random=False))
def test_the_nearest_is_that_of_looking_at_all(ours, theirs, chance):
    theirs = [*theirs, *(_edited(formula, chance) for formula in ours)]
    for formula, found in zip(ours, nearest(ours, theirs), strict=True):
        edits = [Levenshtein.distance(formula, other) for other in theirs]
        within = [n for n, other in zip(edits, theirs, strict=True)
                  if formula and n <= SHARE * max(len(formula), len(other)) + 1e-9]
        assert (found.edits if found else None) == (min(within) if within else None)
        assert found is None or edits[found.number] == found.edits


def _edited(formula: list[str], chance: random.Random) -> list[str]:
    result = list(formula)
    for _ in range(chance.randint(0, 4)):
        at = chance.randint(0, len(result))
        result[at : at + chance.randint(0, 1)] = chance.choice([[], ["c"], ["a"]])
    return result


# Splits


def corpus(n: int = 400) -> list[Sample]:
    """Formulas that come several times, in other spellings, of several writers."""
    spellings = (r"x_{%d}\le 1", r"x_{%d} \leq 1")
    return [Sample(f"d{i % 7}/{i}", Path("none.png"), spellings[i % 2] % (i % 90), f"writer {i % 20}")
            for i in range(n)]


@pytest.mark.parametrize(("by", "group"), [("formula", lambda s: int(s.latex[3:s.latex.index("}")])),
                                           ("subset", lambda s: s.subset), ("folder", lambda s: s.id.split("/")[0])])
def test_no_group_is_on_both_sides(by, group):
    parts = split(corpus(), 0.7, by=by, seed=2)
    assert not {group(s) for s in parts.train} & {group(s) for s in parts.test}
    assert sorted(s.id for s in parts.train + parts.test) == sorted(s.id for s in corpus())


def test_a_split_is_the_same_from_the_same_seed_in_any_order_and_with_more_samples():
    ours = {s.id for s in split(corpus(), 0.8).train}
    shuffled = corpus()
    random.Random(1).shuffle(shuffled)
    assert {s.id for s in split(shuffled, 0.8).train} == ours
    assert {s.id for s in split(corpus(500), 0.8).train} >= ours
    assert {s.id for s in split(corpus(), 0.8, seed=1).train} != ours
    assert 0.6 < len(ours) / len(corpus()) < 0.95
    assert split(corpus(), 0.8).train == [s for s in corpus() if s.id in ours]


@pytest.mark.parametrize(("options", "words"), [
    ({"share": 0.5, "by": "row"}, "formula, subset, folder"), ({"share": 0.0}, "between 0 and 1"),
    ({"share": 1.2}, "between 0 and 1"),
])
def test_a_split_that_cannot_be_is_one_line(options, words):
    with pytest.raises(UserError, match=words):
        split(corpus(), **options)


def test_one_group_cannot_be_divided():
    with pytest.raises(UserError, match="one side"):
        split([replace(s, subset="all") for s in corpus()], 0.5, by="subset")
