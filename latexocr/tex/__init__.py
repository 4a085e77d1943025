"""The one way to TeX: formulas -> pages of a DVI file, and which glyph lies where. Knows nothing of pictures."""

from __future__ import annotations
