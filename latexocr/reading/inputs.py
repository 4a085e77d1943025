"""What goes into a model: one definition of the tensors for training and for use, whatever the family.

Takes a model folder and conversations, gives the text of the template and the tensors of the processor.
Knows nothing of weights, answers or losses.
"""

from __future__ import annotations

import inspect
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from latexocr.errors import UserError

if TYPE_CHECKING:
    from PIL.Image import Image
    from transformers import BatchFeature, ProcessorMixin

BUILTIN = "builtin"
"""The name of the embedded model, here and on every machine."""
PROCESSOR_FILES = ("tokenizer*", "special_tokens_map.json", "added_tokens.json", "vocab*", "merges.txt", "*.model",
                   "chat_template*", "*processor_config.json", "generation_config.json")
"""What a model folder holds beside weights and config.json: an adapter and an export carry these files unchanged."""


def resolve(model: str | Path, *, download: bool = False) -> Path:
    """The folder of a model: the embedded one, a folder, or a hub name that is in this machine's cache.

    Only `download=True` lets it fetch. Raises UserError where there is no such model.
    """
    if str(model) == BUILTIN:
        folder = Path(__file__).parent / BUILTIN
        if not (folder / "config.json").is_file():
            raise UserError(f"No embedded model in {folder}: this copy of latexocr is incomplete. Install it again.")
        return folder
    folder = Path(model).expanduser()
    if folder.is_dir():
        if not any((folder / name).is_file() for name in ("config.json", "adapter_config.json")):
            raise UserError(f"{folder}: not a model, there is no config.json and no adapter_config.json in it. "
                            "Give the folder of a model or of an adapter.")
        return folder.resolve()
    return _from_hub(str(model), download=download)


def _from_hub(name: str, *, download: bool) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    if name.count("/") > 1 or name.startswith((".", "/", "~")):
        raise UserError(f"{name}: no such folder. Give 'builtin', the folder of a model or an adapter, or a hub name.")
    try:
        return Path(snapshot_download(name, local_files_only=not download))
    except LocalEntryNotFoundError as e:
        hint = "The hub cannot be reached." if download else "Allow the download (--download, or download=True)."
        raise UserError(f"{name}: neither a folder nor a model in this machine's hub cache. {hint}") from e
    except (HFValidationError, HfHubHTTPError, OSError) as e:
        raise UserError(f"{name}: neither a folder nor a model that the hub gives out ({_first_line(e)}).") from e


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def load_processor(folder: Path, *, trust_remote_code: bool = False) -> ProcessorMixin:
    """The processor of a model folder, for pictures and text.

    Its video half is left out, because loading it needs torchvision, and pictures go through PIL with and without
    torchvision: a model so sees the same numbers on every machine. Raises UserError where the folder has none.
    """
    from transformers import AutoConfig, AutoProcessor
    from transformers.models.auto.processing_auto import PROCESSOR_MAPPING

    options = {"trust_remote_code": trust_remote_code, "local_files_only": True}
    try:
        cls = PROCESSOR_MAPPING.get(type(AutoConfig.from_pretrained(folder, **options)), AutoProcessor)
        if "video_processor" in inspect.signature(cls.__init__).parameters:
            processor = _without_video(cls, folder)
        else:
            processor = AutoProcessor.from_pretrained(folder, backend="pil", **options)
    except (OSError, ValueError, KeyError, ImportError) as e:
        raise UserError(f"{folder}: its processor cannot be loaded ({_first_line(e)}). A vision-language model with "
                        "tokenizer, chat template and image processor is needed.") from e
    if getattr(processor, "chat_template", None) is None:
        raise UserError(f"{folder}: no chat template (chat_template.jinja), so there is no way to ask this model.")
    return processor


def _without_video(cls: type[ProcessorMixin], folder: Path) -> ProcessorMixin:
    """A processor of the same class but for its video half; transformers reads the halves off the constructor."""
    # From where it is defined: the name in `transformers` asks for torchvision.
    from transformers import AutoTokenizer
    from transformers.models.auto.image_processing_auto import AutoImageProcessor

    parameters = inspect.signature(cls.__init__).parameters
    kept = [parameter for name, parameter in parameters.items() if name != "video_processor"]

    def __init__(self: Any, **parts: Any) -> None:
        cls.__init__(self, **parts)

    __init__.__signature__ = inspect.Signature(kept)
    pictures_only = type(cls.__name__, (cls,), {"__init__": __init__, "__module__": cls.__module__})
    saved, _ = cls.get_processor_dict(folder, local_files_only=True)
    settings = {parameter.name: saved[parameter.name] for parameter in kept if parameter.name in saved}
    return pictures_only(**settings | {
        "image_processor": AutoImageProcessor.from_pretrained(folder, backend="pil", local_files_only=True),
        "tokenizer": AutoTokenizer.from_pretrained(folder, local_files_only=True)})


def copy_processor(base: Path, folder: Path) -> None:
    """Copy what a model folder holds beside weights and config.json, byte for byte."""
    for pattern in PROCESSOR_FILES:
        for file in base.glob(pattern):
            if file.is_file():
                shutil.copyfile(file, folder / file.name)


def render(processor: ProcessorMixin, messages: list[dict[str, Any]], *, ask: bool) -> str:
    """The text of a conversation by the model's own template; with `ask`, up to where the answer begins."""
    return processor.apply_chat_template(messages, add_generation_prompt=ask, tokenize=False)


def encode(processor: ProcessorMixin, texts: list[str], images: list[Image], *,
           side: Literal["left", "right"]) -> BatchFeature:
    """Tensors of rendered texts with one picture each, padded on the given side."""
    return processor(text=texts, images=[[image] for image in images], padding=True, padding_side=side,
                     add_special_tokens=adds_special_tokens(processor, texts[0]), return_tensors="pt")


def adds_special_tokens(processor: ProcessorMixin, text: str) -> bool:
    """Whether the tokenizer adds its begin token: not where the template has written it already."""
    bos = processor.tokenizer.bos_token
    return bos is None or not text.startswith(bos)
