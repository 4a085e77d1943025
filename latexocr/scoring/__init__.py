"""Strings -> numbers. Knows nothing of models or pictures."""

from __future__ import annotations
