r"""What TeX knows of each command: its arguments, its font, its class in spacing, its other names.

Tables only, for `tree`, `syntax` and `visual`. The class of a symbol decides the space around it, and so whether a pair
of braces around it changes the picture (TeXbook, chapter 18).
"""

from __future__ import annotations


def names(text: str) -> frozenset[str]:
    """The words of a text, as a set."""
    return frozenset(text.split())


ACCENTS = names(r"\hat \check \breve \acute \grave \tilde \bar \vec \dot \ddot \mathring")
r"""Drawn with the glyph of the font around them, but for \vec."""
FONT_COMMANDS = {rf"\{name}": name for name in names(
    "mathrm mathbf mathit mathsf mathtt mathcal mathbb mathfrak mathscr mathnormal")} | {
    r"\Bbb": "mathbb", r"\frak": "mathfrak", r"\bold": "mathbf"}
FONT_SWITCHES = {r"\rm": "mathrm", r"\bf": "mathbf", r"\it": "mathit", r"\sf": "mathsf", r"\tt": "mathtt",
                 r"\cal": "mathcal", r"\mit": "mathnormal"}
TEXT_FONTS = {r"\text": "mathrm", r"\textbf": "mathbf", r"\textit": "mathit", r"\textsf": "mathsf",
              r"\texttt": "mathtt", r"\mbox": "mathrm"}
"""A word of letters is drawn alike by the text command and by the mathematical alphabet."""
STYLES = names(r"\displaystyle \textstyle \scriptstyle \scriptscriptstyle")
SIZES = names(r"\tiny \scriptsize \footnotesize \small \normalsize \large \Large \LARGE \huge \Huge \boldmath"
                  r" \unboldmath \em \sl \sc")
SPACES = names(r"\, \: \; \! \> ~ \quad \qquad \enspace \enskip \thinspace \negthinspace \medspace \thickspace"
                   r" \negmedspace \negthickspace \space \hfill \hfil \smallskip \medskip \bigskip \/") | {"\\ "}
SPACE_PREFIXES = (r"\hspace", r"\vspace", r"\vskip", r"\mspace", r"\hskip", r"\kern", r"\mkern", r"\mskip")
UNSEEN = names(r"\nonumber \notag \allowbreak \nobreak \relax \noindent \protect \ignorespaces")
"""Drawn as nothing at all."""

ARGUMENTS = dict.fromkeys(ACCENTS, 1) | dict.fromkeys(names(
    r"\sqrt \widehat \widetilde \widecheck \overline \underline \underbar \overrightarrow \overleftarrow"
    r" \overleftrightarrow \underrightarrow \underleftarrow \underleftrightarrow \overbrace \underbrace \overbracket"
    r" \underbracket \overrightharpoon \dddot \ddddot \utilde \mathop \mathrel \mathbin \mathord \mathopen \mathclose"
    r" \mathpunct \mathinner \boldsymbol \bm \pmb \operatorname \operatorname* \phantom \hphantom \vphantom \smash"
    r" \boxed \cancel \bcancel \xcancel \mathrlap \mathllap \mathclap \rlap \llap \clap \xrightarrow \xleftarrow"
    r" \xleftrightarrow \xRightarrow \xLeftarrow \xLeftrightarrow \xhookrightarrow \xhookleftarrow \xmapsto \xlongequal"
    r" \xrightharpoonup \xleftharpoonup \xrightleftharpoons \pmod \mod \pod \bra \ket \braket \Bra \Ket \Braket \set"
    r" \noalign \ensuremath"
    r" \Set"), 1) | dict.fromkeys(names(
    r"\frac \dfrac \tfrac \cfrac \binom \dbinom \tbinom \overset \underset \stackrel \sideset"), 2) | {
    r"\multicolumn": 3, r"\mathchoice": 4, r"\genfrac": 6}
TAKES_ARGUMENTS = frozenset(ARGUMENTS) | frozenset(FONT_COMMANDS) | frozenset(FONT_SWITCHES) | frozenset(TEXT_FONTS) | (
    names(r"\left \right \middle \begin \end \limits \nolimits \over \atop \choose \tag \label"))
"""No name of a single symbol."""
OPTION = names(r"\sqrt \cfrac \smash \xrightarrow \xleftarrow \xleftrightarrow \xRightarrow \xLeftarrow"
                   r" \xLeftrightarrow \xhookrightarrow \xhookleftarrow \xmapsto \xlongequal \xrightharpoonup"
                   r" \xleftharpoonup \xrightleftharpoons")
FONT_ENDS = names(r"\boldsymbol \bm \pmb \boxed \phantom \hphantom \vphantom \smash \cancel \bcancel \xcancel"
                      r" \mathrlap \mathllap \mathclap \rlap \llap \clap \overrightarrow \overleftarrow"
                      r" \overleftrightarrow \underrightarrow \underleftarrow \underleftrightarrow \overbrace"
                      r" \underbrace \overbracket \underbracket \overrightharpoon")
