"""The engines: who is chosen, and that Unsloth sees the batches that plain PEFT sees.

Unsloth itself is not among the tests' packages (it brings 3 GB and wants older ones): what it was handed lies in
benchmarks/results/training/engines.json, written by benchmarks/engines.py, and is compared with what the code of today
hands a model.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.engines import digest
from latexocr.reading.conversation import PROMPTS, prompt_names
from latexocr.reading.inputs import load_processor, model_type
from latexocr.reading.local import end_tokens, load_weights
from latexocr.training import engines, examples
from latexocr.training.collate import Collator, positions_of
from latexocr.training.settings import TrainConfig
from latexocr.training.trainer import Plan
from tests.conftest import drawn
from tests.families import EVERY, FAMILIES, REMOTE

RECORDS = Path(__file__).parent.parent / "benchmarks" / "results" / "training"


@pytest.fixture(scope="module")
def recorded() -> dict:
    return json.loads((RECORDS / "engines.json").read_text())


@pytest.mark.parametrize("family", EVERY)
def test_unsloth_was_handed_the_batches_of_today(family, recorded, tmp_path):
    EVERY[family](tmp_path)
    config = TrainConfig(model=str(tmp_path), steps=recorded["steps"], batch=4, accumulation=2)
    trusted = {"trust_remote_code": family == REMOTE}
    processor, model = load_processor(tmp_path, **trusted), load_weights(tmp_path, dtype="float32", **trusted)
    learned = examples.usable(examples.material(drawn(40), config), config, processor.tokenizer)
    prompt = PROMPTS[prompt_names(model_type(tmp_path))[0]]
    collator = Collator(processor, learned, end_tokens(model, processor), prompt, positions_of(model))
    numbers = Plan.of(collator, config, len(learned)).learned
    today = []
    for start in range(0, len(numbers), config.batch):
        batch = collator([{"sample": number} for number in numbers[start:start + config.batch]])
        if family == REMOTE:
            batch.pop("labels")  # Its code gives no loss, so they do not reach it.
        today.append(digest(batch, whole=True))
    assert recorded["models"][family]["unsloth"]["batches"] == today


@pytest.mark.parametrize("family", EVERY)
def test_both_engines_saw_the_same_and_came_to_the_same_loss(family, recorded):
    """To rounding; for a class of the stand-in's name Unsloth counts no tokens, and averages the means of passes."""
    plain, unsloth = (recorded["models"][family][engine] for engine in ("peft", "unsloth"))
    assert plain["batches"] == unsloth["batches"] and plain["pixels"] == unsloth["pixels"]
    assert plain["losses"][1] == pytest.approx(unsloth["losses"][1], rel=2e-6)
    assert plain["losses"] == pytest.approx(unsloth["losses"], rel=3e-3 if family == REMOTE else 2e-6)
    # The stand-in's weights lie wide apart and learn more slowly (tests/test_ernie_remote.py shows that they do).
    assert family == REMOTE or plain["losses"][-1] < 0.9 * plain["losses"][1]


def test_unsloths_merged_export_lost_the_routed_experts_of_ernie_and_ours_did_not():
    """Recorded by benchmarks/unsloth_export.py; the day its first half fails, Unsloth has mended it."""
    models = json.loads((RECORDS / "unsloth_export.json").read_text())["models"]
    ernie = models["ernie4_5_vl_moe"]
    assert ernie["tuned_modules"] > 20 and ernie["latexocr"]["tuned_but_unchanged"] == []
    assert ernie["unsloth"]["tuned_but_unchanged"] and all(
        "experts" in name for name in ernie["unsloth"]["tuned_but_unchanged"])
    assert models["qwen2_5_vl"]["latexocr"]["tuned_but_unchanged"] == []
    assert models["qwen2_5_vl"]["unsloth"]["tuned_but_unchanged"] == []


@pytest.mark.parametrize(("family", "compiled"), [("ernie4_5_vl_moe", False), ("qwen3_vl", True)])
def test_unsloth_compiles_what_torch_can_compile(family, compiled, tmp_path):
    FAMILIES[family](tmp_path)
    assert ("UNSLOTH_COMPILE_DISABLE" not in engines._environment(tmp_path)) is compiled
