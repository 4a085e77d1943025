"""How fast formulas are read, and whether every way of reading gives the same answers.

    python benchmarks/serving_speed.py --data SPEC [--data SPEC] --limit 100 --serve-python .venv-serve/bin/python \\
        --out benchmarks/results/serving/NAME.json

In one run, on one machine, with the same pictures and number format: transformers in this process; vLLM in one process;
a vLLM server through our client; the same requests, made before the clock starts, sent by a client that reads nothing
of the answers (what the server can do); `vllm bench serve`, which streams; and our client again with as many requests
in flight as those two. Each is a process of its own. It reads some to warm up, then all pictures, again and again for
`--seconds` (pictures and processor seconds), then some one at a time (seconds to an answer). Memory is the largest
proportional set size of all processes of a contender, a server's included; of a GPU, what nvidia-smi shows.
Answers are compared with those of transformers. Where one differs, the record has the first token that does, and what
transformers gives as the log probabilities of both: two numbers that are close are a tie that rounding decides.

The record is written after each contender; what fails, or takes longer than `--patience`, stands in it as failed. On
stderr stands when each phase begins. `--keep FOLDER` keeps the answers. On a GPU of many cores, for example:

    ... --batch 64 --warm 64 --in-flight 64 256 512 --seconds 20 --flags="--api-server-count 4"
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shlex
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from resources import Peak, cpu_seconds
from serving_answers import differences
from serving_clients import note, rank, send, vllm_bench

from latexocr import provenance
from latexocr.model import LatexOCRModel
from latexocr.reading import GenerateConfig
from latexocr.reading.vllm import find_build
from latexocr.records import Sample, read_predictions, write_predictions

READERS = ("transformers", "vllm", "served", "served fixed")
CONTENDERS = ("transformers", "vllm", "served", "requests", "vllm bench serve", "served fixed")
WARM, ALONE = 8, 30
"""Pictures read before the clock starts, at least, and one at a time."""


def chosen(options: argparse.Namespace) -> list[Sample]:
    """The same pictures in every process: `--limit` of each SPEC, drawn at random; ids say which SPEC."""
    from latexocr.data.sources import load

    samples = []
    for spec in options.data:
        found = load(spec)
        picked = random.Random(0).sample(found, min(options.limit or len(found), len(found)))
        samples += [Sample(f"{spec}/{sample.id}", sample.image, sample.latex) for sample in picked]
    return samples


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Read with one of the readers in this process; its predictions of the first round go to `options.answers`."""
    name, samples = options.only, chosen(options)
    batch = {"transformers": options.batch, "served fixed": options.in_flight[0]}.get(name)
    config = GenerateConfig(max_tokens=options.max_tokens, batch_size=batch)
    note(f"{name}: loads")
    if name == "vllm":
        as_served(options.flags)
    begun = time.perf_counter()
    reader = LatexOCRModel.load(options.url or options.model, engine="vllm" if name == "vllm" else "transformers",
                                dtype=options.dtype, config=config).reader
    loaded = time.perf_counter() - begun
    note(f"{name}: warms up")
    list(reader.read(samples[:options.warm]))
    note(f"{name}: reads")
    busy, begun = cpu_seconds(roots := involved(options)), time.perf_counter()
    predictions = list(reader.read(rounds(samples, options.seconds)))
    seconds, busy = time.perf_counter() - begun, cpu_seconds(roots) - busy
    latency = getattr(reader, "latency", None)
    under_load = [latency.percentile(part) for part in (0.5, 0.95)] if latency else None
    write_predictions(Path(options.answers), predictions[:len(samples)])
    note(f"{name}: read {len(predictions)} pictures; now {options.alone} alone")
    alone = sorted(timed(reader, sample) for sample in samples[:options.alone])
    return {"pictures_per_s": len(predictions) / seconds, "seconds": seconds, "pictures": len(predictions),
            "in_flight": batch, "load_s": loaded, "cpu_s_per_picture": busy / len(predictions),
            "tokens": sum(p.tokens for p in predictions), "errors": sum(p.stop == "error" for p in predictions),
            "alone_p50_s": rank(alone, 0.5), "alone_p95_s": rank(alone, 0.95), "under_load_p50_p95_s": under_load,
            "gpu": provenance.gpu()}


