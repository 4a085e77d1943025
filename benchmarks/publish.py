"""Copy what may be published of a benchmark run: record, predictions, and the report without its rows.

    python benchmarks/publish.py runs/im2latex benchmarks/results/im2latex_sample

The rows of a report hold the references, and the page the pictures: other people's data, which stays out of here.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path


def publish(run: Path, out: Path) -> None:
    """Write `run.json`, `predictions-*.jsonl` and `report.json` of a run to OUT."""
    out.mkdir(parents=True, exist_ok=True)
    for source in (run / "run.json", *run.glob("predictions-*.jsonl")):
        shutil.copy(source, out / source.name)
    report = json.loads((run / "report.json").read_text(encoding="utf-8"))
    text = json.dumps({**report, "rows": []}, indent=1, ensure_ascii=False)
    (out / "report.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(f"{sys.argv[0]}: expected RUN OUT.\n{__doc__}")
    publish(Path(sys.argv[1]), Path(sys.argv[2]))
