"""Formulas written by synthetic hands: TeX says what stands where, a hand writes each character there in strokes.

Takes formulas and hands (`latexocr.data.strokes`), gives drawings as `latexocr.data.typeset` does, None where TeX does
not accept a formula or no hand can write it. Knows nothing of models.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from latexocr.data.glyphs import PIECES, character
from latexocr.data.strokes import SCRIPT_HANDS, Hands, Shape, doubled, load_hands
from latexocr.data.typeset import Drawing
from latexocr.tex import run
from latexocr.tex.dvi import Glyph

__all__ = ["MOST_GLYPHS", "load_hands", "write"]

AMBIGUOUS = re.compile(r"\\(mathrm|text[a-z]*|operatorname\*?|rm|mbox|hbox|mathop)\s*\{\s*[^\s{}]\s*\}"
                       r"|\{\s*\\rm\s+[^\s{}]\s*\}")
"""An upright single letter: by hand it is any letter, so that the picture would not show what was written."""
MOST_GLYPHS = 80
"""Longer formulas are not written."""
LONGEST_SIDE = 4000
"""Pixels; a formula that would be larger is not written."""
SMOOTH = 2
"""Each pixel is the mean of so many squared."""
LOOSE = (r"\DeclareMathSizes{10}{10}{%(script)s}{%(smaller)s}\AtBeginDocument{\setbox0\hbox{$x$}"
         r"\fontdimen13\textfont2=%(up).2fpt\fontdimen14\textfont2=%(up).2fpt\fontdimen15\textfont2=%(up).2fpt"
         r"\fontdimen16\textfont2=%(down).2fpt\fontdimen17\textfont2=%(down).2fpt"
         r"\fontdimen8\textfont2=%(over).2fpt\fontdimen11\textfont2=%(under).2fpt"
         r"\thinmuskip=%(thin).2fmu\medmuskip=%(medium).2fmu\thickmuskip=%(thick).2fmu}")
"""How writing by hand differs from TeX's layout: larger scripts, further up and down, wider spaces."""


DELIMITERS, CALM = frozenset("()[]{}|‖⟨⟩⌊⌋⌈⌉=<>−-"), 0.4
"""What would be read as another of its kind when it wobbles as much as letters do, and how much less it does."""
ACCENTS = frozenset(("hat", "caron", "bar", "vec", "dot", "ddot", "tilde", "grave", "acute", "breve"))
OPERATORS = frozenset("∑∏∫∮⋃⋂")


@dataclass(frozen=True)
class Style:
    """What stays the same in one formula. Lengths in points of a 10 point formula, angles in radians."""

    hand: int
    mixture: float
    """Share of the characters written in the project's own ways; then so many again by other hands."""
    pen: float
    slant: float
    letters: float
    """How much larger letters without ascenders are than TeX's."""
    operators: float
    """Size of sums and integrals, in TeX's."""
    wide: float
    spread: float
    """How much wider the formula is than TeX's."""
    wobble: float
    shake: float
    """Deviations of size, place and turn from one character to the next."""
    slope: float
    wave: float


def write(formulas: Sequence[str], hands: Hands, rng: np.random.Generator, *, dpi: int = 300) -> list[Drawing | None]:
    """Each formula in a hand of its own, in order; None where TeX refuses it, or where no hand can write it.

    The boxes of the glyphs are where the ink is, in points, `dpi / 72.27` pixels a point as in `typeset.draw`; at 300
    dots an inch a digit is about 28 pixels high. All formulas of a call share one loose layout of TeX's. Raises
    UserError where TeX is not installed.
    """
    pages = _set(formulas, _layout(rng), display=bool(rng.random() < 0.9))
    return [None if page is None or AMBIGUOUS.search(formula) else written(page, hands, rng, dpi=dpi)
            for formula, page in zip(formulas, pages, strict=True)]


def _set(formulas: Sequence[str], font: str, *, display: bool) -> list[list[Glyph] | None]:
    return [page and page.glyphs() for page in run.pages(formulas, run.Style(font=font, display=display))]


