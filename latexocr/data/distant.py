"""Pictures that are no files of this machine: behind a URL, in a bucket or a hub, on a page of a PDF.

Each is fetched or drawn when it is read, so that a listing of a million holds none. What cannot be had is a UserError,
and so a failure with its reason. Knows nothing of models.
"""

from __future__ import annotations

import glob
import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from latexocr.data.folders import PICTURES
from latexocr.data.text import printable
from latexocr.errors import UserError
from latexocr.records import FORMATS, Sample

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem
    from PIL.Image import Image
    from pypdfium2 import PdfDocument

LARGEST_PICTURE = 32 << 20
"""Bytes of a picture from elsewhere."""
LONGEST_S = 60.0
"""Seconds for a picture from elsewhere, from the request to its last byte."""
DOTS_PER_INCH = 200
"""At which pages are drawn: 10 point letters are then somewhat larger than models see them."""
LARGEST_PAGE = 4000
"""Pixels of the longer side of a drawn page, at most."""
_pdfium = Lock()
"""PDFium may be used from one thread at a time."""


def _picture(content: bytes, name: str) -> Image:
    from PIL import Image as Pillow

    try:
        return Pillow.open(io.BytesIO(content), formats=FORMATS)
    except Exception as e:  # Pillow's decoders raise whatever a broken file leads them to.
        said = str(e).split(" <_io")[0]
        raise UserError(f"{name}: not a picture ({said}; {len(content):,} bytes).") from e


@dataclass(frozen=True)
class Web:
    """A picture behind a URL. No credentials but those in it are sent; redirects lead to http and https alone."""

    url: str

    def __str__(self) -> str:
        return self.url

    def fetch(self) -> Image:
        """The picture. Raises UserError."""
        import httpx

        content, end = bytearray(), time.monotonic() + LONGEST_S
        try:
            with httpx.stream("GET", self.url, follow_redirects=True, timeout=min(20.0, LONGEST_S)) as answer:
                if answer.status_code != 200:
                    raise UserError(f"{self.url}: the server says {answer.status_code}.")
                for part in answer.iter_bytes():
                    content += part
                    if len(content) > LARGEST_PICTURE or time.monotonic() > end:
                        raise UserError(f"{self.url}: more than {LARGEST_PICTURE >> 20} MiB or {LONGEST_S:g} s; this "
                                        "is no picture of a formula.")
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, ImportError) as e:  # (of a proxy that needs a package)
            raise UserError(f"{self.url}: cannot be fetched ({type(e).__name__} {e}).") from e
        return _picture(bytes(content), self.url)


@dataclass(frozen=True)
class Remote:
    """A picture in a file system that fsspec reaches: s3://, gs://, hf://, memory:// ..."""

    url: str

    def __str__(self) -> str:
        return self.url

    def fetch(self) -> Image:
        """The picture. Raises UserError."""
        import fsspec

        try:
            with fsspec.open(self.url, "rb") as file:
                content = file.read(LARGEST_PICTURE + 1)
        except Exception as e:  # Each file system raises its own.
            raise UserError(f"{self.url}: cannot be read ({type(e).__name__} {e}).") from e
        if len(content) > LARGEST_PICTURE:
            raise UserError(f"{self.url}: more than {LARGEST_PICTURE >> 20} MiB; this is no picture of a formula.")
        return _picture(content, self.url)


@dataclass(frozen=True)
class Page:
    """A page of a PDF, or a box on it."""

    file: Path
    number: int
    """From 1."""
    box: tuple[float, float, float, float] | None = None
    """Left, top, right and bottom, in points (1/72 inch) from the upper left corner of the page; None: all of it."""

    def __str__(self) -> str:
        return f"{self.file}#{self.number}"

    def fetch(self) -> Image:
        """The picture, in grey. Raises UserError."""
        with opened(self.file) as document:
            try:
                page = document[self.number - 1]
                width, height = page.get_size()
                left, top, right, bottom = self.box or (0, 0, width, height)
                crop = (max(left, 0), max(height - bottom, 0), max(width - right, 0), max(top, 0))
                if crop[0] + crop[2] >= width or crop[1] + crop[3] >= height:
                    raise UserError(f"{self}: the box {self.box} is not on the page of {width:g} x {height:g} points.")
                longest = max(width - crop[0] - crop[2], height - crop[1] - crop[3])
                scale = min(DOTS_PER_INCH / 72, LARGEST_PAGE / longest)
                return page.render(scale=scale, crop=crop, grayscale=True).to_pil().copy()
            except (RuntimeError, ValueError, IndexError, MemoryError) as e:
                raise UserError(f"{self}: cannot be drawn ({e}).") from e


@contextmanager
def opened(file: Path) -> Iterator[PdfDocument]:
    """A PDF, for the thread that holds it. Raises UserError where it is none, or locked by a password."""
    import pypdfium2

    with _pdfium:
        try:
            document = pypdfium2.PdfDocument(file)
        except (RuntimeError, OSError) as e:
            raise UserError(f"{file}: cannot be opened as a PDF ({e}).") from e
        try:
            yield document
        finally:
            document.close()


def remote(url: str) -> Iterator[Sample]:
    """The pictures that a URL of fsspec names: one, those that match a pattern, or those in a folder and below it.

    Ids are their URLs. The names of one folder are held at a time. Raises UserError where there are none.
    """
    import fsspec

    try:
        files, path = fsspec.core.url_to_fs(url)
        if glob.has_magic(path):
            found = iter(sorted(files.glob(path)))
        elif files.isdir(path):
            found = _below(files, path)
        elif path.lower().endswith(PICTURES) or files.exists(path):
            yield Sample(printable(url), Remote(url))
            return
        else:
            raise UserError(f"{url}: not found.")
        empty = True
        for name in found:
            if name.lower().endswith(PICTURES):
                empty = False
                yield Sample(printable(files.unstrip_protocol(name)), Remote(files.unstrip_protocol(name)))
    except UserError:
        raise
    except Exception as e:  # Each file system raises its own.
        raise UserError(f"{url}: cannot be listed ({type(e).__name__}: {e}).") from e
    if empty:
        raise UserError(f"{url}: no pictures there. Pictures end in {', '.join(PICTURES)}.")


def _below(files: AbstractFileSystem, folder: str) -> Iterator[str]:
    """The files of a folder, then those of the folders in it, by name."""
    entries = sorted(files.ls(folder, detail=True), key=lambda entry: entry["name"])
    yield from (entry["name"] for entry in entries if entry["type"] == "file")
    for entry in entries:
        if entry["type"] == "directory" and entry["name"].rstrip("/") != folder.rstrip("/"):
            yield from _below(files, entry["name"])
