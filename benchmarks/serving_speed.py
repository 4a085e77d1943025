"""How fast formulas are read, and whether every way of reading gives the same answers.

    python benchmarks/serving_speed.py --data SPEC [--data SPEC] --limit 100 --serve-python .venv-serve/bin/python \\
        --out benchmarks/results/serving/NAME.json

In one run, on one machine, with the same pictures and number format: transformers in this process; vLLM in one process;
a vLLM server through our client; the same requests, made before the clock starts, sent by a client that reads nothing
of the answers (what the server can do); `vllm bench serve`, which streams; and our client again with as many requests
in flight as those two. Each is a process of its own. It reads some to warm up, then all pictures, again and again for
`--seconds` (pictures and processor seconds), then some one at a time (seconds to an answer). Memory is the largest
proportional set size of all processes of a contender, a server's included; of a GPU, what nvidia-smi shows. While a
contender is under load it is watched who is busy: the share of a core of each kind of process and of its busiest
thread, which one thread cannot have more than 1.0 of, and each GPU's utilization.
Answers are compared with those of transformers. Where one differs, the record has the first token that does, and what
transformers gives as the log probabilities of both: two numbers that are close are a tie that rounding decides.

With `--turn FILE` several runs share a machine: their servers start side by side, and their contenders take turns.
The record is written after each contender; what fails, or takes longer than `--patience`, stands in it as failed. On
stderr stands when each phase begins. `--keep FOLDER` keeps the answers. On a GPU of many cores, for example:

    ... --batch 64 --warm 64 --in-flight 64 256 512 --seconds 20 --flags="--api-server-count 4"
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
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
from pathlib import Path
from typing import Any

from resources import Peak, card
from serving_answers import differences, named
from serving_clients import note, send, vllm_bench
from serving_readers import measure

from latexocr import provenance
from latexocr.reading import GenerateConfig
from latexocr.reading.local import pick_dtype
from latexocr.reading.vllm import find_build
from latexocr.records import Sample

READERS = ("transformers", "vllm", "served", "served fixed")
CONTENDERS = ("transformers", "vllm", "served", "requests", "vllm bench serve", "served fixed")


def chosen(options: argparse.Namespace) -> list[Sample]:
    """The same pictures in every process: `--limit` of each SPEC, drawn at random; ids say which SPEC."""
    from latexocr.data.sources import load

    samples = []
    for spec in options.data:
        found = load(spec)
        picked = random.Random(0).sample(found, min(options.limit or len(found), len(found)))
        samples += [Sample(f"{spec}/{sample.id}", sample.image, sample.latex) for sample in picked]
    return samples


def involved(options: argparse.Namespace) -> list[int]:
    """The processes that work on it: this one, and servers."""
    return [os.getpid(), *options.server_pids]


@contextlib.contextmanager
def servers(options: argparse.Namespace) -> Iterator[tuple[str, list[int], float]]:
    """URLs with commas, processes, and the seconds until all answered, of servers as a user starts them.

    Raises RuntimeError with the last words of one that does not start.
    """
    command = [sys.executable, "-m", "latexocr.cli", "serve", options.model, "--port", "0", "--python",
               options.serve_python, "--", "--dtype", options.dtype, *shlex.split(options.flags)]
    begun, started, urls = time.perf_counter(), [], []
    with contextlib.ExitStack() as stack:
        for _ in range(options.servers):
            said = stack.enter_context(tempfile.TemporaryFile("w+"))
            process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, text=True))
            started.append((process, said))
        for process, _ in started:
            stack.callback(process.terminate)  # All at once, before the first is waited for.
        for process, said in started:
            urls.append(process.stdout.readline().strip())
            if not urls[-1]:
                process.wait()
                said.seek(0)
                raise RuntimeError((said.read().strip().splitlines() or ["no message"])[-1])
        note(f"the server answers, {options.servers} of them" if options.servers > 1 else "the server answers")
        yield ",".join(urls), [process.pid for process, _ in started], time.perf_counter() - begun


def contend(name: str, options: argparse.Namespace, folder: Path, *, url: str = "",
            server_pids: Sequence[int] = (), in_flight: int = 0, expect: float = 0.0) -> dict[str, Any]:
    """Run one contender in a process of its own; its last words where it fails."""
    (answers := folder / f"{name}.jsonl").unlink(missing_ok=True)
    python = sys.executable if name == "transformers" or name.startswith("served") else options.serve_python
    command = [python, __file__, *sys.argv[1:], "--only", name, "--url", url, "--dtype", options.dtype,
               "--answers", str(answers), "--expect", str(expect), "--server-pids", *map(str, server_pids)]
    if in_flight:
        command += ["--in-flight", str(in_flight)]
    with turn(options.turn):
        return raced(name, command, options.patience, server_pids)


@contextlib.contextmanager
def turn(path: Path | None) -> Iterator[None]:
    """While no other run on this machine measures."""
    with path.open("w") if path else contextlib.nullcontext() as file:
        if file:
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def raced(name: str, command: Sequence[str], patience: float, server_pids: Sequence[int]) -> dict[str, Any]:
    """What a contender's process finds."""
    note(f"{name}: begins")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        peak = Peak(process.pid, *server_pids)
        peak.start()
        try:
            out, _ = process.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            return {"failed": f"no end within {patience:g} s"}
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
                        help="of all contenders; auto: bfloat16 on a GPU, elsewhere what transformers reads in there")
    parser.add_argument("--seconds", type=float, default=0.0, help="read all pictures again until so many have passed")
    parser.add_argument("--patience", type=float, default=900.0, help="seconds after which a contender is given up")
    parser.add_argument("--warm", type=int, default=8, help="pictures read before the clock starts")
    parser.add_argument("--alone", type=int, default=30, help="pictures read one at a time")
    parser.add_argument("--in-flight", type=int, nargs="+", default=[16, 64, 256], help="numbers to try")
    parser.add_argument("--serve-python", default=sys.executable, help="Python of the environment that has vLLM")
    parser.add_argument("--flags", default="", help='more for vLLM, in one word: --flags="--max-num-seqs 8"')
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=CONTENDERS)
    parser.add_argument("--out", type=Path, help="the record, as JSON")
    parser.add_argument("--keep", type=Path, help="folder for the answers of each reader, as NAME.jsonl")
    parser.add_argument("--against", type=Path, help="answers of transformers, kept by another run, to compare with")
    parser.add_argument("--turn", type=Path, help="file that runs beside this one have too: one measures at a time")
    parser.add_argument("--only", choices=CONTENDERS, help=argparse.SUPPRESS)
    parser.add_argument("--servers", type=int, default=1, help="how many, beside each other; --flags says with what")
    parser.add_argument("--server-pids", type=int, nargs="*", default=[], help=argparse.SUPPRESS)
    for name, value in (("--url", ""), ("--answers", ""), ("--expect", 0.0)):
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
            + (f"   under load {load[0]:.3f} / {load[1]:.3f} s" if load else "")
            + "".join(f"   GPU {gpu}: {percent:.0f} %" for gpu, percent in found.get("gpu_percent", {}).items())
            + "".join(f"\n    {row['process']}: {row['number']} of them, {row['all']:.2f} cores; the busiest thread "
                      f"{row['busiest_thread']:.2f}" for row in found.get("cores", [])[:4]))


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
        with servers(options) as (url, pids, seconds):
            where = {"url": url, "server_pids": pids}
            options.server_start_s = seconds
            run("served", **where)
            run("requests", **where)
            best = found.get("requests", {}).get("in_flight", options.in_flight[0])
            expect = found.get("requests", found.get("served", {})).get("pictures_per_s", 0.0)
            if options.servers == 1:
                run("vllm bench serve", **where, in_flight=best, expect=expect)
            run("served fixed", **where, in_flight=best)
    except RuntimeError as e:
        for name in served:
            if name not in found:
                tell(name, {"failed": f"no server: {e}"})


