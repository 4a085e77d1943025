r"""How others count, so that a published table can be counted again from predictions and set beside ours.

Each variant states where it is from and what is wrong with it. They take the text as it is, and share nothing with our
canonical forms. Written from what the sources do, none of their code is here; where a source needs more than strings
(BPE tokens of a model, METEOR's word lists, a graph made by LgEval), that number is not offered.
"""

from __future__ import annotations

import re
from functools import lru_cache, partial

from latexocr.scoring import bleu
from latexocr.scoring.forms import KEPT, distance
from latexocr.scoring.metrics import METRICS, Counts, Metric, ratio, share


def unimernet_edit(prediction: str, reference: str) -> Counts:
    r"""UniMERNet's "Edit Dis": mean over pairs of character edits / longer, after needless spaces are taken out.

    Source: opendatalab/UniMERNet, test.py (normalize_text, score_text); paper 2404.15254.
    Fault: spelling counts as reading (`\le` for `\leq`, `\frac12`), and a long command weighs more than a digit.
    """
    return _longer(despaced(prediction), despaced(reference))


def unimernet_bleu(prediction: str, reference: str) -> Counts:
    r"""UniMERNet's BLEU, 0 to 1: corpus BLEU-4 of words as 13a cuts them, unsmoothed, after needless spaces are out.

    Source: opendatalab/UniMERNet, test.py, which calls `evaluate`'s bleu.
    Fault: 13a is made for English. `\alpha` falls into two words, `x_{i}` and `x_i` differ, and one wrong sign in a
    short formula takes every 4-gram with it.
    """
    return _words(despaced(prediction), despaced(reference))


def texify_edit(prediction: str, reference: str) -> Counts:
    r"""texify's edit distance: mean over pairs of character edits / longer, dollar signs and the like taken out.

    Source: VikParuchuri/texify, benchmark.py (normalize_text, score_text).
    Fault: spaces count, so a system that writes `x ^ 2` is wrong; `\[` is taken out wherever it stands, so `\\[2pt]`
    becomes `\2pt]`.
    """
    return _longer(unfenced(prediction), unfenced(reference))


def texify_bleu(prediction: str, reference: str) -> Counts:
    r"""texify's BLEU, 0 to 1: corpus BLEU-4 of words as 13a cuts them, unsmoothed, dollar signs and the like taken out.

    Source: VikParuchuri/texify, benchmark.py, which calls `evaluate`'s bleu.
    Fault: that of `unimernet_bleu`, and spaces decide where words end.
    """
    return _words(unfenced(prediction), unfenced(reference))


def pix2tex_edit(prediction: str, reference: str) -> Counts:
    r"""pix2tex's edit distance: mean over pairs of character edits / reference length, needless spaces taken out.

    Source: lukas-blecher/LaTeX-OCR, pix2tex/eval.py (post_process in pix2tex/utils/utils.py). Its BLEU is not offered:
    it is a mean over batches of the BLEU of each, on BPE tokens of its model.
    Fault: a run-away answer counts for many, so it can exceed 1; pairs with an empty reference are left out.
    """
    predicted, expected = despaced(prediction.strip()), despaced(reference.strip())
    return (distance(predicted, expected) / len(expected), 1.0) if expected else (0.0, 0.0)


def comer_exprate(prediction: str, reference: str, most: int = 0) -> Counts:
    r"""CoMER's ExpRate, and ICAL's and TAMER's <=1 and <=2: the token lists are equal, or as few edits apart.

    Source: Green-Wood/CoMER, comer/utils/utils.py (ExpRateRecorder); qingzhenduyu/ICAL and TAMER, eval/test.py.
    Tokens are what stands between spaces, as in the label files of CROHME and HME100K: give the text as such files
    write it. CoMER's printed table is of another kind, from symbol layout graphs made by LgEval.
    Fault: another spelling of the same formula is wrong, a missing pair of braces is two errors, and text that is not
    spaced is one token.
    """
    return float(distance(tuple(prediction.split()), tuple(reference.split())) <= most), 1.0


def mathwriting_cer(prediction: str, reference: str) -> Counts:
    r"""MathWriting's character error rate: token edits / reference tokens over the corpus.

    Source: google-research/mathwriting, mathwriting_code_examples.ipynb (tokenize_expression, compute_cer by jiwer);
    paper 2404.10690. Its labels are normalized; give predictions that are.
    Fault: a space is a token, `\dots` for `\ldots` is an error (its most frequent one), and one run-away answer can
    outweigh a thousand good ones.
    """
    predicted, expected = mathwriting_tokens(prediction), mathwriting_tokens(reference)
    return float(distance(predicted, expected)), float(len(expected))