def as_served(flags: str) -> None:
    """From now on vLLM starts in this process with what the flags of a server say of its engine."""
    from vllm.engine.arg_utils import EngineArgs
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    from latexocr.reading import vllm as reading

    parser, options = EngineArgs.add_cli_args(FlexibleArgumentParser()), reading.engine_options
    usual, given = vars(parser.parse_args([])), vars(parser.parse_known_args(shlex.split(flags))[0])
    told = {name: value for name, value in given.items() if value != usual[name]}
    reading.engine_options = lambda folder, *, cpu: options(folder, cpu=cpu) | told


def rounds(samples: Sequence[Sample], seconds: float) -> Iterator[Sample]:
    """All samples, and all of them again while so many seconds have not passed."""
    begun, number = time.perf_counter(), 0
    while not number or time.perf_counter() - begun < seconds:
        yield from (replace(sample, id=f"{sample.id}#{number}") if number else sample for sample in samples)
        number += 1


def involved(options: argparse.Namespace) -> list[int]:
    """The processes that work on it: this one, and a server."""
    return [os.getpid(), *([options.server_pid] if options.server_pid else [])]


def timed(reader: Any, sample: Sample) -> float:
    begun = time.perf_counter()
    list(reader.read([sample]))
    return time.perf_counter() - begun


@contextlib.contextmanager
def server(options: argparse.Namespace) -> Iterator[tuple[str, int]]:
    """URL and process of a server as a user starts it. Raises RuntimeError with its last words where it does not."""
    command = [sys.executable, "-m", "latexocr.cli", "serve", options.model, "--port", "0", "--python",
               options.serve_python, "--", "--dtype", options.dtype, *shlex.split(options.flags)]
    with tempfile.TemporaryFile("w+") as said, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, text=True
                                                                ) as process:
        try:
            url = process.stdout.readline().strip()
            if not url:
                process.wait()
                said.seek(0)
                raise RuntimeError((said.read().strip().splitlines() or ["no message"])[-1])
            note("the server answers")
            yield url, process.pid
        finally:
            process.terminate()


def contend(name: str, options: argparse.Namespace, folder: Path, *, url: str = "", server_pid: int = 0,
            in_flight: int = 0, expect: float = 0.0) -> dict[str, Any]:
    """Run one contender in a process of its own; its last words where it fails."""
    (answers := folder / f"{name}.jsonl").unlink(missing_ok=True)
    python = sys.executable if name == "transformers" or name.startswith("served") else options.serve_python
    command = [python, __file__, *sys.argv[1:], "--only", name, "--url", url, "--dtype", options.dtype,
               "--server-pid", str(server_pid), "--answers", str(answers), "--expect", str(expect)]
    if in_flight:
        command += ["--in-flight", str(in_flight)]
    note(f"{name}: begins")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        peak = Peak(process.pid, *([server_pid] if server_pid else []))
        peak.start()
        try:
            out, _ = process.communicate(timeout=options.patience)
        except subprocess.TimeoutExpired:
            return {"failed": f"no end within {options.patience:g} s"}
        finally:
            peak.ended.set()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            note(f"{name}: ended")
    try:
        found = json.loads(out.splitlines()[-1])
    except (ValueError, LookupError):
        found = {"failed": f"exit code {process.returncode}"}
    return found | {"peak_mb": peak.mb} | ({"gpu_mb": peak.gpu_mb} if peak.gpu_mb else {})


