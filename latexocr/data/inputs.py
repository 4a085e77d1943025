"""What `transcribe` is given: one sample for each picture that some words name, one after the other.

Takes words, gives a listing that can be gone through again: in a stable order, with ids that tell the pictures apart,
and never all at once. Opens no picture. Knows nothing of models.

    word                         what it names
    picture, folder              the picture; all pictures in the folder and in those in it, or what its index lists
    'scans/**/*.png'             a pattern, in quotes where the shell would fill it in: pictures and PDFs that match
    FILE.pdf                     each page; or the boxes that `boxes` names for it
    FILE.txt, FILE.lst, -        a list (`-`: from standard input), one of these words a line
    http://..., https://...      the picture behind a URL
    s3://..., gs://, hf:// ...   a picture, pattern or folder where fsspec reaches it
    clipboard                    the picture in the clipboard
    anything else                a data SPEC (`data.sources`): lists in JSON lines or CSV, parquet, hf:OWNER/NAME ...

A path that exists is that path, whatever it looks like. With several words, ids are the words, or begin with them.
"""

from __future__ import annotations

import codecs
import glob
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latexocr.data.boxes import Boxes
from latexocr.data.distant import Page, Web, opened, remote
from latexocr.data.folders import PICTURES, listed, walk
from latexocr.data.sources import PREFIXES, stream
from latexocr.data.tables import is_saved
from latexocr.data.text import MARKS, printable
from latexocr.errors import UserError
from latexocr.records import Sample

if TYPE_CHECKING:
    from PIL.Image import Image

LISTS = (".txt", ".lst")
PDF = ".pdf"
CLIPBOARD = "clipboard"
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_SPEC = re.compile(rf"(?:{'|'.join(PREFIXES)}):|.*\?(?:image|text)=", re.DOTALL)
"""A data SPEC that looks like a pattern."""


@dataclass(frozen=True)
class Inputs:
    """The samples that words name. Going through them lists folders and reads lists anew."""

    words: Sequence[str]
    boxes: Boxes = field(default_factory=Boxes)
    _kept: dict[str, Any] = field(default_factory=dict, init=False, repr=False)
    """What can be had only once: the list on standard input, the picture in the clipboard."""

    def __iter__(self) -> Iterator[Sample]:
        """The samples, in order. Raises UserError where a word names nothing."""
        several, empty = len(self.words) > 1, True
        for word in self.words:
            for sample in self._named(word, several=several):
                empty = False
                yield sample
        if empty and self.boxes.all:
            named = ", ".join(sorted({box.file for box in self.boxes.all})[:3])
            raise UserError(f"{self.words[0]}: no box is on it. Each box's \"file\" is the name or path of a PDF that "
                            f"is given; found {named}.")

    def _named(self, word: str, *, several: bool) -> Iterator[Sample]:
        """The samples of one word; one of several is part of their ids."""
        path = Path(word)
        if word == "-":
            return self._list(self._stdin(), Path())
        if path.suffix.lower() in LISTS and os.path.isfile(path):
            return self._list(_lines(path), path.parent)
        if found := self._found(word, Path(), several=several):
            return found
        if word == CLIPBOARD:
            return iter([Sample(CLIPBOARD, self._clipboard())])
        samples = stream(word)
        return (replace(sample, id=f"{printable(word)}/{sample.id}") for sample in samples) if several else samples

    def _found(self, word: str, folder: Path, *, several: bool = True) -> Iterator[Sample] | None:
        """The samples of a word that a list in a folder may hold too; None where it is no such word."""
        path, scheme = folder / word, _SCHEME.match(word)
        name, ending = word if several else path.name, path.suffix.lower()
        if scheme:
            there = scheme[1].lower() in ("http", "https")
            return iter([Sample(printable(word), Web(word))]) if there else remote(word)
        if os.path.isdir(path):  # (pathlib raises where a name is too long)
            return _folder(path, printable(word.rstrip("/") + "/") if several else "")
        if os.path.isfile(path):
            if ending == PDF:
                return _pages(path, name, self.boxes)
            return iter([Sample(printable(name), path)]) if ending in PICTURES else None
        return self._matching(word, folder) if glob.has_magic(word) and not _SPEC.match(word) else None

    def _matching(self, pattern: str, folder: Path) -> Iterator[Sample]:
        """The pictures and PDFs that a pattern names, by name."""
        found = False
        for match in sorted(glob.iglob(pattern, root_dir=folder, recursive=True)):
            ending = os.path.splitext(match)[1].lower()
            if ending in PICTURES:
                yield Sample(printable(match), folder / match)
            elif ending == PDF:
                yield from _pages(folder / match, match, self.boxes)
            found |= ending in (*PICTURES, PDF)
        if not found:
            raise UserError(f"{pattern}: no picture and no PDF is so named. Pictures end in {', '.join(PICTURES)}.")

    def _list(self, lines: Iterator[str], folder: Path) -> Iterator[Sample]:
        """The samples of a list; what is named in it and not there is a sample that cannot be read."""
        empty = True
        for line in lines:
            empty = False
            if line.lower().endswith(PICTURES) and not glob.has_magic(line) and not _SCHEME.match(line):
                yield Sample(printable(line), folder / line)  # not looked at: a million times, that takes seconds
            else:
                yield from self._found(line, folder) or [Sample(printable(line), folder / line)]
        if empty:
            raise UserError("The list is empty. Expected one picture, folder, pattern, PDF or URL a line.")

    def _stdin(self) -> Iterator[str]:
        """The lines of standard input, which are kept in a file, so that they can be gone through again."""
        if "-" not in self._kept:
            self._kept["-"] = tempfile.TemporaryFile()  # noqa: SIM115 (it is closed, and gone, with these inputs)
            try:
                shutil.copyfileobj(sys.stdin.buffer, self._kept["-"])
            except (AttributeError, OSError) as e:  # It is closed (<&-), or a folder.
                raise UserError("Standard input cannot be read. Expected a list: one picture, folder, pattern, PDF or "
                                "URL a line.") from e
        file, place = self._kept["-"], 0
        while True:
            file.seek(place)  # each time: it may be gone through twice at a time
            lines = file.readlines(1 << 16)
            place = file.tell()
            if not lines:
                return
            yield from _names(lines)

    def _clipboard(self) -> Path | Image:
        if CLIPBOARD not in self._kept:
            self._kept[CLIPBOARD] = _grabbed()
        return self._kept[CLIPBOARD]