@lru_cache(maxsize=KEPT)
def despaced(text: str) -> str:
    r"""Without white space, but between two ASCII letters and after a backslash; beside other letters it stays.

    In the braces of \operatorname, \mathrm, \text and \mathbf, where a space stands before them, no space stays at all.
    """
    return _SPACE.sub(_kept_space, _NAMED.sub(lambda named: named[0].replace(" ", ""), text))


_NAMED = re.compile(r"\\(?:operatorname|mathrm|text|mathbf)\s?\*? \{.*?\}")
_SPACE = re.compile(r"\s+")


def _kept_space(run: re.Match[str]) -> str:
    before, after = run.string[:run.start()][-1:], run.string[run.end():][:1]
    if (before == "\\" and run[0][0] == " ") or not before or not after:
        return run[0][0]
    if not (_counted(before) and _counted(after)):
        return run[0]
    return run[0][0] if before.isalpha() and after.isalpha() else ""


def _counted(sign: str) -> bool:
    """Whether a sign is an ASCII letter, or no letter at all."""
    return sign.isascii() or not sign.isalpha()


@lru_cache(maxsize=KEPT)
def unfenced(text: str) -> str:
    r"""Without `$`, `\[`, `\]`, `\(`, `\)`, wherever they stand."""
    for fence in ("$", r"\[", r"\]", r"\(", r"\)"):
        text = text.replace(fence, "")
    return text.strip()


_MATHWRITING = re.compile(r"\\(?:mathbb\{[a-zA-Z]\}|(?:begin|end)\{[a-z]+\}|operatorname\*|[a-zA-Z]+|.|\Z)|[^\\]|\\",
                          re.DOTALL)


@lru_cache(maxsize=KEPT)
def mathwriting_tokens(text: str) -> tuple[str, ...]:
    r"""A command is a token, with its letter if it is \mathbb, and so is any other character, spaces included."""
    return tuple(_MATHWRITING.findall(text))


def _longer(predicted: str, expected: str) -> Counts:
    return distance(predicted, expected) / max(len(predicted), len(expected), 1), 1.0


def _words(predicted: str, expected: str) -> Counts:
    return bleu.counts(bleu.words_13a(predicted), bleu.words_13a(expected))



def _variants() -> list[Metric]:
    unimernet, texify = {"as": "UniMERNet test.py"}, {"as": "texify benchmark.py"}
    words = {"corpus": "BLEU-4", "tok": "13a", "smooth": "none"}
    found = [
        Metric("unimernet_edit", "%", False, {**unimernet, "mean": "character edits/longer"}, unimernet_edit, share),
        Metric("unimernet_bleu", "%", True, {**unimernet, **words}, unimernet_bleu, bleu.unit_value),
        Metric("bleu_13a_despaced", "", True, {"level": "surface", "corpus": "BLEU-4", "tok": "13a", "smooth": "exp"},
               bleu.despaced_counts, bleu.value),
        Metric("texify_edit", "%", False, {**texify, "mean": "character edits/longer"}, texify_edit, share),
        Metric("texify_bleu", "%", True, {**texify, **words}, texify_bleu, bleu.unit_value),
        Metric("pix2tex_edit", "%", False, {"as": "pix2tex eval.py", "mean": "character edits/reference"}, pix2tex_edit,
               share),
        Metric("mathwriting_cer", "%", False, {"as": "MathWriting notebook", "corpus": "token edits/reference tokens"},
               mathwriting_cer, ratio),
    ]
    return found + [Metric(f"comer_exprate_{most}" if most else "comer_exprate", "%", True,
                           {"as": "ICAL, TAMER" if most else "CoMER", "edits": f"words<={most}"},
                           partial(comer_exprate, most=most), share, proportion=True) for most in range(3)]


VARIANTS: dict[str, Metric] = {metric.name: metric for metric in _variants()}
"""The variants by name. Their BLEU is a fraction of 1; ours, `bleu_13a_despaced` on their words too, goes to 100."""
KNOWN: dict[str, Metric] = METRICS | VARIANTS
"""All that can be asked for by name."""
DRAWN = ("layout_f1", "layout_same", "render_same", "cdm", "cdm_exprate")
"""Those that exist only where a program draws (`layout`, `render`, `cdm`): in percent, higher is better."""
