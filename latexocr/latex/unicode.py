r"""Unicode mathematics -> the commands that draw it: `α∈ℝ²` is `\alpha\in\mathbb{R}^{2}`.

Takes and gives tokens. Letters follow the names that Unicode gives them (𝐱 MATHEMATICAL BOLD SMALL X is `\mathbf{x}`),
raised and lowered signs are scripts, accents that combine are accent commands. Which command a sign stands for is as in
the unicode-math package: `ε` is `\varepsilon` and `ϵ` is `\epsilon`, `φ` is `\varphi` and `ϕ` is `\phi`. In text
(`\text{für}`) a sign stays itself.
"""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Sequence

from latexocr.latex.tokens import TEXT_COMMANDS, tokenize

_SIGNS = r"""
α alpha β beta γ gamma δ delta ϵ epsilon ε varepsilon ζ zeta η eta θ theta ϑ vartheta ι iota κ kappa ϰ varkappa
λ lambda μ mu µ mu ν nu ξ xi π pi ϖ varpi ρ rho ϱ varrho σ sigma ς varsigma τ tau υ upsilon ϕ phi φ varphi χ chi
ψ psi ω omega ϝ digamma Γ Gamma Δ Delta ∆ Delta Θ Theta ϴ Theta Λ Lambda Ξ Xi Π Pi Σ Sigma Υ Upsilon ϒ Upsilon Φ Phi
Ψ Psi Ω Omega Ω Omega ∂ partial ∇ nabla ∞ infty ℏ hbar ħ hbar ℓ ell ℘ wp ℜ Re ℑ Im ℵ aleph ℶ beth ℷ gimel ℸ daleth
ı imath ȷ jmath ð eth ℧ mho ∅ emptyset ⌀ varnothing ∀ forall ∃ exists ∄ nexists ¬ neg ∁ complement ⊤ top ⊥ bot
∠ angle ∡ measuredangle ∢ sphericalangle △ triangle ▵ triangle □ square ◻ square ■ blacksquare ◼ blacksquare
◊ lozenge ⧫ blacklozenge ★ bigstar ♭ flat ♮ natural ♯ sharp ♣ clubsuit ♠ spadesuit ♡ heartsuit ♢ diamondsuit
✓ checkmark § S ¶ P £ pounds † dagger ‡ ddagger ± pm ∓ mp × times ÷ div ⋅ cdot · cdot ∙ bullet • bullet ∘ circ ∗ ast
⋆ star ⊕ oplus ⊖ ominus ⊗ otimes ⊘ oslash ⊙ odot ⊛ circledast ⊚ circledcirc ⊝ circleddash ⊞ boxplus ⊟ boxminus
⊠ boxtimes ⊡ boxdot ∩ cap ∪ cup ⋒ Cap ⋓ Cup ⊓ sqcap ⊔ sqcup ⊎ uplus ∧ wedge ∨ vee ⊻ veebar ⊼ barwedge ∖ setminus
≀ wr ⨿ amalg ⋄ diamond ◯ bigcirc ⋉ ltimes ⋊ rtimes ⊺ intercal ≤ leq ≥ geq ⩽ leqslant ⩾ geqslant ≦ leqq ≧ geqq ≪ ll
≫ gg ⋘ lll ⋙ ggg ≠ neq ≡ equiv ∼ sim ≃ simeq ≈ approx ≅ cong ≊ approxeq ≐ doteq ≑ doteqdot ≜ triangleq ≔ coloneqq
≕ eqqcolon ∝ propto ≺ prec ≻ succ ⪯ preceq ⪰ succeq ≼ preccurlyeq ≽ succcurlyeq ≲ lesssim ≳ gtrsim ≶ lessgtr
≷ gtrless ∈ in ∋ ni ∉ notin ⊂ subset ⊃ supset ⊆ subseteq ⊇ supseteq ⊊ subsetneq ⊋ supsetneq ⫅ subseteqq ⫆ supseteqq
⋐ Subset ⋑ Supset ⊏ sqsubset ⊐ sqsupset ⊑ sqsubseteq ⊒ sqsupseteq ∣ mid ∤ nmid ∥ parallel ∦ nparallel ⟂ perp ⊢ vdash
⊣ dashv ⊨ vDash ⊩ Vdash ⊪ Vvdash ⊬ nvdash ⊭ nvDash ⊧ models ≍ asymp ⋈ bowtie ⌣ smile ⌢ frown ∴ therefore ∵ because
⊲ vartriangleleft ⊳ vartriangleright ⊴ trianglelefteq ⊵ trianglerighteq ◁ triangleleft ▷ triangleright ≁ nsim
≇ ncong ≮ nless ≯ ngtr ≰ nleq ≱ ngeq ⊀ nprec ⊁ nsucc ⊈ nsubseteq ⊉ nsupseteq ⋔ pitchfork ≬ between ⊸ multimap
← leftarrow → rightarrow ↑ uparrow ↓ downarrow ↔ leftrightarrow ↕ updownarrow ↖ nwarrow ↗ nearrow ↘ searrow
↙ swarrow ⇐ Leftarrow ⇒ Rightarrow ⇑ Uparrow ⇓ Downarrow ⇔ Leftrightarrow ⇕ Updownarrow ⟵ longleftarrow
⟶ longrightarrow ⟷ longleftrightarrow ⟸ Longleftarrow ⟹ Longrightarrow ⟺ Longleftrightarrow ↦ mapsto ⟼ longmapsto
↩ hookleftarrow ↪ hookrightarrow ↼ leftharpoonup ↽ leftharpoondown ⇀ rightharpoonup ⇁ rightharpoondown
⇌ rightleftharpoons ⇋ leftrightharpoons ⇄ rightleftarrows ⇆ leftrightarrows ⇉ rightrightarrows ⇇ leftleftarrows
↠ twoheadrightarrow ↞ twoheadleftarrow ↣ rightarrowtail ↢ leftarrowtail ↛ nrightarrow ↚ nleftarrow ⇏ nRightarrow
⇍ nLeftarrow ⇎ nLeftrightarrow ⇝ rightsquigarrow ↝ leadsto ↺ circlearrowleft ↻ circlearrowright ⇢ dashrightarrow
⇠ dashleftarrow ↾ upharpoonright ∑ sum ∏ prod ∐ coprod ∫ int ∬ iint ∭ iiint ⨌ iiiint ∮ oint ⋂ bigcap ⋃ bigcup
⋀ bigwedge ⋁ bigvee ⨁ bigoplus ⨂ bigotimes ⨀ bigodot ⨆ bigsqcup ⨄ biguplus √ surd … ldots ⋯ cdots ⋮ vdots ⋱ ddots
⟨ langle ⟩ rangle 〈 langle 〉 rangle ⌊ lfloor ⌋ rfloor ⌈ lceil ⌉ rceil ⟦ llbracket ⟧ rrbracket ‖ | ⌜ ulcorner
⌝ urcorner ⌞ llcorner ⌟ lrcorner
"""
_PLAIN = {"−": "-", "‐": "-", "‑": "-", "–": "-", "∶": ":", "∕": "/", "⁄": "/", "＊": "*", "，": ",", "。": ".",
          "、": ",", "′": "'", "’": "'", "ʹ": "'", "″": "''", "‴": "'''", "⁗": "''''", "∣": r"\mid", "°": r"^{\circ}",
          "√": r"\surd", "ℎ": "h", "ℯ": "e", "ℊ": "g", "ℴ": "o", "Å": r"\mathring{A}"}
