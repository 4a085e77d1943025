"""What is written loads again, what was killed goes on, and other trainers take what is written for them."""

from __future__ import annotations

from dataclasses import replace

import datasets
import numpy as np
import pytest
from conftest import drawn
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from test_sources import in_memory, picture, shown

from latexocr.data.sources import content_hash, load, stream
from latexocr.data.write import FORMS, Written, convert, write_samples
from latexocr.errors import UserError
from latexocr.reading.conversation import PROMPT, conversation
from latexocr.records import Sample

# JSON lines

text = st.text(max_size=12)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.builds(in_memory, text, st.none() | text, st.integers(0, 255),
                          st.sampled_from(["1", "L", "RGB", "RGBA", "P"])), min_size=1, max_size=4,
                unique_by=lambda sample: sample.id))
def test_written_samples_load_again(tmp_path_factory, samples):
    folder = tmp_path_factory.mktemp("written")
    write_samples(folder, samples)
    again = load(str(folder))
    assert shown(again) == shown(samples) and content_hash(again) == content_hash(samples)
    for before, after in zip(samples, again, strict=True):
        with Image.open(after.image) as image:
            assert image.convert("RGBA").tobytes() == before.image.convert("RGBA").tobytes()


def test_files_are_copied_as_they_are_and_what_is_missing_stays_missing(tmp_path):
    (tmp_path / "odd.JPG").write_bytes(b"no picture")
    samples = [Sample("odd", tmp_path / "odd.JPG", None, "s"), Sample("gone", tmp_path / "gone.png", "x")]
    index = write_samples(tmp_path / "out/deep", samples)
    again = load(str(index))
    assert shown(again) == shown(samples) and content_hash(again) == content_hash(samples)
    assert again[0].image.read_bytes() == b"no picture" and not again[1].image.exists()
    assert shown(load(str(tmp_path / "out/deep"))) == shown(samples)


def test_other_modes_become_png_too(tmp_path):
    write_samples(tmp_path / "out", [in_memory(mode, mode=mode) for mode in ("CMYK", "YCbCr", "LA", "I", "F")])
    for sample in load(str(tmp_path / "out")):
        with Image.open(sample.image) as image:
            assert image.convert("L").getpixel((0, 0)) == 0


def test_samples_already_there_are_not_overwritten(tmp_path):
    write_samples(tmp_path, [in_memory("a")])
    with pytest.raises(UserError, match="already there"):
        write_samples(tmp_path, [in_memory("b")])
    assert [s.id for s in load(str(tmp_path))] == ["a"]


def test_samples_that_are_there_whole_stay_and_count_as_written(tmp_path):
    samples = [in_memory("a", shade=5), in_memory("b", None)]
    index = write_samples(tmp_path, samples)
    written = index.stat().st_mtime_ns
    assert write_samples(tmp_path, iter(samples)) == index and index.stat().st_mtime_ns == written
    for others in (samples[:1], [*samples, in_memory("c")], [in_memory("a", shade=6), samples[1]],
                   [replace(samples[0], subset="s"), samples[1]]):
        with pytest.raises(UserError, match="already there, with other samples"):
            write_samples(tmp_path, others)
    assert index.stat().st_mtime_ns == written
    index.write_text('{"picture": "a.png"}\n')  # of somebody else
    with pytest.raises(UserError, match="already there, with other samples"):
        write_samples(tmp_path, samples[:1])


def test_pictures_of_the_user_are_not_written_over(tmp_path):
    """Where a set is converted into its own folder, the first picture would be called as another is."""
    shades = {"000000.png": 1, "zz.png": 2}
    for name, shade in shades.items():
        picture(tmp_path / "images" / name, shade)
    samples = [Sample(name, tmp_path / "images" / name, "x") for name in ("zz.png", "000000.png")]
    with pytest.raises(UserError, match="images: holds files already"):
        write_samples(tmp_path, samples)
    assert {path.name: np.asarray(Image.open(path))[0, 0] for path in (tmp_path / "images").iterdir()} == shades


@pytest.mark.parametrize("form", FORMS)
def test_a_set_that_could_not_be_loaded_again_is_not_written(tmp_path, form):
    with pytest.raises(UserError, match="two samples have the id 'a'"):
        convert([in_memory("a"), in_memory("b"), in_memory("a", "y")], tmp_path / "out", form, conversation)


def test_two_do_not_write_to_one_folder(tmp_path):
    def samples():
        yield in_memory("a")
        with pytest.raises(UserError, match="another latexocr is writing there"):
            write_samples(tmp_path, [in_memory("a"), in_memory("b")])
        yield in_memory("b")

    write_samples(tmp_path, samples())
    assert [s.id for s in load(str(tmp_path))] == ["a", "b"]


class Killed(Exception):
    """What ends a process in the middle."""


def until(samples: list[Sample], count: int):
    yield from samples[:count]
    raise Killed


