"""The reader in this process: order, batches, failures, stops, and models that are not there."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace

import pytest
import torch

from latexocr.errors import UserError
from latexocr.reading import GenerateConfig
from latexocr.reading.conversation import conversation
from latexocr.reading.images import prepare
from latexocr.reading.inputs import BUILTIN, encode, load_processor, render, resolve
from latexocr.reading.local import load_model
from latexocr.records import Sample
from tests.conftest import drawn

SHORT = GenerateConfig(max_tokens=10, batch_size=4)


@pytest.fixture(scope="module")
def reader(tiny_model):
    return load_model(tiny_model, device="cpu", dtype="float32", config=SHORT)


@pytest.fixture(scope="module")
def samples():
    """Pictures of very different sizes, so that sorting by size moves most of them."""
    return drawn(21, alphabet="0123456789abcxyz+-", longest=14, seed=5)


def test_a_batch_answers_as_each_picture_alone(reader, samples):
    alone = replace(reader, config=replace(SHORT, batch_size=1))
    together, one_by_one = list(reader.read(samples)), list(alone.read(samples))
    assert len({prediction.reply for prediction in together}) > 3, "a model that says one thing proves nothing"
    for a, b in zip(together, one_by_one, strict=True):
        assert (a.id, a.reply, a.tokens, a.stop) == (b.id, b.reply, b.tokens, b.stop)
        assert a.confidence == pytest.approx(b.confidence, rel=1e-4)


def test_every_sample_has_one_prediction_in_its_place_broken_ones_too(reader, samples, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"not a picture")
    mixed = list(samples)
    for place in (0, 7, 21):
        mixed.insert(place, Sample(f"bad{place}", broken if place else tmp_path / "missing.png", "x"))
    predictions = list(reader.read(iter(mixed)))
    assert [p.id for p in predictions] == [s.id for s in mixed]
    assert [p.id for p in predictions if p.stop == "error"] == ["bad0", "bad7", "bad21"]
    assert all(p.error and p.latex == "" for p in predictions if p.stop == "error")
    good = [p.reply for p in predictions if p.stop != "error"]
    assert good == [p.reply for p in reader.read(samples)]


def test_no_samples_give_no_predictions(reader):
    assert list(reader.read([])) == []


def test_length_and_end_are_told_apart(reader, samples):
    """The model's first character is made an end token: the answer then stops before it."""
    long = next(reader.read(samples[:1]))
    assert (long.stop, long.tokens) == ("length", SHORT.max_tokens)
    first = reader.processor.tokenizer(long.reply[0], add_special_tokens=False)["input_ids"][0]
    short = next(replace(reader, ends=frozenset({*reader.ends, first})).read(samples[:1]))
    assert (short.stop, short.reply) == ("end", "") and short.tokens < long.tokens
    assert 0 < short.confidence <= 1 and short.confidence != long.confidence


def test_confidence_is_the_geometric_mean_of_the_probabilities(reader, samples):
    prediction = next(reader.read(samples[:1]))
    picture = prepare(samples[0].image)
    text = render(reader.processor, conversation(picture), ask=True)
    asked = encode(reader.processor, [text], [picture], side="left")
    with torch.inference_mode():
        tokens = reader.model.generate(**asked, max_new_tokens=10, do_sample=False)
        start = asked["input_ids"].shape[1]
        whole = {**asked, "input_ids": tokens, "attention_mask": torch.ones_like(tokens),
                 "mm_token_type_ids": (tokens == reader.processor.image_token_id).int()}
        log_probabilities = reader.model(**whole).logits[0, start - 1:-1].log_softmax(-1)
    chosen = log_probabilities.gather(1, tokens[0, start:, None])
    assert prediction.confidence == pytest.approx(float(chosen.mean().exp()), rel=1e-3)


