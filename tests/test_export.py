"""The export: one folder that plain transformers loads, the same answers, and nothing left behind when they differ."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from latexocr.errors import UserError
from latexocr.reading import GenerateConfig
from latexocr.reading.inputs import BUILTIN, resolve
from latexocr.reading.local import load_model, load_weights
from latexocr.training.export import _complete, export
from latexocr.training.lora import TrainConfig, train
from tests.conftest import drawn

SAMPLES = drawn(12, longest=3, seed=2)


@pytest.fixture(scope="module")
def tuned(tiny_model, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "a"
    return train(TrainConfig(model=str(tiny_model), out=out, steps=40, batch=8, learning_rate=3e-3, rank=32,
                             backend="peft", device="cpu"), drawn(40, longest=3))


def replies(model: str | Path) -> list[str]:
    reader = load_model(model, device="cpu", dtype="float32", config=GenerateConfig(max_tokens=10))
    return [prediction.reply for prediction in reader.read(SAMPLES)]


@pytest.fixture(scope="module")
def exported(tuned, tmp_path_factory) -> Path:
    return export(tuned, tmp_path_factory.mktemp("models") / "a", samples=SAMPLES, shard_size="300KB")


def test_the_export_answers_as_the_adapter_and_not_as_the_base(exported, tuned, tiny_model):
    assert replies(exported) == replies(tuned)
    assert replies(exported) != replies(tiny_model)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_adapter_and_export_are_the_same_numbers(exported, tuned, dtype):
    """Weights, and what is computed beside them: the frequencies of the positions must not be rounded on the way."""
    one, other = (load_model(folder, device="cpu", dtype=dtype).model for folder in (tuned, exported))
    for parts in ("named_parameters", "named_buffers"):
        held, expected = dict(getattr(one, parts)()), dict(getattr(other, parts)())
        assert held.keys() == expected.keys() and len(held) > 1
        assert [name for name in held if held[name].dtype != expected[name].dtype] == []
        assert [name for name in held if not held[name].equal(expected[name])] == []
    fresh = dict(load_weights(exported, dtype="float32").named_buffers())
    assert [name for name, buffer in one.named_buffers() if not buffer.equal(fresh[name])] == []


def test_plain_transformers_loads_the_folder_in_16_bits(exported):
    from transformers import AutoModelForImageTextToText

    model = AutoModelForImageTextToText.from_pretrained(exported, dtype="auto")
    assert str(model.dtype) == "torch.bfloat16" and type(model).__name__ == "Qwen3VLForConditionalGeneration"
    assert len(list(exported.glob("model-*.safetensors"))) > 1, "shard_size is without effect"


def test_the_folder_keeps_the_bases_tokenizer_template_and_settings(exported, tiny_model):
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "preprocessor_config.json",
                 "generation_config.json"):
        assert (exported / name).read_bytes() == (tiny_model / name).read_bytes()
    assert json.loads((exported / "config.json").read_text())["vision_config"]["patch_size"] == 8
    assert not list(exported.glob("adapter*"))
    assert len({file.stat().st_mode for file in exported.iterdir()}) == 1, "a server may run as somebody else"


def test_the_folder_says_how_it_was_checked(exported, tuned):
    record = json.loads((exported / "export.json").read_text())
    assert record["pictures"] == len(SAMPLES) and record["dtype"] == "bfloat16" and record["adapter"] == str(tuned)
    assert 0 <= record["largest_logit_difference"] < 1e-3 < record["adapter_effect"]
    assert json.loads((exported / "run.json").read_text())["settings"]["prompt"] == "instruction"


def test_an_adapter_that_changes_nothing_is_refused(tuned, tmp_path):
    from safetensors.torch import load_file, save_file

    idle = shutil.copytree(tuned, tmp_path / "idle", ignore=shutil.ignore_patterns("checkpoints"))
    weights = load_file(idle / "adapter_model.safetensors")
    save_file({name: w * ("lora_A" in name) for name, w in weights.items()}, idle / "adapter_model.safetensors")
    with pytest.raises(UserError, match="changes nothing"):
        export(idle, tmp_path / "a", samples=SAMPLES)
    assert [path.name for path in tmp_path.iterdir()] == ["idle"]


def test_a_template_that_would_think_is_told_not_to(tuned, tmp_path):
    """Only by default: who asks for thoughts still gets them."""
    from jinja2 import Template

    base = tmp_path / "base"
    base.mkdir()
    (base / "chat_template.jinja").write_text("{% if enable_thinking is defined and not enable_thinking %}silent"
                                              "{% else %}thinking{% endif %}")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "qwen3_vl"}')
    _complete(folder, base, tuned)
    template = Template((folder / "chat_template.jinja").read_text())
    assert (template.render(), template.render(enable_thinking=True)) == ("silent", "thinking")


def test_a_calibration_is_that_of_the_adapter_and_not_of_its_base(tmp_path):
    base, adapter, folder = (tmp_path / name for name in ("base", "adapter", "folder"))
    for place in (base, adapter, folder):
        place.mkdir()
    (folder / "config.json").write_text('{"model_type": "qwen3_vl"}')
    (base / "calibration.json").write_text('{"intercept": 1, "slope": 1}')
    _complete(folder, base, adapter)
    assert not (folder / "calibration.json").exists()
    (adapter / "calibration.json").write_text('{"intercept": 2, "slope": 2}')
    _complete(folder, base, adapter)
    assert json.loads((folder / "calibration.json").read_text()) == {"intercept": 2, "slope": 2}


def test_without_samples_it_is_checked_on_drawn_pictures(tuned, tmp_path):
    assert replies(export(tuned, tmp_path / "half", dtype="float16")) == replies(tuned)
    assert json.loads((tmp_path / "half" / "config.json").read_text())["dtype"] == "float16"


def test_an_export_that_answers_otherwise_is_refused_and_leaves_nothing(tuned, tmp_path, monkeypatch):
    """The written weights are spoiled before they are loaded anew, as a faulty merge or save would."""
    from safetensors.torch import load_file, save_file
    from transformers import PreTrainedModel

    write = PreTrainedModel.save_pretrained

    def spoils(self, folder, **options):
        write(self, folder, **options)
        file = Path(folder) / "model.safetensors"
        weights = load_file(file)
        name = next(name for name in weights if name.endswith("visual.merger.linear_fc2.weight"))
        save_file({**weights, name: -weights[name]}, file, metadata={"format": "pt"})

    monkeypatch.setattr(PreTrainedModel, "save_pretrained", spoils)
    with pytest.raises(UserError, match=r"on \d+ of 12 pictures: 00") as caught:
        export(tuned, tmp_path / "models" / "a", samples=SAMPLES)
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "models").iterdir()) == []


def test_a_merge_that_loses_a_layer_is_refused(tuned, tmp_path, monkeypatch):
    """One layer's part of the adapter is dropped by the merge, as happens to routed experts elsewhere."""
    from peft.tuners.lora.layer import Linear

    merge = Linear.merge

    def loses_one(self, *arguments, **options):
        if self.in_features == 256:  # visual.merger
            return None
        return merge(self, *arguments, **options)

    monkeypatch.setattr(Linear, "merge", loses_one)
    with pytest.raises(UserError, match="changes what the model computes"):
        export(tuned, tmp_path / "a", samples=SAMPLES)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_exported_is_one_line(tuned, tiny_model, tmp_path):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "x").write_text("a file")
    broken = replace(SAMPLES[0], image=tmp_path / "gone.png")
    orphan = shutil.copytree(tuned, tmp_path / "orphan", ignore=shutil.ignore_patterns("checkpoints"))
    config = json.loads((orphan / "adapter_config.json").read_text())
    (orphan / "adapter_config.json").write_text(json.dumps({**config, "base_model_name_or_path": "/gone"}))
    unfinished = tmp_path / "unfinished"
    unfinished.mkdir()
    (unfinished / "run.json").write_text("{}")
    cases = [(tuned, "taken", SAMPLES, "already there"), (tiny_model, "b", SAMPLES, "Give the folder that training"),
             (unfinished, "e", SAMPLES, "training has not ended"),
             (tuned, "taken/x/y", SAMPLES, "cannot be made a folder"),
             (tuned, "c", [broken], "none of these"), (orphan, "d", SAMPLES, "missing")]
    for adapter, out, samples, said in cases:
        with pytest.raises(UserError, match=said):
            export(adapter, tmp_path / out, samples=samples)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["orphan", "taken", "unfinished"]


