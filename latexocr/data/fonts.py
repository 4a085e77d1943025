"""The fonts that mathematics is set in: some seventy sets, by name, each with its family and how often it is drawn.

Gives the lines of the preamble that choose a set, and which sets this machine can draw. Knows nothing of drawing.
Every set draws through plain `latex` and `dvipng`, from Type 1 files. On Debian: texlive-fonts-recommended, lmodern,
texlive-plain-generic, and for most of the sets texlive-fonts-extra.
"""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
from dataclasses import dataclass


@dataclass(frozen=True)
class FontSet:
    """One choice of fonts for letters, digits and symbols."""

    family: str
    """What the letters descend from, in lower case: sets of one family look alike."""
    share: float
    """How often it is drawn in training, relative to the others. 0 for all sets of some families, so that validation
    shows what a family never seen does."""
    preamble: str

    @property
    def files(self) -> frozenset[str]:
        """Files of TeX that it cannot do without."""
        packages = {name for group in re.findall(r"\\usepackage(?:\[[^]]*\])?\{([^}]*)\}", self.preamble)
                    for name in group.split(",")}
        families = re.findall(r"\\rmdefault\}?\{(\w+)\}", self.preamble)
        return frozenset({f"{name}.sty" for name in packages} | {f"t1{name}.fd" for name in families} |
                         ({"binhex.tex"} if "newtxmath" in packages else set()))


NORM = r"\DeclareSymbolFont{norm}{OMS}{cmsy}{m}{n}" + "".join(
    rf"\DeclareMathDelimiter{{\{name}}}{{\math{kind}}}{{norm}}{{107}}{{largesymbols}}{{13}}"
    for name, kind in (("Vert", "ord"), ("lVert", "open"), ("rVert", "close"))) + r"\let\|\Vert"
"""Where the fonts lack the sign of a norm: that of Computer Modern."""
SANS = r"\renewcommand\sfdefault{lmss}"


def _letters(choice: str, *, greek: str = "") -> str:
    """Letters and digits of the text font that `choice` chooses, all else of Latin Modern."""
    return rf"\usepackage{{lmodern}}\usepackage[T1]{{fontenc}}{choice}\usepackage[italic{greek}]{{mathastext}}"


def _newtx(text: str, option: str) -> str:
    return rf"\usepackage{{lmodern}}\usepackage[T1]{{fontenc}}{text}{SANS}\usepackage[{option}]{{newtxmath}}"


def _roman(name: str) -> str:
    return rf"\renewcommand\rmdefault{{{name}}}"