"""Their argument is set as a formula of its own: a font from outside does not reach it."""
SIZED = frozenset(rf"\{size}{side}" for size in ("big", "Big", "bigg", "Bigg") for side in ("", "l", "r", "m")) | {
    r"\middle"}
ROWS_IN_BRACES = {r"\substack": r"\substack", r"\matrix": "matrix", r"\pmatrix": "pmatrix", r"\cases": "cases",
                  r"\eqalign": "aligned", r"\displaylines": "gathered"}
r"""Plain TeX's matrices take rows in braces; so does \substack."""
FRACTIONS = {r"\over": (r"\frac",), r"\choose": (r"\binom",), r"\atop": ("", "", "0pt"), r"\brack": ("[", "]", "0pt"),
             r"\brace": (r"\{", r"\}", "0pt")}
r"""Plain TeX's fractions: the command of LaTeX, or the first arguments of \genfrac."""
FRACTIONS_IN_DELIMITERS = {r"\overwithdelims": "", r"\atopwithdelims": "0pt"}
"""Plain TeX's fractions that name their brackets; the thickness of their line."""
ENVIRONMENT_ARGUMENT = names("array tabular subarray alignedat alignat alignat* gatheredat")
ENVIRONMENT_OPTION = names("array tabular aligned alignedat gathered matrix* pmatrix* bmatrix* Bmatrix* vmatrix*"
                               " Vmatrix*")
CELL_AFTER_ATOM = names("aligned align align* alignedat alignat alignat* split")
"""Every second cell of a row follows an invisible atom, so that a relation at its head keeps its space."""

FUNCTIONS = names("arccos arcsin arctan arg cos cosh cot coth csc deg dim exp hom ker lg ln log sec sin sinh tan"
                      " tanh")
LIMIT_FUNCTIONS = names("det gcd inf lim max min sup Pr")

ALIASES = {
    r"\le": r"\leq", r"\ge": r"\geq", r"\ne": r"\neq", r"\to": r"\rightarrow", r"\gets": r"\leftarrow",
    r"\land": r"\wedge", r"\lor": r"\vee", r"\lnot": r"\neg", r"\owns": r"\ni", r"\lbrace": r"\{", r"\rbrace": r"\}",
    r"\lbrack": "[", r"\rbrack": "]", r"\vert": "|", r"\Vert": r"\|", r"\lt": "<", r"\gt": ">",
    r"\Box": r"\square", r"\Diamond": r"\lozenge", r"\leadsto": r"\rightsquigarrow",
    r"\restriction": r"\upharpoonright", r"\Doteq": r"\doteqdot", r"\llless": r"\lll", r"\gggtr": r"\ggg",
    r"\doublecap": r"\Cap",
    r"\doublecup": r"\Cup",
    r"\thinspace": r"\,", r"\negthinspace": r"\!", r"\medspace": r"\:", r"\>": r"\:", r"\thickspace": r"\;",
    r"\enskip": r"\enspace", r"\hbox": r"\mbox", r"\textrm": r"\text",
    r"\textnormal": r"\text", r"\textup": r"\text", r"\operatornamewithlimits": r"\operatorname*",
    r"\sp": "^", r"\sb": "_", r"\bgroup": "{", r"\egroup": "}", r"\cr": r"\\", r"\\*": r"\\", r"\tabularnewline": r"\\",
    r"\slash": "/", r"\mathellipsis": r"\ldots", r"\hdots": r"\ldots", r"\oast": r"\circledast",
    r"\ocircle": r"\circledcirc", r"\dasharrow": r"\dashrightarrow", r"\ohm": r"\Omega", r"\mathsection": r"\S",
    r"\mathparagraph": r"\P", r"\mathsterling": r"\pounds",
    r"\lparen": "(", r"\rparen": ")", r"\colonequals": r"\coloneqq",
}
"""Other names of the same drawing."""
SIGN_ALIASES = {"*": r"\ast", "~": "\\ "}
"""Outside text only. A star could be taken for a part of the command before it."""
DELIMITER_ALIASES = {"<": r"\langle", ">": r"\rangle"}
r"""After \left, \right, \middle and \big only."""
DELIMITERS = names(
    r"( ) [ ] . / | \| \{ \} \langle \rangle \lfloor \rfloor \lceil \rceil \lvert \rvert \lVert \rVert \backslash"
    r" \uparrow \downarrow \updownarrow \Uparrow \Downarrow \Updownarrow \lgroup \rgroup \lmoustache \rmoustache"
    r" \ulcorner \urcorner \llcorner \lrcorner \llbracket \rrbracket \llparenthesis \rrparenthesis \arrowvert"
    r" \Arrowvert \bracevert \lBrace \rBrace")
IN_BRACES = {r"\dag": r"\dagger", r"\ddag": r"\ddagger"}
"""Defined by LaTeX as the sign in braces: without the space of a binary operator."""

