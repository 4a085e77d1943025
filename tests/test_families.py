"""The same code for every family of models: what counts, what is asked, the way from training to a merged folder."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import accumulate, pairwise
from pathlib import Path

import pytest
from safetensors import safe_open

from latexocr.errors import UserError
from latexocr.reading import GenerateConfig
from latexocr.reading.conversation import PROMPTS, conversation, prompt_names
from latexocr.reading.images import prepare
from latexocr.reading.inputs import encode, load_processor, model_type, render
from latexocr.reading.local import end_tokens, load_adapter, load_model, load_weights
from latexocr.training import examples, towers
from latexocr.training.collate import IGNORED, Collator, Example, positions_of
from latexocr.training.export import export
from latexocr.training.flat import flat, for_vllm
from latexocr.training.lora import train
from latexocr.training.pictures import pack
from latexocr.training.settings import TrainConfig
from latexocr.training.targets import GUIDE, targets
from latexocr.training.towers import attend_together
from latexocr.training.trainer import Plan
from tests.conftest import drawn
from tests.families import FAMILIES

FORMULAS = ["x", r"\frac{a}{b}", r"\begin{matrix} 1 & 2 \\ 3 & 4 \end{matrix}", "ä ≤ β"]
ENDS = {"qwen3_vl": "<|im_end|>", "qwen2_5_vl": "<|im_end|>", "paddleocr_vl": "</s>",
        "ernie4_5_vl_moe": "<|end_of_sentence|>"}
SAMPLES = drawn(32, longest=2)


@pytest.fixture(scope="module", params=FAMILIES)
def base(request, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp(request.param) / "base"
    folder.mkdir()
    FAMILIES[request.param](folder)
    return folder


@pytest.fixture(scope="module")
def collator(base) -> Collator:
    processor = load_processor(base)
    examples = [Example(s.id, pack(prepare(s.image)), latex) for s, latex in zip(drawn(4, longest=9), FORMULAS)]
    ends = end_tokens(load_weights(base, dtype="float32"), processor)
    return Collator(processor, examples, ends, PROMPTS[prompt_names(model_type(base))[0]])


@pytest.fixture(scope="module")
def tuned(base) -> Path:
    return train(TrainConfig(model=str(base), out=base.parent / "run", steps=40, batch=8, learning_rate=5e-3, rank=16,
                             backend="peft", device="cpu"), SAMPLES)


def test_labels_are_exactly_the_formula_and_its_end(collator, base):
    batch = collator([{"sample": n} for n in range(len(FORMULAS))])
    said = [collator.processor.tokenizer.decode(labels[labels != IGNORED]) for labels in batch["labels"]]
    assert said == [latex + ENDS[model_type(base)] for latex in FORMULAS]


def test_training_asks_what_use_asks(collator, base):
    """Token for token, with the picture's tokens in their place, and its pixels."""
    for number, sample in enumerate(drawn(4, longest=9)):
        picture = prepare(sample.image)
        question = render(collator.processor, conversation(picture, prompt=collator.prompt), ask=True)
        used = encode(collator.processor, [question], [picture], side="left")
        trained = collator([{"sample": number}])
        first = int((trained["labels"][0] != IGNORED).nonzero()[0])
        assert trained["input_ids"][0, :first].tolist() == used["input_ids"][0].tolist()
        assert trained["pixel_values"].equal(used["pixel_values"])
        for name in set(used) - {"pixel_values", "input_ids"}:
            assert trained[name][0, :first].equal(used[name][0]) or trained[name].equal(used[name]), name
    assert load_model(base, device="cpu").prompt == collator.prompt


def test_a_batch_gives_the_loss_of_its_samples(collator, base):
    """Padding, and the kinds of tokens that steer experts and positions, must not leak from one row into another."""
    import torch

    model = load_weights(base, dtype="float32").eval()

    def nats(rows: list[int]) -> float:
        batch = collator([{"sample": row} for row in rows])
        with torch.inference_mode():
            logits = model(**batch).logits[:, :-1]
        return float(torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch["labels"][:, 1:].flatten(),
                                                       ignore_index=IGNORED, reduction="sum"))

    assert nats([0, 1, 2, 3]) == pytest.approx(sum(nats([row]) for row in range(4)), rel=1e-4)


