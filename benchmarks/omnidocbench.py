"""Cut the displayed formulas out of OmniDocBench's pages: `python benchmarks/omnidocbench.py FOLDER OUT`.

FOLDER holds OmniDocBench.json and images/, as published; OUT becomes a data set, samples.jsonl and images/, for
`latexocr bench --data suite:omnidocbench=OUT`. A formula is a block of the category `equation_isolated`: its polygon's
bounding box, and its `latex`. Blocks that the benchmark itself ignores are left out; one whose page is missing or whose
box lies outside of it stays, with a picture that cannot be read, and counts as wrong.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from latexocr.data.write import write_samples
from latexocr.errors import UserError
from latexocr.records import Sample


def formulas(folder: Path) -> Iterator[Sample]:
    """One sample a formula, in the order of the pages. Raises UserError where there is no such benchmark."""
    listed = folder / "OmniDocBench.json"
    try:
        pages = json.loads(listed.read_text(encoding="utf-8"))
        for page in pages:
            blocks = [block for block in page["layout_dets"]
                      if block["category_type"] == "equation_isolated" and not block.get("ignore")]
            yield from _cut(folder / "images" / page["page_info"]["image_path"], blocks)
    except (OSError, ValueError, LookupError, TypeError) as e:
        raise UserError(f"{listed}: not the annotations of OmniDocBench ({type(e).__name__}: {e}). Give the folder "
                        "that holds OmniDocBench.json and images/.") from e


def _cut(path: Path, blocks: list[dict]) -> Iterator[Sample]:
    page = Image.open(path).convert("RGB") if blocks and path.is_file() else None
    for block in blocks:
        picture = (page and _crop(page, block["poly"])) or path.with_suffix(".missing")
        yield Sample(f"{path.stem}/{block['anno_id']}", picture, block.get("latex") or "")


def _crop(page: Image.Image, polygon: list[float]) -> Image.Image | None:
    """What of the polygon's bounding box lies on the page."""
    xs, ys = polygon[0::2], polygon[1::2]
    left, top = max(0, int(min(xs))), max(0, int(min(ys)))
    right, bottom = min(page.width, int(max(xs)) + 1), min(page.height, int(max(ys)) + 1)
    return page.crop((left, top, right, bottom)) if left < right and top < bottom else None


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(f"omnidocbench.py: expected FOLDER OUT.\n{__doc__}")
    try:
        print(write_samples(Path(sys.argv[2]), formulas(Path(sys.argv[1]))))
    except UserError as error:
        sys.exit(f"omnidocbench.py: {error}")
