"""A syntax tree -> its tokens: one spelling of each node, braces around every script and argument."""

from __future__ import annotations

from collections.abc import Sequence

from latexocr.latex import commands as tex
from latexocr.latex.nodes import Atom, Call, Environment, Fenced, Group, Node, Scripts, Text


def write(nodes: Sequence[Node]) -> list[str]:
    """The tokens of a tree."""
    out: list[str] = []
    _write(nodes, out, "")
    return out


def _write(nodes: Sequence[Node], out: list[str], font: str) -> None:
    at = 0
    while at < len(nodes):
        node = nodes[at]
        kind = type(node)
        if kind is Atom:
            if node.font == font or node.text not in tex.STYLED:
                out.append(node.text)
            else:
                at = _write_run(nodes, at, out)
                continue
        elif kind is Scripts:
            _write_scripts(node, out, font)
        elif kind is Group:
            _braces(node.body, out, font)
        elif kind is Call:
            _write_call(node, out, font)
        elif kind is Text:
            out += (node.name, "{", node.text, "}")
        elif kind is Fenced:
            out += (r"\left", node.left)
            _write(node.body, out, font)
            out += (r"\right", node.right)
        else:
            _write_environment(node, out)
        at += 1


def _braces(body: Sequence[Node], out: list[str], font: str) -> None:
    out.append("{")
    _write(body, out, font)
    out.append("}")


def _shown_font(atom: Atom) -> str:
    """The alphabet to write around a symbol which differs from the alphabet around it."""
    return atom.font or ("mathrm" if atom.text in tex.UPRIGHT else "mathnormal")


def _write_run(nodes: Sequence[Node], start: int, out: list[str]) -> int:
    """Symbols of one alphabet under one command; gives the place after them."""
    font, end = nodes[start].font, start + 1
    for at in range(start + 1, len(nodes)):
        node = nodes[at]
        if type(node) is not Atom or node.text not in tex.STYLED:
            break
        if node.font == font:
            end = at + 1
        elif font != "mathrm" or node.font or node.text not in tex.UPRIGHT:
            break
    out += ("\\" + _shown_font(nodes[start]), "{")
    out += [node.text for node in nodes[start:end]]
    out.append("}")
    return end


def _write_scripts(node: Scripts, out: list[str], font: str) -> None:
    if node.base is None:
        out += "{}"
    elif type(node.base) is Group and _one_alphabet(node.base.body, font):
        _write_run(node.base.body, 0, out)
    else:
        _write((node.base,), out, font)
    if node.limits:
        out.append(node.limits)
    for mark, script in (("_", node.sub), ("^", node.sup)):
        if script is not None:
            out.append(mark)
            _braces(script, out, font)


def _one_alphabet(body: Sequence[Node], font: str) -> bool:
    return len(body) > 1 and all(
        type(node) is Atom and node.text in tex.STYLED and node.font == body[0].font != font for node in body)


def _write_call(node: Call, out: list[str], font: str) -> None:
    name = node.name
    if name in tex.SIZED:
        out += (name, node.args[0][0].text)
        return
    accent = name in tex.ACCENTS and name != r"\vec" and node.font != font
    if accent:
        font = node.font
        out += ("\\" + (font or "mathnormal"), "{")
    inner = "" if name in tex.FONT_ENDS else "mathrm" if name.startswith(r"\operatorname") else font
    out.append(name)
    if node.option is not None:
        option: list[str] = []
        _write(node.option, option, inner)
        out += ("[", "{", *option, "}", "]") if "]" in option else ("[", *option, "]")
    for number, argument in enumerate(node.args):
        _braces(argument, out, "" if name == r"\genfrac" and number < 4 else inner)
    if accent:
        out.append("}")


def _write_environment(node: Environment, out: list[str]) -> None:
    braces = node.name.startswith("\\")
    out += (node.name, "{") if braces else (rf"\begin{{{node.name}}}",)
    if node.argument:
        out.append(node.argument)
    for number, row in enumerate(node.rows):
        if number:
            out.append(node.breaks[number - 1])
        for column, cell in enumerate(row):
            if column:
                out.append("&")
            _write(cell, out, "")
    out.append("}" if braces else rf"\end{{{node.name}}}")