def written(page: Sequence[Glyph], hands: Hands, rng: np.random.Generator, *, dpi: int = 300) -> Drawing | None:
    """One page of glyphs, written; None where no hand can."""
    glyphs = _whole(page)
    if not glyphs or len(glyphs) > MOST_GLYPHS:
        return None
    style = _style(hands, rng)
    shapes = _shapes(glyphs, hands, style, rng)
    if shapes is None:
        return None
    points, owners = _ink(glyphs, shapes, style, rng)
    return _draw(points, owners, glyphs, shapes, style, dpi)


def _layout(rng: np.random.Generator) -> str:
    script, smaller = [(9, 8), (8, 7), (8, 7), (7, 6)][rng.integers(4)]
    return LOOSE % {"script": script, "smaller": smaller, "up": rng.uniform(4.0, 6.0), "down": rng.uniform(2.0, 4.0),
                    "over": rng.uniform(7.0, 9.5), "under": rng.uniform(7.0, 9.5), "thin": rng.uniform(2, 4),
                    "medium": rng.uniform(1.5, 5), "thick": rng.uniform(2, 7)}


def _style(hands: Hands, rng: np.random.Generator) -> Style:
    weights = np.array([0.3 if name in SCRIPT_HANDS else 1.0 for name in hands.names])
    loose = float(np.clip(np.exp(rng.normal(0, 0.4)), 0.35, 1.9))
    hand = int(rng.choice(len(weights), p=weights / weights.sum()))
    return Style(hand=hand, mixture=rng.uniform(0.1, 0.55), operators=rng.uniform(0.62, 1.05),
                 pen=float(np.clip(0.75 * np.exp(rng.normal(0, 0.22)), 0.5, 1.4)), slant=rng.normal(0.05, 0.13),
                 letters=rng.uniform(1.0, 1.35), wide=float(np.exp(rng.normal(0.08, 0.13))),
                 spread=rng.uniform(1.05, 1.45), wobble=0.035 * loose, shake=0.07 * loose,
                 slope=rng.normal(0, 0.02), wave=abs(rng.normal(0, 0.6)))


def _whole(page: Sequence[Glyph]) -> list[Glyph]:
    """The glyphs, the pieces of a tall delimiter made one."""
    result: list[Glyph] = []
    for glyph in page:
        last = result[-1] if result else None
        if (last and glyph.font == last.font == "cmex" and glyph.code in PIECES
                and PIECES.get(last.code) == PIECES[glyph.code] and abs(glyph.left - last.left) < 2
                and min(abs(glyph.top - last.bottom), abs(glyph.bottom - last.top)) < 3):
            result[-1] = replace(last, left=min(last.left, glyph.left), top=min(last.top, glyph.top),
                                 right=max(last.right, glyph.right), bottom=max(last.bottom, glyph.bottom))
        else:
            result.append(glyph)
    return result


def _name(glyph: Glyph) -> str | None:
    if glyph.font == "cmex" and glyph.code in PIECES:
        return PIECES[glyph.code]
    return character(glyph.font, glyph.code)


RULE = Shape(np.stack([np.linspace(0, 1, 9), np.full(9, 0.5)], axis=1).astype(np.float32), (9,), None, False)
UPRIGHT = Shape(RULE.points[:, ::-1].copy(), (9,), None, False)


def _shapes(glyphs: Sequence[Glyph], hands: Hands, style: Style, rng: np.random.Generator) -> list[Shape] | None:
    """The shape of each glyph; None where one has none. A hand mostly writes a character the same way again."""
    habit: dict[str, Shape] = {}
    shapes = []
    for glyph in glyphs:
        if glyph.font == "rule":
            shapes.append(RULE if glyph.right - glyph.left >= glyph.bottom - glyph.top else UPRIGHT)
            continue
        name = _name(glyph)
        if name is None:
            return None
        if name not in habit or rng.random() < 0.1:
            chosen = _choose(name, hands, style, rng)
            if chosen is None:
                return None
            habit[name] = chosen
        shapes.append(habit[name])
    return shapes


def _choose(name: str, hands: Hands, style: Style, rng: np.random.Generator) -> Shape | None:
    if name.startswith("bb "):
        plain = _choose(name[3:], hands, style, rng)
        return plain and doubled(plain)
    if name.startswith("cal "):
        script = [hand[name[4:]] for label, hand in zip(hands.names, hands.hands, strict=True)
                  if label in SCRIPT_HANDS and name[4:] in hand]
        return script[rng.integers(len(script))] if script else None
    own = hands.own.get(name, ())
    favourite = hands.hands[style.hand].get(name)
    dice = rng.random()
    if own and dice < style.mixture:
        return own[rng.integers(len(own))]
    if favourite and dice > 1.4 * style.mixture:
        return favourite
    others = [hand[name] for hand in hands.hands if name in hand]
    choices = [*others, *own]
    return choices[rng.integers(len(choices))] if choices else None


