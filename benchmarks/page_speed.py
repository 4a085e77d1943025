"""How large the page of a report of many samples is, and how long a browser takes to open, filter, sort and search it.

    python benchmarks/page_speed.py crohme:test2014 benchmarks/results/crohme_2014/predictions-{base,tuned}.jsonl 10000

The samples of SPEC are repeated, under other ids, until there are as many as asked. Needs chromium.
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from browser import Browser  # What the tests of the page drive it with.

from latexocr.bench.judge import evaluate
from latexocr.bench.report_page import page
from latexocr.data.sources import load
from latexocr.records import read_predictions

CHOICES = {"base right, tuned wrong": ("show", "lost-1"), "all again": ("show", ""), "worst change first":
           ("sort", "growth-1"), "search": ("text", r"\frac"), "search for nothing": ("text", "")}
CHOOSE = """new Promise(done => {
  const list = document.getElementById("list"), began = performance.now();
  const control = [...document.querySelectorAll(`[name=${NAME}]`)].find(c => c.type !== "radio" || c.value === VALUE);
  if (control.type === "radio") control.click();
  else { control.value = VALUE; control.dispatchEvent(new Event("input", {bubbles: true})); }
  const look = () => list.getAttribute("aria-busy") === "false" ? done(performance.now() - began) : setTimeout(look, 1);
  look();
})"""


def make(spec: str, base: Path, tuned: Path, n: int) -> str:
    """The page of n samples; says on stdout what it cost."""
    samples, columns = load(spec), {"base": read_predictions(base), "tuned": read_predictions(tuned)}
    repeated = [replace(sample, id=f"{i}/{sample.id}") for i, sample in enumerate(islice(cycle(samples), n))]
    by_id = {name: {answer.id: answer for answer in answers} for name, answers in columns.items()}
    answers = {name: [replace(found[sample.id.split("/", 1)[1]], id=sample.id) for sample in repeated]
               for name, found in by_id.items()}
    report = evaluate(repeated, answers, {})
    began = time.process_time()
    text = page(report, repeated)
    print(f"{n} samples: made in {time.process_time() - began:.1f} s of one core, "
          f"{len(text.encode()) / n:.0f} bytes a sample, {len(text.encode()) / 1e6:.1f} MB")
    return text


def measure(file: Path, profile: Path) -> None:
    browser = Browser(profile)
    began = time.monotonic()
    browser.open(file)
    print(f"opened, first samples drawn: {time.monotonic() - began:.2f} s")
    for what, (name, value) in CHOICES.items():
        script = CHOOSE.replace("NAME", f"'{name}'").replace("VALUE", repr(value))
        print(f"{what}: {browser.run(script):.0f} ms")
    metrics = {metric["name"]: metric["value"] for metric in browser.call("Performance.getMetrics")["metrics"]}
    print(f"memory of its script: {metrics['JSHeapUsedSize'] / 1e6:.0f} MB")
    browser.close()


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(f"{sys.argv[0]}: expected SPEC BASE TUNED N.\n{__doc__}")
    with tempfile.TemporaryDirectory() as folder:
        spec, base, tuned, n = sys.argv[1:]
        file = Path(folder) / "report.html"
        file.write_text(make(spec, Path(base), Path(tuned), int(n)), encoding="utf-8")
        measure(file, Path(folder) / "profile")
