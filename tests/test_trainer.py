"""What a step is made of: the same gradients from one pass or several, whatever their lengths, for every family."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from latexocr.reading.inputs import load_processor
from latexocr.reading.local import end_tokens
from latexocr.training import engines, examples
from latexocr.training.collate import Collator, positions_of
from latexocr.training.settings import TrainConfig
from latexocr.training.trainer import Plan, trainer_of
from latexocr.training.trial import Trial
from tests.conftest import drawn
from tests.families import EVERY, REMOTE


def trainer_for(base, out, *, batch, trusted):
    """A trainer of one step over eight formulas of 1 to 12 tokens, whose adapter does something from the start."""
    import torch

    config = TrainConfig(model=str(base), out=out, steps=1, batch=batch, accumulation=8 // batch, device="cpu",
                         log_to="none", trust_remote_code=trusted)
    processor, samples = load_processor(base, trust_remote_code=trusted), drawn(8, longest=12)
    learned = examples.usable(examples.material(samples, config), config, processor.tokenizer)
    model = engines.with_adapter("peft", base, config, processor)
    for name, weight in model.named_parameters():
        if "lora_B" in name:  # Nothing at first, and A would have no gradient.
            torch.nn.init.normal_(weight, std=0.05)
    positions = positions_of(model.get_base_model())
    collator = Collator(processor, learned, end_tokens(model, processor), positions=positions)
    trial = Trial.of([], samples, processor, collator.ends, collator.prompt, engines.reading_mode("peft", config))
    return trainer_of(model, collator, Plan.of(collator, config, 8), config, "peft", replace(trial, shown=[]))


def gradients(base, out, *, batch, trusted):
    """Those of the step, and the loss that the trainer reports."""
    trainer, found = trainer_for(base, out, batch=batch, trusted=trusted), {}
    trainer.create_optimizer()
    trainer.optimizer.register_step_pre_hook(lambda *_: found.update(
        {name: weight.grad.clone() for name, weight in trainer.model.named_parameters() if weight.requires_grad}))
    trainer.train()
    return found, json.loads((out / "log.jsonl").read_text().splitlines()[0])["loss"]


@pytest.mark.parametrize("family", EVERY)
def test_every_token_of_a_step_weighs_alike_in_however_many_passes(family, tmp_path):
    """Means of passes, averaged, were off by 16 to 31 % of the largest gradient: short formulas weigh more."""
    base = tmp_path / "base"
    base.mkdir()
    EVERY[family](base)
    for name in "ab":
        (tmp_path / name).mkdir()
    whole, loss = gradients(base, tmp_path / "a", batch=8, trusted=family == REMOTE)
    parts, said = gradients(base, tmp_path / "b", batch=2, trusted=family == REMOTE)
    largest = max(float(gradient.abs().max()) for gradient in whole.values())
    assert largest > 0 and said == pytest.approx(loss, rel=1e-5)
    # Less than rounding for all but a mixture, whose router looks at one pass at a time.
    assert max(float((whole[name] - parts[name]).abs().max()) for name in whole) < 1e-4 * largest


def test_an_evaluation_that_counts_tokens_gets_loss_and_outputs(tiny_model, tmp_path):
    """As transformers 5.17 asks for them."""
    trainer = trainer_for(tiny_model, tmp_path, batch=8, trusted=False)
    inputs = trainer._prepare_inputs(trainer.data_collator([{"sample": 0}, {"sample": 6}]))
    loss = trainer.compute_loss(trainer.model.eval(), dict(inputs))
    counted, outputs = trainer.compute_loss(trainer.model, dict(inputs), return_outputs=True, num_items_in_batch=999)
    assert counted.equal(loss) and outputs is not None