def _lines(path: Path) -> Iterator[str]:
    with path.open("rb") as file:
        start = file.read(4)
        file.seek(0)
        wide = next((encoding for mark, encoding in MARKS[1:] if start.startswith(mark)), None)
        # UTF-16 is what `>` of older PowerShells writes.
        yield from _names(map(os.fsencode, io.TextIOWrapper(file, wide, "replace", "\n")) if wide else file)


def _names(lines: Iterable[bytes]) -> Iterator[str]:
    """The names on lines, as the file system spells them; blank lines are none."""
    for line in lines:
        if name := os.fsdecode(line.removeprefix(codecs.BOM_UTF8).rstrip(b"\r\n")):
            yield name


def _folder(folder: Path, prefix: str) -> Iterator[Sample]:
    """The pictures of a folder and of those in it; what an index lists of a folder that has one; or its tables."""
    found = False
    for inner in () if is_saved(folder) else walk(folder):
        within = printable(prefix + inner.within)
        if inner.index:
            samples = (replace(sample, id=within + sample.id) for sample in listed(inner.index))
        else:
            samples = (Sample(within + printable(name), inner.path / name) for name in inner.pictures)
        for sample in samples:
            found = True
            yield sample
    if not found:
        yield from (replace(sample, id=prefix + sample.id) for sample in stream(str(folder)))


def _pages(file: Path, name: str, boxes: Boxes) -> Iterator[Sample]:
    """The pages of a PDF, or its boxes. One that cannot be opened is a sample that cannot be read."""
    if boxes.all:
        counts: Counter[int] = Counter()
        for box in boxes.of(name):
            counts[box.page] += 1
            yield Sample(printable(f"{name}#{box.page}.{counts[box.page]}"), Page(file, box.page, box.sides))
        return
    try:
        with opened(file) as document:
            n = len(document)
    except UserError:
        n = 1
    for number in range(1, n + 1):
        yield Sample(printable(f"{name}#{number}"), Page(file, number))


def _grabbed() -> Path | Image:
    """The picture in the clipboard, or the file that was copied there."""
    from PIL import Image, ImageGrab

    try:
        found = ImageGrab.grabclipboard()
    except (OSError, NotImplementedError, subprocess.SubprocessError, SyntaxError) as e:
        raise UserError(f"The clipboard cannot be read here ({str(e) or type(e).__name__}).") from e
    if isinstance(found, list) and found:
        return Path(found[0])
    if not isinstance(found, Image.Image):
        raise UserError("There is no picture in the clipboard. Copy one, and try again.")
    return found
