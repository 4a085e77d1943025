r"""Which formulas may share a document of TeX: those that can change nothing for the formulas after them.

Takes formulas, gives the numbers of those that need a document of their own. A formula is harmless when every command
of it that TeX knows is in the tables below: signs, and commands that only draw. No table of dangerous commands would
be complete, as \begin{gdef} is \gdef, and ^^5cgdef too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


COMMANDS = _words("""
    AA AE Arrowvert Bbb Big Bigg Biggl Biggr Bigl Bigm Bigr Box Bra Braket Cap Colonapprox Coloneqq Cup Delta
    Diamond Doteq Downarrow Gamma H Huge Im Join Ket L LARGE Lambda Large Lbag Leftarrow Leftrightarrow Lleftarrow
    Longleftrightarrow Longrightarrow Mapsfrom Mapsto O OE Omega P Phi Pi Pr Psi Rbag Re Relbar Rightarrow Rsh S Set
    Sigma Subset Theta Uparrow Updownarrow Upsilon Vdash Vert Vvdash Xi a aa acute ae aleph allowbreak alpha amalg
    angle approx approxcolon approxeq arccos arcsin arctan arg arrowvert ast asymp atop b backsim backsimeq
    backslash bar barwedge bcancel because beta beth bf bgroup big bigbox bigcap bigcirc bigcup bigcurlyvee
    bigcurlywedge bigg biggl biggm biggr biginterleave bigl bigm bignplus bigodot bigoplus bigotimes bigparallel
    bigr bigskip bigsqcap bigsqcup bigstar bigtriangledown bigtriangleup biguplus bigvee bigwedge binom blacklozenge
    blacksquare blacktriangle blacktriangledown blacktriangleright bm bmod bold boldmath boldsymbol bot bowtie
    boxdot boxed boxminus boxplus boxtimes bra brace bracevert brack braket breve bullet c cal cancel cap cases cdot
    cdotp cdots celsius centerdot cfrac check checkmark chi choose circ circeq circlearrowleft circlearrowright
    circledR circledast circledcirc circleddash clap clubsuit colon colonapprox coloneq coloneqq colonsim color
    complement cong coprod copyright cos cosh cot coth cr csc cup curlyeqprec curlywedge curvearrowleft
    curvearrowright d dag dagger daleth dashleftarrow dashrightarrow dashv dbinom dblcolon ddag ddagger ddddot dddot
    ddot ddots deg degree delta det dfrac diagup diamond diamondsuit digamma dim displaylimits displaystyle div
    divideontimes dot doteq doteqdot dots dotsb dotsc dotsi dotsm dotso doublecap doublecup downarrow downdownarrows
    downharpoonleft downharpoonright egroup ell em emph empty emptyset enskip enspace epsilon eqcirc eqqcolon eqsim
    eqslantgtr equiv eta eth exists exp fallingdotseq fbox flat footnotesize forall frac frak frown gamma gcd ge
    genfrac geq geqq geqslant gets gg ggg gggtr gimel gneqq grave gt gtrapprox gtrdot gtreqqless gtrless gtrsim hat
    hbar hbox heartsuit hfil hfill hline hom hookrightarrow hphantom hskip hslash hspace huge i idotsint iff iiiint
    iiint iint ij imath implies in inf infty injlim int intercal intop iota it j jmath joinrel k kappa ker kern ket
    l lVert label lambda land langle large lbag lbrace lbrack lceil ldotp ldots le leadsto left leftarrow
    leftarrowtail leftrightarrow leftrightarrows leftrightharpoons leftslice leftthreetimes leq leqq leqslant
    lessapprox lessdot lessgtr lesssim lfloor lg lgroup lhd lim liminf limits limsup ll llap llbracket llceil
    llcorner llfloor lll llless llparenthesis lmoustache ln lneq lneqq lnot lnsim log longleftarrow
    longleftrightarrow longmapsto longrightarrow looparrowright lor lozenge lparen lq lrcorner lt ltimes lvert
    mapsfrom mapsto mathbb mathbf mathbin mathcal mathchoice mathclap mathclose mathfrak mathinner mathit mathllap
    mathnormal mathop mathopen mathord mathpunct mathrel mathring mathrlap mathrm mathscr mathsf mathstrut mathtt
    matrix max mbox measuredangle medskip medspace merge mho mid middle min mit mkern mod models mp mskip mspace mu
    multicolumn multimap nLeftrightarrow nabla natural ncong ne nearrow neg negmedspace negthickspace negthinspace
    neq nexists ngeq ni nleftrightarrow nleq nleqq nleqslant nless nmid nobreak nobreakspace noindent nolimits
    nonumber normalsize not notag notin nparallel nprec npreceq nrightarrow nshortmid nsim nsubseteq nsucc nsupseteq
    ntriangleleft nu null nvDash nvdash o obar oblong obslash odot oe ogreaterthan ohm oint olessthan omega ominus
    operatorname operatornamewithlimits oplus oslash otimes ovee over overbrace overbracket overleftarrow
    overleftrightarrow overline overrightarrow overset owedge owns parallel partial perp phantom phi pi pitchfork pm
    pmatrix pmb pmod pod pounds prec precapprox preccurlyeq preceq precnapprox precneqq precsim prime prod projlim
    propto psi qquad quad quotedblbase r rVert raisebox rangle rbag rbrace rbrack rceil relax relbar restriction
    rfloor rgroup rhd rho right rightarrow rightarrowtail rightharpoonup rightleftarrows rightleftharpoons
    rightrightarrows rightslice rightsquigarrow rlap rm rmoustache root rparen rq rrbracket rrceil rrfloor
    rrparenthesis rtimes rule rvert sb sc scriptscriptstyle scriptsize scriptstyle searrow sec set setminus sf sharp
    shortparallel sideset sigma sim simeq sin sinh sl small smallfrown smallint smallsetminus smallskip smallsmile
    smash smile sp space spadesuit sphericalangle sqcap sqcup sqrt sqsubset sqsubseteq sqsupset sqsupseteq square ss
    stackrel star strut subset subseteq subsetneq subsetneqq substack succ succcurlyeq succeq succsim sum sup supset
    supseteq supseteqq supsetneq supsetneqq surd swarrow t tabularnewline tag tan tanh tau tbinom text
    textasciicircum textasciitilde textbackslash textbar textbf textbullet textcircled textcolor textdegree
    textemdash textendash texteuro textgreater textit textless textmd textmu textnormal textquotedblleft
    textquotedblright textquoteleft textquoteright textquotesingle textrm textsc textsf textsl textstyle texttimes
    texttt textup tfrac therefore theta thickapprox thicksim thickspace thinspace tilde times tiny to top triangle
    triangledown triangleleft trianglelefteq triangleq triangleright trianglerighteq tt twoheadrightarrow u ulcorner
    unboldmath underbar underbrace underbracket underleftarrow underleftrightarrow underline underrightarrow
    underset unlhd unrhd uparrow updownarrow upharpoonright uplus upsilon upuparrows urcorner v vDash varDelta
    varGamma varLambda varOmega varPhi varPi varPsi varSigma varTheta varUpsilon varXi varepsilon varinjlim varkappa
    varliminf varlimsup varnothing varocircle varphi varpi varprojlim varpropto varrho varsigma varsubsetneqq
    varsupsetneq vartheta vartimes vartriangle vartriangleleft vartriangleright vcentcolon vdash vdots vec vee
    veebar vert vphantom vskip vspace wedge widehat widetilde wp wr xLeftarrow xLeftrightarrow xRightarrow xcancel
    xhookleftarrow xhookrightarrow xi xleftarrow xleftharpoonup xleftrightarrow xmapsto xrightarrow xrightharpoonup
    xrightleftharpoons yen zeta