@pytest.mark.parametrize("cut", [0, 1, 30])
def test_a_killed_conversion_goes_on_where_it_was(tmp_path, cut, monkeypatch):
    samples = [in_memory(str(number), shade=number) for number in range(6)]
    with pytest.raises(Killed):
        write_samples(tmp_path, until(samples, 4))
    begun = tmp_path / "samples.jsonl.part"
    assert not (tmp_path / "samples.jsonl").exists()
    begun.write_bytes(begun.read_bytes()[: -cut or None])  # in the middle of a line
    times = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "images").iterdir()}
    write_samples(tmp_path, samples)
    assert shown(load(str(tmp_path))) == shown(samples)
    assert content_hash(load(str(tmp_path))) == content_hash(samples) and not begun.exists()
    for number in range(4 if cut == 0 else 3):
        assert (tmp_path / f"images/{number:06d}.png").stat().st_mtime_ns == times[f"{number:06d}.png"]


@pytest.mark.parametrize("others", [
    [in_memory("a"), in_memory("c")], [in_memory("a"), in_memory("b", "y")], [in_memory("a")],
    [in_memory("a"), in_memory("b", shade=9)],
])
def test_other_samples_do_not_go_on_with_it(tmp_path, others):
    with pytest.raises(Killed):
        write_samples(tmp_path, until([in_memory("a"), in_memory("b")], 2))
    with pytest.raises(UserError, match="begun with other samples"):
        write_samples(tmp_path, others)


def test_where_there_is_nothing_to_read_no_folder_is_made(tmp_path):
    for form in FORMS:
        with pytest.raises(UserError, match="not found"):
            convert(stream(str(tmp_path / "none")), tmp_path / "out", form, conversation)
    assert not list(tmp_path.iterdir())


# For other trainers

def test_a_data_set_loads_again_with_datasets_and_with_us(tmp_path):
    (tmp_path / "in").mkdir()
    Image.new("RGB", (6, 5), "red").save(tmp_path / "in/a.jpg")
    samples = [Sample("a", tmp_path / "in/a.jpg", "x", "train"), in_memory("b", None), in_memory("c", shade=9)]
    assert convert(iter(samples), tmp_path / "out", "datasets") == Written(tmp_path / "out", 3)
    again = load(str(tmp_path / "out"))
    assert shown(again) == shown(samples) and content_hash(again) == content_hash(samples)
    theirs = datasets.load_from_disk(str(tmp_path / "out"))
    assert theirs["text"][:] == ["x", None, "x"] and theirs[0]["image"].size == (6, 5)
    assert np.asarray(theirs[2]["image"])[0, 0] == 9
    assert not list(tmp_path.glob("*.part"))


def test_conversations_are_those_that_a_model_sees(tmp_path):
    samples = [in_memory("a", r"\frac{1}{2}", shade=5)]
    convert(samples, tmp_path / "out", "conversation", conversation)
    [row] = datasets.load_from_disk(str(tmp_path / "out"))
    [image] = row["images"]
    assert np.asarray(image)[0, 0] == 5 and row["id"] == "a"
    assert row["messages"] == [
        {"role": "user", "content": [{"type": "image", "text": None}, {"type": "text", "text": PROMPT}]},
        {"role": "assistant", "content": [{"type": "text", "text": r"\frac{1}{2}"}]}]


def test_trl_makes_the_batch_of_it_that_our_training_makes(tmp_path, tiny_model):
    """Its collator of today, given the data set as it is, fills the picture in and learns from the answer."""
    from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

    from latexocr.reading.inputs import encode, load_processor, render

    samples = drawn(3)
    convert(samples, tmp_path / "out", "conversation", conversation)
    rows = list(datasets.load_from_disk(str(tmp_path / "out")))
    processor = load_processor(tiny_model)
    batch = DataCollatorForVisionLanguageModeling(processor)(rows)
    ours = encode(processor, [render(processor, conversation(s.image, s.latex), ask=False) for s in samples],
                  [sample.image for sample in samples], side="right")
    assert batch["input_ids"].tolist() == ours["input_ids"].tolist()
    assert batch["pixel_values"].allclose(ours["pixel_values"])


@pytest.mark.parametrize("form", FORMS[1:])
def test_nothing_is_overwritten_and_nothing_half_is_left(tmp_path, form):
    picture(tmp_path / "out/a.png")
    with pytest.raises(UserError, match="already there"):
        convert([in_memory("a")], tmp_path / "out", form, conversation)
    with pytest.raises(Killed):
        convert(until([in_memory("a")], 1), tmp_path / "new", form, conversation)
    with pytest.raises(UserError, match="nothing to write"):
        convert([Sample("a", tmp_path / "gone.png", "x")], tmp_path / "new", form, conversation)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_forms_are_listed(tmp_path):
    with pytest.raises(UserError, match="Expected jsonl, datasets, conversation"):
        convert([in_memory("a")], tmp_path / "out", "parquet")
    assert convert([in_memory("a")], tmp_path / "out", "jsonl") == Written(tmp_path / "out/samples.jsonl", 1)


@pytest.mark.parametrize("form", ["jsonl", "datasets", "conversation"])
@pytest.mark.parametrize("out", ["file/out", "/proc/out"])
def test_a_place_that_cannot_be_written_is_one_line(tmp_path, form, out):
    (tmp_path / "file").touch()
    samples = [Sample("a", Image.new("L", (9, 9), 0), "x")]
    with pytest.raises(UserError, match=r"cannot be written \(.+\)\. Make room, or choose another folder\.") as error:
        convert(samples, tmp_path / out, form, conversation)
    assert "\n" not in str(error.value)
