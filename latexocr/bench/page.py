"""What the pages are made of: the template environment, a script and its hash, a formula as MathML, a picture as text.

Takes records and strings, gives strings that are safe inside HTML. Knows nothing of runs or scores.
"""

from __future__ import annotations

import base64
import html
import io
import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latexocr.errors import UserError
from latexocr.latex.canonical import Level, canonical
from latexocr.records import Distant
from latexocr.wording import counted

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from markupsafe import Markup
    from PIL.Image import Image

WIDEST, HIGHEST = 900, 420
"""Pixels of an embedded picture; larger ones are shrunk, so that a page of thousands stays a few megabytes."""
LONGEST_SHOWN = 10_000
"""Characters of a formula that is drawn; one of a million would take a minute."""

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


@dataclass(frozen=True)
class Script:
    """A script to stand inside a page, and the name by which the page's policy lets it run, and no other."""

    text: Markup
    source: str


def script(name: str) -> Script:
    """A script beside this file."""
    from markupsafe import Markup

    text = (Path(__file__).parent / name).read_text(encoding="utf-8")
    return Script(Markup(text), f"'sha256-{base64.b64encode(sha256(text.encode()).digest()).decode()}'")


def render(template: str, **values: Any) -> str:
    """A page from one of the templates beside this file: text is escaped, an undefined name is an error."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )
    values |= {"mathml": mathml, "picture": picture, "counted": counted, "script": script}
    return environment.get_template(template).render(**values)


def mathml(latex: str) -> Markup | None:
    """The formula as MathML that holds nothing but mathematics; None where it cannot be shown, also not in part."""
    from latex2mathml.converter import convert_to_element
    from markupsafe import Markup

    if not latex.strip() or len(latex) > LONGEST_SHOWN:
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


def picture(image: Path | Image | Distant) -> str | None:
    """A data URI of the picture, shrunk to at most WIDEST x HIGHEST; None where it cannot be opened."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        image = image.fetch() if isinstance(image, Distant) else image
        opened = Image.open(image) if isinstance(image, Path) else image
        shown = ImageOps.exif_transpose(opened).convert("RGBA")
    except (UserError, OSError, UnidentifiedImageError, ValueError, Image.DecompressionBombError):
        return None
    flat = Image.new("RGB", shown.size, "white")
    flat.paste(shown, mask=shown.getchannel("A"))
    flat.thumbnail((WIDEST, HIGHEST), Image.Resampling.LANCZOS)
    red, green, blue = flat.split()
    plain = red if red.tobytes() == green.tobytes() == blue.tobytes() else flat
    # Ink on plain paper is smallest without loss, a photograph with it: 587 bytes a picture of CROHME 2014 (PNG: 942).
    drawn = min(_webp(plain, lossless=True, quality=50), _webp(plain, quality=60, method=2), key=len)
    return "data:image/webp;base64," + base64.b64encode(drawn).decode()


def _webp(image: Image, **settings: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", **settings)
    return buffer.getvalue()
