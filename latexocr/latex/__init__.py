"""A formula as text: tokens, tree, levels of equality. Pure functions: no files, no models."""

from __future__ import annotations
