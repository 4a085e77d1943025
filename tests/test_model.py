"""The front door: what it takes, the order it keeps, and the circle load, train, save, load, export."""

from __future__ import annotations

import numpy as np
import pytest

from latexocr.errors import UserError
from latexocr.model import LatexOCRModel
from latexocr.reading import GenerateConfig
from latexocr.reading.inputs import BUILTIN, resolve
from latexocr.records import Prediction, Sample
from tests.conftest import drawn

SAMPLES = drawn(6, longest=8, seed=3)
SHORT = GenerateConfig(max_tokens=8, batch_size=4)


@pytest.fixture(scope="module")
def model(tiny_model) -> LatexOCRModel:
    return LatexOCRModel.load(tiny_model, device="cpu", config=SHORT)


def test_path_picture_and_array_of_one_picture_read_alike(model, tmp_path):
    picture = SAMPLES[0].image
    picture.save(tmp_path / "a.png")
    answers = [model.transcribe(given) for given in (tmp_path / "a.png", str(tmp_path / "a.png"), picture,
                                                     np.asarray(picture))]
    assert all(isinstance(answer, Prediction) for answer in answers)
    assert len({(answer.reply, answer.confidence) for answer in answers}) == 1
    assert answers[0].id == str(tmp_path / "a.png")


def test_several_pictures_give_a_list_in_their_order(model, tmp_path):
    pictures = [sample.image for sample in SAMPLES]
    answers = model.transcribe([*pictures, tmp_path / "gone.png"])
    assert [answer.reply for answer in answers[:-1]] == [model.transcribe(picture).reply for picture in pictures]
    assert [answer.stop for answer in answers[-2:]] == ["length", "error"]
    assert model.transcribe([]) == []
    assert len(model.transcribe(np.stack([np.asarray(pictures[0])] * 3))) == 3, "a stack is several pictures"


def test_an_unreadable_picture_is_an_answer_with_a_reason(model, tmp_path):
    (tmp_path / "text.png").write_text("not a picture")
    answer = model.transcribe(tmp_path / "text.png")
    assert (answer.stop, answer.latex) == ("error", "") and "text.png" in answer.error


def test_load_train_save_load_export(model, tmp_path):
    samples = drawn(24, longest=1)
    tuned = model.train(samples, out=tmp_path / "run", steps=120, batch=8, learning_rate=3e-3, rank=32, backend="peft",
                        device="cpu")

    def right(some: LatexOCRModel) -> int:
        return sum(p.latex == s.latex for p, s in zip(some.read(samples), samples))

    assert right(model) == 0 and right(tuned) > 16
    saved = tuned.save(tmp_path / "saved")
    assert not (saved / "checkpoints").exists() and (saved / "run.json").exists()
    again = LatexOCRModel.load(saved, device="cpu", config=SHORT)
    exported = LatexOCRModel.load(tuned.export(tmp_path / "exported", samples=samples), device="cpu", config=SHORT)
    replies = [[p.reply for p in some.read(SAMPLES)] for some in (tuned, again, exported)]
    assert replies[0] == replies[1] == replies[2]


def test_training_without_a_folder_leaves_the_model_to_be_saved(model, tmp_path):
    tuned = model.train(SAMPLES, steps=1, batch=2, backend="peft", device="cpu")
    assert (tuned.save(tmp_path / "kept") / "adapter_model.safetensors").is_file()


@pytest.mark.parametrize("act, said", [
    (lambda model, path: model.train(SAMPLES, out=path / "a", lora_rank=8), "lora_rank"),
    (lambda model, path: model.train(["a.png"], out=path / "a"), "'a.png'; each has to be a latexocr.Sample"),
    (lambda model, path: model.export(path / "a"), "no adapter"),
    (lambda model, path: model.save(path / "taken" / "a"), "cannot be copied there (Not a directory)"),
    (lambda model, path: model.save(path), "already there"),
    (lambda model, path: LatexOCRModel.load(path / "nowhere"), "nowhere"),
    (lambda model, path: LatexOCRModel.load(model.name, engine="nope"), "expected one of transformers, vllm, ray"),
], ids=["unknown option", "no samples", "nothing to export", "no folder", "taken folder", "no model",
        "no engine"])
def test_what_cannot_be_done_is_one_line(model, tmp_path, act, said):
    (tmp_path / "taken").write_text("")
    with pytest.raises(UserError) as caught:
        act(model, tmp_path)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_a_server_reads_but_is_not_trained_or_exported(tmp_path):
    served = LatexOCRModel.load("http://127.0.0.1:9/v1")
    for act, given in ((served.train, SAMPLES), (served.save, tmp_path / "a"), (served.export, tmp_path / "a")):
        with pytest.raises(UserError, match="is a server"):
            act(given)


def test_the_embedded_model_reads():
    try:
        resolve(BUILTIN)
    except UserError as e:
        pytest.skip(str(e))
    answer = LatexOCRModel.load().transcribe(drawn(1, longest=3)[0].image)
    assert answer.stop == "end" and answer.latex and 0 < answer.confidence <= 1


def test_reading_keeps_the_ids_of_samples(model):
    named = [Sample(f"s{number}", sample.image) for number, sample in enumerate(SAMPLES)]
    assert [prediction.id for prediction in model.read(named)] == [sample.id for sample in named]
