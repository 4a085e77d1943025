"""Which column of a table holds the picture and which the formula: named in the SPEC, or guessed from the usual names.

Takes names, gives names. Knows nothing of files or formats.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

from latexocr.errors import UserError

IMAGES = ("image", "file_name", "img_name", "image_path", "image_filename", "filename", "img", "picture")
TEXTS = ("latex", "text", "formula", "latex_formula", "equation", "latex_label", "label", "ground_truth", "gt",
         "caption")
"""What data sets call the two columns; the first that is there is taken."""


@dataclass(frozen=True)
class Columns:
    """The columns that a SPEC names after its `?`; an empty name is to be guessed."""

    image: str = ""
    text: str = ""

    @property
    def images(self) -> tuple[str, ...]:
        """Names under which the picture may stand, the likeliest first."""
        return (self.image,) if self.image else IMAGES

    @property
    def texts(self) -> tuple[str, ...]:
        """Names under which the formula may stand, the likeliest first."""
        return (self.text,) if self.text else TEXTS


GUESSED = Columns()


def parse_columns(query: str, spec: str) -> Columns:
    """The columns of `image=NAME&text=NAME`. Raises UserError on anything else."""
    known = {field.name for field in fields(Columns)}
    pairs = [part.partition("=") for part in query.split("&") if part]
    for key, _, name in pairs:
        if key not in known or not name:
            raise UserError(f"{spec}: '{key}' after the '?' is no column to name. Expected ?image=COLUMN&text=COLUMN.")
    return Columns(**{key: name for key, _, name in pairs})


def unknown(kind: str, names: Iterable[str], found: Iterable[str], where: object) -> UserError:
    """What to say where the column of the picture or of the formula (`kind`: "image" or "text") is not there."""
    return UserError(f"{where}: no column '{' or '.join(names)}' (found: {', '.join(found) or 'nothing'}). "
                     f"Name the one that holds the {'picture' if kind == 'image' else 'formula'}: ?{kind}=COLUMN "
                     "at the end of the SPEC.")