def number_format(options: argparse.Namespace) -> str:
    """That of all contenders, by name."""
    if options.dtype != "auto":
        return options.dtype
    return pick_dtype("auto", "cpu") if find_build(options.serve_python).cpu else "bfloat16"


def contender(options: argparse.Namespace) -> dict[str, Any]:
    """What the contender that this process is finds, or why it fails."""
    try:
        found = {"requests": send, "vllm bench serve": vllm_bench}.get(options.only, measure)
        return found(chosen(options), options, involved(options))
    except (Exception, SystemExit) as e:
        traceback.print_exc()
        return {"failed": f"{type(e).__name__}: {e}"}


def main() -> None:
    options = parsed()
    if options.only:
        print(json.dumps(contender(options)))
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))  # with its servers
    options.dtype, options.server_start_s, samples = number_format(options), None, chosen(options)
    record = provenance.start() | {"gpu": card(), "n": len(samples), "dtype": options.dtype, "flags": options.flags,
                                   "vllm": str(find_build(options.serve_python)), "contenders": {}, "differences": {}}
    print(f"{len(samples)} pictures, {options.dtype}, load {os.getloadavg()[0]:.1f}", flush=True)
    with tempfile.TemporaryDirectory() as name:
        (folder := options.keep or Path(name)).mkdir(parents=True, exist_ok=True)
        right = options.against or folder / "transformers.jsonl"

        def tell(name: str, found: dict[str, Any]) -> None:
            record["contenders"][name], record["server_start_s"] = found, options.server_start_s
            print(shown(name, found), flush=True)
            keep(options, record)
            others = READERS if options.against else READERS[1:]
            if name in others and right.is_file() and (answers := folder / f"{name}.jsonl").is_file():
                record["differences"][name] = differences(options.model, samples, named(right), named(answers))
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
