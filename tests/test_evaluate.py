"""The module for `evaluate`, loaded by its path as users load it, without a network."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from latexocr.scoring import EVALUATE_MODULE, METRICS, score

SCRIPT = """
import json, sys, socket
def refuse(*a, **k): raise OSError("no network in this test")
socket.socket.connect = refuse
import evaluate
metric = evaluate.load(sys.argv[1])
found = metric.compute(predictions=["x^2", "a", r"\\frac12"], references=["x^{2}", "b", r"\\frac{1}{2}"])
names = ["exact_visual", "unimernet_edit"]
few = metric.compute(predictions=["x^2"], references=["x^{2}"], metrics=names, details=True)
metric.add(prediction="x", reference="x")
metric.add_batch(predictions=["y", "z"], references=["y", "w"])
added = metric.compute(metrics=["exact_visual"])
both = evaluate.combine([evaluate.load(sys.argv[1])]).compute(predictions=["x"], references=["y"], metrics=["exprate"])
print(json.dumps([found, few, added, both, metric.name]))
"""


@pytest.fixture(scope="module")
def computed(tmp_path_factory):
    home = tmp_path_factory.mktemp("hf")
    env = os.environ | {"HF_HOME": str(home), "HF_HUB_OFFLINE": "1", "HF_EVALUATE_OFFLINE": "1"}
    run = subprocess.run([sys.executable, "-c", SCRIPT, EVALUATE_MODULE], env=env, capture_output=True, text=True,
                         check=False)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


def test_it_computes_all_metrics_as_score_does(computed):
    found = computed[0]
    expected = score(["x^2", "a", r"\frac12"], ["x^{2}", "b", r"\frac{1}{2}"])
    assert list(found) == list(METRICS)
    assert {name: found[name] for name in found if name != "grid_shape"} == pytest.approx(
        {name: one.value for name, one in expected.items() if name != "grid_shape"})
    assert found["grid_shape"] != found["grid_shape"]
    assert found["exact_visual"] == pytest.approx(2 / 3)


def test_names_and_details(computed):
    few = computed[1]
    assert few["exact_visual"] == 1.0 and few["unimernet_edit"] == pytest.approx(2 / 5)
    assert set(few) == {"exact_visual", "unimernet_edit", "details"}
    assert few["details"]["exact_visual"]["n"] == 1 and "rules:" in few["details"]["exact_visual"]["signature"]


def test_pairs_may_be_added_one_by_one_and_metrics_combined(computed):
    assert computed[2]["exact_visual"] == pytest.approx(2 / 3)
    assert computed[3]["exprate"] == 0.0 and computed[4] == "latexocr_score"
