"""Data sets of the Hugging Face hub, `hf:OWNER/NAME[:CONFIG][:SPLIT]`, or a copy of one, `hf:FOLDER...`.

Takes what stands after `hf:`, gives `Sample`s in a stable order. A set that is not on this machine is fetched, because
a SPEC that names it asks for it: a line says so first. What `datasets` keeps is read from its cache, memory-mapped,
so a large set does not fill the memory. Code that comes with a data set is never run. Needs the package `datasets`,
which raises whatever its readers and its HTTP client of the day do: any exception of it is a set that cannot be read.
"""

from __future__ import annotations

import contextlib
import itertools
import re
import sys
from collections.abc import Iterator
from os.path import isdir
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from latexocr.data.columns import GUESSED, Columns
from latexocr.data.tables import BATCH, row_samples
from latexocr.errors import UserError
from latexocr.records import Sample

if TYPE_CHECKING:
    from datasets import DatasetBuilder, DatasetDict

FORM = "hf:OWNER/NAME, hf:OWNER/NAME:CONFIG, hf:OWNER/NAME:SPLIT or hf:OWNER/NAME:CONFIG:SPLIT"
LOCAL = ("Give local files instead: fetch it where there is a network (`hf download {name} --repo-type dataset "
         "--local-dir FOLDER`), and give hf:FOLDER, or the folder of its parquet files.")
PATIENCE = 10
"""Seconds to wait for the hub."""


def hub_samples(place: str, columns: Columns = GUESSED) -> Iterator[Sample]:
    """The samples of a hub data set; its splits are the subsets. Raises UserError where there is no such set or part.

    A single part after the name is a configuration where there is one of that name, and a split otherwise.
    """
    name, *parts = place.split(":")
    if len(parts) > 2 or not (isdir(name) or _is_name(name)):
        raise UserError(f"hf:{place}: not the name of a hub data set. Expected {FORM}.")
    builder, split = _builder(name, parts)
    parts_of_it = _prepared(name, builder)
    if split and split not in parts_of_it:
        raise UserError(f"hf:{place}: no configuration and no split '{split}'. Splits of "
                        f"'{builder.config.name}': {', '.join(parts_of_it)}.")
    for subset, dataset in parts_of_it.items():
        if not split or subset == split:
            tables = dataset.with_format("arrow").iter(batch_size=BATCH)
            yield from row_samples(tables, columns, Path(f"hf:{name}"), subset=subset)


def import_datasets(what: str) -> ModuleType:
    """The package `datasets`, its progress bars for a terminal alone. Raises UserError where it is missing."""
    try:
        import datasets
    except ImportError as e:
        raise UserError(f"{what}: needs the package datasets. Install it: pip install 'latexocr[train]'.") from e
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    return datasets


def _is_name(name: str) -> bool:
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return True


def _builder(name: str, parts: list[str]) -> tuple[DatasetBuilder, str]:
    """What `datasets` reads the set with, and the split that is wanted ("" for all)."""
    datasets = import_datasets(f"hf:{name}")
    readings = [(parts[0], "".join(parts[1:]))] if parts else []
    if len(parts) < 2:
        readings.append((None, "".join(parts)))
    reachable = isdir(name) or _reachable(name)
    with contextlib.nullcontext() if reachable else _offline():
        for source, (config, split) in itertools.product(_sources(name, reachable=reachable), readings):
            try:
                builder = datasets.load_dataset_builder(source, config)
            except Exception as e:
                reason = e
                continue
            if reachable and not isdir(name):
                _announce(name, builder)
            return builder, split
    raise _refused(name, reason, reachable=reachable) from reason


def _sources(name: str, *, reachable: bool) -> Iterator[str]:
    """What to ask `datasets` for: the name, which without a network means what it prepared once; the fetched files."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    yield name
    if not reachable:
        with contextlib.suppress(LocalEntryNotFoundError):
            yield snapshot_download(name, repo_type="dataset", local_files_only=True)


def _refused(name: str, reason: Exception, *, reachable: bool) -> UserError:
    said = _said(reason)
    if choice := re.search(r"(?:Available|available configs|in the cache): \[?(.*?)(?:\]| Please|$)", said):
        names = choice[1].replace("'", "")
        return UserError(f"hf:{name}: which configuration? There are {names}: give hf:{name}:CONFIG.")
    if reachable:
        return UserError(f"hf:{name}: cannot be read as a data set ({said}).")
    return UserError(f"hf:{name}: not in this machine's cache, and the hub cannot be reached. "
                     f"{LOCAL.format(name=name)}")


def _said(reason: BaseException) -> str:
    """What an exception says, in one short line; `datasets` hides the reason behind "An error occurred"."""
    while reason.__cause__:
        reason = reason.__cause__
    return " ".join(str(reason).split())[:200] or type(reason).__name__


def _reachable(name: str) -> bool:
    """Whether the hub answers, asked once: `datasets` itself would try for half a minute. Says when it has no such set.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    try:
        HfApi().dataset_info(name, timeout=PATIENCE)
    except Exception as e:
        if isinstance(e, HfHubHTTPError) and e.response.status_code in (401, 403, 404):
            raise UserError(f"hf:{name}: the hub has no such data set, or gives it only to those logged in "
                            f"(`hf auth login`). Expected {FORM}.") from e
        return False
    return True


@contextlib.contextmanager
def _offline() -> Iterator[None]:
    """`datasets` looks into its cache at once, as with HF_HUB_OFFLINE=1, instead of waiting for a network."""
    import datasets.config
    import huggingface_hub.constants

    modules = (datasets.config, huggingface_hub.constants)
    before = [module.HF_HUB_OFFLINE for module in modules]
    try:
        for module in modules:
            module.HF_HUB_OFFLINE = True
        yield
    finally:
        for module, value in zip(modules, before, strict=True):
            module.HF_HUB_OFFLINE = value


def _announce(name: str, builder: DatasetBuilder) -> None:
    """Say what will be fetched, before it is; nothing where the set is on this machine."""
    if not isdir(builder.cache_dir):
        size = builder.info.download_size
        print(f"latexocr: hf:{name} ({builder.config.name}): fetching {f'{size / 1e6:.1f} MB' if size else 'it'} from "
              f"the hub into {builder.cache_dir}", file=sys.stderr)


def _prepared(name: str, builder: DatasetBuilder) -> DatasetDict:
    """The splits of a set on this machine, fetched where they are not."""
    try:
        builder.download_and_prepare()
        return builder.as_dataset()
    except Exception as e:
        advice = "Is it whole? Fetch it again." if isdir(name) else LOCAL.format(name=name)
        raise UserError(f"hf:{name}: cannot be fetched or read ({_said(e)}). {advice}") from e