def test_a_calibration_in_the_model_s_folder_makes_of_it_a_chance(tiny_model, samples, tmp_path, reader):
    folder = shutil.copytree(tiny_model, tmp_path / "calibrated")
    (folder / "calibration.json").write_text('{"intercept": 1.0, "slope": 2.0}')
    calibrated = load_model(folder, device="cpu", dtype="float32", config=SHORT)
    [raw], [chance] = reader.read(samples[:1]), calibrated.read(samples[:1])
    assert (raw.stop, chance.stop, chance.confidence) == ("length", "length", 0)  # cut off is not right
    ends = frozenset({*reader.ends, reader.processor.tokenizer(raw.reply[0], add_special_tokens=False)["input_ids"][0]})
    [raw], [chance] = replace(reader, ends=ends).read(samples[:1]), replace(calibrated, ends=ends).read(samples[:1])
    surprise = -math.log(raw.confidence)
    assert chance.confidence == pytest.approx(1 / (1 + math.exp(2 * math.log(surprise) - 1)), rel=1e-6)
    assert chance.reply == raw.reply


def test_sampling_settings_of_the_checkpoint_are_not_ours(tiny_model, samples, tmp_path, reader):
    folder = shutil.copytree(tiny_model, tmp_path / "sampling")
    settings = json.loads((folder / "generation_config.json").read_text())
    settings |= {"do_sample": True, "temperature": 3.0, "repetition_penalty": 9.0}
    (folder / "generation_config.json").write_text(json.dumps(settings))
    other = load_model(folder, device="cpu", dtype="float32", config=SHORT)
    assert [p.reply for p in other.read(samples[:4])] == [p.reply for p in reader.read(samples[:4])]


def test_a_picture_that_the_model_refuses_fails_alone(reader, samples, monkeypatch):
    generate, patch = type(reader.model).generate, reader.processor.image_processor.patch_size
    by_width = sorted(samples, key=lambda sample: prepare(sample.image).width)
    few = [by_width[0], by_width[-1], by_width[1], by_width[2]]
    limit = prepare(few[1].image).width // patch

    def refuses_the_widest(self, **inputs):
        if (inputs["image_grid_thw"][:, 2] >= limit).any():
            raise RuntimeError("out of memory\nmore")
        return generate(self, **inputs)

    monkeypatch.setattr(type(reader.model), "generate", refuses_the_widest)
    predictions = list(reader.read(few))
    assert [(p.id, p.stop) for p in predictions] == [(s.id, "error" if s is few[1] else "length") for s in few]
    assert predictions[1].error == "RuntimeError: out of memory"


@pytest.mark.parametrize(("amx", "asked", "numbers"), [(True, "auto", "bfloat16"), (False, "auto", "float32"),
                                                       (True, "float32", "float32"), (False, "bfloat16", "bfloat16")])
def test_a_cpu_reads_in_bfloat16_where_it_has_amx(tiny_model, monkeypatch, amx, asked, numbers):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    assert str(load_model(tiny_model, device="cpu", dtype=asked).model.dtype) == f"torch.{numbers}"


@pytest.mark.parametrize("name", ["no/such/folder", "./nowhere", "nobody/nothing", "nothing at all"])
def test_a_model_that_is_not_there_is_one_line(name, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UserError) as caught:
        load_model(name)
    assert name in str(caught.value) and "\n" not in str(caught.value)


def test_a_folder_that_is_no_model_is_one_line(tmp_path, tiny_model):
    with pytest.raises(UserError, match=r"config\.json"):
        load_model(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(UserError) as caught:
        load_model(tmp_path)
    assert "\n" not in str(caught.value)
    without = shutil.copytree(tiny_model, tmp_path / "no template", ignore=shutil.ignore_patterns("chat_template*"))
    with pytest.raises(UserError, match="chat template"):
        load_processor(without)


def test_an_adapter_without_its_base_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "adapter_config.json").write_text('{"base_model_name_or_path": "/gone/base", "peft_type": "LORA"}')
    with pytest.raises(UserError, match=r"base model of this adapter is missing.*/gone/base"):
        load_model(tmp_path)


def test_a_device_that_is_not_there_is_one_line(tiny_model):
    if torch.cuda.is_available():
        pytest.skip("a GPU is here")
    with pytest.raises(UserError, match="cuda"):
        load_model(tiny_model, device="cuda")


def test_the_embedded_model_is_found_by_its_name():
    try:
        folder = resolve(BUILTIN)
    except UserError as e:
        pytest.skip(str(e))
    assert (folder / "config.json").is_file()