EULER, SYMBOL = ",eulergreek", ",symbolgreek"
FONTS = {
    "cm": FontSet("computer modern", 35, ""),
    "lm": FontSet("computer modern", 3, r"\usepackage{lmodern}"),
    "mlmodern": FontSet("computer modern", 3, r"\usepackage{mlmodern}\usepackage[cal=dutchcal,bb=dsserif]{mathalpha}"),
    "cmupint": FontSet("computer modern", 2, r"\usepackage[nolimits]{cmupint}"
                       r"\usepackage[cal=boondoxo,bb=boondox,frak=boondox]{mathalpha}"),
    "cmbright": FontSet("computer modern sans", 1.5, r"\usepackage{cmbright}"),
    "lxfonts": FontSet("computer modern sans", 1, r"\usepackage{lxfonts}"),
    "times": FontSet("times", 4, r"\usepackage{mathptmx}"),
    "tx": FontSet("times", 4, r"\usepackage{txfonts}"),
    "stix2": FontSet("times", 3, _newtx(r"\usepackage{stickstootext}", "stix2")),
    "artemisia": FontSet("artemisia", 1, r"\usepackage{gfsartemisia}"),
    "palatino": FontSet("palatino", 0, r"\usepackage{mathpazo}"),
    "px": FontSet("palatino", 0, r"\usepackage{pxfonts}"),
    "newpx": FontSet("palatino", 0, r"\usepackage{lmodern}\usepackage{newpxtext}" + SANS + r"\usepackage{newpxmath}"),
    "kp": FontSet("palatino", 0, r"\usepackage{kpfonts}"),
    "mathdesign-charter": FontSet("charter", 0, r"\usepackage{lmodern}\usepackage[charter]{mathdesign}"),
    "xcharter": FontSet("charter", 0, _newtx(r"\usepackage{XCharter}", "xcharter")),
    "euler": FontSet("euler", 1.5, r"\usepackage{euler}"),
    "fourier": FontSet("utopia", 2, r"\usepackage{lmodern}\usepackage{fourier}"),
    "mathdesign-utopia": FontSet("utopia", 1, r"\usepackage{lmodern}\usepackage[utopia]{mathdesign}"),
    "erewhon": FontSet("utopia", 1, _newtx(r"\usepackage{erewhon}", "utopia")),
    "venturis": FontSet("venturis", 0.5, _letters(r"\usepackage{venturis2}")),
    "ebgaramond": FontSet("garamond", 1.5, _newtx(r"\usepackage[lining]{ebgaramond}", "ebgaramond")),
    "cormorant": FontSet("garamond", 0.7, _letters(r"\usepackage{CormorantGaramond}")),
    "accanthis": FontSet("garamond", 0.5, _letters(r"\usepackage{accanthis}", greek=EULER)),
    "bembo": FontSet("bembo", 0.7, _letters(r"\usepackage{fbb}")),
    "libertinus": FontSet("libertine", 2, r"\usepackage{libertinus-type1,libertinust1math}"),
    "libertine": FontSet("libertine", 1, _newtx(r"\usepackage{libertine}", "libertine")),
    "baskervaldx": FontSet("baskerville", 1, _newtx(r"\usepackage{Baskervaldx}", "baskervaldx")),
    "baskervillef": FontSet("baskerville", 1, _newtx(r"\usepackage{baskervillef}", "baskerville")),
    "librebaskerville": FontSet("baskerville", 0.7, _letters(r"\usepackage{librebaskerville}")),
    "cochineal": FontSet("crimson", 1, _newtx(r"\usepackage{cochineal}", "cochineal")),
    "scholax": FontSet("century", 1, _newtx(r"\usepackage{scholax}", "nc")),
    "fouriernc": FontSet("century", 1, r"\usepackage{lmodern}\usepackage{fouriernc}"),
    "librecaslon": FontSet("caslon", 0.7, _letters(r"\usepackage{librecaslon}")),
    "oldstandard": FontSet("modern", 0.7, _letters(r"\usepackage{OldStandard}")),
    "playfair": FontSet("modern", 0.7, _letters(r"\usepackage{PlayfairDisplay}")),
    "anttor": FontSet("antykwa torunska", 1, r"\usepackage[math]{anttor}"),
    "antpolt": FontSet("antykwa poltawskiego", 0.7, _letters(r"\usepackage{antpolt}")),
    "iwona": FontSet("iwona", 1, r"\usepackage[math]{iwona}" + NORM),
    "kurier": FontSet("iwona", 1, r"\usepackage[math]{kurier}" + NORM),
    "arev": FontSet("vera", 1, r"\usepackage{arev}"),
    "dejavu-serif": FontSet("vera", 0.7, _letters(r"\usepackage{DejaVuSerif}")),
    "helvetica": FontSet("helvetica", 1, _letters(_roman("phv"), greek=EULER)),
    "atkinson": FontSet("grotesque", 0.5, _letters(r"\usepackage[sfdefault]{atkinson}")),
    "avantgarde": FontSet("geometric", 0.7, _letters(_roman("pag"), greek=EULER)),
    "josefin": FontSet("geometric", 0.4, _letters(r"\usepackage[default]{josefin}")),
    "montserrat": FontSet("geometric", 0.5, _letters(r"\usepackage[defaultfam]{montserrat}")),
    "raleway": FontSet("geometric", 0.4, _letters(r"\usepackage[default]{raleway}", greek=EULER)),
    "newtxsf": FontSet("grotesque", 1, r"\usepackage{lmodern}\usepackage[T1]{fontenc}"
                       r"\usepackage[sfdefault,lf]{FiraSans}\usepackage{newtxsf}"),
    "lato": FontSet("humanist sans", 0.7, _letters(r"\usepackage[default]{lato}")),
    "gillius": FontSet("gill", 0.5, _letters(r"\usepackage[default]{gillius}")),
    "alegreya-sans": FontSet("humanist sans", 0.7, _letters(r"\usepackage[sfdefault]{AlegreyaSans}")),
    "carlito": FontSet("humanist sans", 0.7, _letters(r"\usepackage[sfdefault,lf]{carlito}")),
    "noto-sans": FontSet("humanist sans", 1, r"\usepackage{lmodern}\usepackage[sfdefault]{notomath}"),
    "noto": FontSet("noto", 1, r"\usepackage{lmodern}\usepackage{notomath}"),
    "caladea": FontSet("cambria", 1.5, _letters(r"\usepackage{caladea}")),
    "alegreya": FontSet("alegreya", 0.7, _letters(r"\usepackage[lining]{Alegreya}")),
    "clara": FontSet("clara", 0.5, _letters(r"\usepackage{clara}")),
    "coelacanth": FontSet("centaur", 0.4, _letters(r"\usepackage{coelacanth}", greek=EULER)),
    "gentium": FontSet("gentium", 0.7, _letters(r"\usepackage{gentium}\usepackage[cal=esstix,bb=esstix,frak=esstix]"
                       r"{mathalpha}")),
    "merriweather": FontSet("merriweather", 0.7, _letters(r"\usepackage{merriweather}")),
    "plex-serif": FontSet("plex", 0.7, _letters(r"\usepackage{plex-serif}")),
    "plex-mono": FontSet("plex", 0.3, _letters(r"\usepackage{plex-mono}\renewcommand\familydefault{\ttdefault}")),
    "pt-serif": FontSet("pt", 0.7, _letters(r"\usepackage{paratype}")),
    "quattrocento": FontSet("quattrocento", 0.7, _letters(r"\usepackage{quattrocento}")),
    "source-serif": FontSet("source", 0.7, _letters(r"\usepackage{sourceserifpro}")),
    "spectral": FontSet("spectral", 0.7, _letters(r"\usepackage{spectral}")),
    "bookman": FontSet("bookman", 0.7, _letters(_roman("pbk"), greek=SYMBOL)),
    "arvo": FontSet("slab", 0.5, _letters(r"\usepackage{Arvo}")),
    "bitter": FontSet("slab", 0.7, _letters(r"\usepackage{bitter}")),
    "courier": FontSet("courier", 0.5, _letters(_roman("pcr"))),
    "almendra": FontSet("calligraphic", 0.3, _letters(r"\usepackage{almendra}")),
    "comic": FontSet("handwriting", 0.7, _letters(r"\usepackage{comicneue}" + _roman("ComicNeue-TLF"), greek=EULER)),
}
"""Font sets by name. `cm` is what TeX does without a word; the others tell themselves apart by their letters."""


@functools.cache
def available_fonts() -> tuple[str, ...]:
    """Names of the sets whose packages this machine has, in the order of `FONTS`; `cm` always."""
    program = shutil.which("kpsewhich")
    wanted = sorted({file for fonts in FONTS.values() for file in fonts.files})
    output = subprocess.run([program, *wanted], capture_output=True, text=True).stdout if program else ""
    found = {line.rsplit("/", 1)[-1].lower() for line in output.splitlines()}
    return tuple(name for name, fonts in FONTS.items() if all(file.lower() in found for file in fonts.files))
