"""What goes into a model: one definition of the tensors for training and for use, whatever the family.

Takes a model folder and conversations, gives the text of the template and the tensors of the processor.
Knows nothing of weights, answers or losses.
"""

from __future__ import annotations

import inspect
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from latexocr.errors import UserError
from latexocr.reading import ernie_remote
from latexocr.reading.conversation import PROMPT, conversation

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
    if folder.is_file():
        raise UserError(f"{folder}: a file, and no .jsonl of predictions. Give 'builtin', the folder of a model or an "
                        "adapter, or a hub name; answers of others as JSON lines with `id` and `latex`.")
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
    except HFValidationError as e:
        raise UserError(f"{name}: neither a folder nor a name that a hub model can have. A server's address begins "
                        "with http:// or https://.") from e
    except (HfHubHTTPError, OSError) as e:
        raise UserError(f"{name}: neither a folder nor a model that the hub gives out ({_first_line(e)}).") from e


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def model_type(folder: Path) -> str:
    """The `model_type` of a model folder's configuration. Raises UserError where there is none."""
    return str(_configuration(folder).get("model_type", ""))


def tuned_with(folder: Path) -> str:
    """The name of the prompt that an adapter or an export was tuned with, by its run.json; "" where that says none."""
    try:
        return str(json.loads((folder / "run.json").read_text(encoding="utf-8"))["settings"]["prompt"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def needs_remote_code(folder: Path, *, trusted: bool = True) -> bool:
    """Whether transformers has no class for this model and the folder brings its own (auto_map).

    Raises UserError where it does and is not trusted.
    """
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    needed = model_type(folder) not in CONFIG_MAPPING and "auto_map" in _configuration(folder)
    if needed and not trusted:
        raise UserError(f"{folder}: this model ({model_type(folder)}) runs on Python code that its folder brings. If "
                        "you trust it as you trust a program: --trust-remote-code (trust_remote_code=True).")
    return needed


def _configuration(folder: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((folder / "config.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as e:
        raise UserError(f"{folder}: config.json cannot be read ({_first_line(e)}).") from e


def load_processor(folder: Path, *, trust_remote_code: bool = False) -> ProcessorMixin:
    """The processor of a model folder, for pictures and text.

    Its video half is left out, because loading it needs torchvision, and pictures go through PIL with and without
    torchvision: a model so sees the same numbers on every machine. Raises UserError where the folder has none.
    """
    from transformers import AutoConfig, AutoProcessor
    from transformers.models.auto.processing_auto import PROCESSOR_MAPPING

    options = {"trust_remote_code": trust_remote_code, "local_files_only": True}
    remote = needs_remote_code(folder, trusted=trust_remote_code)
    try:
        cls = PROCESSOR_MAPPING.get(type(AutoConfig.from_pretrained(folder, **options)), AutoProcessor)
        if remote:
            processor = AutoProcessor.from_pretrained(folder, **options)
        elif "video_processor" in inspect.signature(cls.__init__).parameters:
            processor = _without_video(cls, folder)
        else:
            processor = AutoProcessor.from_pretrained(folder, backend="pil", **options)
    except (OSError, ValueError, KeyError, ImportError) as e:
        raise UserError(f"{folder}: its processor cannot be loaded ({_first_line(e)}). A vision-language model with "
                        "tokenizer, chat template and image processor is needed.") from e
    if getattr(processor, "chat_template", None) is None:
        processor.chat_template = processor.tokenizer.chat_template  # where older checkpoints keep it
    if processor.chat_template is None:
        raise UserError(f"{folder}: no chat template (chat_template.jinja), so there is no way to ask this model.")
    return processor


def _without_video(cls: type[ProcessorMixin], folder: Path) -> ProcessorMixin:
    """A processor of the same class but for its video half; transformers reads the halves off the constructor."""
    # From where it is defined: the name in `transformers` asks for torchvision.
    from transformers import AutoTokenizer
    from transformers.models.auto.image_processing_auto import AutoImageProcessor
    from transformers.processing_utils import ProcessorMixin

    parameters = inspect.signature(cls.__init__).parameters
    kept = [parameter for name, parameter in parameters.items() if name != "video_processor"]

    def __init__(self: Any, **parts: Any) -> None:
        cls.__init__(self, **parts)

    __init__.__signature__ = inspect.Signature(kept)
    pictures_only = type(cls.__name__, (cls,), {
        "__init__": __init__, "__module__": cls.__module__,
        # ERNIE's own way of saving copies a font that the video half draws with.
        "save_pretrained": ProcessorMixin.save_pretrained,
        # A class made here cannot be found by its name: another process loads the processor itself.
        "__reduce__": lambda self: (load_processor, (folder,))})
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
    """The text of a conversation by the model's own template; with `ask`, up to where the answer begins.

    Models that think before they answer are asked not to: their templates then write an empty thinking part.
    """
    silent = {"enable_thinking": False} if "enable_thinking" in str(processor.chat_template) else {}
    return processor.apply_chat_template(messages, add_generation_prompt=ask, tokenize=False, **silent)


@dataclass(frozen=True)
class Frame:
    """What a model's template writes around an answer; the same for every picture."""

    question: str
    """Up to where the answer begins, the placeholder of the picture in it."""
    ending: str
    """From the end token on."""

    def answered(self, latex: str) -> str:
        """The text that training shows: the question as in use, the formula, and what ends it.

        Templates write an answered question otherwise than an open one where the model can think; so it is put
        together from the open one, and what is learned is what is asked.
        """
        return self.question + latex + self.ending


def frame(processor: ProcessorMixin, prompt: str = PROMPT) -> Frame:
    """The frame of a processor's template. Raises UserError where the template leaves the answer out or changes it."""
    answer = "x^{2}"
    question = render(processor, conversation(None, prompt=prompt), ask=True)
    whole = render(processor, conversation(None, answer, prompt), ask=False)
    _, found, ending = whole.rpartition(answer)
    if not found:
        raise UserError(f"The chat template of this model does not write the answer as it is (found {whole[-80:]!r}, "
                        f"expected {answer!r} in it), so this model cannot be tuned.")
    return Frame(question, ending)


def encode(processor: ProcessorMixin, texts: list[str], images: list[Image], *,
           side: Literal["left", "right"]) -> BatchFeature:
    """Tensors of rendered texts with one picture each, padded on the given side.

    Every key that a processor gives is carried, so a family has what it needs: Qwen-VL, PaddleOCR-VL and GLM-OCR
    `mm_token_type_ids`, by which the model finds the positions of picture tokens; ERNIE-4.5-VL also
    `moe_mm_token_type_ids`, by which it sends tokens to text or vision experts (without them all go to the text
    experts, in silence). ERNIE's remote code has inputs of other names: see `ernie_remote`.
    """
    if type(processor).__name__ == ernie_remote.PROCESSOR:
        return ernie_remote.encode(processor, texts, images, side=side)
    return processor(text=texts, images=[[image] for image in images], padding=True, padding_side=side,
                     add_special_tokens=adds_special_tokens(processor, texts[0]), return_tensors="pt")


def adds_special_tokens(processor: ProcessorMixin, text: str) -> bool:
    """Whether the tokenizer adds its begin token: not where the template has written it already."""
    bos = processor.tokenizer.bos_token
    return bos is None or not text.startswith(bos)
