"""latexocr: pictures of formulas to LaTeX, and proof of how good it is."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from latexocr.errors import UserError
    from latexocr.model import LatexOCRModel
    from latexocr.reading import GenerateConfig
    from latexocr.records import Prediction, Sample

_HOMES = {"LatexOCRModel": "latexocr.model", "Sample": "latexocr.records", "Prediction": "latexocr.records",
          "GenerateConfig": "latexocr.reading", "UserError": "latexocr.errors"}
__all__ = ["GenerateConfig", "LatexOCRModel", "Prediction", "Sample", "UserError"]


def __getattr__(name: str) -> Any:
    """Public names, imported when first asked for: `import latexocr` alone loads nothing heavy."""
    if name not in _HOMES:
        raise AttributeError(f"module 'latexocr' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
