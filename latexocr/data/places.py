"""Where a hand writes each glyph of a formula, and how large: near where TeX puts it, as a style has it.

Takes glyphs and the shapes they will have, gives places and sizes. Knows nothing of strokes or pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from latexocr.data import motion
from latexocr.data.glyphs import name
from latexocr.tex.dvi import Glyph

if TYPE_CHECKING:
    from latexocr.data.hands import Style
    from latexocr.data.strokes import Shape

ACCENTS = frozenset(("hat", "caron", "bar", "vec", "dot", "ddot", "tilde", "grave", "acute", "breve"))
OPERATORS = frozenset("∑∏∫∮⋃⋂")
CROWDED = 1.1
"""Widest a letter may be, in the room that it has on the line: what is written over its neighbour nobody reads."""


@dataclass(frozen=True)
class Places:
    """Where the glyphs of a formula are to be written."""

    middle: np.ndarray
    size: np.ndarray
    """Both (n, 2), in points."""
    turn: np.ndarray
    """Radians, (n,)."""
    roots: list[tuple[int, int]]
    """A root and its bar, which goes on where the sign ends."""


def places(glyphs: Sequence[Glyph], shapes: Sequence[Shape], style: Style, rng: np.random.Generator) -> Places:
    """Where a hand of this style writes the glyphs of a page, each in its shape."""
    boxes = np.array([(g.left, g.top, g.right, g.bottom) for g in glyphs])
    rule = np.array([g.font == "rule" for g in glyphs])
    root = np.array([name(g) == "√" for g in glyphs])
    letter = np.array([shape.letter for shape in shapes])
    aspect = np.array([shape.aspect or 0 for shape in shapes])
    high, wide = boxes[:, 3] - boxes[:, 1], boxes[:, 2] - boxes[:, 0]
    wide = np.where((wide < 0.01) & ~rule, 0.83 * high, wide)
    boxes[:, 2] = np.where(rule, boxes[:, 2], boxes[:, 0] + wide)
    boxes[:, ::2] = motion.warped(boxes[:, ::2], style.spread, style.uneven, rng)
    across = boxes[:, 2] - boxes[:, 0]
    size = np.stack([wide, high], axis=1)
    kinds, kind = np.unique([glyph.code for glyph in glyphs], return_inverse=True)
    growth = (np.where(letter & (high < 4.6), style.letters, 1.0) * np.exp(rng.normal(0, style.shake, len(glyphs)))
              * np.exp(rng.normal(0, style.sizes, len(kinds)))[kind])
    own = np.exp(rng.normal(0, 1.5 * style.shake, len(glyphs)))
    natural = np.where(aspect > 0, np.minimum(aspect * high * style.wide, 1.1 * wide), 0.88 * wide * style.wide)
    size[:, 0] = np.where(letter, np.minimum(natural * growth * own, CROWDED * across), wide)
    size[:, 1] = np.where(letter, high * growth, high)
    signs = ~letter & ~rule & ~root
    size[signs] *= np.exp(rng.normal(0, 1.2 * style.shake, (int(signs.sum()), 2)))
    size[np.array([name(g) in OPERATORS for g in glyphs])] *= style.operators
    size[np.array([name(g) in ("∫", "∮") for g in glyphs], bool), 0] *= rng.uniform(0.7, 1.5)
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    middle[:, 1] -= np.where(letter, (size[:, 1] - high) / 2, 0)
    accent = np.array([name(g) in ACCENTS for g in glyphs])
    middle[:, 1] -= np.where(accent, 4.3 * (style.letters - 1) + 0.5, 0)
    stretched = rule | root
    size[stretched, 0] = across[stretched]
    middle += style.shake * rng.normal(0, (4, 6), (len(glyphs), 2)) * np.where(stretched, 0.25, 1.0)[:, None]
    turn = rng.normal(0, 0.9 * style.shake, len(glyphs)) * np.where(stretched | (wide > 12), 0.15, 1.0)
    return Places(middle, size, turn, _bars(boxes, rule, root, middle, size, rng))


def _bars(boxes: np.ndarray, rule: np.ndarray, root: np.ndarray, middle: np.ndarray, size: np.ndarray,
          rng: np.random.Generator) -> list[tuple[int, int]]:
    """Bars of fractions longer or shorter than TeX's, in place; which roots have which bars."""
    roots = []
    for i in np.flatnonzero(rule):
        joined = [r for r in np.flatnonzero(root)
                  if abs(boxes[r, 2] - boxes[i, 0]) < 0.7 and abs(boxes[r, 1] - boxes[i, 1]) < 0.5]
        if joined:
            r = joined[0]
            start = middle[r] + (size[r, 0] / 2, -size[r, 1] / 2)
            end = boxes[i, 2] + rng.normal(1.0, 1.5)
            middle[i] = ((start[0] + end) / 2, start[1] + rng.normal(0, 0.2))
            size[i, 0] = max(end - start[0], 1.0)
            roots.append((int(r), int(i)))
        elif size[i, 0] > size[i, 1]:
            size[i, 0] = max(2.0, size[i, 0] * float(np.exp(rng.normal(0.04, 0.08))) + rng.normal(1.0, 1.5))
    return roots
