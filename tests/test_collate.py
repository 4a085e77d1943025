"""The batches a model learns from: what counts in the loss, and that training sees what use sees."""

from __future__ import annotations

import pytest

from latexocr.errors import UserError
from latexocr.reading.conversation import conversation
from latexocr.reading.images import prepare
from latexocr.reading.inputs import BUILTIN, encode, load_processor, render, resolve
from latexocr.training.collate import IGNORED, Collator, Example
from latexocr.training.pictures import pack
from tests.conftest import TEMPLATE, drawn

FORMULAS = ["x", r"\frac{a}{b}", r"\begin{matrix} 1 & 2 \\ 3 & 4 \end{matrix}", "ä ≤ β", " spaced "]
TEMPLATES = {
    "as the embedded model's": TEMPLATE,
    "chat with text after the end": (
        "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{% for c in m['content'] %}{% if c['type'] == 'image' %}"
        "<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ c['text'] }}{% endif %}{% endfor %}<|im_end|>\n"
        "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"),
}


@pytest.fixture(scope="module")
def processor(tiny_model):
    return load_processor(tiny_model)


@pytest.fixture
def collator(processor):
    examples = [Example(s.id, pack(prepare(s.image)), latex) for s, latex in zip(drawn(5, longest=9), FORMULAS)]
    return Collator(processor, examples, {processor.tokenizer.eos_token_id})


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
def test_labels_are_exactly_the_formula_and_its_end(collator, processor, template, monkeypatch):
    monkeypatch.setattr(processor, "chat_template", template)
    batch = collator([{"sample": n} for n in range(len(FORMULAS))])
    for labels, latex in zip(batch["labels"], FORMULAS):
        counted = labels[labels != IGNORED]
        assert processor.tokenizer.decode(counted) == latex + "<|im_end|>"


def test_labels_of_the_embedded_model_are_exactly_the_formula_and_its_end(collator):
    processor = load_processor(resolve(BUILTIN))
    own = Collator(processor, collator.examples, {processor.tokenizer.eos_token_id})
    for labels, latex in zip(own([{"sample": n} for n in range(len(FORMULAS))])["labels"], FORMULAS):
        assert processor.tokenizer.decode(labels[labels != IGNORED]) == latex + processor.tokenizer.eos_token


def test_no_picture_token_and_no_padding_counts(collator, processor):
    batch = collator([{"sample": 0}, {"sample": 2}])
    counts = batch["labels"] != IGNORED
    assert not (counts & (batch["input_ids"] == processor.image_token_id)).any()
    assert not (counts & (batch["attention_mask"] == 0)).any()
    assert (batch["attention_mask"][0, -1], batch["attention_mask"][0, 0]) == (0, 1), "padding belongs on the right"


def test_every_key_of_the_processor_is_carried(collator):
    batch = collator([{"sample": 1}])
    assert set(batch) == {"input_ids", "attention_mask", "mm_token_type_ids", "pixel_values", "image_grid_thw",
                          "labels"}
    assert batch["mm_token_type_ids"].shape == batch["input_ids"].shape


def test_training_sees_the_prompt_and_the_pixels_of_use(collator, processor):
    picture = prepare(drawn(5, longest=9)[1].image)
    used = encode(processor, [render(processor, conversation(picture), ask=True)], [picture], side="left")
    trained = collator([{"sample": 1}])
    length = used["input_ids"].shape[1]
    assert trained["input_ids"][0, :length].equal(used["input_ids"][0])
    assert (trained["labels"][0, :length] == IGNORED).all() and trained["labels"][0, length] != IGNORED
    assert trained["pixel_values"].equal(used["pixel_values"])
    assert trained["image_grid_thw"].equal(used["image_grid_thw"])


@pytest.mark.parametrize("template, said", [
    ("{% for m in messages %}{{ m['content'][-1]['text'] }}<|image_pad|>{% endfor %}", "no end token"),
    ("{{ messages | length }}<|image_pad|><|im_end|>", "does not write the answer"),
], ids=["without an end", "without the answer"])
def test_a_template_that_cannot_be_learned_from_is_refused(collator, processor, template, said, monkeypatch):
    monkeypatch.setattr(processor, "chat_template", template)
    with pytest.raises(UserError, match=said):
        collator.answer_tokens("x")


@pytest.mark.parametrize("written", ["", "<|im_start|>"])
def test_a_begin_token_stands_once_whether_the_template_writes_it_or_the_tokenizer(tiny_model, written):
    from tokenizers.processors import TemplateProcessing

    processor = load_processor(tiny_model)
    tokenizer = processor.tokenizer
    tokenizer.bos_token = "<|im_start|>"
    begin = tokenizer.bos_token_id
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<|im_start|> $A", special_tokens=[("<|im_start|>", begin)])
    text = f"{written}<|vision_start|><|image_pad|><|vision_end|>"
    [tokens] = encode(processor, [text], [prepare(drawn(1)[0].image)], side="left")["input_ids"].tolist()
    assert tokens[0] == begin and tokens.count(begin) == 1