def _ink(glyphs: Sequence[Glyph], shapes: Sequence[Shape], style: Style, rng: np.random.Generator
         ) -> tuple[np.ndarray, np.ndarray]:
    """The points of all strokes in points of TeX, (n, 2), and the number of the glyph that each belongs to."""
    count = len(glyphs)
    middle, size, turn = _places(glyphs, shapes, style, rng)
    owners = np.repeat(np.arange(count), [len(shape.points) for shape in shapes])
    unit = np.concatenate([shape.points for shape in shapes]) - 0.5
    strokes = [np.full(b - a, 1) for shape in shapes for a, b in zip((0, *shape.ends), shape.ends, strict=False)]
    stroke = np.repeat(np.arange(len(strokes)), [len(s) for s in strokes])
    unit = unit * np.exp(rng.normal(0, 0.6 * style.shake, (len(strokes), 2)))[stroke]
    ink = unit * size[owners]
    reach = np.clip(np.sqrt(size.prod(axis=1)), 2.0, 11.0)[:, None]
    calm = np.array([CALM if _name(glyph) in DELIMITERS else 1.0 for glyph in glyphs])[:, None]
    ink += rng.normal(0, 0.25 * style.shake, (len(strokes), 2))[stroke] * reach[owners]
    for frequency in (0.55, 1.2):
        way = rng.normal(0, frequency, (count, 2, 2))
        phase = rng.uniform(0, 2 * np.pi, (count, 2))
        angle = 2 * np.pi * np.einsum("nij,nj->ni", way[owners], unit) + phase[owners]
        ink += style.wobble / frequency * (reach * calm)[owners] * np.sin(angle)
    turned = np.stack([ink[:, 0] - turn[owners] * ink[:, 1] - style.slant * ink[:, 1],
                       ink[:, 1] + turn[owners] * ink[:, 0]], axis=1)
    place = turned + middle[owners]
    length = rng.uniform(30, 150)
    drift = style.slope * place[:, 0] + style.wave * np.sin(2 * np.pi * place[:, 0] / length + rng.uniform(0, 6))
    return place + np.stack([np.zeros_like(drift), drift], axis=1), owners


