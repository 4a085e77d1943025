"""What vLLM needs beside the weights of a native ERNIE-4.5-VL: a processor of its own liking, and leave to run it.

Takes model folders and texts. The processor is `ernie_processor.py`, which an export copies into its folder. vLLM runs
code of a folder only with `trust_remote_code`; for a folder whose only code is that very file, byte for byte, nobody
has to be asked: it is latexocr's own.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from latexocr.errors import UserError
from latexocr.provenance import write_text
from latexocr.reading.inputs import model_type

CODE = Path(__file__).parent / "ernie_processor.py"
AUTO_MAP = {"AutoProcessor": f"{CODE.stem}.Ernie4_5_VLProcessor"}
MODEL = "ernie4_5_vl_moe"
"""`model_type` of the native class."""


def write_processor(folder: Path) -> None:
    """Put the processor for vLLM into the folder of a native ERNIE, unless that brings another one (Baidu's)."""
    maps = [found for _, found in _auto_maps(folder) if "AutoProcessor" in found]
    if model_type(folder) != MODEL or any(found != AUTO_MAP for found in maps):
        return
    path = folder / "processor_config.json"
    settings = _json(path) if path.is_file() else {"processor_class": "Ernie4_5_VLMoeProcessor"}
    shutil.copyfile(CODE, folder / CODE.name)
    write_text(path, json.dumps(settings | {"auto_map": AUTO_MAP}, indent=2) + "\n")


def trusted(folder: Path, *, asked: bool) -> bool:
    """Whether vLLM may run the code of a model folder: where the user says so, or it is this package's processor alone.

    Raises UserError where it says that it is ours and is not, byte for byte.
    """
    files, maps = sorted(folder.rglob("*.py")), list(_auto_maps(folder))
    if asked or maps != [("processor_config.json", AUTO_MAP)]:
        return asked
    if files == [folder / CODE.name] and files[0].read_bytes() == CODE.read_bytes():
        return True
    raise UserError(f"{folder}: its {CODE.name} is not the one of this latexocr, or has other code beside it. Export "
                    "the model again, or, if you trust it as you trust a program: --trust-remote-code.")


def question(folder: Path, text: str) -> str:
    """A question, rendered by the template of a model folder, as vLLM wants it."""
    from latexocr.reading.ernie_processor import PATCH, PICTURE

    return text.replace(PATCH, PICTURE) if model_type(folder) == MODEL else text


def _auto_maps(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every `auto_map` of a folder's configurations, however deep, with the name of its file."""
    for path in sorted(folder.glob("*config.json")):
        inside = [_json(path)]
        while inside:
            value = inside.pop()
            if isinstance(value, dict):
                if "auto_map" in value:
                    yield path.name, value["auto_map"]
                inside += value.values()
            elif isinstance(value, list):
                inside += value


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as e:
        raise UserError(f"{path}: cannot be read ({str(e).splitlines()[0]}).") from e