def test_positions_numbered_beforehand_are_those_of_the_model(collator, base):
    import pickle

    import torch

    model = load_weights(base, dtype="float32").eval()
    ahead = pickle.loads(pickle.dumps(replace(collator, positions=positions_of(model))))
    rows = [{"sample": number} for number in (2, 0, 1)]
    with torch.inference_mode():
        assert "position_ids" in ahead(rows) and "position_ids" not in collator(rows)
        assert model(**ahead(rows)).logits.equal(model(**collator(rows)).logits)


def test_lengths_are_those_of_the_rows(collator):
    rows = [collator([{"sample": number}])["input_ids"].shape[1] for number in range(len(FORMULAS))]
    assert collator.lengths() == rows


def test_trained_saved_loaded_merged_with_equal_answers(tuned, base, tmp_path):
    record = json.loads((tuned / "run.json").read_text())
    assert record["last_loss"] < 0.8 * record["first_loss"]
    merged = export(tuned, tmp_path / "merged", samples=SAMPLES[:6], shard_size="300KB")
    short = GenerateConfig(max_tokens=6)
    answers = [[p.reply for p in load_model(folder, device="cpu", dtype="float32", config=short).read(SAMPLES)]
               for folder in (base, tuned, merged)]
    assert answers[1] == answers[2] != answers[0]
    index = json.loads((merged / "model.safetensors.index.json").read_text())["weight_map"]
    held = {name: file.name for file in merged.glob("*.safetensors") for name in safe_open(file, "pt").keys()}  # noqa: SIM118
    assert index == held and len(set(held.values())) > 1
    if model_type(base) == "ernie4_5_vl_moe":  # As on the hub, where vLLM looks for them.
        assert {name.partition(".blocks")[0] for name in held if "blocks" in name} == {"vision_model"}


def test_the_loss_of_the_first_step_is_that_of_its_answers_and_of_the_router(tuned, base):
    """By hand, of the plan's first batch: nothing is learned before it. ERNIE's router has a part in it."""
    import torch

    config = TrainConfig(model=str(base), steps=40, batch=8)
    processor, model = load_processor(base), load_weights(base, dtype="float32").eval()
    learned = examples.usable(examples.material(SAMPLES, config), config, processor.tokenizer)
    collator = Collator(processor, learned, end_tokens(model, processor), PROMPTS[prompt_names(model_type(base))[0]])
    batch = collator([{"sample": number} for number in Plan.of(collator, config, len(learned)).learned[:8]])
    routed = {"output_router_logits": True} if model_type(base) == "ernie4_5_vl_moe" else {}
    with torch.inference_mode():
        outputs = model(**batch, **routed)
    answers = float(torch.nn.functional.cross_entropy(outputs.logits[:, :-1].flatten(0, 1), ignore_index=IGNORED,
                                                      target=batch["labels"][:, 1:].flatten()))
    router = model.config.get_text_config().router_aux_loss_coef * float(outputs.aux_loss) if routed else 0
    reported = json.loads((tuned / "log.jsonl").read_text().splitlines()[0])["loss"]
    assert reported == pytest.approx(answers + router, rel=2e-5)
    assert not routed or router > 1e-3


def test_every_target_learned(tuned):
    model = load_adapter(tuned, dtype="float32")
    moved = {name: float(weight.abs().sum()) for name, weight in model.named_parameters() if "lora_B" in name
             and "layers.2.mlp.vision_moe" not in name}  # What ERNIE's last layer makes of a picture, nothing reads.
    assert len(moved) > 10 and min(moved.values()) > 0, [name for name, size in moved.items() if not size]


VISION = ("visual", "vision", "merger", "projector", "resampler")


