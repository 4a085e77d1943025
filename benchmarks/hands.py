"""Builds the strokes of synthetic hands from free handwriting fonts: `python benchmarks/hands.py OUT.npz [FOLDER]`.

Fetches the packages below from the npm registry into FOLDER (default: a folder of its own under the temporary ones),
thins every letter of a font to the line that a pen would follow, and writes one file that `latexocr.data.hands` reads.
Needs npm, node, scikit-image, fonttools, brotli. Nothing fetched is kept in the repository. Licences: the fonts of
`FONTS` are under the SIL Open Font License 1.1, except those in `APACHE` (Apache 2.0); hfmath with the Hershey strokes
is under the ISC licence.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

VERSION = "5.3.0"
FONTS = ("caveat", "patrick-hand", "kalam", "indie-flower", "gochi-hand", "handlee", "architects-daughter",
         "shadows-into-light", "reenie-beanie", "schoolbell", "neucha", "short-stack", "the-girl-next-door",
         "sue-ellen-francisco", "covered-by-your-grace", "delicious-handrawn", "gloria-hallelujah", "bad-script",
         "marck-script", "cedarville-cursive", "homemade-apple", "mansalva", "playpen-sans", "zen-kurenaido",
         "annie-use-your-telescope", "beth-ellen", "caveat-brush", "chilanka", "comic-neue", "coming-soon", "cookie",
         "crafty-girls", "dancing-script", "dawning-of-a-new-day", "delius", "edu-nsw-act-foundation",
         "edu-sa-beginner", "fuzzy-bubbles", "gaegu", "gamja-flower", "give-you-glory", "hi-melody", "itim",
         "just-another-hand", "klee-one", "kristi", "la-belle-aurore", "long-cang",
         "loved-by-the-king", "mali", "mynerve", "nanum-pen-script", "nothing-you-could-do",
         "pangolin", "playwrite-de-grund", "playwrite-es", "playwrite-fr-trad", "playwrite-it-moderna",
         "playwrite-us-trad", "poor-story", "sacramento", "sedgwick-ave", "sriracha", "sunshiney", "swanky-and-moo-moo",
         "vibur", "waiting-for-the-sunrise", "yomogi", "zeyada")
"""@fontsource packages, all of `VERSION`."""
APACHE = ("schoolbell", "homemade-apple", "coming-soon", "crafty-girls", "just-another-hand", "sunshiney")
HFMATH = "hfmath@0.0.2"
LATIN = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
GREEK = "αβγδεζηθικλμνξπρστυφχψωΓΔΘΛΞΠΣΦΨΩ"
EM = 160
"""Pixels: the size at which a letter is drawn to be thinned."""
HERSHEY_GREEK = "αβγδεζηθικλμνξοπρστυφχψω"


def fetch(package: str, folder: Path) -> Path:
    """The unpacked package, fetched once."""
    target = folder / package.replace("/", "_").strip("@")
    if not target.exists():
        name = subprocess.run(["npm", "pack", "--silent", package], cwd=folder, check=True, capture_output=True,
                              text=True).stdout.split()[-1]
        target.mkdir()
        subprocess.run(["tar", "xzf", name, "-C", target], cwd=folder, check=True)
    return target / "package"


def thin(path: Path, character: str) -> list[np.ndarray]:
    """The lines along the middle of a letter of a font, in ems, y downwards."""
    from PIL import Image, ImageDraw, ImageFont
    from scipy import ndimage
    from skimage.morphology import skeletonize

    font = ImageFont.truetype(str(path), EM)
    image = Image.new("L", (3 * EM, 3 * EM))
    ImageDraw.Draw(image).text((EM, 2 * EM), character, font=font, fill=255, anchor="ls")
    ink = ndimage.gaussian_filter(np.asarray(image).astype(float), 2.0) > 110
    if not ink.any():
        return []
    width = 2 * float(np.median(ndimage.distance_transform_edt(ink)[skeletonize(ink)]))
    return [(line[:, ::-1] - (EM, 2 * EM)) / EM for line in lines(skeletonize(ink), width)]


def lines(skeleton: np.ndarray, width: float) -> list[np.ndarray]:
    """The paths of a skeleton, joined across crossings where they go straight on; spurs shorter than a pen dropped."""
    paths = trace(skeleton)
    degree: dict[tuple[int, int], int] = {}
    for path in paths:
        for end in (path[0], path[-1]):
            degree[end] = degree.get(end, 0) + 1
    kept = [p for p in paths
            if len(p) > 0.8 * width or (degree[p[0]] == 1) == (degree[p[-1]] == 1)]
    joined = join([np.array(p, dtype=float) for p in kept], reach=max(3.0, 0.7 * width))
    return [smooth(p, step=max(5.0, EM / 26)) for p in joined]


def trace(skeleton: np.ndarray) -> list[list[tuple[int, int]]]:
    """The skeleton's pixels as paths between ends and crossings, and closed loops."""
    pixels = {(int(y), int(x)) for y, x in zip(*np.nonzero(skeleton), strict=True)}

    def near(p):
        y, x = p
        straight = [q for q in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)) if q in pixels]
        slanted = [(y + a, x + b) for a in (-1, 1) for b in (-1, 1) if (y + a, x + b) in pixels
                   and (y + a, x) not in pixels and (y, x + b) not in pixels]
        return straight + slanted

    around = {p: near(p) for p in pixels}
    nodes = {p for p in pixels if len(around[p]) != 2}
    used, paths = set(), []
    for start in [*sorted(nodes), *sorted(pixels)]:
        if start not in nodes and start in used:
            continue
        for step in around[start]:
            if (start, step) in used or (start not in nodes and start in used):
                continue
            path = [start, step]
            used |= {(start, step), (step, start)}
            while path[-1] not in nodes and path[-1] != start:
                onward = [q for q in around[path[-1]] if q != path[-2]]
                if not onward:
                    break
                used |= {(path[-1], onward[0]), (onward[0], path[-1])}
                path.append(onward[0])
            if start not in nodes or any(p not in nodes for p in path) or len(path) > 2:
                used |= {p for p in path if p not in nodes}
                paths.append(path)
        if not around[start]:
            paths.append([start])
    return paths


