"""Parquet, arrow and imagefolder as `datasets` writes them, and CSV: written by the tests, read without `datasets`."""

from __future__ import annotations

import io
import random
import time
from collections import Counter
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from test_bad_input import mutated
from test_sources import lines, picture, refusal, shown

from latexocr.data import pictures
from latexocr.data.sources import load, stream
from latexocr.errors import UserError


def png(shade: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (4, 3), shade).save(buffer, "PNG")
    return buffer.getvalue()


FEATURES = datasets.Features({"image": datasets.Image(), "text": datasets.Value("string")})


def rows(count: int, name: str = "x", first: int = 0) -> dict[str, list]:
    return {"image": [{"bytes": png(number), "path": None} for number in range(first, first + count)],
            "text": [f"{name}_{number}" for number in range(first, first + count)]}


def dataset(count: int, name: str = "x", first: int = 0) -> datasets.Dataset:
    return datasets.Dataset.from_dict(rows(count, name, first), features=FEATURES)


def expected(count: int, name: str, subset: str) -> list[tuple]:
    return [(f"{subset}/{number:06d}" if subset else f"{number:06d}", f"{name}_{number}", subset)
            for number in range(count)]


def shades(samples: list) -> list[int]:
    return [int(np.asarray(Image.open(sample.image))[0, 0]) for sample in samples]


def test_a_parquet_file(tmp_path):
    dataset(70).to_parquet(str(tmp_path / "a.parquet"))
    samples = load(str(tmp_path / "a.parquet"))
    assert shown(samples) == expected(70, "x", "") and shades(samples) == list(range(70))


def test_a_copy_of_a_hub_repository(tmp_path):
    for config in ("full", "small"):
        (tmp_path / config).mkdir()
        dataset(2, config).to_parquet(str(tmp_path / config / "train-00000-of-00002.parquet"))
        dataset(1, config, 2).to_parquet(str(tmp_path / config / "train-00001-of-00002.parquet"))
        dataset(1, config).to_parquet(str(tmp_path / config / "test-00000-of-00001.parquet"))
    (tmp_path / "README.md").write_text("---\n---\n")
    assert shown(load(f"{tmp_path}/small")) == [*expected(1, "small", "test"), *expected(3, "small", "train")]
    assert shown(load(f"{tmp_path}:full/train")) == expected(3, "full", "full/train")
    assert len(load(str(tmp_path))) == 8


def test_the_usual_data_folder(tmp_path):
    (tmp_path / "data").mkdir()
    dataset(2).to_parquet(str(tmp_path / "data/train-00000-of-00001.parquet"))
    assert shown(load(str(tmp_path))) == expected(2, "x", "train")


def test_what_save_to_disk_wrote(tmp_path):
    dataset(3).save_to_disk(tmp_path / "one")
    datasets.DatasetDict(train=dataset(2, "a"), test=dataset(1, "b")).save_to_disk(tmp_path / "parts")
    assert shown(load(str(tmp_path / "one"))) == expected(3, "x", "")
    assert shown(load(str(tmp_path / "parts"))) == [*expected(1, "b", "test"), *expected(2, "a", "train")]
    assert shown(load(f"{tmp_path}/parts:train")) == expected(2, "a", "train")
    [file] = (tmp_path / "one").glob("*.arrow")
    assert shown(load(str(file))) == expected(3, "x", "")
    with pa.OSFile(str(tmp_path / "feather.arrow"), "wb") as sink:  # the other of arrow's two formats
        table = dataset(3).data.table
        with pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
    assert shown(load(str(tmp_path / "feather.arrow"))) == expected(3, "x", "")