""")
ENVIRONMENTS = _words("""
    array matrix pmatrix bmatrix Bmatrix vmatrix Vmatrix smallmatrix psmallmatrix bsmallmatrix matrix* pmatrix*
    bmatrix* Bmatrix* vmatrix* Vmatrix* cases dcases rcases cases* dcases* aligned alignedat gathered split subarray
    multlined align align* alignat alignat* flalign flalign* gather gather* multline multline* equation equation*
    eqnarray eqnarray* math displaymath
""")
_COMMAND = re.compile(r"\\([a-zA-Z]+|.|$)", re.DOTALL)
_ENVIRONMENT = re.compile(r"\\(?:begin|end)\s*\{([a-zA-Z]+\*?)\}")


def doubtful(formulas: Sequence[str], defined: Callable[[Collection[str]], set[str]]) -> set[int]:
    """The numbers of the formulas that are not known to be harmless.

    `defined` tells which of some names, of commands and environments in no table, TeX has a meaning for: a formula is
    refused for a name without one, which harms nobody.
    """
    unknown = {number: names for number, formula in enumerate(formulas) if (names := _unknown(formula))}
    asked = {name for names in unknown.values() for name in names if name.rstrip("*").isalpha()}
    known = defined(asked) if asked else set()
    return {number for number, names in unknown.items() if not names <= asked or names & known}


def _unknown(formula: str) -> set[str]:
    """Names that are in no table. One of other characters than letters stands for a way round them."""
    if "^^" in formula:
        return {"^^"}
    written = [name for name in _COMMAND.findall(formula) if name.isalpha() and name.isascii()]
    names = set(written) - COMMANDS
    if "begin" in names or "end" in names:
        environments = _ENVIRONMENT.findall(formula)
        if len(environments) != written.count("begin") + written.count("end"):
            return {r"\begin"}
        names = names - {"begin", "end"} | (set(environments) - ENVIRONMENTS)
    return names