_CAPITAL_GREEK = names(r"\Gamma \Delta \Theta \Lambda \Xi \Pi \Sigma \Upsilon \Phi \Psi \Omega")
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
UPRIGHT = frozenset("0123456789") | _CAPITAL_GREEK
r"""Upright in mathematics: \mathrm changes nothing."""
STYLED = _LETTERS | UPRIGHT
"""What a mathematical alphabet changes."""
ORD = STYLED | names(
    r"\alpha \beta \gamma \delta \epsilon \varepsilon \zeta \eta \theta \vartheta \iota \kappa \varkappa \lambda \mu"
    r" \nu \xi \pi \varpi \rho \varrho \sigma \varsigma \tau \upsilon \phi \varphi \chi \psi \omega \digamma \varGamma"
    r" \varDelta \varTheta \varLambda \varXi \varPi \varSigma \varUpsilon \varPhi \varPsi \varOmega \infty \partial"
    r" \nabla \hbar \hslash \ell \imath \jmath \wp \Re \Im \aleph \beth \gimel \daleth \forall \exists \nexists"
    r" \emptyset \varnothing \top \bot \angle \measuredangle \triangle \prime \neg \flat \natural \sharp \clubsuit"
    r" \diamondsuit \heartsuit \spadesuit \square \blacksquare \lozenge \backslash \| | / . \complement \eth \mho"
    r" \surd \degree @ \% \# \&")
ORD_CALLS = ACCENTS | names(
    r"\frac \dfrac \tfrac \cfrac \binom \dbinom \tbinom \genfrac \sqrt \widehat \widetilde \overline \underline"
    r" \overrightarrow \overleftarrow \text \textbf \textit \textsf \texttt \mbox")
OPEN = names(r"( [ \{ \langle \lfloor \lceil \lvert \lVert")
CLOSE = names(r") ] \} \rangle \rfloor \rceil \rvert \rVert")
SPACED = names(
    r"+ - \ast = < > , ; : \cdot \times \pm \mp \leq \geq \neq \equiv \sim \approx \in \notin \subset \subseteq"
    r" \rightarrow \Rightarrow \mapsto \cup \cap \otimes \oplus \circ \wedge \vee \mid \ll \gg \propto \simeq"
    r" \cong \setminus"
    r" \longrightarrow \leftarrow \colon \to \perp \parallel \star \bullet")
"""Binary operators, relations and punctuation: after them a bracket stands as an ordinary symbol does."""
BIG_OPERATORS = names(
    r"\sum \prod \coprod \int \iint \iiint \oint \bigcup \bigcap \bigoplus \bigotimes \bigodot \bigvee \bigwedge"
    r" \bigsqcup \biguplus \limsup \liminf \varlimsup \varliminf \injlim \projlim \varinjlim \varprojlim")
INTEGRALS = names(r"\int \iint \iiint \iiiint \oint \oiint \idotsint")
OPERATORS = BIG_OPERATORS | frozenset(rf"\{name}" for name in FUNCTIONS | LIMIT_FUNCTIONS)
SAME_SPACE = {r"\hspace{1em}": r"\quad", r"\hspace{2em}": r"\qquad", r"\mspace{3mu}": r"\,", r"\mspace{4mu}": r"\:",
              r"\mspace{5mu}": r"\;", r"\mspace{-3mu}": r"\!", r"\mspace{18mu}": r"\quad",
              r"\hspace{.5em}": r"\enspace", r"\hspace{0.5em}": r"\enspace", r"\hspace{1.0em}": r"\quad"}
DOTS = names(r"\ldots \cdots \dots \dotsc \dotsb \dotsm \dotsi \dotso")
SYMBOLS = names(
    r"\vdots \ddots \leqslant \geqslant \lesssim \gtrsim"
    r" \ll \gg \prec \succ \preceq \succeq \supset \supseteq \subsetneq \supsetneq \sqsubseteq \vdash \models \ni"
    r" \Leftarrow \Leftrightarrow \leftrightarrow \Longrightarrow \Longleftrightarrow \longleftarrow \longmapsto"
    r" \implies \iff \hookrightarrow \uparrow \downarrow \odot \ominus \oslash \boxtimes \boxplus \amalg \div"
    r" \dagger \ddagger"
    r" \diamond \bigcirc \ltimes \rtimes \sqcup \sqcap \uplus \therefore \because \triangleq \coloneqq \asymp \doteq"
    r" \rightharpoonup \upharpoonright \rightsquigarrow \bmod \nmid \lhd \rhd")
ATOMS = (ORD | OPEN | CLOSE | SPACED | OPERATORS | SYMBOLS | DOTS | SPACES) - STYLED - frozenset(SIGN_ALIASES)
"""Most symbols that are themselves and take nothing."""
PLAIN = SYMBOLS | DOTS | STYLES | SIZES
"""More commands that take no argument; a group after any other unknown command is left alone."""