@pytest.mark.parametrize("index", ["metadata.jsonl", "metadata.csv", "metadata.parquet"])
def test_an_imagefolder_is_read_as_datasets_reads_it(tmp_path, index):
    for split in ("train", "test"):
        folder = tmp_path / split
        picture(folder / "p/1.png", 7)
        if index.endswith("jsonl"):
            lines(folder / index, {"file_name": "p/1.png", "text": "a,\\b"})
        elif index.endswith("csv"):
            (folder / index).write_text('file_name,text\np/1.png,"a,\\b"\n')
        else:
            pq.write_table(pa.table({"file_name": ["p/1.png"], "text": ["a,\\b"]}), folder / index)
    samples = load(str(tmp_path))
    theirs = datasets.load_dataset("imagefolder", data_dir=str(tmp_path), cache_dir=str(tmp_path / ".cache"))
    assert [(s.latex, s.subset) for s in samples] == [(theirs[split][0]["text"], split) for split in ("test", "train")]
    assert shades(samples) == [7, 7]


@pytest.mark.parametrize(("table", "query", "latex"), [
    ({"image": [png(1)], "latex": ["x"], "text": ["y"]}, "", "x"),
    ({"image": [png(1)], "latex": ["x"], "text": ["y"]}, "?text=text", "y"),
    ({"scan": [png(1)], "what": ["x"]}, "", "x"),
    ({"scan": [png(1)], "other": [png(2)], "source": ["s"], "what": ["x"]}, "?image=scan&text=what", "x"),
    ({"image": [png(1)], "label": [3]}, "", None),
    ({"image": [png(1)], "text": pa.array([None], pa.string())}, "", None),
    ({"image": [png(1)], "text": pa.array(["x"], pa.large_string())}, "", "x"),
    ({"image": [png(1)], "text": pa.array(["x"]).dictionary_encode()}, "", "x"),
    ({"image": [png(1)], "text": pa.array(["x"], pa.string_view())}, "", "x"),
    ({"scan": pa.array([png(1)], pa.binary_view()), "label": [["x"]], "what": ["x"]}, "", "x"),
])
def test_columns_are_guessed_or_named(tmp_path, table, query, latex):
    pq.write_table(pa.table(table), tmp_path / "a.parquet")
    [sample] = load(f"{tmp_path}/a.parquet{query}")
    assert sample.latex == latex and shades([sample]) == [1]


@pytest.mark.parametrize("name", ["a.parquet", "train/a.parquet", "a.jsonl", "a.csv"])
def test_the_column_of_the_subset_is_named(tmp_path, name):
    rows = [{"image": "p.png", "latex": "x", "doc": doc, "split": "all"} for doc in (3, 4, 3)]
    (tmp_path / name).parent.mkdir(exist_ok=True)
    if name.endswith("parquet"):
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / name)
    elif name.endswith("jsonl"):
        lines(tmp_path / name, *({"id": str(number), **row} for number, row in enumerate(rows)))
    else:
        (tmp_path / name).write_text("id,image,latex,doc\na,p.png,x,3\nb,p.png,x,4\nc,p.png,x,3\n")
    spec = str(tmp_path) if "/" in name else str(tmp_path / name)
    assert [sample.subset for sample in load(f"{spec}?subset=doc")] == ["3", "4", "3"]
    assert len(load(f"{spec}:3?subset=doc")) == 2
    said = refusal(f"{spec}?subset=writer")
    assert "no column 'writer'" in said and "Name the one that holds the subset: ?subset=COLUMN" in said


@pytest.mark.parametrize(("table", "query", "said"), [
    ({"a": ["x"], "b": ["y"]}, "", "no column 'image or file_name' (found: a, b)"),
    ({"image": [png(1)], "a": ["x"], "b": ["y"]}, "", "no column 'latex or text' (found: image, a, b). Name the one"),
    ({"image": [png(1)], "a": ["x"]}, "?text=b", "no column 'b' (found: image, a)"),
    ({"image": [png(1)], "a": ["x"]}, "?image=b", "no column 'b'"),
    ({"image": [png(1)], "latex": [b"x"]}, "", "no column 'latex or text' (found: image, latex). Name the one"),
    ({"image": [png(1)], "latex": [["x"]]}, "", "(found: image, latex of list<"),
    ({"image": [[png(1)]], "latex": ["x"]}, "", "no column 'image or file_name' (found: image of list<"),
    ({"a": [png(1)], "b": [png(2)], "latex": ["x"]}, "", "no column 'image or file_name' (found: a, b, latex)"),
    ({"image": [png(1)], "a": ["x"]}, "?formula=a", "'formula' after the '?' is no column to name"),
    ({"image": [png(1)], "a": ["x"]}, "?text", "'text' after the '?'"),
])
def test_columns_that_are_not_there(tmp_path, table, query, said):
    pq.write_table(pa.table(table), tmp_path / "a.parquet")
    assert said in refusal(f"{tmp_path}/a.parquet{query}")


