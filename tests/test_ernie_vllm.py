"""A native ERNIE-4.5-VL behind vLLM: its processor against transformers' own, whose code may run, and a real server."""

from __future__ import annotations

import ast
import json
import shutil
from pathlib import Path

import pytest

from benchmarks.ernie_served import apart, by_server, by_transformers, exported, pictures, served
from latexocr.cli.serve import Serve, command_line
from latexocr.errors import UserError
from latexocr.reading import GenerateConfig
from latexocr.reading.conversation import conversation
from latexocr.reading.ernie_vllm import AUTO_MAP, CODE, question, trusted, write_processor
from latexocr.reading.inputs import encode, load_processor, render
from latexocr.records import Sample


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return exported(tmp_path_factory.mktemp("ernie"))


@pytest.fixture
def folder(model, tmp_path) -> Path:
    """A copy that a test may change."""
    return shutil.copytree(model, tmp_path / "model")


def for_vllm(folder: Path):
    """The processor that vLLM gets."""
    from transformers import AutoProcessor

    return AutoProcessor.from_pretrained(folder, trust_remote_code=True)


def test_transformers_has_its_own_processor_from_the_folder_and_vllm_ours(model, monkeypatch):
    """What `AutoProcessor` chooses; transformers' own, whole, would need torchvision for videos."""
    from transformers import AutoProcessor
    from transformers.processing_utils import ProcessorMixin

    assert type(for_vllm(model)).__module__.startswith("transformers_modules.")
    monkeypatch.setattr(ProcessorMixin, "from_pretrained", classmethod(lambda cls, *_, **__: cls))
    own = AutoProcessor.from_pretrained(model)
    assert (own.__name__, own.__module__.partition(".")[0]) == ("Ernie4_5_VLMoeProcessor", "transformers")
    assert "latexocr" not in {name.partition(".")[0] for name in imports(CODE)}, "vLLM's environment may lack it"


def imports(path: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(path.read_text())))
    return ({alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
            | {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)})


def test_what_vllm_is_shown_is_what_transformers_sees(model):
    """Tokens and pixels, these after the arithmetic that vLLM does with them."""
    import torch

    ours, own = for_vllm(model), load_processor(model)
    for picture in pictures():
        text = render(own, conversation(picture), ask=True)
        expected = encode(own, [text], [picture], side="left")
        asked = ours.apply_chat_template(conversation(picture), add_generation_prompt=True, enable_thinking=False)
        assert asked == question(model, text) != text
        found = ours(text=[asked], images=[picture], videos=[], return_tensors="pt")
        assert found["input_ids"].equal(expected["input_ids"]) and found["images"].dtype == torch.uint8
        assert found["grid_thw"].equal(expected["image_grid_thw"])
        mean, std = (torch.tensor(value).repeat_interleave(14 * 14) for value in (
            ours.image_processor.image_mean, ours.image_processor.image_std))
        pixels = (found["images"] * ours.image_processor.rescale_factor - mean) / std
        assert torch.allclose(pixels, expected["pixel_values"], atol=1e-6)


def test_what_chooses_the_experts_is_exported_as_precise_as_it_was(model):
    """transformers keeps it in float32, and so does vLLM; rounded to 16 bits, tokens would go to other experts."""
    from safetensors.torch import load_file

    before, after = (load_file(folder / "model.safetensors") for folder in (model.parent / "base", model))
    chosen = [name for name in after if name.endswith((".gate.weight", ".gate.weight_1", "e_score_correction_bias"))]
    assert len(chosen) >= 4 and {str(after[name].dtype) for name in chosen} == {"torch.float32"}
    assert [name for name in chosen if not after[name].equal(before[name])] == []
    assert {str(after[name].dtype) for name in after.keys() - set(chosen)} == {"torch.bfloat16"}


def test_a_merge_that_loses_the_routed_experts_is_refused(model, tmp_path, monkeypatch):
    """As that of Unsloth loses them (tests/test_engines.py): the merge of fused tensors is left out."""
    from peft.tuners.lora.layer import ParamWrapper

    from latexocr.training.export import export

    monkeypatch.setattr(ParamWrapper, "merge", lambda self, *_, **__: None)
    with pytest.raises(UserError, match="changes what the model computes"):
        export(model.parent / "run", tmp_path / "lost", samples=[Sample("a", pictures()[2], "12")])
    assert list(tmp_path.iterdir()) == []