@pytest.mark.parametrize("options, kept", [
    ({"vision": False}, lambda name: not any(word in name for word in VISION)),
    ({"language": False}, lambda name: any(word in name for word in VISION)),
    ({"attention": False}, lambda name: "attn" not in name),
    ({"mlp": False}, lambda name: "attn" in name),
    ({"modules": ("q_proj", "down_proj")}, lambda name: name.endswith(("q_proj", "down_proj"))),
], ids=["language", "vision", "mlp", "attention", "named"])
def test_what_is_tuned_can_be_chosen(base, options, kept):
    """The parts of a choice and of its opposite make up the whole."""
    model = load_weights(base, dtype="float32")
    every, chosen = targets(model, TrainConfig()), targets(model, TrainConfig(**options))
    for names, some in ((every.modules, chosen.modules), (every.parameters, chosen.parameters)):
        assert some == [name for name in names if kept(name.replace(".vision_moe", ""))]
    assert chosen.modules and len(chosen.modules) < len(every.modules)


def test_ernie_is_tuned_where_the_guide_tunes_it_experts_included(tmp_path):
    FAMILIES["ernie4_5_vl_moe"](tmp_path)
    chosen = targets(load_weights(tmp_path, dtype="float32"), TrainConfig())
    assert {name.rpartition(".")[2] for name in chosen.modules} == set(GUIDE)
    assert [name.rpartition("mlp.")[2] for name in chosen.parameters[:4]] == [
        f"{kind}_moe.experts.{part}" for kind in ("text", "vision") for part in ("gate_up_proj", "down_proj")]
    with pytest.raises(UserError, match="--dropout 0"):
        targets(load_weights(tmp_path, dtype="float32"), TrainConfig(dropout=0.1))
    with pytest.raises(UserError, match="named down_proj"):
        targets(load_weights(tmp_path, dtype="float32"), TrainConfig(modules=("nothing",)))


def test_the_tower_attends_to_all_pictures_at_once_and_sees_the_same(base, collator, monkeypatch):
    """Fewer calls of attention, pictures of mixed sizes, equal logits and gradients."""
    import torch

    batch = collator([{"sample": number} for number in (0, 0, 1, 2, 3, 3, 1)])
    calls, attend = [], torch.nn.functional.scaled_dot_product_attention
    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention",
                        lambda *a, **k: calls.append(1) or attend(*a, **k))
    seen = []
    for together in (False, True):
        model = load_weights(base, dtype="float32")
        if together:
            assert attend_together(model)
        calls.clear()
        loss = model(**batch).loss
        loss.backward()
        seen.append((float(loss.detach()), len(calls), [w.grad for w in model.parameters() if w.grad is not None]))
    assert seen[0][0] == pytest.approx(seen[1][0], rel=1e-5) and seen[1][1] < seen[0][1]
    assert len(seen[0][2]) == len(seen[1][2]) > 10
    assert all(one.allclose(other, rtol=1e-3, atol=1e-6) for one, other in zip(seen[0][2], seen[1][2]))


@pytest.mark.parametrize("lengths", [(4, 4, 5, 10), (7, 1), (3,), (6, 6, 6)])
def test_one_call_for_all_pictures_is_handed_what_a_call_a_picture_is(lengths, monkeypatch):
    """What a GPU is asked once, answered here piece by piece; pictures of one size take the plain call."""
    import torch

    def varlen(q, k, v, starts, key_starts, longest, longest_key):
        asked.append((starts.dtype, key_starts.tolist(), longest, longest_key))
        return torch.cat([attend(*(rows[a:b].transpose(0, 1) for rows in (q, k, v))).transpose(0, 1)
                          for a, b in pairwise(starts.tolist())])

    asked, attend = [], torch.nn.functional.scaled_dot_product_attention
    starts = [0, *accumulate(lengths)]
    states = torch.randn(3, 1, 2, sum(lengths), 8, generator=torch.Generator().manual_seed(0))
    seen = [towers.within_pictures(None, *states, None, scaling=8**-0.5, cu_seq_lens_q=torch.tensor(starts))[0]]
    monkeypatch.setattr(towers, "_ragged", lambda *_: varlen)
    seen += [towers.within_pictures(None, *states, None, scaling=8**-0.5, cu_seq_lens_q=torch.tensor(starts))[0]]
    assert torch.allclose(*seen, atol=1e-6) and seen[1].shape == (1, sum(lengths), 2, 8)
    expected = (torch.int32, starts, max(lengths), max(lengths))
    assert asked == ([expected] if len(set(lengths)) > 1 else [])


