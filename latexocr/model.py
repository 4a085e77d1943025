"""LatexOCRModel, the front door: load a model, transcribe pictures, train, save and export.

Takes names, pictures and samples, gives predictions and folders. Knows nothing of scores.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, overload

from latexocr.errors import UserError
from latexocr.reading import Engine, GenerateConfig, Reader
from latexocr.records import Prediction, Sample

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

    Picture = str | Path | Image | np.ndarray


@dataclass(frozen=True)
class LatexOCRModel:
    """A model that reads pictures of formulas.

    model = LatexOCRModel.load("builtin")
    model.transcribe("formula.png").latex
    """

    name: str
    """What it was loaded from: "builtin", a folder, a hub name or a URL."""
    reader: Reader
    """Who reads: a model in this process, or a server."""
    download: bool = False
    """Whether hub models may be fetched."""

    @classmethod
    def load(cls, name: str | Path = "builtin", *, engine: Engine = "transformers", device: str = "auto",
             dtype: str = "auto", config: GenerateConfig | None = None, download: bool = False,
             trust_remote_code: bool = False) -> LatexOCRModel:
        """Load "builtin", the folder of a model or an adapter, a hub name, or a server by its URL (http://host:8000/v1).

        `engine` is what runs a model: transformers or vLLM in this process, or Ray, with transformers on every node of
        a cluster. vLLM chooses the device, and reads with whole models only.
        Nothing is fetched from a hub unless `download` is set. A server that wants a key gets that of the environment
        variable OPENAI_API_KEY. Raises UserError where there is no such model.
        """
        config = config or GenerateConfig()
        if str(name).startswith(("http://", "https://")):
            from latexocr.reading.served import ServedReader

            key = os.environ.get("OPENAI_API_KEY")
            return cls(str(name), ServedReader(str(name), config=config, api_key=key))
        if engine not in get_args(Engine):
            raise UserError(f"engine is {engine!r}; expected one of {', '.join(get_args(Engine))}.")
        options = {"device": device, "dtype": dtype, "config": config, "download": download,
                   "trust_remote_code": trust_remote_code}
        if engine == "vllm":
            from latexocr.reading.vllm import load_model
        elif engine == "ray":
            from latexocr.reading.ray import load_model
        else:
            from latexocr.reading.local import load_model
        return cls(str(name), load_model(name, **options), download)

    @overload
    def transcribe(self, images: Picture) -> Prediction: ...
    @overload
    def transcribe(self, images: Iterable[Picture]) -> list[Prediction]: ...
    def transcribe(self, images: Any) -> Any:
        """The prediction of one picture (path, PIL image or array), or a list of them for several, in their order.

        A picture that cannot be read gives a prediction with `stop="error"`.
        """
        if _is_picture(images):
            return next(iter(self.read([_sample(images, "0")])))
        return list(self.read(_sample(image, str(number)) for number, image in enumerate(images)))

    def read(self, samples: Iterable[Sample]) -> Iterator[Prediction]:
        """One prediction a sample, in order, as they come."""
        return iter(self.reader.read(samples))

    @property
    def latency(self) -> Any:
        """How long a server's answers took (`reading.latency.Latency`); None for a model in this process."""
        return getattr(self.reader, "latency", None)

    def train(self, samples: Sequence[Sample] | None = None, *, out: str | Path | None = None,
              eval_samples: Sequence[Sample] | None = None, **options: Any) -> LatexOCRModel:
        """A new model: this one with an adapter trained on `samples` (or `data=SPEC`).

        `options` are the fields of `training.lora.TrainConfig`. Without `out`, the adapter lies in a folder of the
        system's temporary files until `save`.
        """
        from latexocr.training.lora import TrainConfig, train

        _refuse_server(self.name, "trained")
        folder = Path(out) if out is not None else Path(tempfile.mkdtemp(prefix="latexocr-")) / "adapter"
        unknown = sorted(set(options) - set(TrainConfig.__dataclass_fields__))
        if unknown:
            raise UserError(f"No such training option: {', '.join(unknown)}. "
                            f"There are: {', '.join(TrainConfig.__dataclass_fields__)}.")
        config = replace(TrainConfig(model=self.name, out=folder, download=self.download), **options)
        return type(self).load(train(config, samples, eval_samples), download=self.download,
                               config=getattr(self.reader, "config", None), trust_remote_code=config.trust_remote_code)

    def save(self, path: str | Path) -> Path:
        """Copy the model's folder (an adapter: without its checkpoints) to a new one, and give it."""
        source, target = self._folder("saved"), Path(path)
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise UserError(f"{target} is already there. Give another folder, or remove it first.")
        try:
            shutil.copytree(source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("checkpoints"))
        except OSError as e:
            raise UserError(f"{target}: the model cannot be copied there ({e.strerror or e}). Give another folder, or "
                            "make room.") from e
        return target

    def export(self, path: str | Path, *, samples: Sequence[Sample] | None = None, **options: Any) -> Path:
        """Merge this model's adapter into its base: one folder in 16 bits for transformers and vLLM, checked."""
        from latexocr.training.export import export

        return export(self._folder("exported"), Path(path), samples=samples, download=self.download, **options)

    def _folder(self, done: str) -> Path:
        from latexocr.reading.inputs import resolve

        _refuse_server(self.name, done)
        return resolve(self.name)


def _refuse_server(name: str, done: str) -> None:
    if name.startswith(("http://", "https://")):
        raise UserError(f"{name} is a server; only a model on this machine can be {done}.")


def _is_picture(value: Any) -> bool:
    """Whether this is one picture; everything else that can be gone through is several."""
    if isinstance(value, (str, Path)):
        return True
    if hasattr(value, "__array_interface__"):  # PIL images and arrays; four dimensions are a stack of pictures
        return not (hasattr(value, "ndim") and value.ndim > 3)
    return not isinstance(value, Iterable)


def _sample(image: Any, number: str) -> Sample:
    if isinstance(image, (str, Path)):
        return Sample(str(image), Path(image))
    return Sample(number, image)