_ACCENTS = {"\u0300": r"\grave", "\u0301": r"\acute", "\u0302": r"\hat", "\u0303": r"\tilde", "\u0304": r"\bar",
            "\u0305": r"\overline", "\u0306": r"\breve", "\u0307": r"\dot", "\u0308": r"\ddot", "\u030a": r"\mathring",
            "\u030c": r"\check", "\u20d6": r"\overleftarrow", "\u20d7": r"\vec", "\u20db": r"\dddot",
            "\u0332": r"\underline"}
_STROKE = "\u0338"
_UNSEEN = frozenset("\u200b\u200c\u200d\u200e\u200f\u2060\u2061\u2062\u2063\u2064\ufe0e\ufe0f\ufeff")
_ALPHABETS = (("BOLD ITALIC", (r"\boldsymbol",)), ("BOLD SCRIPT", (r"\boldsymbol", r"\mathcal")),
              ("BOLD FRAKTUR", (r"\boldsymbol", r"\mathfrak")), ("BOLD", (r"\mathbf",)), ("ITALIC", ()),
              ("SCRIPT", (r"\mathcal",)), ("FRAKTUR", (r"\mathfrak",)), ("BLACK-LETTER", (r"\mathfrak",)),
              ("DOUBLE-STRUCK", (r"\mathbb",)), ("SANS-SERIF BOLD", (r"\boldsymbol", r"\mathsf")),
              ("SANS-SERIF", (r"\mathsf",)), ("MONOSPACE", (r"\mathtt",)))