@pytest.mark.gpu
def test_on_a_gpu_one_call_a_layer_takes_pictures_of_all_sizes_and_sees_the_same(base, collator, monkeypatch):
    """bfloat16: logits and gradients as near to float32 as those of a call a picture are."""
    from torch.nn.attention import varlen

    batch = collator([{"sample": number} for number in (0, 0, 1, 2, 3, 3, 1)])
    batch = {name: values.to("cuda") for name, values in batch.items()}
    calls, ragged = [], varlen.varlen_attn
    monkeypatch.setattr(varlen, "varlen_attn", lambda *a: calls.append(1) or ragged(*a))
    seen = []
    for dtype, together in (("float32", False), ("bfloat16", False), ("bfloat16", True)):
        model = load_weights(base, dtype=dtype).to("cuda")
        if together:
            attend_together(model)
        loss = model(**batch).loss
        loss.backward()
        grads = {name: w.grad.float() for name, w in model.named_parameters() if w.grad is not None}
        tower = {name: grad for name, grad in grads.items() if "visual" in name or "vision_tower" in name}
        seen.append((float(loss.detach()), tower))
    (exact, straight), (_, apart), (loss, near) = seen
    assert 0 < len(calls) <= sum(type(module).__name__.endswith("Attention") for module in model.modules())
    assert loss == pytest.approx(exact, rel=0.01) and len(near) > 5
    assert all((near[n] - g).norm() <= 1.5 * (apart[n] - g).norm() + 0.02 * g.norm() for n, g in straight.items())


def test_an_exported_ernie_carries_the_names_that_vllm_reads_and_transformers_still_loads_it(tmp_path):
    """The names that vllm 0.32 reads in ernie45_vl*.py, with the values that Baidu's 28B has."""
    from transformers import AutoConfig, Ernie4_5_VLMoeConfig

    text = {"rope_parameters": {"rope_type": "default", "rope_theta": 5e5, "mrope_section": [22, 22, 20]}}
    config = flat(Ernie4_5_VLMoeConfig(text_config=text).to_dict())
    published = {"hidden_size": 2560, "num_hidden_layers": 28, "num_attention_heads": 20, "num_key_value_heads": 4,
                 "intermediate_size": 12288, "vocab_size": 103424, "moe_num_experts": [64, 64], "moe_k": 6,
                 "moe_intermediate_size": [1536, 512], "moe_num_shared_experts": 2, "moe_layer_start_index": [1, 1],
                 "moe_layer_end_index": [27, 27], "freq_allocation": 20, "im_patch_id": 100295, "spatial_conv_size": 2,
                 "temporal_conv_size": 2, "pixel_hidden_size": 1280, "use_temporal_conv": True, "rms_norm_eps": 1e-5}
    assert {name: config[name] for name in published} == published
    assert config["vision_config"]["embed_dim"] == 1280 and config["vision_config"]["mlp_ratio"] == 4
    (tmp_path / "config.json").write_text(json.dumps(config))
    loaded = AutoConfig.from_pretrained(tmp_path)
    assert type(loaded) is Ernie4_5_VLMoeConfig and loaded.moe_num_experts == [64, 64]
    assert loaded.get_text_config().moe_num_experts == 64
    (tmp_path / "config.json").write_text(other := '{"model_type": "qwen3_vl", "x": 1}')
    for_vllm(tmp_path)
    assert (tmp_path / "config.json").read_text() == other