def test_settings_in_one_file_are_found_as_well(folder):
    """Newer transformers write the settings of the picture part into processor_config.json."""
    path = folder / "processor_config.json"
    pictures_part = json.loads((folder / "preprocessor_config.json").read_text())
    (folder / "preprocessor_config.json").unlink()
    pictures_part["size"]["longest_edge"] = 28 * 28 * 50
    path.write_text(json.dumps({"processor_class": "Ernie4_5_VLMoeProcessor", "image_processor": pictures_part}))
    write_processor(folder)
    assert for_vllm(folder).limits["longest_edge"] == 28 * 28 * 50
    assert json.loads(path.read_text())["image_processor"] == pictures_part


def test_a_base_with_a_processor_of_its_own_keeps_it(folder):
    maps = {"AutoProcessor": "processing_ernie4_5_vl.Ernie4_5_VLProcessor"}
    (folder / CODE.name).unlink()
    (folder / "processor_config.json").write_text(json.dumps({"auto_map": maps}))
    write_processor(folder)
    assert not (folder / CODE.name).exists()
    assert json.loads((folder / "processor_config.json").read_text()) == {"auto_map": maps}


def test_only_a_native_ernie_gets_one(tiny_model, tmp_path):
    other = shutil.copytree(tiny_model, tmp_path / "other")
    write_processor(other)
    assert not (other / CODE.name).exists() and question(other, "<|IMAGE_PLACEHOLDER|>") == "<|IMAGE_PLACEHOLDER|>"
    assert trusted(other, asked=False) is False and trusted(other, asked=True) is True


def changed(folder: Path, name: str, **settings) -> None:
    path = folder / name
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))


@pytest.mark.parametrize(("change", "expected"), [
    (lambda folder: None, True),
    (lambda folder: (folder / CODE.name).write_text(CODE.read_text() + "# \n"), None),
    (lambda folder: (folder / "more.py").write_text(""), None),
    (lambda folder: (folder / CODE.name).unlink(), None),
    (lambda folder: changed(folder, "config.json", auto_map={"AutoConfig": "ernie_processor.X"}), False),
    (lambda folder: changed(folder, "config.json", vision_config={"auto_map": AUTO_MAP}), False),
    (lambda folder: changed(folder, "tokenizer_config.json", auto_map={"AutoTokenizer": ["a/b--c.D", None]}), False),
    (lambda folder: changed(folder, "processor_config.json", auto_map={"AutoProcessor": "a/b--c.D"}), False),
    (lambda folder: changed(folder, "processor_config.json", auto_map=AUTO_MAP | {"AutoModel": "x.Y"}), False),
], ids=["as exported", "a byte more", "a file more", "a file less", "a configuration", "deep inside", "a tokenizer",
        "from elsewhere", "one more name"])
def test_code_runs_unasked_only_where_it_is_ours_to_the_byte(folder, change, expected):
    change(folder)
    assert trusted(folder, asked=True) is True
    if expected is None:
        with pytest.raises(UserError, match=r"not the one of this latexocr.*--trust-remote-code") as caught:
            trusted(folder, asked=False)
        assert "\n" not in str(caught.value)
    else:
        assert trusted(folder, asked=False) is expected
        words = command_line(folder, Serve("m"), 81, cpu=True)
        assert ("--trust-remote-code" in words) is expected


@pytest.mark.serve
def test_a_served_ernie_sees_and_says_what_transformers_does(model, serve_python, tmp_path):
    """Over HTTP, the folder as the export wrote it; on a CPU with the mend of vLLM's rotary embedding."""
    from latexocr.reading.local import load_model
    from latexocr.reading.served import ServedReader

    samples, config = [Sample(str(n), picture) for n, picture in enumerate(pictures())], GenerateConfig(max_tokens=8)
    with served(model, serve_python, tmp_path) as url:
        there = by_server(url)
        read = list(ServedReader(url, config=config).read(samples))
    here = by_transformers(model)
    assert [answer.question for answer in there] == [answer.question for answer in here]
    assert max(apart(there, here)) < 1e-4
    assert len({tuple(answer.question) for answer in here}) > 1, "pictures of several sizes"
    local = load_model(model, device="cpu", dtype="float32", config=config)
    assert [p.reply for p in read] == [p.reply for p in local.read(samples)]
