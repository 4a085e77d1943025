"""A formula as text: tokens, tree, levels of equality. Pure functions: no files, no models. See README.md."""

from __future__ import annotations

from latexocr.latex.aliases import NO_ALIASES, Aliases, declare
from latexocr.latex.alignment import Difference, Edit, align, difference
from latexocr.latex.canonical import MEANING, Level, canonical, equal, equality_level, forms
from latexocr.latex.tokens import detokenize, tokenize, unwrap

__all__ = ["MEANING", "NO_ALIASES", "Aliases", "Difference", "Edit", "Level", "align", "canonical", "declare",
           "detokenize", "difference", "equal", "equality_level", "forms", "tokenize", "unwrap"]