def parsed(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", action="append", required=True, metavar="SPEC")
    parser.add_argument("--limit", type=int, help="pictures of each SPEC; all unless given")
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--batch", type=int, help="pictures that transformers reads together")
    parser.add_argument("--max-tokens", type=int, default=GenerateConfig().max_tokens)
    parser.add_argument("--dtype", default="auto", choices=("auto", "float32", "bfloat16", "float16"),
                        help="of all contenders; auto: bfloat16 on a GPU, float32 elsewhere")
    parser.add_argument("--seconds", type=float, default=0.0, help="read all pictures again until so many have passed")
    parser.add_argument("--patience", type=float, default=900.0, help="seconds after which a contender is given up")
    parser.add_argument("--warm", type=int, default=8, help="pictures read before the clock starts")
    parser.add_argument("--alone", type=int, default=ALONE, help="pictures read one at a time")
    parser.add_argument("--in-flight", type=int, nargs="+", default=[16, 64, 256], help="numbers to try")
    parser.add_argument("--serve-python", default=sys.executable, help="Python of the environment that has vLLM")
    parser.add_argument("--flags", default="", help='more for vLLM, in one word: --flags="--max-num-seqs 8"')
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=CONTENDERS)
    parser.add_argument("--out", type=Path, help="the record, as JSON")
    parser.add_argument("--keep", type=Path, help="folder for the answers of each reader, as NAME.jsonl")
    parser.add_argument("--against", type=Path, help="answers of transformers, kept by another run, to compare with")
    parser.add_argument("--only", choices=CONTENDERS, help=argparse.SUPPRESS)
    for name, value in (("--url", ""), ("--server-pid", 0), ("--answers", ""), ("--expect", 0.0)):
        parser.add_argument(name, type=type(value), default=value, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def shown(name: str, found: dict[str, Any]) -> str:
    """A contender's line on the terminal."""
    if "failed" in found:
        return f"{name:<17}failed: {found['failed']}"
    load = found.get("under_load_p50_p95_s")
    busy = f"{found['cpu_s_per_picture']:.3f} CPU s each" if "cpu_s_per_picture" in found else ""
    long = f"{found['tokens'] / found['pictures']:.1f} tokens each" if "tokens" in found else ""
    return (f"{name:<17}{found['pictures_per_s']:>8.2f} pictures/s  {long:<17} {busy:<18}"
            f" peak {found['peak_mb']:>6.0f} MB"
            + (f"   alone {found['alone_p50_s']:.3f} / {found['alone_p95_s']:.3f} s" if "alone_p50_s" in found else "")
            + (f"   under load {load[0]:.3f} / {load[1]:.3f} s" if load else ""))


def all_of(options: argparse.Namespace, folder: Path, tell: Callable[[str, dict[str, Any]], None]) -> None:
    """Every contender, told as it ends; those that need a server share one."""
    found: dict[str, Any] = {}

    def run(name: str, **where: Any) -> None:
        if name in options.contenders:
            found[name] = contend(name, options, folder, **where) | {"load_average": os.getloadavg()[0]}
            tell(name, found[name])

    run("transformers")
    run("vllm")
    served = [name for name in CONTENDERS[2:] if name in options.contenders]
    if not served:
        return
    note("the server starts")
    try:
        with server(options) as (url, pid):
            run("served", url=url, server_pid=pid)
            run("requests", url=url, server_pid=pid)
            best = found.get("requests", {}).get("in_flight", options.in_flight[0])
            expect = found.get("requests", found.get("served", {})).get("pictures_per_s", 0.0)
            run("vllm bench serve", url=url, server_pid=pid, in_flight=best, expect=expect)
            run("served fixed", url=url, server_pid=pid, in_flight=best)
    except RuntimeError as e:
        for name in served:
            if name not in found:
                tell(name, {"failed": f"no server: {e}"})


def number_format(options: argparse.Namespace) -> str:
    """That of all contenders, by name."""
    if options.dtype != "auto":
        return options.dtype
    return "float32" if find_build(options.serve_python).cpu else "bfloat16"


def contender(options: argparse.Namespace) -> dict[str, Any]:
    """What the contender that this process is finds, or why it fails."""
    try:
        if options.only == "requests":
            return send(chosen(options), options, involved(options))
        return vllm_bench(chosen(options), options) if options.only == "vllm bench serve" else measure(options)
    except (Exception, SystemExit) as e:
        traceback.print_exc()
        return {"failed": f"{type(e).__name__}: {e}"}


def main() -> None:
    options = parsed()
    if options.only:
        print(json.dumps(contender(options)))
        return
    options.dtype, samples = number_format(options), chosen(options)
    record = provenance.start() | {"n": len(samples), "dtype": options.dtype, "flags": options.flags,
                                   "vllm": str(find_build(options.serve_python)), "contenders": {}, "differences": {}}
    print(f"{len(samples)} pictures, {options.dtype}, load {os.getloadavg()[0]:.1f}", flush=True)
    with tempfile.TemporaryDirectory() as name:
        (folder := options.keep or Path(name)).mkdir(parents=True, exist_ok=True)
        right = options.against or folder / "transformers.jsonl"

        def tell(name: str, found: dict[str, Any]) -> None:
            record["contenders"][name] = found
            record["gpu"] = record["gpu"] or found.get("gpu")
            print(shown(name, found), flush=True)
            keep(options, record)
            if name in READERS[1:] and right.is_file() and (answers := folder / f"{name}.jsonl").is_file():
                base, other = read_predictions(right), read_predictions(answers)
                record["differences"][name] = differences(options.model, samples, base, other)
                print(f"{name}: {len(record['differences'][name])} of {len(samples)} answers differ from those of "
                      "transformers", flush=True)
                keep(options, record)

        all_of(options, folder, tell)


def keep(options: argparse.Namespace, record: dict[str, Any]) -> None:
    """Write what is known so far."""
    if options.out:
        provenance.write_text(options.out, json.dumps(record, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
