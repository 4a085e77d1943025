"""What both pages are made of: the template environment, a formula as MathML, a picture as text, a chart's coordinates.

Takes records and strings, gives strings that are safe inside HTML. Knows nothing of runs or scores.
"""

from __future__ import annotations

import base64
import html
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latexocr.latex.canonical import Level, canonical

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from markupsafe import Markup
    from PIL.Image import Image

WIDEST, HIGHEST = 900, 420
"""Pixels of an embedded picture; larger ones are shrunk, so that a page of hundreds stays a few megabytes."""

MATHML = frozenset((
    "math", "mrow", "mi", "mn", "mo", "mtext", "mspace", "mfrac", "msqrt", "mroot", "mstyle", "merror", "mpadded",
    "mphantom", "mfenced", "menclose", "msub", "msup", "msubsup", "munder", "mover", "munderover", "mmultiscripts",
    "mprescripts", "mtable", "mtr", "mlabeledtr", "mtd",
))
ATTRIBUTES = frozenset((
    "display", "displaystyle", "scriptlevel", "mathvariant", "mathsize", "mathcolor", "mathbackground", "linethickness",
    "lspace", "rspace", "stretchy", "symmetric", "fence", "separator", "form", "minsize", "maxsize", "largeop",
    "movablelimits", "accent", "accentunder", "width", "height", "depth", "voffset", "columnalign", "rowalign",
    "columnlines", "rowlines", "columnspacing", "rowspacing", "frame", "framespacing", "notation", "open", "close",
))

ENVIRONMENTS = {
    **dict.fromkeys(("aligned", "align", "align*", "alignat", "eqnarray", "eqnarray*"), "split"),
    **dict.fromkeys(("gathered", "gather", "gather*", "multline", "multline*"), "matrix"),
    "dcases": "cases",
}
"""Environments that the MathML library cannot show, or would number -> the one that looks most alike."""

LIMITS = frozenset(("lim", "max", "min", "sup", "inf", "limsup", "liminf", "argmax", "argmin", "det", "gcd", "Pr"))
"""Operators whose subscript stands below them in a displayed formula."""


def render(template: str, **values: Any) -> str:
    """A page from one of the templates beside this file: text is escaped, an undefined name is an error."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )
    return environment.get_template(template).render(mathml=mathml, picture=picture, **values)


def mathml(latex: str) -> Markup | None:
    """The formula as MathML that holds nothing but mathematics; None where it cannot be shown, also not in part."""
    from latex2mathml.converter import convert_to_element
    from markupsafe import Markup

    if not latex.strip():
        return None
    # The syntax form looks the same and has fewer spellings: no labels, no \over. The last is for rows outside any.
    plain, given = (_in_known_environments(text) for text in (canonical(latex, Level.SYNTAX), latex))
    for spelled in (plain, given, rf"\begin{{split}}{plain or given}\end{{split}}"):
        try:
            # Written here, since the library's own text has \text{<script>} as it came, and \href as a link.
            return Markup(_markup(convert_to_element(spelled, display="block")))
        except Exception:  # A prediction may be anything, and the library fails on it in many ways: show the source.
            continue
    return None


def _in_known_environments(latex: str) -> str:
    def named(match: re.Match[str]) -> str:
        return f"\\{match[1]}{{{ENVIRONMENTS.get(match[2], match[2])}}}"

    def columns(match: re.Match[str]) -> str:
        letters = re.sub(r"[^lcr]", "", re.sub(r"[@!<>*]\s*\{[^{}]*\}", "", match[1]))
        return rf"\begin{{array}}{{{letters or 'c'}}}"

    latex = re.sub(r"\\begin\s*\{array\}(?:\[\w\])?\s*\{((?:[^{}]|\{[^{}]*\})*)\}", columns, latex)
    return re.sub(r"\\(begin|end)\s*\{([a-zA-Z]+\*?)\}", named, latex)


def _markup(element: Element) -> str:
    """An element with known tags and attributes only. Raises ValueError on others, and on commands left unread."""
    if element.tag not in MATHML:
        raise ValueError(f"<{element.tag}> is not mathematics")
    text = html.unescape(element.text or "")
    if (text.startswith("\\") and text[1:2].isalpha()) or text == "&" or element.get("linebreak"):
        raise ValueError(f"{text or 'a row end'} is not understood")
    attributes = {key: value for key, value in element.attrib.items() if key in ATTRIBUTES}
    if element.tag == "math":
        attributes["xmlns"] = "http://www.w3.org/1998/Math/MathML"
    tag = "munder" if element.tag == "msub" and (element[0].text or "") in LIMITS else element.tag
    inside = html.escape(text) + "".join(_markup(child) + html.escape(child.tail or "") for child in element)
    written = "".join(f' {key}="{html.escape(value)}"' for key, value in attributes.items())
    return f"<{tag}{written}>{inside}</{tag}>"


def picture(image: Path | Image) -> str | None:
    """A data URI of the picture, shrunk to at most WIDEST x HIGHEST; None where it cannot be opened."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        opened = Image.open(image) if isinstance(image, Path) else image
        shown = ImageOps.exif_transpose(opened).convert("RGBA")
    except (OSError, UnidentifiedImageError, ValueError, Image.DecompressionBombError):
        return None
    flat = Image.new("RGB", shown.size, "white")
    flat.paste(shown, mask=shown.getchannel("A"))
    flat.thumbnail((WIDEST, HIGHEST), Image.Resampling.LANCZOS)
    red, green, blue = flat.split()
    plain = red if red.tobytes() == green.tobytes() == blue.tobytes() else flat
    buffer = io.BytesIO()
    plain.save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


@dataclass(frozen=True)
class Chart:
    """Values in 0 to 1, drawn by the template: one polyline or one set of bars for each series over the same labels."""

    title: str
    caption: str
    labels: Sequence[str]
    series: dict[str, Sequence[float]]
    kind: str
    """"curve" or "bars"."""
    top: float = 1.0
    """Value at the upper edge."""
    width: int = 340
    height: int = 180

    def x(self, i: int) -> float:
        """Horizontal centre of label `i`."""
        return 44 + (self.width - 54) * (i + 0.5) / len(self.labels)

    def y(self, value: float) -> float:
        """Vertical place of a value; the plot spans from 14 down to height - 30."""
        return 14 + (self.height - 44) * (1 - value / self.top)

    def bar(self, i: int, which: int) -> tuple[float, float]:
        """Left edge and width of the bar of series number `which` at label `i`."""
        room = (self.width - 54) / len(self.labels)
        wide = room * 0.76 / len(self.series)
        return self.x(i) - room * 0.38 + which * wide, max(1.0, wide - 1)

    def points(self, name: str) -> str:
        """The polyline of a series, as SVG writes it."""
        return " ".join(f"{self.x(i):.1f},{self.y(value):.1f}" for i, value in enumerate(self.series[name]))