def test_of_two_columns_of_one_name_none_is_taken(tmp_path):
    table = pa.Table.from_arrays([pa.array([png(1)]), pa.array(["x"]), pa.array(["y"])], ["image", "text", "text"])
    pq.write_table(table, tmp_path / "a.parquet")
    (tmp_path / "a.csv").write_text("image,text,text\na.png,x,y\n")
    for name in ("a.parquet", "a.csv"):
        assert "two columns are called 'text'. Rename one." in refusal(str(tmp_path / name))


def test_a_picture_behind_a_name_is_taken_where_it_is_named(tmp_path):
    picture(tmp_path / "p.png", 9)
    pq.write_table(pa.table({"image": [png(1)], "path": ["p.png"], "text": ["x"]}), tmp_path / "a.parquet")
    assert shades(load(f"{tmp_path}/a.parquet?image=path")) == [9] and shades(load(f"{tmp_path}/a.parquet")) == [1]


def test_rows_without_a_picture_and_broken_ones_stay(tmp_path):
    struct = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    images = [{"bytes": b"no picture", "path": "a.png"}, {"bytes": None, "path": "p/b.png"}, None]
    pq.write_table(pa.table({"image": pa.array(images, struct), "text": ["x", "y", "z"]}), tmp_path / "a.parquet")
    picture(tmp_path / "p/b.png", 9)
    broken, elsewhere, none = load(str(tmp_path / "a.parquet"))
    assert broken.image.read_bytes() == b"no picture" and shades([elsewhere]) == [9] and not none.image.exists()
    assert "row 2" in none.image.name


def test_ids_that_are_numbers_are_kept_as_in_json_lines(tmp_path):
    table = pa.table({"id": [70, None, 8], "image": ["a.png", "b.png", "c.png"], "text": ["x", "y", "z"]})
    pq.write_table(table, tmp_path / "a.parquet")
    assert [sample.id for sample in load(str(tmp_path / "a.parquet"))] == ["70", "000001", "8"]


def test_names_of_tables_may_end_in_capitals(tmp_path):
    (tmp_path / "in").mkdir()
    pq.write_table(pa.table({"image": ["a.png"], "text": ["x"]}), tmp_path / "in/A.PARQUET")
    for spec in (tmp_path / "in/A.PARQUET", tmp_path / "in"):
        assert [sample.latex for sample in load(str(spec))] == ["x"]


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
@pytest.mark.parametrize("content", [b"", b"PAR1", b"ARROW1\0\0", b"\0" * 64, None])
def test_a_broken_table_is_one_line(tmp_path, name, content):
    if content is None:
        dataset(20).to_parquet(str(tmp_path / name))
        content = (tmp_path / name).read_bytes()[:-30]
    (tmp_path / name).write_bytes(content)
    assert name in refusal(str(tmp_path / name))