def _places(glyphs: Sequence[Glyph], shapes: Sequence[Shape], style: Style, rng: np.random.Generator
            ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Middle (n, 2) and size (n, 2) of each glyph in points, and its turn in radians."""
    boxes = np.array([(g.left, g.top, g.right, g.bottom) for g in glyphs])
    rule = np.array([g.font == "rule" for g in glyphs])
    root = np.array([_name(g) == "√" for g in glyphs])
    letter = np.array([shape.letter for shape in shapes])
    aspect = np.array([shape.aspect or 0 for shape in shapes])
    high, wide = boxes[:, 3] - boxes[:, 1], boxes[:, 2] - boxes[:, 0]
    wide = np.where((wide < 0.01) & ~rule, 0.83 * high, wide)
    boxes[:, 2] = np.where(rule, boxes[:, 2], boxes[:, 0] + wide)
    size = np.stack([wide, high], axis=1)
    growth = np.where(letter & (high < 4.6), style.letters, 1.0) * np.exp(rng.normal(0, style.shake, len(glyphs)))
    own = np.exp(rng.normal(0, 1.5 * style.shake, len(glyphs)))
    natural = np.where(aspect > 0, np.minimum(aspect * high * style.wide, 1.1 * wide), 0.88 * wide * style.wide)
    size[:, 0] = np.where(letter, natural * growth * own, wide)
    size[:, 1] = np.where(letter, high * growth, high)
    signs = ~letter & ~rule & ~root
    size[signs] *= np.exp(rng.normal(0, 1.2 * style.shake, (int(signs.sum()), 2)))
    size[np.array([_name(g) in OPERATORS for g in glyphs])] *= style.operators
    size[np.array([_name(g) in ("∫", "∮") for g in glyphs], bool), 0] *= rng.uniform(1.0, 1.7)
    middle = np.stack([style.spread * (boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2], axis=1)
    middle[:, 1] -= np.where(letter, (size[:, 1] - high) / 2, 0)
    accent = np.array([_name(g) in ACCENTS for g in glyphs])
    middle[:, 1] -= np.where(accent, 4.3 * (style.letters - 1) + 0.5, 0)
    stretched = rule | root
    size[stretched, 0] *= style.spread
    middle += rng.normal(0, 6 * style.shake, (len(glyphs), 2)) * np.where(stretched, 0.25, 1.0)[:, None]
    turn = rng.normal(0, 0.9 * style.shake, len(glyphs)) * np.where(stretched | (wide > 12), 0.15, 1.0)
    _bars(boxes, rule, root, middle, size, style, rng)
    return middle, size, turn


def _bars(boxes: np.ndarray, rule: np.ndarray, root: np.ndarray, middle: np.ndarray, size: np.ndarray, style: Style,
          rng: np.random.Generator) -> None:
    """Bars of fractions longer or shorter than TeX's, in place; those of roots begin where the root's sign ends."""
    for i in np.flatnonzero(rule):
        joined = [r for r in np.flatnonzero(root)
                  if abs(boxes[r, 2] - boxes[i, 0]) < 0.5 and abs(boxes[r, 1] - boxes[i, 1]) < 0.5]
        if joined:
            r = joined[0]
            start = middle[r] + (size[r, 0] / 2, -size[r, 1] / 2)
            end = style.spread * boxes[i, 2] + rng.normal(1.0, 1.5)
            middle[i] = ((start[0] + end) / 2, start[1] + rng.normal(0, 0.2))
            size[i, 0] = max(end - start[0], 1.0)
        elif size[i, 0] > size[i, 1]:
            size[i, 0] = max(2.0, size[i, 0] * float(np.exp(rng.normal(0.04, 0.08))) + rng.normal(1.0, 1.5))


def _draw(points: np.ndarray, owners: np.ndarray, glyphs: Sequence[Glyph], shapes: Sequence[Shape], style: Style,
          dpi: int) -> Drawing | None:
    from PIL import Image, ImageDraw

    margin = 2.0
    points = points - points.min(axis=0) + margin
    scale = dpi / 72.27
    width, height = np.ceil((points.max(axis=0) + margin) * scale).astype(int).tolist()
    if max(width, height) > LONGEST_SIDE:
        return None
    canvas = Image.new("L", (width * SMOOTH, height * SMOOTH), 255)
    pencil = ImageDraw.Draw(canvas)
    thick = max(2.0, style.pen * scale * SMOOTH)
    radius = thick / 2
    pixels = points * (scale * SMOOTH)
    round_at = _corners(pixels)
    start = 0
    for end in itertools.accumulate(b - a for shape in shapes for a, b in itertools.pairwise((0, *shape.ends))):
        line = pixels[start:end]
        spot = radius if len(line) > 1 else 1.25 * radius
        if len(line) > 1:
            pencil.line(line.ravel().tolist(), fill=0, width=round(thick))
        round_at[[start, end - 1]] = True
        for x, y in line[round_at[start:end]].tolist():
            pencil.ellipse((x - spot, y - spot, x + spot, y + spot), fill=0)
        start = end
    firsts = np.searchsorted(owners, np.arange(len(glyphs)))
    low, top = np.minimum.reduceat(points, firsts), np.maximum.reduceat(points, firsts)
    boxes = np.round(np.concatenate([low, top], axis=1), 3).tolist()
    placed = [Glyph(glyph.font, glyph.code, *box) for glyph, box in zip(glyphs, boxes, strict=True)]
    return Drawing(canvas.reduce(SMOOTH), placed)


def _corners(points: np.ndarray) -> np.ndarray:
    """Where a line turns by more than some 15 degrees, so that the pen's roundness shows."""
    found = np.zeros(len(points), dtype=bool)
    steps = np.diff(points, axis=0)
    before, after = steps[:-1], steps[1:]
    found[1:-1] = (before * after).sum(axis=1) < 0.965 * np.hypot(*before.T) * np.hypot(*after.T)
    return found
