"""A picture of a report's page for README.md, without the samples: their pictures are other people's.

    python benchmarks/page_picture.py runs/bench/report.html benchmarks/report.png

Needs chromium. The examples near the top are left out; all else is as a reader sees it.
"""

from __future__ import annotations

import io
import sys
import tempfile
from base64 import b64decode
from pathlib import Path

from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from browser import Browser  # What the tests of the page drive it with.

WIDTH, HEIGHT, SCALE = 1120, 1340, 1.5
COLOURS = 64
"""Enough for two columns, and a third of the file."""


def shoot(page: Path, out: Path) -> None:
    """Write the top of a page as a PNG."""
    with tempfile.TemporaryDirectory() as profile:
        browser = Browser(Path(profile))
        browser.size(WIDTH, HEIGHT)
        browser.call("Emulation.setDeviceMetricsOverride", width=WIDTH, height=HEIGHT, deviceScaleFactor=SCALE,
                     mobile=False)
        browser.open(page.resolve())
        browser.run("document.querySelectorAll('.cards, .changes .soft').forEach(part => part.remove())")
        clip = {"x": 0, "y": 0, "width": WIDTH - 15, "height": HEIGHT, "scale": 1}  # but for the scroll bar
        shot = browser.call("Page.captureScreenshot", format="png", clip=clip)
        browser.close()
    picture = Image.open(io.BytesIO(b64decode(shot["data"]))).convert("RGB")
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(out, optimize=True)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(f"{sys.argv[0]}: expected PAGE OUT.\n{__doc__}")
    shoot(Path(sys.argv[1]), Path(sys.argv[2]))
