"""A formula as text: tokens, tree, levels of equality. Pure functions: no files, no models."""

from __future__ import annotations

from latexocr.latex.canonical import Level, canonical, equal
from latexocr.latex.tokens import detokenize, tokenize, unwrap

__all__ = ["Level", "canonical", "detokenize", "equal", "tokenize", "unwrap"]
