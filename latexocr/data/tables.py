"""Parquet and arrow files with a column of pictures and a column of formulas, as hub data sets are kept.

Takes files, folders of them (`save_to_disk`, a copy of a hub repository), or tables; gives `Sample`s in a stable
order, a batch of rows at a time. Pictures go to files of the cache (`pictures`); none is opened. Needs pyarrow.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latexocr.data.columns import GUESSED, Columns, unknown
from latexocr.data.pictures import kept
from latexocr.data.text import printable
from latexocr.errors import UserError
from latexocr.records import Sample

if TYPE_CHECKING:
    import pyarrow as pa

TABLES = (".parquet", ".arrow")
BATCH = 64
"""Rows held in memory at a time."""
SHARD = re.compile(r"(^|-)(\d+-of-\d+|\d+)$")
"""What only numbers the files of one part: `train-00000-of-00002`, `0000`."""


def is_saved(folder: Path) -> bool:
    """Whether a folder is what `save_to_disk` writes."""
    return any((folder / name).is_file() for name in ("dataset_dict.json", "state.json"))


def tables_within(folder: Path) -> list[Path]:
    """The parquet and arrow files of a folder and all folders in it, sorted; hidden ones and caches left out."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in TABLES and path.is_file()
                  and not any(part.startswith((".", "cache-")) for part in path.relative_to(folder).parts))


def table_samples(path: Path, columns: Columns = GUESSED, *, subset: str = "") -> Iterator[Sample]:
    """Samples of a file, or of all files of a folder: where it lies in the folder names a file's subset."""
    if not path.is_dir():
        yield from row_samples(_tables(path), columns, path, subset=subset)
        return
    seen: Counter[str] = Counter()
    for file in tables_within(path):
        part = _part(file.relative_to(path))
        for sample in row_samples(_tables(file), columns, file, subset=part, first=seen[part]):
            seen[part] += 1
            yield sample


def row_samples(tables: Iterable[pa.Table], columns: Columns, where: Path, *, subset: str = "",
                first: int = 0) -> Iterator[Sample]:
    """Samples of the rows of tables; numbered from `first` where they have no `id`, with their subset before it."""
    number = first
    for table in _sound(tables, where):
        image, text = _image_column(table.schema, columns, where), _text_column(table.schema, columns, where)
        own, part = (next((name for name in names if name in table.column_names), None)
                     for names in (("id",), columns.subsets))
        if columns.subset and not part:
            raise unknown("subset", columns.subsets, table.column_names, where)
        wanted = [name for name in {image, text, own, part} if name is not None]
        if doubled := next((name for name in wanted if table.column_names.count(name) > 1), None):
            raise UserError(f"{where}: two columns are called '{doubled}'. Rename one.")
        for row in table.select(wanted).to_pylist():
            name = str(row[own]) if own and row[own] is not None else f"{number:06d}"
            named = str(row[part]) if part and (columns.subset or not subset) and row[part] is not None else subset
            yield Sample(printable(f"{subset}/{name}" if subset else name),
                         _picture(row[image], where.parent, f"{where.name} row {number}"), row[text] if text else None,
                         named)
            number += 1


def _picture(value: Any, folder: Path, name: str) -> Path:
    """The file of a picture: its bytes kept, or where its path says. A row without one points to a file not there."""
    path = value.get("path") if isinstance(value, dict) else value if isinstance(value, str) else None
    content = value.get("bytes") if isinstance(value, dict) else value if isinstance(value, bytes) else None
    return kept(content) if content is not None else folder / (path or f"no picture in {name}")


def _image_column(schema: pa.Schema, columns: Columns, where: Path) -> str:
    held = [field.name for field in schema if _is_picture(field.type)]
    fit = [field.name for field in schema if _is_picture(field.type)
           or (_is_text(field.type) and (columns.image or not held))]  # the names of their files
    named = [name for name in columns.images if name in fit]
    if not named and (columns.image or len(held) != 1):
        raise unknown("image", columns.images[:2], _typed(schema), where)
    return named[0] if named else held[0]


def _text_column(schema: pa.Schema, columns: Columns, where: Path) -> str | None:
    """The column of formulas; None where no column holds text, which is a set only to be read."""
    import pyarrow.types as types

    texts = [field.name for field in schema if _is_text(field.type)]
    if found := [name for name in columns.texts if name in texts]:
        return found[0]
    rest = [name for name in texts if name not in (*columns.images, "id", "subset", "split")]
    other = [field for field in schema if field.name in columns.texts
             and not (types.is_integer(field.type) or types.is_null(field.type))]  # of classes; of none
    if columns.text or len(rest) > 1 or (other and not rest):
        raise unknown("text", columns.texts[:2], _typed(schema), where)
    return rest[0] if rest else None


def _is_picture(kind: pa.DataType) -> bool:
    import pyarrow.types as types

    held = types.is_struct(kind) and "bytes" in {inner.name for inner in kind}
    return held or types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind)


def _is_text(kind: pa.DataType) -> bool:
    import pyarrow.types as types

    kind = kind.value_type if types.is_dictionary(kind) else kind
    return types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)


def _typed(schema: pa.Schema) -> list[str]:
    """Names of columns, with the type of one that is neither a picture nor text."""
    return [field.name if _is_picture(field.type) or _is_text(field.type) else f"{field.name} of {field.type}"
            for field in schema]


def _tables(file: Path) -> Iterator[pa.Table]:
    """The rows of a file, a batch at a time, mapped from the disk."""
    try:
        import pyarrow as pa
    except ImportError as e:
        raise UserError(f"{file}: parquet and arrow files need pyarrow. Install it: "
                        "pip install 'latexocr[train]'.") from e
    for batch in _parquet(file) if file.suffix.lower() == ".parquet" else _arrow(file):
        yield from (pa.Table.from_batches([batch.slice(start, BATCH)]) for start in range(0, len(batch), BATCH))


def _sound(tables: Iterable[pa.Table], where: Path) -> Iterator[pa.Table]:
    """The tables, each looked through before it is used: a broken one would end the process without a word."""
    try:
        for table in tables:
            table.validate(full=True)
            yield table
    except (OSError, ValueError, ArithmeticError, LookupError, MemoryError, NotImplementedError, TypeError) as e:
        reason = " ".join(str(e).split())[:200] or type(e).__name__  # pyarrow raises what a broken file leads it to.
        raise UserError(f"{where}: cannot be read as {where.suffix[1:] or 'a table'} ({reason}). "
                        "Is it whole? Fetch it again.") from e


def _parquet(file: Path) -> Iterator[pa.RecordBatch]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(file, memory_map=True) as parquet:
        yield from parquet.iter_batches(batch_size=BATCH)


def _arrow(file: Path) -> Iterator[pa.RecordBatch]:
    """`datasets` writes the stream format, others (feather) the file format."""
    import pyarrow as pa

    with pa.memory_map(str(file)) as source:
        if source.read(6) == b"ARROW1":
            reader = pa.ipc.open_file(source)
            yield from (reader.get_batch(index) for index in range(reader.num_record_batches))
        else:
            source.seek(0)
            yield from pa.ipc.open_stream(source)


def _part(file: Path) -> str:
    """The subset of a file within its folder: `small/train` of `small/train-00000-of-00001.parquet`."""
    parts = [*file.parent.parts, SHARD.sub("", file.stem)]
    return "/".join(part for part in parts if part and part != "data")
