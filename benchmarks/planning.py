"""The planning table of serve/README.md: pictures an hour, hours and cost of a million, from records of measurements.

    python benchmarks/planning.py --price cpu=0.10 --price h100=2.50 results/serving/cpu_200.json ...

Reads what `serving_speed.py` wrote. A row is a way of reading in one record, with the rate that was measured: under
load, for as long as the record says. What is computed from it stands in columns that say so: pictures an hour = 3,600 x
pictures a second, hours = a million / pictures an hour, cost = hours x the price of the machine an hour, which is yours
to give: --price NAME=PRICE, where the name of the record begins so. Failed contenders are rows without figures.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

READERS = ("transformers", "vllm", "served", "served fixed")
"""Ways in which a user reads; the other contenders measure what a server can do."""
WAYS = {"transformers": "transformers", "vllm": "vLLM in one process", "served": "served",
        "served fixed": "served, number in flight fixed"}
HEAD = ("record", "model", "machine", "way", "pictures", "tokens a picture", "pictures/s",
        "pictures an hour (computed)", "hours for a million (computed)", "cost of a million (computed)")


def rows(path: Path, prices: Mapping[str, float]) -> Iterator[Sequence[str]]:
    """Cells of each way of reading in a record."""
    record = json.loads(path.read_text(encoding="utf-8"))
    words = record["command"].split()
    model = Path(words[words.index("--model") + 1]).name if "--model" in words else "builtin"
    model = "embedded, 21 M" if model == "builtin" else model
    gpus = math.prod(map(int, re.findall(r"--(?:data|tensor)-parallel-size[ =](\d+)", record.get("flags") or "")))
    machine = record.get("gpu") or f"{record['cpus']} cores of {record['cpu']}"
    machine = f"{gpus} x {machine}" if gpus > 1 else machine
    price = next((price for name, price in prices.items() if path.stem.startswith(name)), None)
    for name, found in record["contenders"].items():
        if name in READERS:
            yield (path.stem, model, machine, WAYS[name], *figures(found, record["n"], price))


def figures(found: Mapping[str, Any], n: int, price: float | None) -> Sequence[str]:
    """Pictures, the length of their answers, their rate, and what is computed from it."""
    if "failed" in found:
        return ("failed", *[""] * 5)
    rate, pictures = found["pictures_per_s"], found.get("pictures", n)
    hours = 1e6 / rate / 3600
    return (f"{pictures:,}", f"{found['tokens'] / pictures:.0f}", three(rate), three(3600 * rate), three(hours),
            "" if price is None else f"{price * hours:,.2f}")


def three(number: float) -> str:
    """To three figures, with commas."""
    return f"{float(f'{number:.3g}'):,.10g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("records", nargs="+", type=Path, metavar="RECORD.json")
    parser.add_argument("--price", action="append", default=[], metavar="NAME=PRICE")
    options = parser.parse_args()
    try:
        prices = {name: float(price) for name, price in (given.split("=") for given in options.price)}
    except ValueError:
        sys.exit(f"--price: found {', '.join(options.price)}, expected the beginning of a record's name and a price an "
                 "hour: h100=2.50")
    print(*("| " + " | ".join(row) + " |" for row in (HEAD, ["---"] * len(HEAD))), sep="\n")
    for path in options.records:
        for row in rows(path, prices):
            print("| " + " | ".join(row) + " |")


if __name__ == "__main__":
    main()
