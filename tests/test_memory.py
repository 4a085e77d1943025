"""What is said where memory does not suffice: what to lower, and by how much."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from latexocr.errors import UserError
from latexocr.training import memory
from latexocr.training.lora import train
from latexocr.training.memory import is_short
from latexocr.training.settings import TrainConfig
from tests.conftest import drawn
from tests.test_lora import config


@pytest.mark.parametrize(("error", "short"), [
    (MemoryError(), True),
    (RuntimeError("CUDA error: out of memory"), True),
    (RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory"), True),
    (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
    (RuntimeError("shape mismatch"), False),
])
def test_what_says_that_memory_is_short(error, short):
    assert is_short(error) is short


@pytest.mark.parametrize(("batch", "most", "said"), [
    (8, 2, "2 fit. Give --batch 2 --accumulation 4, which learns the same"),
    (6, 4, "3 fit. Give --batch 3 --accumulation 2, which learns the same"),
    (8, 0, "not for one picture either. Give --gradient-checkpointing, --bits 4, --no-vision or a smaller model."),
])
def test_too_little_memory_says_what_fits_and_that_then_trains(tiny_model, tmp_path, monkeypatch, batch, most, said):
    from trl import SFTTrainer

    compute = SFTTrainer.compute_loss

    def small(self, model, inputs, *args, **options):
        if len(inputs["input_ids"]) > most:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")
        return compute(self, model, inputs, *args, **options)

    monkeypatch.setattr(SFTTrainer, "compute_loss", small)
    given = config(tiny_model, tmp_path / "a", batch=batch, steps=1, log_to="none")
    with pytest.raises(UserError) as told:
        train(given, drawn(8))
    assert said in str(told.value) and "\n" not in str(told.value) and "--out" not in str(told.value)
    if most:
        words = said.replace(",", "").split()
        train(replace(given, batch=int(words[words.index("--batch") + 1]),
                      accumulation=int(words[words.index("--accumulation") + 1])), drawn(8))


def test_of_several_processes_none_tries(monkeypatch):
    """One that is short would wait for the others in a try, and they for it: seen with two under torchrun."""
    monkeypatch.setattr(memory, "_fits", lambda *_: pytest.fail("tried"))
    trainer = SimpleNamespace(model=SimpleNamespace(zero_grad=lambda **_: None), train_dataset={"sample": [0] * 8},
                              accelerator=SimpleNamespace(num_processes=2), state=SimpleNamespace(global_step=3))
    assert "(step 4); 4 may fit. Give --batch 4 --accumulation 2, which learns the same, and another --out" in (
        memory.advice(trainer, None, TrainConfig(batch=8)))


def test_a_model_that_does_not_fit_is_one_line(tiny_model, tmp_path, monkeypatch):
    from torch import nn

    def full(*_, **__):
        raise RuntimeError("CUDA out of memory. Tried to allocate 9 GiB.")

    monkeypatch.setattr(nn.Module, "to", full)
    with pytest.raises(UserError, match=r"does not fit .*: its weights take \d+\.\d GB on disk\. Give --bits 4"):
        train(config(tiny_model, tmp_path / "a", log_to="none"), drawn(8))


def test_a_batch_of_more_pictures_than_there_are_is_one_line(tiny_model, tmp_path):
    with pytest.raises(UserError, match=r"--batch is 100000, and there are 8 pictures .* at most 16"):
        train(config(tiny_model, tmp_path / "a", batch=100_000), drawn(8))
    train(config(tiny_model, tmp_path / "a", batch=16, steps=1, log_to="none"), drawn(1))
