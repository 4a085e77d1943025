"""The measure of decoding: stages that do not overlap, operations counted, a floor that is one."""

from __future__ import annotations

import importlib.util
import itertools
import sys
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from latexocr.data.write import write_samples
from latexocr.reading.inputs import BUILTIN, resolve
from tests.conftest import drawn

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
sys.path.append(str(BENCHMARKS))
spec = importlib.util.spec_from_file_location("decoding_speed", BENCHMARKS / "decoding_speed.py")
decoding_speed = sys.modules["decoding_speed"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(decoding_speed)


class Nested(torch.nn.Module):
    """A model whose tower is called by itself, or before; each call takes a tick of the clock."""

    def __init__(self, clock) -> None:
        super().__init__()
        self.clock, self.model = clock, torch.nn.Module()
        self.model.visual = torch.nn.Identity()

    def forward(self, *, input_ids, inside):
        next(self.clock)
        if inside:
            self.model.visual(input_ids)
        next(self.clock)
        return input_ids


@pytest.mark.parametrize("inside", [True, False])
def test_what_a_stage_holds_is_not_its_own(inside):
    ticks = itertools.count()
    model = Nested(ticks)
    meter = decoding_speed.Meter(model, lambda: np.array([float(next(ticks))]))
    began = next(ticks)
    if not inside:
        model.model.visual(torch.ones(1))
    model(input_ids=torch.ones(2, 5), inside=inside)
    model(input_ids=torch.ones(2, 1), inside=False)
    model(input_ids=torch.ones(1, 1), inside=False)
    took = next(ticks) - began
    spent = {stage: float(value[0]) for stage, value in meter.spent.items()}
    assert (meter.steps, meter.rows) == (2, 3)
    assert all(value > 0 for value in spent.values()) and sum(spent.values()) < took
    meter.close()
    model(input_ids=torch.ones(2, 1), inside=False)
    assert meter.steps == 2


def test_operations_are_counted_those_of_attention_on_a_cpu_too():
    with decoding_speed.operations() as counted:
        torch.ones(3, 4) @ torch.ones(4, 5)
        assert counted().tolist() == [2 * 3 * 4 * 5]
        query = torch.ones(1, 2, 8, 16)
        torch.nn.functional.scaled_dot_product_attention(query, query, query)
        assert counted().tolist() == [120 + 2 * (2 * 2 * 8 * 8 * 16)]


def test_a_whole_record_of_the_embedded_model(tmp_path):
    resolve(BUILTIN)
    data = write_samples(tmp_path / "data", drawn(3, longest=3)).parent
    options = decoding_speed.Options(data=str(data), out=tmp_path, dtypes=("float32",), cores=(1,))
    threads = torch.get_num_threads()
    try:
        found = decoding_speed.run(options)
    finally:
        torch.set_num_threads(threads)
    row = SimpleNamespace(**found["rows"][0])
    assert found["n"] == 3 and found["answers_unlike_the_first"] == {"float32 on 1": 0}
    assert set(row.stages) == {*decoding_speed.STAGES, "rest"} and sum(row.stages.values()) == pytest.approx(
        row.seconds, abs=1e-3)
    assert row.times_floor > 1 and all(0 < row.floor[stage] < row.seconds for stage in decoding_speed.STAGES)
    assert 1 <= row.rows_per_step <= 3 and row.side_by_side is None


def test_on_two_cores_batches_side_by_side_are_timed_too():
    """Those of the stages are one after the other: a meter does not hear of a second model."""
    threads = torch.get_num_threads()
    try:
        [(row, answers)] = decoding_speed.measured(drawn(3, longest=3), "float32", (2,))
    finally:
        torch.set_num_threads(threads)
    assert len(answers) == 3 and len(row.side_by_side) == 2 and all(took > 0 for took in row.side_by_side)
    assert sum(row.stages.values()) == pytest.approx(row.seconds, abs=1e-3)


def test_processes_side_by_side_read_every_picture(tmp_path):
    data = write_samples(tmp_path / "data", drawn(3, longest=2)).parent
    options = decoding_speed.Options(data=str(data), out=tmp_path)
    assert decoding_speed.a_process_a_core(options, "float32", 2, 3) > 0


def test_the_peer_is_read_one_by_one(tmp_path, monkeypatch):
    peers = importlib.import_module("peers")
    asked = []
    monkeypatch.setattr(peers.Worker, "ask", lambda self, pictures: asked.append(len(pictures)) or [
        {"latex": "x", "tokens": 1, "stop": "end"} for _ in pictures])
    options = decoding_speed.Options(data="", out=tmp_path, python=Path("python"), weights=Path("weights.pth"))
    found = decoding_speed.pix2tex(options, drawn(4), 1)
    assert found["n"] == 4 and set(asked) == {1} and len(asked) == 5
    assert asdict(options)["glyph_height"] == 11
