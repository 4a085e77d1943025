"""ERNIE's remote code: its inputs, and that a training asks, learns and merges through it, by a stand-in of our own.

The real code is not ours to keep here; it was run by hand (training/README.md). The stand-in is a folder with code of
its own (`auto_map`), as that checkpoint is, whose processor and model have the names and shapes of Baidu's code
(reading/ernie_remote.py), refuse whatever differs from them, and fail where that failed.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from latexocr.errors import UserError
from latexocr.reading import GenerateConfig, ernie_remote
from latexocr.reading.conversation import conversation
from latexocr.reading.ernie_vllm import trusted
from latexocr.reading.images import prepare
from latexocr.reading.inputs import encode, load_processor, needs_remote_code, render
from latexocr.reading.local import load_model, load_weights
from latexocr.training.collate import IGNORED, Collator, Example
from latexocr.training.lora import train
from latexocr.training.pictures import pack
from latexocr.training.settings import TrainConfig
from tests.conftest import drawn
from tests.families import STAND_IN, make_ernie_remote

SAMPLES = drawn(12, longest=3)


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("remote") / "base"
    folder.mkdir()
    make_ernie_remote(folder)
    return folder


@pytest.fixture(scope="module")
def processor(base):
    return load_processor(base, trust_remote_code=True)


@pytest.fixture(scope="module")
def collator(processor) -> Collator:
    return Collator(processor, [Example(s.id, pack(prepare(s.image)), s.latex) for s in SAMPLES], {2})


def test_it_is_known_as_remote_and_refused_unless_trusted(base, tiny_model):
    assert type(load_processor(base, trust_remote_code=True)).__name__ == ernie_remote.PROCESSOR
    assert needs_remote_code(base) and not needs_remote_code(tiny_model)
    for load in (load_processor, partial(load_weights, dtype="float32")):
        with pytest.raises(UserError, match="--trust-remote-code"):
            load(base)


def test_the_question_has_an_empty_thinking_part_and_the_answer_follows_it(collator, processor):
    picture = prepare(SAMPLES[0].image)
    question = render(processor, conversation(picture), ask=True)
    assert question.endswith("Assistant: <think>\n\n</think>\n\n")
    assert collator.frame.answered("x") == question + "x</s>"


def test_labels_are_exactly_the_formula_and_its_end(collator, processor):
    batch = collator([{"sample": number} for number in range(len(SAMPLES))])
    said = [processor.tokenizer.decode(row[row != IGNORED]) for row in batch["labels"]]
    assert said == [sample.latex + "</s>" for sample in SAMPLES]


def test_a_batch_has_the_inputs_of_the_remote_code(collator):
    batch = collator([{"sample": 0}, {"sample": 3}])
    rows, tokens = batch["input_ids"].shape
    assert batch["token_type_ids"].shape == (rows, tokens + 1) and batch["position_ids"].shape == (rows, tokens, 3)
    assert batch["image_type_ids"].tolist() == [[0], [0]] and batch["grid_thw"].shape == (2, 3)
    assert "attention_mask" not in batch
    assert str(batch["images"].dtype) == "torch.uint8" and len(batch["images"]) == batch["grid_thw"].prod(1).sum()
    pictures = (batch["input_ids"] >= 3) & (batch["input_ids"] <= 5)
    assert pictures.equal(batch["token_type_ids"][:, :-1] == 1)


def test_what_is_learned_from_is_padded_behind_its_answer(collator, processor):
    batch = collator([{"sample": number} for number in range(3)])
    for number, sample in enumerate(SAMPLES[:3]):
        alone = processor(text=[collator.frame.answered(sample.latex)], images=[prepare(sample.image)], videos=[])
        length = alone["input_ids"].shape[1]
        for name in ("input_ids", "token_type_ids", "position_ids"):
            assert batch[name][number, :length].equal(alone[name][0])
        assert (batch["labels"][number, length:] == IGNORED).all()


def test_only_questions_of_one_length_are_answered_together(base, processor):
    """Padding cannot be masked, so a batch of others is read in its halves; the answers are those of one at a time."""
    wide = [replace(s, id=f"w{s.id}", image=s.image.resize((3 * s.image.width, s.image.height))) for s in SAMPLES[:4]]
    pictures = [prepare(sample.image) for sample in (SAMPLES[0], wide[0])]
    questions = [render(processor, conversation(picture), ask=True) for picture in pictures]
    with pytest.raises(ValueError, match="cannot be answered together"):
        encode(processor, questions, pictures, side="left")
    used = encode(processor, questions[:1] * 2, pictures[:1] * 2, side="left")
    assert used["token_type_ids"].shape == used["input_ids"].shape and used["attention_mask"].all()
    options = {"device": "cpu", "dtype": "float32", "trust_remote_code": True}
    reader = load_model(base, config=GenerateConfig(max_tokens=9), **options)
    samples = [one for pair in zip(SAMPLES, wide) for one in pair]
    together = [prediction.reply for prediction in reader.read(samples)]
    alone = [prediction.reply for sample in samples for prediction in reader.read([sample])]
    assert together == alone == [greedy(reader.model, processor, prepare(sample.image)) for sample in samples]
    assert len(set(together)) > 1


def greedy(model, processor, picture) -> str:
    """The answer by hand, every token anew through `forward`."""
    import torch

    inputs = encode(processor, [render(processor, conversation(picture), ask=True)], [picture], side="left")
    said: list[int] = []
    while len(said) < 9:
        batch = {name: value.clone() for name, value in ernie_remote.for_training(dict(inputs)).items()}
        with torch.inference_mode():
            said.append(int(model(**batch, use_cache=False).logits[0, -1].argmax()))
        if said[-1] == 2:
            break
        inputs["input_ids"] = torch.cat([inputs["input_ids"], torch.tensor([said[-1:]])], dim=1)
        inputs["token_type_ids"] = torch.nn.functional.pad(inputs["token_type_ids"], (0, 1))
        inputs["position_ids"] = torch.cat([inputs["position_ids"], inputs["position_ids"][:, -1:] + 1], dim=1)
    return processor.tokenizer.decode(said, skip_special_tokens=True)


def test_a_loaded_model_is_complete_and_its_processor_can_still_be_saved(base, processor, tmp_path, monkeypatch):
    with monkeypatch.context() as without:
        without.setattr(ernie_remote, "complete", lambda model: None)
        bare = load_weights(base, dtype="float32", trust_remote_code=True)
    assert bare.vision_model.rotary_pos_emb.inv_freq.is_meta, "transformers 5 leaves it out"
    assert not bare.lm_head.weight.equal(bare.embed_tokens.weight), "and this random"
    model = load_weights(base, dtype="float32", trust_remote_code=True)
    assert not model.vision_model.rotary_pos_emb.inv_freq.is_meta
    assert model.lm_head.weight.equal(model.embed_tokens.weight)
    ernie_remote.attach(model, processor)
    processor.save_pretrained(tmp_path)


def test_what_its_code_cannot_do_is_one_line(base, tmp_path):
    with pytest.raises(UserError, match="--gradient-checkpointing does not work"):
        train(TrainConfig(model=str(base), out=tmp_path / "run", steps=1, backend="peft", device="cpu",
                          gradient_checkpointing=True, trust_remote_code=True), SAMPLES)


def test_an_export_keeps_the_code_and_answers_as_the_adapter(base, tmp_path):
    from latexocr.training.export import export

    adapter = train(TrainConfig(model=str(base), out=tmp_path / "run", steps=6, batch=4, save_steps=3, backend="peft",
                                learning_rate=5e-3, device="cpu", trust_remote_code=True), SAMPLES)
    folder = export(adapter, tmp_path / "model", samples=SAMPLES[:6], trust_remote_code=True)
    for name in (STAND_IN.name, "preprocessor_config.json", "tokenizer.json"):
        assert (folder / name).read_bytes() == (base / name).read_bytes()
    own = json.loads((base / "config.json").read_text())
    assert json.loads((folder / "config.json").read_text()) == own | {"dtype": "bfloat16"}
    assert not (folder / "ernie_processor.py").exists() and not trusted(folder, asked=False)
    options = {"device": "cpu", "dtype": "float32", "trust_remote_code": True, "config": GenerateConfig(max_tokens=9)}
    both = [[p.reply for p in load_model(one, **options).read(SAMPLES)] for one in (adapter, folder)]
    assert both[0] == both[1]


def test_it_trains_with_its_routers_loss_and_its_adapter_merges(base, tmp_path):
    import torch
    from peft import PeftModel

    out = train(TrainConfig(model=str(base), out=tmp_path / "run", steps=12, batch=4, accumulation=2,
                            learning_rate=5e-3, rank=8, backend="peft", device="cpu", trust_remote_code=True), SAMPLES)
    record = json.loads((out / "run.json").read_text())
    assert record["last_loss"] < record["first_loss"]
    model = PeftModel.from_pretrained(load_weights(base, dtype="float32", trust_remote_code=True), out)
    assert {name.rpartition(".")[2] for name in model.targeted_module_names} == {"q_proj", "fc1"}, "the guide's modules"
    before = model.get_base_model().q_proj.base_layer.weight.clone()
    delta = model.get_base_model().q_proj.get_delta_weight("default")
    merged = model.merge_and_unload()
    assert delta.abs().sum() > 0 and torch.allclose(merged.q_proj.weight, before + delta)


def test_code_that_was_trusted_to_train_is_trusted_to_load_what_was_trained(base, tmp_path):
    from latexocr import LatexOCRModel

    model = LatexOCRModel.load(base, device="cpu", trust_remote_code=True)
    tuned = model.train(SAMPLES, out=tmp_path / "a", steps=1, batch=2, backend="peft", device="cpu", log_to="none",
                        trust_remote_code=True)
    assert tuned.name == str(tmp_path / "a")


def test_the_loss_is_that_of_the_answers_and_the_router(base, collator):
    """By hand: the mean over the tokens that count, and the router's loss."""
    from latexocr.training.trainer import remote_loss

    model = load_weights(base, dtype="float32", trust_remote_code=True)
    ernie_remote.attach(model, collator.processor)
    batch = collator([{"sample": 0}, {"sample": 3}])
    inputs = {name: value.clone() for name, value in batch.items() if name != "labels"}
    log_probabilities = model(**inputs).logits[:, :-1].log_softmax(-1)
    counted = batch["labels"][:, 1:] != IGNORED
    chosen = log_probabilities.gather(2, batch["labels"][:, 1:, None].clamp(min=0))[..., 0][counted]
    assert len(chosen) == sum(len(sample.latex) + 1 for sample in (SAMPLES[0], SAMPLES[3]))
    loss, _ = remote_loss(model, batch)
    assert float(loss) == pytest.approx(float(-chosen.mean()) + 0.25, rel=1e-5)