def join(paths: list[np.ndarray], reach: float) -> list[np.ndarray]:
    """Paths whose ends meet and go on in nearly one direction made one, the straightest first."""
    while True:
        best = None
        for i, a in enumerate(paths):
            for j, b in enumerate(paths[:i]):
                for first, second in ((a, b), (a[::-1], b), (a, b[::-1]), (a[::-1], b[::-1])):
                    if np.hypot(*(first[-1] - second[0])) > reach or min(len(a), len(b)) < 4:
                        continue
                    before = first[-1] - first[-min(14, len(first))]
                    after = second[min(13, len(second) - 1)] - second[0]
                    cosine = before @ after / (np.hypot(*before) * np.hypot(*after) + 1e-9)
                    if cosine > 0.55 and (best is None or cosine > best[0]):
                        best = (cosine, i, j, np.concatenate([first, second]))
        if best is None:
            return paths
        paths = [p for k, p in enumerate(paths) if k not in best[1:3]] + [best[3]]


def smooth(path: np.ndarray, step: float) -> np.ndarray:
    """A path without the stairs of its pixels, about one point every `step` pixels."""
    from scipy import ndimage

    if len(path) < 4:
        return path[:1]
    soft = ndimage.gaussian_filter1d(path, 2.5, axis=0, mode="nearest")
    soft[0], soft[-1] = path[0], path[-1]
    along = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(soft, axis=0).T))])
    places = np.linspace(0, along[-1], max(2, round(along[-1] / step) + 1))
    return np.stack([np.interp(places, along, soft[:, k]) for k in (0, 1)], axis=1)


def hershey(folder: Path) -> dict[str, dict[str, list[np.ndarray]]]:
    """The one-line alphabets of A. V. Hershey, as hfmath carries them."""
    script = (folder / "dist" / "hfmath.mjs").read_text(encoding="utf-8")
    start = script.index("var raw = {") + len("var raw = ")
    table = script[start : script.index("};", start) + 1]
    raw = json.loads(subprocess.run(["node", "-e", f"console.log(JSON.stringify({table}))"], check=True,
                                    capture_output=True, text=True).stdout)
    simplex, script_letters = ((*range(a, a + 26), *range(a + 100, a + 126), *range(700, 710)) for a in (501, 551))
    places = {"hershey simplex": {**dict(zip(LATIN, simplex, strict=True)),
                                  **{c: 627 + i for i, c in enumerate(HERSHEY_GREEK)},
                                  **{c.upper(): 527 + i for i, c in enumerate(HERSHEY_GREEK)},
                                  "ϕ": 647, "∂": 683, "ϵ": 684, "ϑ": 685, "φ": 686},
              "hershey script": {**dict(zip(LATIN, script_letters, strict=True)),
                                 **{f"cal {c}": 551 + i for i, c in enumerate(LATIN[:26])}}}
    return {name: {c: polylines(raw[str(n)]) for c, n in table.items() if str(n) in raw}
            for name, table in places.items()}


def polylines(entry: str) -> list[np.ndarray]:
    """Hershey's text form of a character: pairs of letters are points about "R", " R" lifts the pen."""
    result: list[list[tuple[int, int]]] = [[]]
    for i in range(5, len(entry) - 1, 2):
        if entry[i : i + 2] == " R":
            result.append([])
        else:
            result[-1].append((ord(entry[i]) - 82, ord(entry[i + 1]) - 82))
    return [np.array(line, dtype=float) / 32 for line in result if line]


def font_hand(name: str, folder: Path) -> dict[str, list[np.ndarray]]:
    """The letters, digits and Greek of a font that has them."""
    from fontTools.ttLib import TTFont

    hand = {}
    for path in sorted((fetch(f"@fontsource/{name}@{VERSION}", folder) / "files").glob(f"{name}-*-400-normal.woff")):
        if path.name.split("-400")[0].rsplit("-", 1)[1] not in ("latin", "greek"):
            continue
        held = TTFont(path).getBestCmap()
        plain = Path(folder / (path.stem + ".ttf"))
        font = TTFont(path)
        font.flavor = None
        font.save(plain)
        hand |= {c: strokes for c in LATIN + GREEK if ord(c) in held and c not in hand if (strokes := thin(plain, c))}
    return hand


def main() -> None:
    out = Path(sys.argv[1])
    folder = Path(sys.argv[2] if len(sys.argv) > 2 else Path(tempfile.gettempdir()) / "latexocr-hands")
    folder.mkdir(parents=True, exist_ok=True)
    hands = hershey(fetch(HFMATH, folder))
    for name in FONTS:
        hands[name] = font_hand(name, folder)
        print(name, len(hands[name]), file=sys.stderr)
    points, sizes, strokes, names = [], [], [], []
    for hand, letters in hands.items():
        for character, shape in letters.items():
            names.append(f"{hand}\t{character}")
            strokes.append(len(shape))
            sizes += [len(line) for line in shape]
            points += shape
    np.savez_compressed(out, points=(np.concatenate(points) * 1000).round().astype(np.int16),
                        sizes=np.array(sizes, np.int16), strokes=np.array(strokes, np.int16), names=np.array(names))


if __name__ == "__main__":
    main()