def test_mutated_tables_are_read_or_one_line(tmp_path, monkeypatch):
    """A broken offset must not reach pyarrow's accessors: they trust it, and the process would be gone."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    whole, chance, outcomes = tables_in_bytes(tmp_path), random.Random(0), Counter()
    for _ in range(500):
        name = chance.choice(list(whole))
        path = tmp_path / name
        path.write_bytes(mutated(whole[name], chance))
        start = time.perf_counter()
        try:
            load(str(path))
            outcomes["read"] += 1
        except UserError as e:
            assert name in str(e) and "\n" not in str(e)
            outcomes["refused"] += 1
        assert time.perf_counter() - start < 20
    assert min(outcomes.values()) > 50, "the mutations are too tame or too wild to show anything"


def tables_in_bytes(folder: Path) -> dict[str, bytes]:
    """A table as parquet, packed and plain, and in both formats of arrow."""
    table, sinks = dataset(8).data.table, {name: pa.BufferOutputStream() for name in ("stream.arrow", "file.arrow")}
    for sink, writer in zip(sinks.values(), (pa.ipc.new_stream, pa.ipc.new_file), strict=True):
        with writer(sink, table.schema) as out:
            out.write_table(table)
    for packing in ("snappy", "none"):
        pq.write_table(table, folder / f"{packing}.parquet", compression=packing)
    return {**{name: sink.getvalue().to_pybytes() for name, sink in sinks.items()},
            **{path.name: path.read_bytes() for path in folder.glob("*.parquet")}}


def test_csv(tmp_path):
    picture(tmp_path / "a b.png")
    (tmp_path / "list.csv").write_text('filename,formula,split\n"a b.png","x,\n""y""",test\n')
    [sample] = load(str(tmp_path / "list.csv"))
    assert (sample.latex, sample.subset, sample.image) == ('x,\n"y"', "test", tmp_path / "a b.png")
    (tmp_path / "list.tsv").write_text("scan\twhat\na b.png\tx,y\n")
    assert load(f"{tmp_path}/list.tsv?image=scan&text=what")[0].latex == "x,y"


@pytest.mark.parametrize("content", [
    b',image,latex\n0,a.png,"f(x;y), ""z"""\n', b'image,latex,,\na.png,"f(x;y), ""z""",,\n',
    b'image, latex\na.png, "f(x;y), ""z"""\n',
    b'image;latex\r\na.png;"f(x;y), ""z"""\r\n', b'\xef\xbb\xbf"image";"latex"\na.png;"f(x;y), ""z"""\n',
    'image\tlatex\r\na.png\t"f(x;y), ""z"""\r\n'.encode("utf-16"), b'image,latex\na.png,"f(x;y), ""z"""\n',
], ids=["numbered by pandas", "empty columns", "blanks", "semicolon", "quoted", "unicode text", "comma"])
def test_csv_as_it_is_saved_anywhere(tmp_path, content):
    (tmp_path / "list.csv").write_bytes(content)
    assert [(s.image.name, s.latex) for s in load(str(tmp_path / "list.csv"))] == [("a.png", 'f(x;y), "z"')]


@pytest.mark.parametrize(("content", "said"), [
    ("image,latex\na.png,x,y\n", "list.csv:2: 2 columns are named"), ("image,latex\na.png\n", "list.csv:2: 2 columns"),
    ("image;latex\na.png;x;y\n", "around what holds a ';'"),
    ("a,b\n1,2\n", "list.csv:2: no column 'image"), ('image,latex\na.png,"x\n', "list.csv: not CSV after line 1"),
    ("", "no samples"),
])
def test_bad_csv_is_one_line(tmp_path, content, said):
    (tmp_path / "list.csv").write_text(content)
    assert said in refusal(str(tmp_path / "list.csv"))


def test_pictures_are_kept_once_and_a_large_set_is_read_row_by_row(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    one = dataset(100)
    one.to_parquet(str(tmp_path / "a.parquet"))
    first = next(stream(str(tmp_path / "a.parquet")))
    assert first.image.is_relative_to(pictures.cache_folder())
    assert len(list((tmp_path / "cache").rglob("*.png"))) == 1  # only what was asked for
    again = load(str(tmp_path / "a.parquet"))
    assert again[0] == first and len(list((tmp_path / "cache").rglob("*.png"))) == 100
    stamp = first.image.stat().st_mtime_ns
    assert load(str(tmp_path / "a.parquet")) == again and first.image.stat().st_mtime_ns == stamp


def test_a_cache_that_cannot_be_written_is_one_line(tmp_path, monkeypatch):
    dataset(1).to_parquet(str(tmp_path / "a.parquet"))
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    said = refusal(str(Path(tmp_path / "a.parquet")))
    assert str(tmp_path / "file") in said and "XDG_CACHE_HOME" in said
