"""How fast scores are made: all text metrics of two systems over the same pairs, with 10,000 paired resamples.

    python benchmarks/scoring_speed.py [--pairs 100000] [--formulas FILE.jsonl.gz] [--workers 2]

Beside it, in the same run, what jiwer, sacreBLEU and `evaluate` can do of it, each at its best: on tokens made before
the clock starts, and with as many resamples as it can hold. Each contender is a process of its own; the memory shown is
its peak, worker processes included. Formulas come from a file (JSON lines with "latex") or are made up; of the answers,
half are the reference, some spell it otherwise, and the rest have one to three wrong tokens.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import json
import os
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from latexocr.latex.tokens import detokenize, tokenize

LETTERS = [*"abcdefghijkmnpqrstuvxyzABCEFGHKLMNPRSTVXYZ", r"\alpha", r"\beta", r"\gamma", r"\epsilon", r"\lambda",
           r"\mu", r"\pi", r"\sigma", r"\phi", r"\omega", r"\Gamma", r"\infty"]
Run = tuple[Callable[[], object], str]
"""What is timed, and what it does."""
RESAMPLES_OF_SACREBLEU = 100
"""It draws all resamples at once, 8 bytes a pair and resample: 10,000 of 100,000 pairs would take 8 GB."""


def made_up(chance: random.Random, depth: int = 0) -> str:
    """A formula of about 30 tokens."""
    terms = []
    for _ in range(chance.randint(1, 5 if depth == 0 else 2)):
        letter, kind = chance.choice(LETTERS), chance.random()
        inner = made_up(chance, depth + 1) if depth < 3 and kind < 0.5 else chance.choice("0123n")
        terms.append(rf"\frac{{{inner}}}{{{letter} }}" if kind < 0.12 else rf"\sqrt{{{inner}}}" if kind < 0.18 else
                     rf"\left({inner}\right)" if kind < 0.28 else f"{letter}_{{{inner}}}" if kind < 0.5 else
                     f"{letter}^{{{inner}}}" if kind < 0.7 else f"{letter} ")
    return chance.choice("+-=").join(terms)


def answered(latex: str, chance: random.Random) -> str:
    """What a system might have read."""
    kind, tokens = chance.random(), tokenize(latex)
    if kind < 0.5:
        return latex
    if kind < 0.65:
        return " ".join(tokens)
    for _ in range(chance.randint(1, 3)):
        place = chance.randrange(len(tokens) + 1)
        tokens[place:place + chance.randint(0, 1)] = chance.choices(LETTERS, k=chance.randint(0, 1))
    return detokenize(tokens)


def pairs(n: int, source: Path | None) -> tuple[list[str], list[str], list[str]]:
    """References, and the answers of two systems."""
    chance = random.Random(0)
    if source is None:
        references = [made_up(chance) for _ in range(n)]
    else:
        opened = gzip.open if source.suffix == ".gz" else open
        with opened(source, "rt", encoding="utf-8") as lines:
            read = [json.loads(line)["latex"] for line in itertools.islice(lines, 0, 16 * n, 16)]
        references = (read * (n // len(read) + 1))[:n]
    return references, *([answered(latex, chance) for latex in references] for _ in range(2))


def ours(references: list[str], base: list[str], tuned: list[str], workers: int) -> Run:
    from latexocr.scoring import METRICS, assess

    told = f"{len(METRICS)} metrics, ledger, confusions; intervals and comparison by 10,000 paired resamples"
    return lambda: assess(references, {"base": base, "tuned": tuned}, workers=workers), told


def sacrebleu(references: list[str], base: list[str], tuned: list[str], workers: int) -> Run:
    from sacrebleu.metrics import BLEU
    from sacrebleu.significance import PairedTest

    expected, *systems = ([" ".join(tokenize(text)) for text in side] for side in (references, base, tuned))

    def compare() -> object:
        metric = {"BLEU": BLEU(tokenize="none", force=True, references=[expected])}
        named = list(zip(("base", "tuned"), systems, strict=True))
        return PairedTest(named, metric, [expected], test_type="bs", n_samples=RESAMPLES_OF_SACREBLEU)()

    return compare, f"BLEU alone; comparison by {RESAMPLES_OF_SACREBLEU} paired resamples"


def jiwer(references: list[str], base: list[str], tuned: list[str], workers: int) -> Run:
    import jiwer as library

    expected, *systems = ([" ".join(tokenize(text)) for text in side] for side in (references, base, tuned))
    return lambda: [library.wer(expected, system) for system in systems], "error rate alone; no interval, no comparison"


def evaluate(references: list[str], base: list[str], tuned: list[str], workers: int) -> Run:
    import evaluate as library

    from latexocr.scoring import EVALUATE_MODULE

    metric = library.load(EVALUATE_MODULE, keep_in_memory=True)
    return (lambda: [metric.compute(predictions=side, references=references) for side in (base, tuned)],
            "our metrics in it (its own need the hub): intervals; no comparison, no ledger")


CONTENDERS = {"latexocr": ours, "sacrebleu": sacrebleu, "jiwer": jiwer, "evaluate": evaluate}


def measure(name: str, n: int, source: Path | None, workers: int) -> dict[str, object]:
    """Run one contender in this process."""
    run, told = CONTENDERS[name](*pairs(n, source), workers)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start, cpu = time.perf_counter(), sum(os.times()[:4])
    run()
    seconds, busy = time.perf_counter() - start, sum(os.times()[:4]) - cpu
    own, largest = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return {"name": name, "pairs": n, "does": told, "seconds": seconds, "cpu_seconds": busy,
            "mb_before": before / 1024, "mb": own / 1024, "mb_worker": largest / 1024}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=100_000)
    parser.add_argument("--formulas", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", choices=CONTENDERS)
    options = parser.parse_args()
    if options.only:
        print(json.dumps(measure(options.only, options.pairs, options.formulas, options.workers)))
        return
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {options.pairs} references, 2 systems")
    runs = [("latexocr", options.pairs // 2), *((name, options.pairs) for name in CONTENDERS)]
    for name, n in runs:
        source = ["--formulas", str(options.formulas)] if options.formulas else []
        command = [sys.executable, __file__, "--only", name, "--pairs", str(n), "--workers", str(options.workers)]
        env = os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        done = subprocess.run(command + source, capture_output=True, text=True, env=env, check=False)
        if done.returncode:
            print(f"{name:<10}{n:>8} failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
            continue
        m = json.loads(done.stdout.splitlines()[-1])
        print(f"{name:<10}{n:>8} pairs {m['seconds']:>7.1f} s {m['cpu_seconds']:>7.1f} CPU s   peak {m['mb']:>6.0f} MB "
              f"(input {m['mb_before']:.0f}; largest worker {m['mb_worker']:.0f})   {m['does']}", flush=True)


if __name__ == "__main__":
    main()
