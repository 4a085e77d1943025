"""Reading spread over a Ray cluster: two nodes on this machine, one of them killed; readers that break; what is lost.

Starting a cluster takes seconds: there is one, for one long run. All else is tested without.
"""

from __future__ import annotations

import pickle
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import pytest
import ray
import torch
from conftest import drawn
from ray.cluster_utils import Cluster

from latexocr.bench.folder import Run
from latexocr.bench.transcripts import transcribe
from latexocr.errors import UserError
from latexocr.model import LatexOCRModel
from latexocr.reading import GenerateConfig, Reader
from latexocr.reading.ray import RayReader, _Actor
from latexocr.records import Prediction, Sample, failure, read_predictions

SAMPLES = [Sample(f"{number}.png", Path(f"{number}.png")) for number in range(40)]
IDS = [sample.id for sample in SAMPLES]
RUN = Run(model="here", data="forty", data_sha256="", settings={}, n=40)


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A head without processors for work, and two nodes with one each."""
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # Workers do not import tests.
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for _ in range(2):
        cluster.add_node(num_cpus=1)
    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    yield cluster
    ray.shutdown()
    cluster.shutdown()


class Where:
    """A reader that takes its time and says on which node it read."""

    def read(self, samples: Iterable[Sample]) -> Iterator[Prediction]:
        for sample in samples:
            time.sleep(0.3)
            yield Prediction(sample.id, latex=ray.get_runtime_context().get_node_id())


def test_a_killed_node_and_an_interrupted_run_lose_nothing_and_double_nothing(cluster, tmp_path):
    nodes, seen = {node.node_id: node for node in cluster.worker_nodes}, []

    def kill_then_stop(prediction: Prediction) -> None:
        seen.append(prediction.latex)
        if len(nodes) == 2 and len(set(seen)) == 2:
            cluster.remove_node(nodes.pop(seen[-1]), allow_graceful=False)
        if len(seen) == 30:
            raise KeyboardInterrupt

    load = lambda: RayReader(Where, at_once=2)  # noqa: E731
    with pytest.raises(KeyboardInterrupt):
        transcribe(load, lambda: iter(SAMPLES), tmp_path, RUN, show=kill_then_stop)
    [left] = nodes
    begun = (tmp_path / "results.jsonl").read_bytes()
    done = transcribe(load, lambda: iter(SAMPLES), tmp_path, RUN)
    answers = read_predictions(done.results)
    assert (done.read, done.failures) == (10, 0) and done.results.read_bytes().startswith(begun)
    assert [answer.id for answer in answers] == IDS
    assert {answer.latex for answer in answers[-10:]} == {left} < {answer.latex for answer in answers}


class Breaks:
    """A reader that fails at one sample."""

    def __init__(self, at: str, how: Exception) -> None:
        self.at, self.how = at, how

    def read(self, samples: Iterable[Sample]) -> Iterator[Prediction]:
        for sample in samples:
            if sample.id == self.at:
                raise self.how
            yield Prediction(sample.id, latex="x")


def acted(load: Callable[[], Reader], samples: Sequence[Sample]) -> list[Prediction | UserError]:
    """What an actor answers, in this process."""
    batch = {"number": list(range(len(samples))), "sample": [pickle.dumps(sample) for sample in samples]}
    answer = _Actor(load)(batch)
    assert answer["number"] == batch["number"]
    return [pickle.loads(one) for one in answer["answer"]]


def test_a_picture_that_breaks_the_reader_costs_only_itself():
    answers = acted(lambda: Breaks("3.png", ValueError("of nothing")), SAMPLES[:6])
    assert [(answer.id, answer.error) for answer in answers] == [
        (id_, "ValueError: of nothing" if id_ == "3.png" else "") for id_ in IDS[:6]]


def no_model() -> Reader:
    raise RuntimeError("no room on the GPU")


@pytest.mark.parametrize(("load", "said"), [
    (no_model, "A node of the Ray cluster cannot load the model (no room on the GPU)."),
    (lambda: Breaks("3.png", UserError("found one thing")), "found one thing"),
])
def test_what_is_wrong_with_the_reader_is_told_by_every_answer(load, said):
    answers = acted(load, SAMPLES[:4])
    assert [str(answer) for answer in answers] == [said] * 4 and isinstance(answers[0], UserError)


class Lossy(RayReader):
    """A cluster that loses the pieces of work that hold some samples."""

    def _answers(self, job: Sequence[Sample]) -> Iterator[Prediction]:
        lost = self.load()
        for start in range(0, len(job), self.at_once):
            piece = job[start : start + self.at_once]
            if any(sample.id in lost for sample in piece):
                return
            yield from (Prediction(sample.id, latex="x") for sample in piece)


@pytest.mark.parametrize("lost", [[], ["0.png"], ["7.png"], ["39.png"], ["7.png", "8.png", "30.png"]])
@pytest.mark.parametrize("at_once", [1, 3, 64])
def test_only_what_is_lost_alone_is_a_failure(lost, at_once):
    answers = list(Lossy(lambda: lost, at_once)._whole(SAMPLES))
    assert [answer.id for answer in answers] == IDS
    assert [answer.id for answer in answers if answer.stop == "error"] == lost


def test_a_cluster_that_loses_everything_is_one_line():
    with pytest.raises(UserError, match="end without an answer"):
        list(Lossy(lambda: IDS, 4)._whole(SAMPLES))


def test_answers_of_an_actor_are_those_of_the_same_model_here(tiny_model):
    samples = [*drawn(5), Sample("gone", Path("gone.png"))]
    options = {"device": "cpu", "dtype": "float32", "config": GenerateConfig(max_tokens=12)}
    spread = LatexOCRModel.load(tiny_model, engine="ray", **options).reader
    here = list(LatexOCRModel.load(tiny_model, **options).read(samples))
    assert acted(spread.load, samples) == here and here[-1] == failure(samples[-1], here[-1].error)


def test_nodes_without_a_gpu_compute_alike(tiny_model, monkeypatch):
    """One may have AMX and another not, and a run holds the answers of both."""
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True)
    asked = {dtype: LatexOCRModel.load(tiny_model, engine="ray", device="cpu", dtype=dtype).reader.load().model.dtype
             for dtype in ("auto", "bfloat16")}
    assert asked == {"auto": torch.float32, "bfloat16": torch.bfloat16}


def test_without_ray_one_line_says_how_to_get_it(tiny_model, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray.data", None)
    with pytest.raises(UserError, match=r"pip install 'latexocr\[ray\]'"):
        LatexOCRModel.load(tiny_model, engine="ray")


def test_the_cluster_file_is_one_for_ray():
    import yaml
    from ray.autoscaler._private.util import prepare_config, validate_config

    file = Path(__file__).parent.parent / "serve/ray-cluster.yaml"
    validate_config(prepare_config(yaml.safe_load(file.read_text("utf-8"))))
