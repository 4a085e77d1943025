"""Pictures as bytes: of a sample, as PNG, and kept as a file where a data set holds them in no file of their own.

Parquet and arrow hold pictures in their rows, ink is drawn. A sample of them points to a file in a cache folder, so
that a list of a million samples holds no picture in memory, what is broken stays broken until it is read, and bytes
are copied and hashed as they were. The cache may be removed at any time: the next load fills it again.
"""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from latexocr.errors import UserError

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = {b"\x89PNG": ".png", b"\xff\xd8\xff": ".jpg", b"GIF8": ".gif", b"BM": ".bmp", b"RIFF": ".webp",
            b"II*\0": ".tif", b"MM\0*": ".tif"}
"""How a file begins, and what its name ends in then."""


def kept(content: bytes, draw: Callable[[], bytes] | None = None) -> Path:
    """The cache file of a picture: of these bytes, or of what `draw` makes, and is asked for once for this content."""
    digest = hashlib.sha256(content).hexdigest()
    suffix = ".png" if draw else next((end for start, end in SUFFIXES.items() if content.startswith(start)), "")
    path = cache_folder() / digest[:2] / (digest[2:] + suffix)
    if path.exists():
        return path
    picture = draw() if draw else content
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:  # Others may write the same just now.
            file.write(picture)
        os.replace(file.name, path)
    except OSError as e:
        raise UserError(f"{path.parent}: pictures cannot be kept there ({e.strerror}). Make room, or set "
                        "XDG_CACHE_HOME to a folder that can be written.") from e
    return path


def cache_folder() -> Path:
    """Where pictures are kept: `latexocr/pictures` in the user's cache folder."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "latexocr" / "pictures"


def picture_bytes(image: Path | Image) -> bytes | None:
    """A picture as its file has it, one in memory as PNG; None where the file is missing or cannot be read."""
    if not isinstance(image, Path):
        return png(image)
    try:
        return image.read_bytes()
    except (OSError, ValueError):  # the latter: a name with a null byte
        return None


def png(image: Image) -> bytes:
    """A picture as PNG; modes that PNG lacks (CMYK, YCbCr, ...) become RGB."""
    if image.mode not in ("1", "L", "LA", "I;16", "P", "RGB", "RGBA"):
        image = image.convert("I;16" if image.mode == "I" else "RGB")
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