"""Beginning of the name after MATHEMATICAL, and the commands around the letter."""


def commands(tokens: Sequence[str]) -> list[str]:
    """The tokens with a command, or a few tokens, in the place of each sign of Unicode outside text."""
    out: list[str] = []
    script = ""  # the mark of the script that the last sign belongs to
    start = 0  # where the last sign begins in what is out
    depth = 0  # brace depth in a text
    text = False  # whether a text begins at the next brace
    for token in tokens:
        depth += ((token == "{") - (token == "}")) if depth else (text and token == "{")
        text = token in TEXT_COMMANDS
        same = bool(depth) or token.isascii() or len(token) > 1
        mark = "" if same else _script(token)
        if script and mark != script:
            out.append("}")
        if mark and mark != script:
            out += (mark, "{")
        script = mark
        if not depth and (token in _ACCENTS or token == _STROKE):
            _accent(token, out, start)
            continue
        start = len(out)
        out += (token,) if same else _drawn(token)
    return [*out, "}"] if script else out


def _script(sign: str) -> str:
    kind = unicodedata.decomposition(sign).partition(" ")[0]
    return {"<super>": "^", "<sub>": "_"}.get(kind, "")


def _accent(sign: str, out: list[str], start: int) -> None:
    """Over the sign before it, which begins at `start`; a stroke goes before the sign that it negates. Beside anything
    else it is nothing."""
    before = out[start:]
    if sign == _STROKE and before:
        out[start:] = (r"\not", *before)
    elif sign in _ACCENTS and before and (before[0].isalnum() or (before[0][0] == "\\" and before[0][1:].isalpha())):
        out[start:] = (_ACCENTS[sign], "{", *before, "}")


@functools.lru_cache(maxsize=4096)
def _drawn(sign: str) -> tuple[str, ...]:
    """The tokens of one sign; the sign itself where it is none of mathematics."""
    if sign in _UNSEEN:
        return ()
    if sign in _table():
        return _table()[sign]
    plain = unicodedata.normalize("NFKD", sign)
    above, stroke, below = plain.partition("\u2044")
    if stroke:
        return (r"\frac", "{", *above, "}", "{", *below, "}")
    if len(plain) == 2 and plain[0].isascii() and plain[1] in _ACCENTS:
        return (_ACCENTS[plain[1]], "{", plain[0], "}")
    if len(plain) != 1 or plain == sign:
        return (sign,)
    inner = (plain,) if plain.isascii() else _drawn(plain)
    name = unicodedata.name(sign, "").removeprefix("MATHEMATICAL ")
    around = next((commands for beginning, commands in _ALPHABETS if name.startswith(beginning)), ())
    if around == (r"\mathbf",) and inner[0][:1] == "\\" and inner[0][1:2].islower():
        around = (r"\boldsymbol",)  # no font of TeX has upright bold small Greek letters
    for command in reversed(around):
        inner = (command, "{", *inner, "}")
    return inner


@functools.cache
def _table() -> dict[str, tuple[str, ...]]:
    words = _SIGNS.split()
    table = {sign: ("\\" + name,) for sign, name in zip(words[::2], words[1::2], strict=True)}
    table |= {sign: tuple(tokenize(text)) for sign, text in _PLAIN.items()}
    latin = dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΧο", "ABEZHIKMNOPTXo", strict=True))  # Greek letters drawn as Latin ones
    return table | {sign: (letter,) for sign, letter in latin.items()}

