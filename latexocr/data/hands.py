"""Formulas written by synthetic hands: TeX says what stands where, a hand writes each character there in strokes.

Takes formulas and hands (`latexocr.data.strokes`), gives drawings as `latexocr.data.typeset` does, None where TeX does
not accept a formula or no hand can write it. Knows nothing of models.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from latexocr.data import motion
from latexocr.data.glyphs import name, whole
from latexocr.data.places import places
from latexocr.data.strokes import SCRIPT_HANDS, Hands, Shape, doubled
from latexocr.data.typeset import Drawing
from latexocr.tex import run
from latexocr.tex.dvi import Glyph

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


PEN = 0.85
"""Usual width of a line, in points: that of a ballpoint pen, 0.5 mm or so, beside small letters of some 3 mm."""
DELIMITERS, CALM = frozenset("()[]{}|‖⟨⟩⌊⌋⌈⌉=<>−-"), 0.4
"""What would be read as another of its kind when it wobbles as much as letters do, and how much less it does."""


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
    uneven: float
    """Deviation of that width along the line, of the logarithm."""
    wobble: float
    shake: float
    """Deviations of size, place and turn from one character to the next."""
    loose: float
    """How far strokes run over or fall short, in sizes of a character."""
    sizes: float
    """Deviation of size from one letter of the alphabet to the next, the same wherever it stands."""
    joins: float
    """Share of the strokes of a character that begin without lifting the pen."""
    passes: int
    """How round corners are: passes of smoothing."""
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
    glyphs = whole(page)
    if not glyphs or len(glyphs) > MOST_GLYPHS:
        return None
    style = _style(hands, rng)
    shapes = _shapes(glyphs, hands, style, rng)
    if shapes is None:
        return None
    points, ends, owners = _ink(glyphs, shapes, style, rng)
    return _draw(points, ends, owners, glyphs, style, dpi)


def _layout(rng: np.random.Generator) -> str:
    script, smaller = [(9, 8), (8, 7), (8, 7), (7, 6), (7, 5), (6, 5)][rng.integers(6)]
    return LOOSE % {"script": script, "smaller": smaller, "up": rng.uniform(4.0, 6.0), "down": rng.uniform(2.0, 4.0),
                    "over": rng.uniform(7.0, 10.5), "under": rng.uniform(7.0, 10.5), "thin": rng.uniform(2, 4),
                    "medium": rng.uniform(1.5, 5), "thick": rng.uniform(2, 7)}


def _style(hands: Hands, rng: np.random.Generator) -> Style:
    weights = np.array([0.3 if name in SCRIPT_HANDS else 1.0 for name in hands.names])
    loose = float(np.clip(np.exp(rng.normal(0, 0.4)), 0.35, 1.9))
    hand = int(rng.choice(len(weights), p=weights / weights.sum()))
    return Style(hand=hand, mixture=rng.uniform(0.1, 0.55), operators=rng.uniform(0.62, 1.15),
                 pen=float(np.clip(PEN * np.exp(rng.normal(0, 0.24)), 0.5, 1.6)), slant=rng.normal(0.06, 0.16),
                 letters=rng.uniform(0.95, 1.35), wide=float(np.exp(rng.normal(0.1, 0.16))),
                 spread=rng.uniform(1.0, 1.35), uneven=rng.uniform(0.05, 0.35), wobble=0.03 * loose,
                 shake=0.08 * loose, loose=0.045 * loose, sizes=rng.uniform(0, 0.14),
                 joins=max(0.0, rng.uniform(-0.25, 0.35)), passes=int(rng.integers(4)), slope=rng.normal(0, 0.03),
                 wave=abs(rng.normal(0, 0.6)))


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
        sign = name(glyph)
        if sign is None:
            return None
        if sign not in habit or rng.random() < 0.1:
            chosen = _choose(sign, hands, style, rng)
            if chosen is None:
                return None
            habit[sign] = motion.joined(chosen, style.joins, rng)
        shapes.append(habit[sign])
    return shapes


def _choose(sign: str, hands: Hands, style: Style, rng: np.random.Generator) -> Shape | None:
    if sign.startswith("bb "):
        plain = _choose(sign[3:], hands, style, rng)
        return plain and doubled(plain)
    if sign.startswith("cal "):
        script = [hand[sign[4:]] for label, hand in zip(hands.names, hands.hands, strict=True)
                  if label in SCRIPT_HANDS and sign[4:] in hand]
        return script[rng.integers(len(script))] if script else None
    own = hands.own.get(sign, ())
    favourite = hands.hands[style.hand].get(sign)
    dice = rng.random()
    if own and dice < style.mixture:
        return own[rng.integers(len(own))]
    if favourite and dice > 1.4 * style.mixture:
        return favourite
    others = [hand[sign] for hand in hands.hands if sign in hand]
    choices = [*others, *own]
    return choices[rng.integers(len(choices))] if choices else None


def _ink(glyphs: Sequence[Glyph], shapes: Sequence[Shape], style: Style, rng: np.random.Generator
         ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The points of all strokes in points of TeX, (n, 2); where each stroke ends; the glyph that each belongs to."""
    where = places(glyphs, shapes, style, rng)
    size, turn = where.size, where.turn
    ends = motion.strokes_of(shapes)
    written_by = np.repeat(np.arange(len(glyphs)), [len(shape.ends) for shape in shapes])
    stroke = np.repeat(np.arange(len(ends)), np.diff(ends, prepend=0))
    owners = written_by[stroke]
    calm = np.array([CALM if name(glyph) in DELIMITERS else 1.0 for glyph in glyphs])
    reach = np.clip(np.sqrt(size.prod(axis=1)), 2.0, 11.0)
    unit = np.concatenate([shape.points for shape in shapes]) - 0.5
    unit = unit * np.exp(rng.normal(0, 0.6 * style.shake, (len(ends), 2)))[stroke]
    ink = unit * size[owners] + rng.normal(0, 0.25 * style.shake, (len(ends), 2))[stroke] * reach[owners][:, None]
    ink = motion.wobbled(ink, unit, owners, style.wobble * reach * calm, rng)
    ink = motion.loosened(ink, ends, style.loose * (reach * calm)[written_by], rng)
    lean = style.slant + rng.normal(0, 0.7 * style.shake, len(glyphs)) * calm
    place = where.middle[owners] + np.stack([ink[:, 0] - (turn + lean)[owners] * ink[:, 1],
                                             ink[:, 1] + turn[owners] * ink[:, 0]], axis=1)
    for root, bar in where.roots:
        here = np.flatnonzero(owners == bar)
        gap = place[np.flatnonzero(owners == root)[-1]] - place[here[0]]
        place[here] += gap * np.linspace(1, 0, len(here))[:, None]
    length = rng.uniform(30, 150)
    place[:, 1] += (style.slope * place[:, 0]
                    + style.wave * np.sin(2 * np.pi * place[:, 0] / length + rng.uniform(0, 6)))
    place, ends = motion.rounded(motion.smoothed(place, ends, style.passes), ends)
    return place, ends, np.repeat(written_by, np.diff(ends, prepend=0))


def _draw(points: np.ndarray, ends: np.ndarray, owners: np.ndarray, glyphs: Sequence[Glyph], style: Style, dpi: int
          ) -> Drawing | None:
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
    for start, end in itertools.pairwise((0, *ends.tolist())):
        line = pixels[start:end]
        spot = radius if len(line) > 1 else 1.25 * radius
        if len(line) > 1:
            pencil.line(line.ravel().tolist(), fill=0, width=round(thick))
        round_at[[start, end - 1]] = True
        for x, y in line[round_at[start:end]].tolist():
            pencil.ellipse((x - spot, y - spot, x + spot, y + spot), fill=0)
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
