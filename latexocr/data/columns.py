"""What follows the `?` of a SPEC: which columns hold picture, formula and subset; how ink is drawn.

Columns that are not named are guessed from the usual names.

Takes names, gives names. Knows nothing of files or formats.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, fields

from latexocr.errors import UserError

IMAGES = ("image", "file_name", "img_name", "image_path", "image_filename", "filename", "img", "picture")
TEXTS = ("latex", "text", "formula", "latex_formula", "equation", "latex_label", "label", "ground_truth", "gt",
         "caption")
SUBSETS = ("subset", "split")
"""What data sets call these columns; the first that is there is taken."""
MEANT = {"image": "picture", "text": "formula", "subset": "subset"}


@dataclass(frozen=True)
class Columns:
    """What a SPEC says after its `?`; an empty name is to be guessed."""

    image: str = ""
    text: str = ""
    subset: str = ""
    """What a set is divided by: a document, a writer. Of InkML, `writer` is known, which each file names."""
    pens: str = ""
    """For ink: the seed of its pens, slants and pressures. Without one, all ink is drawn with the plain pen."""

    @property
    def images(self) -> tuple[str, ...]:
        """Names under which the picture may stand, the likeliest first."""
        return (self.image,) if self.image else IMAGES

    @property
    def texts(self) -> tuple[str, ...]:
        """Names under which the formula may stand, the likeliest first."""
        return (self.text,) if self.text else TEXTS

    @property
    def subsets(self) -> tuple[str, ...]:
        """Names under which the subset may stand."""
        return (self.subset,) if self.subset else SUBSETS


GUESSED = Columns()
EXPECTED = "?image=COLUMN&text=COLUMN&subset=COLUMN, or ?pens=NUMBER for ink"


def parse_columns(query: str, spec: str) -> Columns:
    """The columns of `image=NAME&text=NAME&subset=NAME`. Raises UserError on anything else."""
    known = {field.name for field in fields(Columns)}
    pairs = [part.partition("=") for part in query.split("&") if part]
    for key, _, name in pairs:
        if key not in known or not name:
            raise UserError(f"{spec}: '{key}' after the '?' is no column to name. Expected {EXPECTED}.")
    columns = Columns(**{key: name for key, _, name in pairs})
    if not re.fullmatch("[0-9]{0,18}", columns.pens):
        raise UserError(f"{spec}: found pens={columns.pens}, expected a number, the seed of the pens that draw ink.")
    return columns


def unknown(kind: str, names: Iterable[str], found: Iterable[str], where: object) -> UserError:
    """What to say where a column is not there; `kind` is a field of Columns."""
    return UserError(f"{where}: no column '{' or '.join(names)}' (found: {', '.join(found) or 'nothing'}). "
                     f"Name the one that holds the {MEANT[kind]}: ?{kind}=COLUMN "
                     "at the end of the SPEC.")
