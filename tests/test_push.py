"""An export on the hub: its card, and an upload by the hub's own client to a hub of this machine, byte for byte."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import huggingface_hub.constants
import pytest
from huggingface_hub import ModelCard

from latexocr.bench.folder import Run
from latexocr.bench.judge import evaluate
from latexocr.bench.report import write_report
from latexocr.cli import main
from latexocr.errors import UserError
from latexocr.records import Prediction, Sample
from latexocr.training.hub import measured_card, push, refuse_odd, write_card
from tests.hub_server import Hub

NAME, TOKEN = "me/formulas", "hf_of_the_test"
SETTINGS = {"model": "builtin", "rank": 32, "data": "crohme:train", "data_sha256": "abcdef0123456789", "batch": 8,
            "accumulation": 2, "learning_rate": 2e-4, "seed": 3407}
SHARDS = {"model-00001-of-00002.safetensors": random.Random(0).randbytes(300_000),
          "model-00002-of-00002.safetensors": random.Random(1).randbytes(999)}
"""Of several chunks, and of one."""


@pytest.fixture
def exported(tmp_path) -> Path:
    """A folder as an export leaves it; what the weights say is of no matter here."""
    folder = tmp_path / "model"
    folder.mkdir()
    for name, content in SHARDS.items():
        (folder / name).write_bytes(content)
    (folder / "config.json").write_text('{"model_type": "qwen3_vl"}')
    (folder / "run.json").write_text(json.dumps({"settings": SETTINGS, "n": 8657, "steps": 960, "backend": "unsloth"}))
    (folder / "export.json").write_text(json.dumps({"commit": None, "dtype": "bfloat16", "pictures": 50,
                                                    "largest_logit_difference": 2.2e-5, "adapter_effect": 5.7}))
    return folder


@pytest.fixture(scope="module")
def bench(tmp_path_factory) -> Path:
    """A folder as a benchmark leaves it: three of four right after tuning, one of four before."""
    from PIL import Image

    samples = [Sample(f"s{n}", Image.new("L", (40, 20), 255), f"x+{n}") for n in range(4)]
    said = {"base": ["x+0", "?", "?", "?"], "tuned": ["x+0", "x+1", "x+2", "?"]}
    predictions = {name: [Prediction(sample.id, latex) for sample, latex in zip(samples, answers)]
                   for name, answers in said.items()}
    folder = tmp_path_factory.mktemp("bench")
    runs = {name: Run(f"models/{name}", "suite:mine", "abc", {}, n=4) for name in said}
    write_report(evaluate(samples, predictions, runs), samples, folder)
    return folder


@pytest.fixture
def hub(monkeypatch) -> Iterator[Callable[..., Hub]]:
    """Starts a hub, to which the client then talks: by xet, as it does by itself, or by the older LFS."""
    started: list[Hub] = []

    def start(*, xet: bool = True, **options) -> Hub:
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", not xet)
        server = Hub(TOKEN, **options)
        started.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", server.url)
        return server

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    yield start
    for server in started:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("options", [{"xet": True}, {"xet": False}, {"xet": False, "part": 10_000}],
                         ids=["xet", "LFS", "LFS in parts"])
def test_what_arrives_is_the_folder_byte_for_byte_and_its_card_has_the_scores(hub, exported, bench, options):
    server = hub(**options)
    refuse_odd(NAME, bench)
    write_card(exported, NAME, bench)
    assert push(exported, NAME) == f"{server.url}/{NAME}"
    assert server.visibility == "private"
    assert server.files == {path.name: path.read_bytes() for path in exported.iterdir()}
    assert any(path.startswith("/v1/xorbs/") for path in server.asked) is options["xet"]
    assert server.files.keys() == {*SHARDS, "README.md", "config.json", "run.json", "export.json"}
    card = ModelCard(server.files["README.md"].decode())
    [exact] = [result for result in card.data.eval_results if result.metric_name.startswith("exact match, visual")]
    assert exact.metric_value == 75.0 and exact.metric_args["n"] == 4 and "interval" in exact.metric_args
    assert "rank 32, on 8657 pictures of `crohme:train` (sha256 abcdef012345), 960 steps of 16 pictures" in card.text
    assert "on 50 pictures the same answers" in card.text and "## Results" in card.text and "75.0" in card.text
    assert f"vllm serve {NAME}" in card.text and card.data.pipeline_tag == "image-text-to-text"


def test_a_repository_that_is_there_is_written_to_and_stays_as_visible_as_it_was(hub, exported):
    server = hub(exists=True)
    push(exported, NAME)
    assert server.files.keys() >= SHARDS.keys() and server.visibility == ""


def test_a_card_of_a_folder_with_code_says_that_it_has_to_be_trusted(exported):
    write_card(exported, NAME, None)
    assert "--trust-remote-code" not in (exported / "README.md").read_text()
    (exported / "ernie_processor.py").write_text("")
    write_card(exported, NAME, None)
    assert "}' --trust-remote-code" in (exported / "README.md").read_text()


def test_the_card_is_that_of_the_tuned_column_or_has_to_be_named(bench, tmp_path):
    assert measured_card(bench) == bench / "card-tuned.md"
    assert measured_card(bench / "card-base.md") == bench / "card-base.md"
    (tmp_path / "card-base.md").touch()
    assert measured_card(tmp_path).name == "card-base.md"
    (tmp_path / "card-merged.md").touch()
    assert measured_card(tmp_path).name == "card-merged.md"
    (tmp_path / "card-served.md").touch()
    with pytest.raises(UserError, match=r"cards of base, merged, served\. .*--report .*card-merged\.md"):
        measured_card(tmp_path)
    with pytest.raises(UserError, match=r"no card-NAME\.md"):
        measured_card(tmp_path / "nowhere")


def test_what_cannot_end_well_is_said_before_anything_is_merged(hub, bench, tmp_path, monkeypatch, capsys):
    server = hub()

    def said(*words: object) -> str:
        assert main(["export", str(tmp_path / "adapter"), str(tmp_path / "out"), *map(str, words)]) == 2
        told = capsys.readouterr().err
        assert told.count("\n") == 1 and not (tmp_path / "out").exists()
        return told

    assert "no adapter in it" in said("--push-to-hub", NAME, "--report", bench)  # all else was well
    assert "no card-NAME.md" in said("--push-to-hub", NAME, "--report", tmp_path)
    assert "give --push-to-hub" in said("--report", bench)
    assert "me/for mulas: cannot be uploaded" in said("--push-to-hub", "me/for mulas")
    monkeypatch.setenv("HF_TOKEN", "hf_of_somebody_else")
    told = said("--push-to-hub", NAME)
    assert "Invalid user token" in told and "hf auth login, or HF_TOKEN" in told and "somebody_else" not in told
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", str(tmp_path / "none"))
    assert "hf auth login" in said("--push-to-hub", NAME)
    assert server.files == {}


@pytest.mark.parametrize("xet", [True, False], ids=["xet", "LFS"])
@pytest.mark.parametrize(("trouble", "reason"), [
    ("read-only", r"403.*write access.*\. A token that may write is needed: hf auth login, or HF_TOKEN\."),
    ("full", "403 Forbidden|403.*storage limit"), ("nobody", "onnect"), ("offline", "offline"),
])
def test_an_upload_that_fails_is_one_line_and_the_folder_stays(hub, exported, monkeypatch, trouble, reason, xet):
    server = hub(xet=xet, may_write=trouble != "read-only", full=trouble == "full")
    if trouble == "nobody":
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    elif trouble == "offline":
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    before = {path.name: path.read_bytes() for path in exported.iterdir()}
    with pytest.raises(UserError, match=rf"me/formulas: not uploaded \(.*{reason}") as caught:
        push(exported, NAME)
    assert "\n" not in str(caught.value) and TOKEN not in str(caught.value)
    assert str(caught.value).endswith(f"complete; to try again: hf upload {NAME} {exported} --private.")
    assert server.files == {} and before == {path.name: path.read_bytes() for path in exported.iterdir()}
