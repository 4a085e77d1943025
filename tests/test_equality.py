"""Pairs that try to fool each level of equality, with the reason for each: the lowest level at which they are equal.

A pair stands under the level from which on it is equal, so each is also a pair that the level before must keep apart.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latexocr.errors import UserError
from latexocr.latex import (
    MEANING,
    NO_ALIASES,
    Level,
    align,
    canonical,
    declare,
    difference,
    equal,
    equality_level,
)

Pairs = dict[str, list[tuple[str, str]]]

SURFACE: Pairs = {
    "white space of mathematics draws nothing": [
        ("x+y", "x + y"), (r"\frac{a}{b}", r"\frac {a} {b}"), ("x^2", "x ^ 2"), (r"\sin x", r"\sin  x"),
        ("ab", "a\nb"),
        (r"\alpha\beta", r"\alpha \beta"), ("x", "\tx "),
        (r"\begin{matrix}a\end{matrix}", r"\begin {matrix} a \end {matrix}"),
        (r"\left(x\right)", r"\left ( x \right )"), ("{a}", "{ a }"), (r"\hspace{1em}", r"\hspace { 1 em }"),
        (r"a\\[2pt]b", r"a \\ [ 2 pt ] b"),
        ("a + b = c", "a+b=c"), (r"\sqrt [ 3 ] { x }", r"\sqrt[3]{x}"), ("x _ { i } ^ { 2 }", "x_{i}^{2}"),
        (r"\left [ a , b \right )", r"\left[a,b\right)"),
        (r"\begin{array} { c c } a & b \end{array}", r"\begin{array}{cc}a&b\end{array}"),
        (r"\mathrm { d } x", r"\mathrm{d}x"), ("f ' ( x )", "f'(x)"), ("\r\nx\r\n", "x"),
        (r"\alpha  \beta  ", r"\alpha\beta"), (r"\, x", r"\,x"), (r"\{ a \}", r"\{a\}"), (r"a \\ b", r"a\\b"),
        (r"\not =", r"\not="), (r"\big (", r"\big("), (r"\operatorname * {a}", r"\operatorname*{a}"),
        (r"\hskip 1 pt x", r"\hskip1ptx"), (r"\hspace * {1em}", r"\hspace*{1em}"),
        (r"\color { red } x", r"\color{red}x"), (r"\kern - 2 mu x", r"\kern-2mu x"), ("x\x0cy", "xy"),
        ("x\x0by", "xy"), (r"\over  a", r"\over a"), ("1 0 0 0", "1000"), (r"\frac 1 2", r"\frac12"),
        (r"\sum _ { i = 1 } ^ { n } x _ i", r"\sum_{i=1}^{n}x_i"), (r"\int\limits _ 0 ^ 1", r"\int\limits_0^1"),
        (r"{ \bf x }", r"{\bf x}"), (r"\rule { 1pt } { 2pt }", r"\rule{1pt}{2pt}"),
        (r"\genfrac ( ) { 0pt } { } n k", r"\genfrac(){0pt}{}nk"), ("a\u2028b", "ab"), ("a & b", "a&b"),
        (r"\substack { a \\ b }", r"\substack{a\\b}"), ("x\xa0y", "xy"), (r"\mathbf x y", r"\mathbf xy"),
        (r"\left . x \right |", r"\left.x\right|"), (r"\\ [ 2pt ]", r"\\[2pt]"), (r"\\ *", r"\\*")],
    "what wraps a formula is none of it": [
        ("x", "$x$"), ("x", "$$x$$"), ("x", r"\(x\)"), ("x", r"\[x\]"), ("x", "```x```"), ("x", "```latex\nx\n```"),
        ("x", "$ $x$ $"), ("x", "```\n$$x$$\n```"), ("x", "<think>\n</think>\n$x$"), (r"\$", r"$\$$"),
        ("x^2", " $ x^2 $ "), ("x^2", "$$\nx^2\n$$"), ("x^2", "\\[\nx^2\n\\]"), ("x^2", r"\( x^2 \)"),
        ("x^2", "```latex\n$$x^2$$\n```"), ("x^2", "```tex\n\\[x^2\\]\n```"), ("x^2", "```math\nx^2\n```"),
        ("x^2", "<think>a$b$</think>x^2"), ("x^2", "<think>x</think>\n```latex\nx^2\n```"),
        ("x^2", r"\[ \( x^2 \) \]"), ("a_b", "$a_b$"), ("", "$$"), ("", "$ $"), ("", r"\[\]"), ("", "``````"),
        ("x", "$x$\n"), ("x", "\n\n$x$"), (r"x\$", r"$x\$$"), (r"\{x\}", r"$\{x\}$"), (r"a\\b", r"\[a\\b\]"),
        (r"\text{a}", r"$\text{a}$"), (r"\text{$x$}", r"$\text{$x$}$"), (r"x\ ", r"$x\ $"), ("{x}", "${x}$"),
        ("a%b", "$a%b$"), ("x", "```\nx```"), ("x", "```LaTeX\nx\n```")],
    "a comment is not drawn": [("ab", "a%c\nb"), ("a", "a % nothing"), ("x", "%\nx"),
        ("a+b", "a+%first\nb"), ("a", "a%"), ("a", "%a\n%b\na"), ("x^2", "x^%c\n2"),
        (r"\frac{a}{b}", "\\frac{a}% numerator\n{b}"), ("ab", "a% \\alpha $ } {\nb"), ("a", "a %x\n%y"),
        (r"a\%b", r"a\% b"), (r"a\\b", "a\\\\% row\nb"), ("x", "% only\n$x$"), (r"\alpha x", "\\alpha%\nx"),
        ("ab", "%\na%\nb%")],
    "a run of spaces in text is one space": [(r"\text{a b}", r"\text{a   b}"), (r"\text{a b}", "\\text{a\nb}"),
        (r"\text{a b}", "\\text{a\t b}"), (r"\mbox{if  x}", r"\mbox{if x}"), (r"\textbf{a   b}", r"\textbf{a b}"),
        (r"\text{a }b", r"\text{a  }b"), (r"\text{ a}", r"\text{  a}"), (r"\text {a b}", r"\text{a b}"),
        (r"\text{a b} c", r"\text{a b}c"), ("\\text{a%c\nb}", r"\text{ab}"), (r"\tag { 1 }x", r"\tag{ 1 }x"),
        (r"\text{a $x + y$ b}", r"\text{a $x+y$ b}"), (r"\textrm{for  all}", r"\textrm{for all}"),
        (r"\text{\alpha  x}", r"\text{\alpha x}")],
}

SYNTAX: Pairs = {
    "braces around one argument or script": [
        ("x^2", "x^{2}"), ("x_i", "x_{i}"), (r"\frac12", r"\frac{1}{2}"), (r"\sqrt2", r"\sqrt{2}"),
        (r"\hat x", r"\hat{x}"),
        (r"\mathbf x", r"\mathbf{x}"), (r"x^\alpha", r"x^{\alpha}"), (r"\sqrt[3]2", r"\sqrt[3]{2}"),
        (r"\binom nk", r"\binom{n}{k}"),
        ("x^{{a}}", "x^a"), (r"\bar{{x}}", r"\bar x"), (r"\overline x", r"\overline{x}")],
    "braces around an ordinary symbol, or between ordinary symbols": [
        ("{x}", "x"), ("a{b}c", "abc"), ("{{a}}", "a"), ("{a}^2", "a^2"), ("({x})", "(x)"), ("a{b+c}d", "ab+cd"),
        ("f{(x)}", "f(x)"),
        (r"{\frac12}x", r"\frac12x"),
        (r".{{}\stackrel ab}", r".\stackrel ab"), (r"2\rfloor{{}+{}}1", r"2\rfloor+1"), ("{-1}", "-1"),
        ("x{}", "x"), ("a{}b", "ab"), (r"{\alpha}_1", r"\alpha_1"), (r"\unknown{{}}", r"\unknown{}")],
    "order of scripts": [("x_i^2", "x^2_i"), (r"\sum_{i}^{n}", r"\sum^{n}_{i}"), (r"\int_0^1", r"\int^1_0"),
        ("x_a'", "x'_a"),
                         (r"\sum\limits_a^b", r"\sum\limits^b_a")],
    "a prime is a superscript": [("f'", r"f^\prime"), ("f'", r"f^{\prime}"), ("f''", r"f^{\prime\prime}"),
        ("f'^2", r"f^{\prime 2}"),
                                 ("f'_a", r"f_a^{\prime}"), ("f'''", r"f^{\prime\prime\prime}")],
    "plain TeX's fractions and roots": [
        (r"a\over b", r"\frac ab"), (r"{a\over b}c", r"\frac abc"), (r"{n\choose k}", r"\binom nk"),
        (r"{a\atop b}", r"\genfrac{}{}{0pt}{}{a}{b}"), (r"{a\overwithdelims() b}", r"\genfrac(){}{}{a}{b}"),
        (r"{a\atopwithdelims[] b}", r"\genfrac[]{0pt}{}ab"), (r"{a\above1pt b}", r"\genfrac{}{}{1pt}{}ab"),
        (r"\root3\of x", r"\sqrt[3]x"), (r"\root n+1\of{xy}", r"\sqrt[n+1]{xy}"),
        (r"\buildrel a\over=", r"\stackrel a="),
        (r"{a\brack b}", r"\genfrac[]{0pt}{}ab"), (r"{a\brace b}", r"\genfrac\{\}{0pt}{}ab"),
        (r"\genfrac{}{}{}{}ab", r"\frac ab"), (r"\genfrac{}{}{}0ab", r"\dfrac ab"),
        (r"\genfrac(){0pt}{}nk", r"\binom nk")],
    "plain TeX's matrices": [
        (r"\matrix{a&b\cr c&d}", r"\begin{matrix}a&b\\c&d\end{matrix}"),
        (r"\pmatrix{a\cr b\cr}", r"\begin{pmatrix}a\\b\end{pmatrix}"),
        (r"\cases{a&b\cr c&d}", r"\begin{cases}a&b\\c&d\end{cases}"),
        (r"\eqalign{a&=b\cr}", r"\begin{aligned}a&=b\end{aligned}"),
        (r"\displaylines{a\cr b}", r"\begin{gathered}a\\b\end{gathered}")],
    "rows below an operator": [(r"\begin{subarray}{c}a\\b\end{subarray}", r"\substack{a\\b}")],
    "old font switches": [
        (r"{\rm tr}", r"\mathrm{tr}"), (r"{\bf x}", r"\mathbf x"), (r"{\cal L}", r"\mathcal L"),
        (r"{\it x}", r"\mathit x"),
        (r"{\sf A}", r"\mathsf A"), (r"{\tt x}", r"\mathtt x"), (r"{\bf a\rm b}", r"\mathbf a\mathrm b"),
        (r"\hat{\bf x}", r"\hat{\mathbf x}"),
        (r"x_{\rm max}", r"x_{\mathrm{max}}"), (r"\Bbb R", r"\mathbb R"), (r"\frak g", r"\mathfrak g"),
        (r"\bold x", r"\mathbf x")],
    "an alphabet takes the next token, be it an alphabet: neither has a letter then": [
        (r"\mathcal\mathcal{L}", "L"), (r"\mathbf\mathrm{x}+1", "x+1")],
    "an alphabet does not reach what it has no sign for": [
        (r"\mathrm{12}", "12"), (r"\mathbf{\alpha}", r"\alpha"), (r"\mathrm{\Gamma}", r"\Gamma"),
        (r"\mathrm{a}\mathrm{b}", r"\mathrm{ab}"),
        (r"\mathrm{H_2O}", r"\mathrm H_2\mathrm O")],
    "a word in text is a word in upright letters": [
        (r"\text{if}", r"\mathrm{if}"), (r"\textbf{a}", r"\mathbf a"), (r"\textrm{a b}", r"\text{a b}"),
        (r"\textnormal{a b}", r"\text{a b}"),
        (r"x_{\text{max}}", r"x_{\rm max}")],
    "other names of one sign": [
        (r"\le", r"\leq"), (r"\ge", r"\geq"), (r"\ne", r"\neq"), (r"\not=", r"\neq"), (r"\to", r"\rightarrow"),
        (r"\gets", r"\leftarrow"),
        (r"\land", r"\wedge"), (r"\lor", r"\vee"), (r"\lnot", r"\neg"), (r"\owns", r"\ni"), (r"\lbrace", r"\{"),
        (r"\vert", "|"),
        (r"\Vert", r"\|"), ("*", r"\ast"), (r"\dag", r"{\dagger}"), (r"\Box", r"\square"), (r"\slash", "/"),
        (r"\lt", "<"), (r"\sp2", "^2"),
        (r"x\sb2", "x_2"), (r"\mathellipsis", r"\ldots"), (r"\mathsection", r"\S"),
        (r"\dasharrow", r"\dashrightarrow"),
        (r"\oast", r"\circledast"), (r"\left<x\right>", r"\left\langle x\right\rangle"), (r"\lbrack", "[")],
    "other names of one space": [(r"a~b", r"a\ b"), (r"a\thinspace b", r"a\,b"), (r"a\hskip1em b", r"a\quad b"),
        (r"a\mkern3mu b", r"a\,b"),
                                 (r"a\>b", r"a\:b")],
    "named functions": [
        (r"\operatorname{sin}x", r"\sin x"), (r"\operatorname*{lim}_x", r"\lim_x"),
        (r"\mathop{\rm Tr}\nolimits_a", r"\operatorname{Tr}_a"),
        (r"\operatorname{\mathrm{tr}}", r"\operatorname{tr}"),
        (r"\operatornamewithlimits{a b}_x", r"\operatorname*{ab}_x"),
        (r"\mathop{\rm sin}x", r"\sin x"), (r"\int\nolimits_a", r"\int_a")],
    "what is not drawn": [
        (r"a\label{x}", "a"), (r"a\nonumber", "a"), (r"a\notag", "a"), (r"a\relax b", "ab"), (r"a\\", "a"),
        (r"x\label{eq:1}^2", "x^2"),
        (r"\begin{cases}a\\b\\\end{cases}", r"\begin{cases}a\\b\end{cases}"),
        (r"\begin{equation*}a\end{equation*}", "a"),
        (r"\begin{array}[c]{c}a\end{array}", r"\begin{array}{c}a\end{array}"), (r"\mathord{x}", "x"),
        (r"\ensuremath{x}", "x")],
    "Unicode mathematics is the command that draws it": [
        ("α", r"\alpha"), ("∑", r"\sum"), ("≤", r"\leq"), ("x′", "x'"), ("x²", "x^2"), ("x₁", "x_1"),
        ("x₁²", "x_1^2"), ("x¹⁰", "x^{10}"),
        ("𝑥", "x"), ("𝐱", r"\mathbf x"), ("𝒙", r"\boldsymbol x"), ("ℝ", r"\mathbb R"), ("a−b", "a-b"),
        ("a·b", r"a\cdot b"), ("𝔤", r"\mathfrak g"),
        ("𝒜", r"\mathcal A"), ("𝛼", r"\alpha"), ("ε", r"\varepsilon"), ("ϵ", r"\epsilon"), ("φ", r"\varphi"),
        ("ϕ", r"\phi"), ("∞", r"\infty"),
        ("x̂", r"\hat x"), ("½", r"\frac12"), ("90°", r"90^\circ"), ("≠", r"\neq"), ("⟨x⟩", r"\langle x\rangle"),
        ("（x）", "(x)"), ("…", r"\ldots"),
        ("xᵀ", "x^T"), ("𝟏", r"\mathbf 1"), ("ẋ", r"\dot x"), ("f″", "f''"), ("→", r"\to"), ("∂", r"\partial"),
        ("x⁻¹", "x^{-1}"),
        ("a\u2062b", "ab"), ("=\u0338", r"\not=")],
}

VISUAL: Pairs = {
    "spacing": [
        (r"a\,b", "ab"), (r"a\quad b", "ab"), (r"a\!b", "ab"), ("a~b", "ab"), (r"a\hspace{1cm}b", "ab"),
        (r"a\ b", "ab"), (r"a\mkern5mu b", "ab"), (r"a\hspace{2em}b", r"a\qquad b"),
        (r"a\hskip 2pt plus 1fil b", "ab"), (r"a\phantom{x}b", "ab"), (r"a\strut", "a"), (r"a\vphantom{b}", "a"),
        (r"a\space b", "ab"),
        (r"\begin{matrix}a\\[3pt]b\end{matrix}", r"\begin{matrix}a\\b\end{matrix}"), (r"a\noalign{\vskip2pt}b", "ab"),
        (r"\text{a b}", r"\text{ab}"), ("x{}_2F", "x_2F"), (r"x\,'", "x'")],
    "braces that change only the space": [
        ("a{=}b", "a=b"), ("1{,}000", "1,000"), ("a{+}b", "a+b"), (r"\sin{(x)}", r"\sin(x)"), ("{}+b", "+b"),
        ("{P^2}_0", "P^2_0"),
        ("M_{{MN}_0}", "M_{MN_0}"), (r"x{\left(a\right)}", r"x(a)"), (r"\left({a,}\right)", r"\left(a,\right)")],
    "class of a symbol": [(r"\mathrel{x}", "x"), (r"a\mathbin{x}b", "axb"), (r"\mathopen{(}", "("),
        (r"a\mid b", "a|b"), (r"f\colon A", "f:A"),
                          (r"\lvert x\rvert", "|x|"), (r"a\parallel b", r"a\|b"),
                          (r"A\setminus B", r"A\backslash B"), (r"a\perp b", r"a\bot b"),
                          (r"\lVert x\rVert", r"\|x\|"), (r"\ldotp", ".")],
    "size of brackets": [
        (r"\left(a\right)", "(a)"), (r"\bigl(a\bigr)", "(a)"), (r"\Big[a\Big]", "[a]"), (r"\left.a\right|", "a|"),
        (r"\biggl\{a\biggr\}", r"\{a\}"),
        (r"\left(a\middle|b\right)", "(a|b)"), (r"\left\{a\right.", r"\{a"), (r"\left\lvert a\right\rvert", "|a|"),
        (r"a\big/b", "a/b")],
    "style and size": [
        (r"\dfrac ab", r"\frac ab"), (r"\tfrac ab", r"\frac ab"), (r"\cfrac ab", r"\frac ab"),
        (r"\displaystyle x", "x"), (r"\scriptstyle x", "x"),
        (r"\large x", "x"), (r"\dbinom nk", r"\binom nk"), (r"{\textstyle\sum}_a", r"\sum_a")],
    "place of limits": [
        (r"\overset{}x", "x"), (r"\mathop{}\limits^a", r"\overset a{}"),
        (r"\sum\limits_a", r"\sum_a"), (r"\int\limits_0^1", r"\int_0^1"), (r"\lim\nolimits_x", r"\lim_x"),
        (r"\underset{x}{\max}", r"\max_x"),
        (r"\underset{x\to0}{\lim}", r"\lim_{x\to0}"), (r"\overset{n}{\underset{i}{\sum}}", r"\sum_i^n"),
        (r"\operatorname*{ab}_x", r"\operatorname{ab}_x"),
        (r"\mathop{\max}\limits_x", r"\max_x"), (r"\mathop{A}\limits_x", r"\underset xA"),
        (r"\mathop{=}\limits^a", r"\overset a="),
        (r"\underset{x}{\mathrm{argmin}}", r"\operatorname*{argmin}_x")],
    "colour": [(r"\color{red}a", "a"), (r"\textcolor{red}{a}", "a"), (r"{\color{blue}x}y", "xy"),
        (r"\color[rgb]{1,0,0}a", "a")],
    "a matrix by its brackets": [
        (r"\begin{pmatrix}a&b\end{pmatrix}", r"\left(\begin{array}{cc}a&b\end{array}\right)"),
        (r"\begin{bmatrix}a\\b\end{bmatrix}", r"\left[\begin{matrix}a\\b\end{matrix}\right]"),
        (r"\begin{vmatrix}a&b\\c&d\end{vmatrix}", r"\left|\begin{array}{cc}a&b\\c&d\end{array}\right|"),
        (r"\begin{Vmatrix}a&b\end{Vmatrix}", r"\left\|\begin{matrix}a&b\end{matrix}\right\|"),
        (r"\begin{Bmatrix}a&b\end{Bmatrix}", r"\{\begin{matrix}a&b\end{matrix}\}"),
        (r"\begin{cases}a\\b\end{cases}", r"\left\{\begin{array}{l}a\\b\end{array}\right."),
        (r"\begin{dcases}a&b\\c&d\end{dcases}", r"\begin{cases}a&b\\c&d\end{cases}"),
        (r"\begin{smallmatrix}a&b\end{smallmatrix}", r"\begin{matrix}a&b\end{matrix}"),
        (r"\begin{psmallmatrix}a&b\end{psmallmatrix}", r"\begin{pmatrix}a&b\end{pmatrix}"),
        (r"\binom nk", r"\begin{pmatrix}n\\k\end{pmatrix}"),
        (r"{n\choose k}", r"\left(\begin{array}{c}n\\k\end{array}\right)"),
        (r"\begin{pmatrix*}a&b\end{pmatrix*}", r"\begin{pmatrix}a&b\end{pmatrix}")],
    "letters and empty ends of columns": [
        (r"\begin{array}{lr}a&b\end{array}", r"\begin{array}{cc}a&b\end{array}"),
        (r"\begin{matrix}a&\\b&c\end{matrix}", r"\begin{matrix}a\\b&c\end{matrix}"),
        (r"\begin{array}{ll}a&b\end{array}", r"\begin{matrix}a&b\end{matrix}"),
        (r"\begin{subarray}{l}a\\b\end{subarray}", r"\substack{a\\b}")],
    "an alignment by its lines": [
        (r"\begin{aligned}a&=b\\c&=d\end{aligned}", r"\begin{align*}a&=b\\c&=d\end{align*}"),
        (r"\begin{align}a&=b\end{align}", "a=b"),
        (r"\begin{array}{rcl}a&=&b\\c&=&d\end{array}", r"\begin{split}a&=b\\c&=d\end{split}"),
        (r"\begin{gathered}a\\b\end{gathered}", r"\begin{aligned}a\\b\end{aligned}"),
        (r"\begin{array}{rl}a&=b\\&=c\end{array}", r"\begin{aligned}a&=b\\&=c\end{aligned}"),
        (r"\begin{aligned}a\\b\end{aligned}", r"\begin{array}{l}a\\b\end{array}"),
        (r"\begin{split}L&_a=b\end{split}", "L_a=b"),
        (r"\begin{eqnarray}a&=&b\end{eqnarray}", "a=b"), (r"\begin{multline}a\\b\end{multline}", r"a\\b"),
        (r"(\begin{gathered}a\\b\end{gathered})", r"\begin{pmatrix}a\\b\end{pmatrix}"),
        (r"\begin{equation}a\end{equation}", "a")],
    "a function by its letters": [
        (r"\sin x", r"\mathrm{sin}x"), (r"\operatorname{sin}x", r"\text{sin}\,x"),
        (r"\limsup", r"\mathrm{lim\,sup}"), (r"a\bmod b", r"a\ \mathrm{mod}\ b"),
        (r"\pmod n", r"(\mathrm{mod}\,n)"), (r"\arg\min", r"\operatorname{argmin}"),
        (r"\varlimsup_n", r"\overline{\lim}_n"),
        (r"\varinjlim", r"\underrightarrow{\lim}")],
    "text by its letters": [
        (r"\text{a--b}", r"\mathrm{a}\text{--}\mathrm{b}"),
        (r"\text{for }x", r"\mathrm{for}\ x"), (r"\mbox{if $x$}", r"\text{if }x"),
        (r"\textit{ab}", r"\mathit{a}\,\mathit{b}"),
                            (r"\text{a, b}", r"\mathrm a,\mathrm b"), (r"\fbox{$x$}", r"\boxed{x}"),
                            (r"\emph{a}", r"\textit{a}")],
    "a sign put together": [
        (r"\notin", r"\not\in"), (r"\iff", r"\Longleftrightarrow"), (r"\implies", r"\Longrightarrow"),
        (r"\impliedby", r"\Longleftarrow"), ("...", r"\ldots"),
        (r"\cdot\cdot\cdot", r"\cdots"), (r"a,\dots,b", r"a,\ldots,b"), (r"a+\dots+b", r"a+\cdots+b"),
        (r"\dotsc", r"\ldots"), (r"\dotsb", r"\cdots"), (r"a\amalg\dots\amalg b", r"a\amalg\cdots\amalg b"),
        (r"\iint", r"\int\int"), (r"\coloneqq", ":="), (r"\stackrel ab", r"\overset ab"), (r"\ket x", r"|x\rangle"),
        (r"\braket{a|b}", r"\langle a|b\rangle"),
        (r"\arrowvert", "|"), (r"\underbar x", r"\underline x"), ("x^{'}", "x'")],
    "bold symbol by symbol": [
        (r"\bm x", r"\boldsymbol x"), (r"\boldsymbol{ab}", r"\boldsymbol a\boldsymbol b"),
        (r"\boldsymbol 1", r"\mathbf 1"), (r"\bm\Gamma", r"\mathbf\Gamma"),
        (r"\boldsymbol{\mathrm x}", r"\mathbf x"), (r"\boldsymbol{x_i}", r"\boldsymbol x_{\boldsymbol i}"),
        (r"\bm{\alpha\beta}", r"\bm\alpha\bm\beta"),
        (r"\boldsymbol{\frac ab}", r"\frac{\bm a}{\bm b}")],
}

LENIENT: Pairs = {
    "kinds of bold": [
        (r"\mathbf x", r"\boldsymbol x"), (r"\mathbf x", r"\bm x"), (r"\pmb x", r"\mathbf x"),
        (r"\pmb\alpha", r"\boldsymbol\alpha"), (r"\textbf{ab}", r"\boldsymbol{ab}"),
        (r"\mathbf x^2", r"\bm x^2"), (r"\hat{\mathbf x}", r"\hat{\boldsymbol x}"),
        (r"\textbf{(a)}", r"(\mathbf a)"), (r"{\bf v}_1", r"\bm v_1"),
        (r"\mathbf a", r"\pmb a"), (r"\mathbf{AB}", r"\boldsymbol{AB}"), (r"\mathbf{v}_{i}", r"\boldsymbol{v}_{i}"),
        (r"\bm{ab}", r"\mathbf{ab}"), (r"\bar{\mathbf x}", r"\bar{\bm x}"), (r"\textbf{v}", r"\bm v"),
        (r"\pmb{\alpha}", r"\bm{\alpha}"), (r"\nabla\cdot\mathbf E", r"\nabla\cdot\boldsymbol E"),
        (r"\frac{\mathbf a}{b}", r"\frac{\bm a}{b}"), (r"\sqrt{\mathbf x}", r"\sqrt{\pmb x}"),
        (r"x^{\mathbf k}", r"x^{\bm k}"), (r"\mathbf x'", r"\bm x'"), (r"{\bf A}^{-1}", r"\boldsymbol A^{-1}"),
        (r"\pmb{\nabla}", r"\boldsymbol\nabla"), (r"\pmb 0", r"\mathbf 0")],
    "upright d": [(r"\mathrm dx", "dx"), (r"\frac{\mathrm d}{\mathrm dx}", r"\frac d{dx}"),
        (r"\int f\,{\rm d}x", r"\int f\,dx"), (r"\text{d}t", "dt"),
                  (r"\operatorname{d}x", "dx"),
        (r"\frac{\mathrm{d}y}{\mathrm{d}x}", r"\frac{dy}{dx}"), (r"\int\mathrm d^3x", r"\int d^3x"),
        (r"\mathrm{d}\mu", r"d\mu"), (r"\mathrm dx\,\mathrm dy", "dxdy"), (r"\rm d", "d"),
        (r"\mathrm{d}_{i}", "d_{i}"), (r"\mathrm d\mathbf x", r"d\bm x"),
        (r"\frac{{\rm d}^2}{{\rm d}t^2}", r"\frac{d^2}{dt^2}")],
    "wide accents": [(r"\widehat x", r"\hat x"), (r"\widetilde A", r"\tilde A"),
        (r"\widehat{\mathbf x}", r"\hat{\bf x}"),
        (r"\widehat{AB}", r"\hat{AB}"), (r"\widetilde{x}_i", r"\tilde x_i"),
        (r"\widehat{\widetilde x}", r"\hat{\tilde x}"), (r"\widecheck x", r"\check x"),
        (r"\widehat\alpha", r"\hat\alpha"), (r"\frac{\widehat p}{n}", r"\frac{\hat p}n"),
        (r"x^{\widehat k}", r"x^{\hat k}")],
    "kinds of dots": [(r"\ldots", r"\cdots"), ("...", r"\cdots"), (r"a,\cdots,b", r"a,\dots,b"),
        (r"\dotsi", r"\dotsc"),
        (r"1,2,\ldots,n", r"1,2,\cdots,n"), (r"x_1+\cdots+x_n", r"x_1+\ldots+x_n"), (r"\dotsc", r"\cdots"),
        (r"a_1\cdots a_n", r"a_1\dots a_n"), (r"\cdot\cdot\cdot", r"\ldots"),
        (r"\begin{pmatrix}a&\cdots&b\end{pmatrix}", r"\begin{pmatrix}a&\ldots&b\end{pmatrix}"), ("…", r"\cdots"),
        ("⋯", r"\ldots"), (r"x^{\ldots}", r"x^{\cdots}")],
    "final punctuation": [("x=1.", "x=1"), ("x,", "x"), ("x;", "x"), (r"x\,.", "x"), ("x.", "x,"),
        (r"\begin{aligned}a&=b\end{aligned}.", "a=b"),
        (r"\begin{array}{l}a\\b.\end{array}.", r"a\\b"), (r"\begin{aligned}a\\b;\\\end{aligned},.", r"a\\b"),
        ("a=b,", "a=b"), ("a=b.", "a=b,"), (r"a=b\,.", "a=b"), (r"a=b\quad,", "a=b"), (r"\frac ab.", r"\frac ab"),
        ("x^2;", "x^2"), ("f(x).", "f(x)"), ("x,.", "x"),
        (r"\begin{aligned}a\\b.\end{aligned}", r"\begin{aligned}a\\b\end{aligned}"),
        (r"\begin{pmatrix}a\end{pmatrix}.", r"\begin{pmatrix}a\end{pmatrix}"), ("a=b.\\\\", "a=b")],
    "number of an equation": [(r"x\tag{1}", "x"), (r"x\tag*{a}", "x"), (r"x\tag1", r"x\tag2"),
        (r"x\tag{$*$}", "x"), (r"\tag{2}x", "x"), (r"a=b\tag{1.2}", "a=b"), (r"a=b.\tag{3}", "a=b"),
        (r"x\tag{1}", r"x\tag{2}"), (r"x \tag*{(A)}", "x"),
        (r"\begin{aligned}a&=b\tag{1}\\c&=d\end{aligned}", r"\begin{aligned}a&=b\\c&=d\end{aligned}")],
    "a stroke through a sign": [
        (r"\nleq", r"\not\leq"), (r"\nsubseteq", r"\not\subseteq"), (r"\nmid", r"\not|"),
        (r"\nexists", r"\not\exists"), (r"\ngeq", r"\not\ge"),
        (r"\nparallel", r"\not\parallel"), (r"\nless", r"\not<"), (r"\nRightarrow", r"\not\Rightarrow"),
        ("≰", r"\not\leq"),
        (r"\nprec", r"\not\prec"), (r"\nsim", r"\not\sim"), (r"\ncong", r"\not\cong"),
        (r"\nsupseteq", r"\not\supseteq"), (r"\nleftarrow", r"\not\leftarrow"), (r"\nvdash", r"\not\vdash"),
        (r"\ngtr", r"\not>"), (r"a\nmid b", r"a\not\mid b"), (r"\ntriangleleft", r"\not\vartriangleleft")],
    "a hyphen of text": [(r"\text{-}x", "-x"), (r"\text{a-b}", r"\mathrm{a-b}"),
        (r"\text{-1}", "-1"), (r"\text{x-}y", r"\mathrm x-y"), (r"\textbf{(}a\textbf{)}", "(a)"),
        (r"\mbox{a-b}", r"\mathrm{a-b}")],
}

NEVER: Pairs = {
    "letter case": [("x", "X"), ("C", "c"), (r"\gamma", r"\Gamma"), (r"\phi", r"\Phi"), (r"\text{a}", r"\text{A}"),
        (r"x_v", "x_V")],
    "variant letters": [(r"\epsilon", r"\varepsilon"), (r"\phi", r"\varphi"), (r"\theta", r"\vartheta"),
        (r"\rho", r"\varrho"), (r"\sigma", r"\varsigma"),
                        (r"\emptyset", r"\varnothing"), (r"\hbar", r"\hslash"), (r"\kappa", r"\varkappa"),
                        ("ε", "ϵ"), ("φ", "ϕ")],
    "look-alike letters": [("a", r"\alpha"), ("v", r"\nu"), ("w", r"\omega"), ("x", r"\chi"), ("x", r"\times"),
        ("1", "l"), ("0", "O"), ("o", r"\circ"), ("e", r"\epsilon"),
                           (r"\Sigma", r"\sum"), (r"\Pi", r"\prod"), (r"\in", r"\epsilon"), ("u", r"\mu"),
                           ("B", r"\beta"), ("p", r"\rho"), ("S", r"\int"),
                           (r"\ell", "l"), (r"\partial", "d"), (r"\Delta", r"\triangle"), (r"\upsilon", "v")],
    "dashes and quotation marks of text": [
        (r"\text{a--b}", r"\text{a-b}"), (r"\text{a--b}", r"\text{a-}\text{-b}"), (r"\text{a---b}", r"\text{a--b}"),
        (r"\text{``a}", r"\text{`a}"), (r"\texttt{``}", r"\text{``}")],
    "font of a text": [(r"\text{that's}", r"\textbf{that's}"), (r"\text{a}", r"\texttt{a}")],
    "alphabets": [
        (r"\mathcal\mathcal{L}", r"\mathcal{L}"),
        (r"\mathbb R", "R"), (r"\mathcal L", "L"), (r"\mathbf x", "x"), (r"\boldsymbol\alpha", r"\alpha"),
        (r"\mathfrak g", "g"), (r"\mathcal A", r"\mathscr A"),
                  (r"\mathrm e", "e"), (r"\mathsf A", "A"), (r"\mathbb 1", "1"), (r"\mathit{ab}", "ab"),
                  (r"\text{if}", "if"), (r"\sin x", "sin x")],
    "kinds of sign": [(r"\leq", r"\leqslant"), (r"\leq", "<"), (r"\neq", "="), (r"\notin", r"\in"),
        (r"\subset", r"\subseteq"), (r"\to", r"\mapsto"),
                      (r"\rightarrow", r"\longrightarrow"), (r"\rightarrow", r"\Rightarrow"), (r"\sim", r"\simeq"),
                      (r"\approx", r"\cong"), ("|", r"\|"), (r"\cdot", r"\times"),
                      (r"\int", r"\oint"), (r"\cup", r"\bigcup"), (r"\wedge", r"\land'"), (r"\pm", r"\mp"),
                      (r"\circ", r"\bullet"), (r"\vdots", r"\ddots"), (".", r"\cdot")],
    "bracket kind": [("(a)", "[a]"), ("[a]", r"\{a\}"), (r"\langle a\rangle", "(a)"),
        (r"\lfloor a\rfloor", r"\lceil a\rceil"), ("(a]", "(a)"), ("(a)", "a"),
                     (r"\begin{pmatrix}a&b\end{pmatrix}", r"\begin{bmatrix}a&b\end{bmatrix}"),
                     (r"\begin{vmatrix}a\end{vmatrix}", r"\begin{Vmatrix}a\end{Vmatrix}"),
                     (r"\left(a\right.", "(a)")],
    "where a script ends": [("x^{ab}", "x^ab"), ("e^{x+1}", "e^x+1"), ("x_{i,j}", "x_i,j"), ("x_{a_b}", "x_{ab}"),
        ("2^{3^4}", "2^{34}"), ("x^{-1}", "x^-1")],
    "what a script is": [("2^3", "3^2"), ("x_{i,j}", "x_{j,i}"), ("x^2", "x_2"), ("x_a^b", "x_b^a"), ("x'", "x"),
        ("x'", "x''"), ("x'", "x^1"), (r"\partial_f", r"\partial f"),
                         ("T_a{}^b", "T_a^b"), ("T^a{}_b", "T^a_b"), (r"x^\circ", "x^0"), ("23", "2^3"),
                         ("x^T", r"x^\top"), ("{}_ab", "a_b")],
    "where a root or a fraction ends": [(r"\sqrt{3}a", r"\sqrt{3a}"), (r"\frac{a}{b}c", r"\frac{a}{bc}"),
        (r"\frac{a}{b}", r"\frac{b}{a}"), ("a/b", r"\frac ab"),
                                        (r"\sqrt[3]x", r"\sqrt x"), (r"\sqrt[3]x", "3\\sqrt x"),
                                        (r"a\over bc", r"\frac abc"), (r"\frac ab", r"{a\atop b}"),
                                        (r"\sqrt{x}", r"\surd x"), (r"\frac{\frac ab}c", r"\frac a{\frac bc}"),
                                        (r"\binom nk", r"\binom kn")],
    "accents": [(r"\bar x", "x"), (r"\hat x", r"\tilde x"), (r"\bar x", r"\overline x"), (r"\dot x", r"\ddot x"),
        (r"\vec x", r"\bar x"), (r"\hat xy", r"\hat{xy}"),
                (r"\overline{ab}", r"\overline a\,\overline b"), (r"\overline x", r"\underline x"),
                (r"\hat{x_i}", r"\hat x_i"), (r"\vec{AB}", r"\overrightarrow{AB}"),
                (r"\overset ab", r"\underset ab"), (r"\overset ab", "b^a"), (r"\overbrace x", r"\underbrace x"),
                (r"\xrightarrow a", r"\overset a\to")],
    "cells": [(r"\begin{matrix}a&b\end{matrix}", r"\begin{matrix}b&a\end{matrix}"),
        (r"\begin{pmatrix}a&b\\c&d\end{pmatrix}", r"\begin{pmatrix}a&b&c&d\end{pmatrix}"),
              (r"\begin{pmatrix}a&b\\c&d\end{pmatrix}", r"\begin{pmatrix}a&c\\b&d\end{pmatrix}"),
              (r"\begin{pmatrix}ab\end{pmatrix}", r"\begin{pmatrix}a&b\end{pmatrix}"),
              (r"\begin{array}{c|c}a&b\end{array}", r"\begin{array}{cc}a&b\end{array}"),
              (r"\begin{pmatrix}&a\end{pmatrix}", r"\begin{pmatrix}a&\end{pmatrix}"),
              (r"\begin{matrix}a\\b\end{matrix}", "ab"),
              (r"\begin{cases}a\\b\end{cases}", r"\begin{pmatrix}a\\b\end{pmatrix}"),
              (r"\begin{aligned}a\\b\end{aligned}", r"\begin{aligned}b\\a\end{aligned}"), (r"a\\b", "ab"),
              (r"\substack{a\\b}", "ab"),
              (r"\begin{array}{c}\hline a\end{array}", r"\begin{array}{c}a\end{array}"),
              (r"\begin{matrix}a&b\\c\end{matrix}", r"\begin{matrix}a&b\\&c\end{matrix}")],
    "a space may end a command": [(r"\sinx", r"\sin x"), (r"\alphax", r"\alpha x"), (r"\%", "%"), (r"50\%", "50%"),
        (r"a\ b", r"a\\ b"), (r"\{a\}", "{a}")],
    "more or less": [("", "x"), ("x", "xx"), ("x+y", "x+y+z"), ("12", "1"), ("1.2", "12"), ("x=1", "x"), ("x!", "x"),
        ("f(x)", "fx"), ("a,b", "ab"), (".x", "x"),
                     (r"\sum_{i=1}^n", r"\sum_{i=1}"), ("1000", "1{,}000")],
    "order": [("ab", "ba"), ("a-b", "b-a"), ("f(x,y)", "f(y,x)"), (r"\left(a\right)b", "b(a)"), ("12", "21"),
        ("=x", "x=")],
    "what cannot be read is compared by its surface": [("{a", "a"), ("x^2^3", "x^{23}"), (r"\left(a", "(a"),
        ("a}", "a"), (r"\begin{matrix}a", "a"), ("a&b}", "a&b")],
}

TABLES = {Level.SURFACE: SURFACE, Level.SYNTAX: SYNTAX, Level.VISUAL: VISUAL, Level.LENIENT: LENIENT, None: NEVER}
ROWS = [(level, reason, a, b) for level, table in TABLES.items() for reason, pairs in table.items() for a, b in pairs]


@pytest.mark.parametrize("level, reason, a, b", ROWS)
def test_lowest_level_of_equality(level, reason, a, b):
    assert (equality_level(a, b), equality_level(b, a)) == (level, level), reason
    assert [equal(a, b, each) for each in Level] == [level is not None and each >= level for each in Level]


def test_there_are_enough_of_each():
    counts = {level: sum(row[0] == level for row in ROWS) for level in TABLES}
    assert all(counts[level] >= 100 for level in TABLES)  # but for IDENTICAL: nothing fools equality of characters
    assert len(ROWS) >= 400 and len({(a, b) for _, _, a, b in ROWS}) == len(ROWS)


MATHEMATICS = st.sampled_from(sorted({text for _, _, a, b in ROWS for text in (a, b)}))


@settings(max_examples=300, deadline=None)
@given(MATHEMATICS, MATHEMATICS)
def test_equality_is_symmetric_and_says_what_equal_says(a, b):
    level = equality_level(a, b)
    assert level == equality_level(b, a)
    assert [equal(a, b, each) for each in Level] == [level is not None and each >= level for each in Level]


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=30), st.text(max_size=30))
def test_any_two_texts_have_an_answer(a, b):
    assert equality_level(a, b) in MEANING
    assert equality_level(a, a) is Level.IDENTICAL


@given(st.lists(MATHEMATICS, min_size=1, max_size=4))
def test_formulas_side_by_side_keep_their_forms_stable(parts):
    latex = " ".join(parts)
    for level in Level:
        form = canonical(latex, level)
        assert canonical(form, level) == form


@given(st.lists(st.sampled_from("abc"), max_size=12), st.lists(st.sampled_from("abc"), max_size=12))
def test_an_alignment_is_both_rows_and_as_short_as_can_be(a, b):
    edits = align(a, b)
    assert [token for edit in edits for token in edit.reference] == a
    assert [token for edit in edits for token in edit.prediction] == b
    rows = [list(range(len(b) + 1))]  # the distance by its definition
    for i, x in enumerate(a, 1):
        rows.append([i])
        for j, y in enumerate(b, 1):
            rows[i].append(min(rows[i - 1][j] + 1, rows[i][j - 1] + 1, rows[i - 1][j - 1] + (x != y)))
    assert sum(edit.cost for edit in edits) == rows[-1][-1]
    assert all(len(edit.reference) == len(edit.prediction) for edit in edits if edit.kind in ("equal", "replace"))


@pytest.mark.parametrize("reference, prediction, level, shown, changes", [
    ("x", "x", Level.IDENTICAL, None, []),
    ("x", "$x$", Level.SURFACE, Level.IDENTICAL, [("insert", "", "$"), ("insert", "", "$")]),
    ("x^2", "x^{2}", Level.SYNTAX, Level.SURFACE, [("insert", "", "{"), ("insert", "", "}")]),
    (r"\left(a\right)", "(a)", Level.VISUAL, Level.SYNTAX, [("delete", r"\left", ""), ("delete", r"\right", "")]),
    (r"\hat x", r"\widehat x", Level.LENIENT, Level.VISUAL, [("replace", r"\hat", r"\widehat")]),
    (r"\frac12", r"\frac 1 3", None, Level.VISUAL, [("replace", "2", "3")]),
])
def test_why_two_differ(reference, prediction, level, shown, changes):
    found = difference(reference, prediction)
    assert (found.level, found.shown, found.reasons) == (level, shown, ("", ""))
    assert [(edit.kind, "".join(edit.reference), "".join(edit.prediction))
            for edit in found.edits if edit.kind != "equal"] == changes


def test_what_cannot_be_parsed_says_why():
    assert difference("{a", "a}").reasons == (r"a {, \left or \begin without its end", "a } without its {")


def test_declared_aliases_hold_from_the_syntax_level_on_and_are_named():
    aliases = declare({r"\varepsilon": r"\epsilon", r"\varphi": r"\phi"})
    assert str(aliases) == r"\varepsilon=\epsilon,\varphi=\phi"
    assert equality_level(r"\varepsilon+\phi", r"\epsilon+\varphi", aliases) is Level.SYNTAX
    assert equality_level(r"\varepsilon", r"\epsilon", NO_ALIASES) is None
    assert equality_level("ε", "ϵ", aliases) is Level.SYNTAX
    assert equality_level(r"\varepsilon", r"\phi", aliases) is None
    assert equal(r"\not\leq", r"\not\leqslant", Level.VISUAL, declare({r"\leqslant": r"\le"}))
    assert equality_level(r"\text{\varepsilon}", r"\varepsilon", aliases) is not Level.SURFACE
    for level in Level:
        form = canonical(r"a\varepsilon^\varphi", level, aliases)
        assert canonical(form, level, aliases) == form


@pytest.mark.parametrize("table", [{"a": "b", "b": "a"}, {"a": "b", "b": "c"}, {r"\frac": "a"}, {"{": "a"},
{"ab": "c"}, {"": "a"}, {"a": "^"},
                                   {r"\leq": "a", r"\le": "b"}])
def test_aliases_that_mean_nothing_are_refused_in_one_line(table):
    with pytest.raises(UserError) as refused:
        declare(table)
    assert "\n" not in str(refused.value)