def test_two_exports_do_not_write_to_one_folder_and_what_a_killed_one_left_is_removed(tuned, tmp_path):
    from latexocr.training.record import alone

    half = tmp_path / "a.part"
    with alone(half), pytest.raises(UserError, match="another latexocr is writing there"):
        export(tuned, tmp_path / "a", samples=SAMPLES[:2])
    (half / "model-00009-of-00009.safetensors").write_bytes(b"half of one")
    folder = export(tuned, tmp_path / "a", samples=SAMPLES[:2])
    assert not half.exists() and not (folder / "model-00009-of-00009.safetensors").exists()


def test_an_export_on_a_full_disk_is_one_line_and_leaves_nothing(tuned, tmp_path, monkeypatch):
    from transformers import PreTrainedModel

    def to_a_full_disk(self, folder, **_):
        Path("/dev/full").write_bytes(b"weights")

    monkeypatch.setattr(PreTrainedModel, "save_pretrained", to_a_full_disk)
    with pytest.raises(UserError, match=r"could not be written to its end .*No space left"):
        export(tuned, tmp_path / "a", samples=SAMPLES[:2])
    assert list(tmp_path.iterdir()) == []


def test_an_adapter_of_the_embedded_model_exports(tmp_path):
    try:
        resolve(BUILTIN)
    except UserError as e:
        pytest.skip(str(e))
    tuned = train(TrainConfig(out=tmp_path / "run", steps=3, batch=4, backend="peft", device="cpu"), SAMPLES)
    assert json.loads((tuned / "adapter_config.json").read_text())["base_model_name_or_path"] == BUILTIN
    assert replies(export(tuned, tmp_path / "model", samples=SAMPLES)) == replies(tuned)
