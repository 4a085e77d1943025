"""Hub data sets without a hub: a copy of a repository, what is in the caches of this machine, and what is said if not.

The caches are made here by `datasets` itself; no test waits for a network.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import datasets
import huggingface_hub
import pytest
from test_sources import refusal, shown
from test_tables import dataset, expected, shades

from latexocr.data import hub
from latexocr.data.sources import load, stream

CONFIGS = ("small", "full")


@pytest.fixture(autouse=True)
def no_network(tmp_path, monkeypatch):
    """The hub does not answer: nobody listens at that port. The caches are those of the test."""
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "prepared")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "fetched"))


def repository(folder: Path) -> Path:
    """A repository in the layout of linxy/LaTeX_OCR: a folder for each configuration, and a card that names them."""
    card = ["---", "configs:"]
    for config in CONFIGS:
        (folder / config).mkdir(parents=True)
        card.append(f"- config_name: {config}\n  data_files:")
        for split, count in (("train", 3), ("test", 2)):
            dataset(count, f"{config}_{split}").to_parquet(str(folder / config / f"{split}-00000-of-00001.parquet"))
            card.append(f"  - split: {split}\n    path: {config}/{split}-*")
    (folder / "README.md").write_text("\n".join([*card, "---", ""]))
    return folder


def splits(config: str) -> list[tuple]:
    return [row for split, count in (("train", 3), ("test", 2)) for row in expected(count, f"{config}_{split}", split)]


def test_a_copy_of_a_repository(tmp_path):
    folder = repository(tmp_path / "owner--name")
    samples = load(f"hf:{folder}:small")
    assert shown(samples) == splits("small") and shades(samples) == [0, 1, 2, 0, 1]
    assert shown(load(f"hf:{folder}:full:test")) == splits("full")[3:]
    assert next(stream(f"hf:{folder}:small")) == samples[0]


@pytest.mark.parametrize(("part", "said"), [
    ("", "which configuration? There are small, full: give hf:"), (":tiny", "which configuration? There are"),
    (":small:dev", "no configuration and no split 'dev'. Splits of 'small': train, test"),
    (":a:b:c", "not the name of a hub data set"),
    (":small?text=latex", "no column 'latex' (found: image, text)"),
])
def test_a_part_that_is_not_there(tmp_path, part, said):
    assert said in refusal(f"hf:{repository(tmp_path / 'owner--name')}{part}")


def test_a_single_configuration_needs_no_name(tmp_path):
    (tmp_path / "data").mkdir()
    dataset(2, "a").to_parquet(str(tmp_path / "data/train-00000-of-00001.parquet"))
    assert shown(load(f"hf:{tmp_path}")) == shown(load(f"hf:{tmp_path}:train")) == expected(2, "a", "train")


def test_what_datasets_has_prepared_is_read_without_a_network(tmp_path):
    folder = repository(tmp_path / "copy/La_Te")
    for config in CONFIGS:
        builder = datasets.load_dataset_builder(str(folder), config)
        builder.download_and_prepare()
        where = tmp_path / "prepared" / "owner___la_te" / config / "0.0.0" / "0123456789abcdef"
        shutil.copytree(builder.cache_dir, where)
        for file in where.glob("*.arrow"):  # Prepared from the hub, files are called after the repository alone.
            file.rename(file.with_name("la_te-" + file.name.rpartition("-")[2]))
    assert shown(load("hf:owner/La_Te:small")) == splits("small")
    assert shown(load("hf:owner/La_Te:full:test")) == splits("full")[3:]
    for part in ("", ":tiny"):
        said = refusal(f"hf:owner/La_Te{part}")
        assert "which configuration? There are" in said and "full" in said and "small" in said


def test_what_was_only_fetched_is_read_without_a_network(tmp_path, capsys):
    fetched = tmp_path / "fetched" / "datasets--owner--name"
    repository(fetched / "snapshots" / "abc")
    (fetched / "refs").mkdir()
    (fetched / "refs/main").write_text("abc")
    assert shown(load("hf:owner/name:small:train")) == splits("small")[:3]
    assert "fetching" not in capsys.readouterr().err


@pytest.mark.parametrize("name", ["unsloth/LaTeX_OCR", "linxy/LaTeX_OCR:human_handwrite", "linxy/LaTeX_OCR:full:test"])
def test_without_a_network_one_line_says_so_at_once(name):
    before = datasets.config.HF_HUB_OFFLINE, huggingface_hub.constants.HF_HUB_OFFLINE
    start = time.perf_counter()
    said = refusal(f"hf:{name}")
    assert time.perf_counter() - start < 5
    assert "not in this machine's cache, and the hub cannot be reached. Give local files instead" in said
    assert before == (datasets.config.HF_HUB_OFFLINE, huggingface_hub.constants.HF_HUB_OFFLINE)


@pytest.mark.parametrize("name", ["a b", "a/b/c", "", "../x", "-", "a\nb"])
def test_no_name_of_a_data_set(name):
    assert "not the name of a hub data set. Expected hf:OWNER/NAME" in refusal(f"hf:{name}")


def test_with_the_hub_switched_off_the_line_is_the_same(monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert "the hub cannot be reached" in refusal("hf:owner/name")


BROKEN = {"a.parquet": b"PAR1 no more", "a.jsonl": b"{broken", "a.csv": b'a,b\n1,2,3,4\n"x', "a.zip": b"no archive",
          "README.md": b"---\nconfigs:\n- config_name: [x\n---\n", "NAME.py": b"raise SystemExit(3)"}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_copy_is_one_line_and_its_code_is_not_run(tmp_path, name):
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / name.replace("NAME", "copy")).write_bytes(BROKEN[name])
    said = refusal(f"hf:{tmp_path / 'copy'}")
    assert said.startswith(f"hf:{tmp_path / 'copy'}: cannot be") and "An error occurred" not in said


def test_a_broken_cache_is_one_line(tmp_path):
    folder = repository(tmp_path / "copy/name")
    builder = datasets.load_dataset_builder(str(folder), "small")
    builder.download_and_prepare()
    where = tmp_path / "prepared" / "owner___name" / "small" / "0.0.0" / "0123456789abcdef"
    shutil.copytree(builder.cache_dir, where)
    for file in where.glob("*.arrow"):
        file.with_name("name-" + file.name.rpartition("-")[2]).write_bytes(file.read_bytes()[:-400])
        file.unlink()
    assert "hf:owner/name: cannot be" in refusal("hf:owner/name:small")


def test_a_set_that_the_hub_does_not_have(monkeypatch):
    import httpx

    def unknown(*args: object, **options: object) -> None:
        raise huggingface_hub.errors.RepositoryNotFoundError(
            "404 Client Error", response=httpx.Response(404, request=httpx.Request("GET", "https://hub")))

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", unknown)
    assert "the hub has no such data set" in refusal("hf:owner/nothing")


def test_a_fetch_says_first_what_it_fetches(tmp_path, monkeypatch, capsys):
    """With a network the name goes to `datasets`, which here finds the repository on this machine instead."""
    folder = repository(tmp_path / "name")
    theirs = datasets.load_dataset_builder
    monkeypatch.setattr(hub, "_reachable", lambda name: True)
    monkeypatch.setattr(datasets, "load_dataset_builder", lambda name, config: theirs(str(folder), config))
    assert shown(load("hf:owner/name:small")) == splits("small")
    said = "hf:owner/name (small): fetching it from the hub into"
    assert said in capsys.readouterr().err
    load("hf:owner/name:small")
    assert said not in capsys.readouterr().err


def test_without_the_package_one_line_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "datasets", None)
    assert "pip install 'latexocr[train]'" in refusal("hf:owner/name")


@pytest.mark.parametrize(("terminal", "drawn"), [(False, False), (True, True)])
def test_bars_are_for_a_terminal(tmp_path, monkeypatch, capsys, terminal, drawn):
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    datasets.enable_progress_bars()
    folder = repository(tmp_path / "owner--name")
    capsys.readouterr()
    load(f"hf:{folder}:small")
    assert bool(capsys.readouterr().err) is drawn
