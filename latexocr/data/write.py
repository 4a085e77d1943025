"""Samples written for this program, and for others: JSON lines with pictures, a `datasets` data set, conversations.

Takes samples one after the other, so that a large set passes through in little memory. Knows nothing of where they
came from, nor of what a model is asked: whoever wants conversations hands in the function that makes them.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latexocr.data.hub import import_datasets
from latexocr.data.pictures import picture_bytes
from latexocr.errors import UserError
from latexocr.provenance import alone
from latexocr.records import FORMATS, Sample, json_lines

FORMS = ("jsonl", "datasets", "conversation")
Conversation = Callable[[Any, "str | None"], list[dict[str, Any]]]
"""Messages of a picture and its formula."""


@dataclass(frozen=True)
class Written:
    """What a conversion wrote."""

    path: Path
    """The file of JSON lines, or the folder for `datasets.load_from_disk`."""
    count: int
    left_out: tuple[tuple[str, str], ...] = ()
    """Ids of samples that other trainers would fail on, each with the reason. JSON lines leave nothing out."""


def convert(samples: Iterable[Sample], out: Path, form: str, conversation: Conversation | None = None) -> Written:
    """Write samples to the folder `out`.

    "jsonl": `samples.jsonl` and `images/`, see `write_samples`. "datasets": columns `image`, `text`, `id`, `subset`.
    "conversation": columns `messages` (with text and image parts, by `conversation`), `images` and `id`, as TRL's
    and Unsloth's trainers take them. Raises UserError where something is there already, or two have the same id.
    """
    if form not in FORMS:
        raise UserError(f"'{form}' is no form to convert to. Expected {', '.join(FORMS)}.")
    if form == "jsonl":
        index = write_samples(out, samples)
        return Written(index, sum(1 for _ in json_lines(index)))
    if form == "conversation" and conversation is None:
        raise ValueError("the form 'conversation' needs the function that makes conversations")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} is already there. Choose another folder, or remove it first.")
    left_out: list[tuple[str, str]] = []
    rows = _rows(_distinct(samples, out), left_out, conversation if form == "conversation" else None)
    return Written(out, _save(rows, out, conversations=form == "conversation"), tuple(left_out))


def write_samples(folder: Path, samples: Iterable[Sample]) -> Path:
    """Write `folder/samples.jsonl` and `folder/images/`, which `load(folder)` reads back equal; the path of the former.

    Files are copied as they are, pictures in memory become PNG. The list is called `samples.jsonl.part` until it is
    whole; what was killed goes on from there when called with the same samples, and what is whole stays. Raises
    UserError where other samples or pictures are already there or begun, there are none, two have the same id, or the
    folder cannot be written.
    """
    index, begun = folder / "samples.jsonl", folder / "samples.jsonl.part"
    if index.exists():
        if not _holds(index, samples):
            raise UserError(f"{index} is already there, with other samples. Choose another folder, or remove it first.")
        return index
    if not begun.exists() and any(folder.glob("images/*")):
        raise UserError(f"{folder / 'images'}: holds files already, which pictures would be written over. Choose "
                        "another folder.")
    samples = _distinct(samples, folder)
    first = list(itertools.islice(samples, 1))  # Where there is none to be had, that is said before a folder is made.
    if not first:
        raise UserError(f"{folder}: nothing to write, there is not one sample.")
    with _writing(folder):
        (folder / "images").mkdir(parents=True, exist_ok=True)
        with alone(folder):
            _write_rows(begun, itertools.chain(first, samples))
            os.replace(begun, index)
    return index


def _distinct(samples: Iterable[Sample], out: Path) -> Iterator[Sample]:
    """The samples, as long as each has an id of its own: what is written otherwise, `load` refuses."""
    ids = set()
    for sample in samples:
        if sample.id in ids:
            raise UserError(f"{out}: cannot be written, two samples have the id '{sample.id}'. Ids must be unique: "
                            "give each its own 'id' or picture name.")
        ids.add(sample.id)
        yield sample


def _write_rows(begun: Path, samples: Iterable[Sample]) -> None:
    done, number = _begun(begun), -1
    with begun.open("a", encoding="utf-8") as file:
        for number, sample in enumerate(samples):
            if number < len(done):
                last = number == len(done) - 1  # Its picture stands for those of all before it.
                if not _same(sample, done[number], begun.parent if last else None):
                    raise _other(begun)
                continue
            row = {"id": sample.id, "image": _copied(sample, begun.parent, number), "latex": sample.latex,
                   "subset": sample.subset}
            file.write(json.dumps(row) + "\n")
    if number + 1 < len(done):
        raise _other(begun)


@contextlib.contextmanager
def _writing(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as e:
        raise UserError(f"{e.filename or out}: cannot be written ({e.strerror or e}). Make room, or choose another "
                        "folder.") from e


def _begun(path: Path) -> list[dict[str, Any]]:
    """The rows that a killed call has written; the line it was writing is cut off."""
    if not path.exists():
        return []
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.rfind(b"\n") + 1])
    return [row for _, row in json_lines(path)]


def _holds(index: Path, samples: Iterable[Sample]) -> bool:
    """Whether a list that is whole is that of these samples, and their pictures are beside it."""
    pairs = itertools.zip_longest(samples, (row for _, row in json_lines(index)))
    return all(sample and row and _same(sample, row, index.parent) for sample, row in pairs)


def _same(sample: Sample, row: dict[str, Any], folder: Path | None) -> bool:
    """Whether a row was written of this sample; of its picture too, where `folder` is given."""
    named = (sample.id, sample.latex, sample.subset) == tuple(map(row.get, ("id", "latex", "subset")))
    return named and (folder is None or picture_bytes(sample.image) == picture_bytes(folder / str(row.get("image"))))


def _other(begun: Path) -> UserError:
    return UserError(f"{begun}: begun with other samples than these. Choose another folder, or remove it first.")


def _copied(sample: Sample, folder: Path, number: int) -> str:
    in_memory = not isinstance(sample.image, Path)
    name = f"images/{number:06d}{'.png' if in_memory else sample.image.suffix}"
    content = picture_bytes(sample.image)
    if content is not None:
        (folder / name).write_bytes(content)
    return name


def _rows(samples: Iterable[Sample], left_out: list[tuple[str, str]],
          conversation: Conversation | None) -> Iterator[dict[str, Any]]:
    for sample in samples:
        content = picture_bytes(sample.image)
        if reason := _unfit(sample, content, answered=conversation is not None):
            left_out.append((sample.id, reason))
            continue
        picture = {"bytes": content, "path": None}
        if conversation is None:
            yield {"image": picture, "text": sample.latex, "id": sample.id, "subset": sample.subset}
        else:
            messages = [{"role": message["role"], "content": [{"type": part["type"], "text": part.get("text")}
                                                              for part in message["content"]]}
                        for message in conversation(None, sample.latex)]
            yield {"messages": messages, "images": [picture], "id": sample.id}


def _unfit(sample: Sample, content: bytes | None, *, answered: bool) -> str:
    """Why a trainer would fail on a sample, or learn nothing from it; empty where it would not."""
    from PIL import Image

    if answered and sample.latex is None:
        return "no reference"
    if content is None:
        return f"{sample.image}: no such file, or it cannot be read"
    try:
        (sample.id + (sample.latex or "") + sample.subset).encode()
        with Image.open(io.BytesIO(content), formats=FORMATS) as picture:
            picture.load()
    except UnicodeEncodeError:
        return "half a character in its text"
    except Exception as e:  # Pillow's decoders raise whatever a broken file leads them to.
        return f"cannot be opened as a picture ({str(e) or type(e).__name__})"
    return ""


def _save(rows: Iterator[dict[str, Any]], out: Path, *, conversations: bool) -> int:
    """Write rows as a `datasets` data set, by way of a file beside it; their number."""
    import_datasets(str(out))
    from datasets import Dataset, Features, Image, List, Value
    from datasets.arrow_writer import ArrowWriter

    text = Value("string")
    part = {"type": text, "text": text}
    features = Features({"messages": List({"role": text, "content": List(part)}), "images": List(Image()), "id": text}
                        if conversations else {"image": Image(), "text": text, "id": text, "subset": text})
    begun = out.with_name(out.name + ".part")
    with _writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        try:
            with ArrowWriter(path=str(begun), features=features, writer_batch_size=100) as writer:
                for row in rows:
                    writer.write(row)
                count, _ = writer.finalize()
            if not count:
                raise UserError(f"{out}: nothing to write, no sample can be trained on.")
            Dataset.from_file(str(begun)).save_to_disk(out)
        finally:
            begun.unlink(missing_ok=True)
    return count
