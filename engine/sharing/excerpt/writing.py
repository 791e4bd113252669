"""Rewritten code as text: statements that stayed as they were keep their lines, the others get new ones."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator, Sequence
from textwrap import dedent, indent

WIDTH = 105
"""How many signs a line has at most, where it can be broken."""
TAB = "    "
OPEN, CLOSE = "([{", ")]}"
FOR_TOOLS = re.compile(r"  # (type: ignore|noqa).*")


def text(node: ast.stmt, lines: Sequence[str], depth: int = 0) -> str:
    """Return a statement as lines with breaks. ``lines``: the module that it was taken from; ``depth``: how
    often it is indented."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return _definition(node, lines, depth)
    if isinstance(node, ast.If | ast.For | ast.While | ast.With | ast.Try):
        return _compound(node, lines, depth)
    return indent(_simple(node, lines, WIDTH - 4 * depth), TAB * depth)


def wrapped(line: str, width: int = WIDTH) -> str:
    """Return a statement in one line or, where it is too long, in several, ending with a break."""
    if len(line) <= width:
        return line + "\n"
    first, last = _outermost(line)
    if first < 0 or last == first + 1:
        return line + "\n"
    inner, tail = line[first + 1 : last], line[last:]
    one = len(inner) + 4 <= width
    parts = [inner] if one else [part.strip() for part in _at_commas(inner)]
    comma = "" if one or len(parts) == 1 else ","
    body = "".join(wrapped(part + comma, width - 4) for part in parts)
    return f"{line[: first + 1]}\n{indent(body, TAB)}{tail}\n"


def _definition(node: ast.FunctionDef | ast.ClassDef, lines: Sequence[str], depth: int) -> str:
    above = "".join(f"@{_plain(decorator)}\n" for decorator in node.decorator_list)
    if isinstance(node, ast.FunctionDef):
        head = wrapped(f"def {node.name}({_plain(node.args)}):", WIDTH - 4 * depth)
    else:
        bases = ", ".join(map(_plain, node.bases))
        head = f"class {node.name}({bases}):\n" if bases else f"class {node.name}:\n"
    return indent(above + head, TAB * depth) + _body(
        node.body, lines, depth + 1, isinstance(node, ast.ClassDef)
    )


def _body(nodes: Sequence[ast.stmt], lines: Sequence[str], depth: int, of_class: bool = False) -> str:
    """Return a body, with an empty line around each function."""
    parts: list[str] = []
    for index, node in enumerate(nodes):
        before = nodes[index - 1] if index else None
        apart = isinstance(node, ast.FunctionDef) or isinstance(before, ast.FunctionDef)
        parts += ["\n"] * (apart and index > 0)
        if index == 0 and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            apart = of_class and len(nodes) > 1 and not isinstance(nodes[1], ast.FunctionDef)
            parts.append(f'{TAB * depth}"""{node.value.value!s}"""\n' + "\n" * apart)
        else:
            parts.append(text(node, lines, depth))
    return "".join(parts)


def _compound(
    node: ast.If | ast.For | ast.While | ast.With | ast.Try, lines: Sequence[str], depth: int
) -> str:
    parts = []
    for head, nodes in _clauses(node):
        parts.append(indent(wrapped(head, WIDTH - 4 * depth), TAB * depth) + _body(nodes, lines, depth + 1))
    above = indent(_comments(node, lines), TAB * depth)
    return above + "".join(parts)


def _clauses(node: ast.stmt) -> Iterator[tuple[str, list[ast.stmt]]]:
    """Yield the heads of a compound statement and what stands below each."""
    if isinstance(node, ast.If):
        yield f"if {_plain(node.test)}:", node.body
    elif isinstance(node, ast.While):
        yield f"while {_plain(node.test)}:", node.body
    elif isinstance(node, ast.For):
        yield f"for {_bare(node.target)} in {_bare(node.iter)}:", node.body
    elif isinstance(node, ast.With):
        yield f"with {', '.join(map(_plain, node.items))}:", node.body
    elif isinstance(node, ast.Try):
        yield "try:", node.body
        for handler in node.handlers:
            name = f" as {handler.name}" if handler.name else ""
            yield f"except {_plain(handler.type)}{name}:" if handler.type else "except:", handler.body
    other = getattr(node, "orelse", [])
    if len(other) == 1 and isinstance(other[0], ast.If) and isinstance(node, ast.If):
        yield from ((f"el{head}" if head[:2] == "if" else head, below) for head, below in _clauses(other[0]))
    elif other:
        yield "else:", other
    if isinstance(node, ast.Try) and node.finalbody:
        yield "finally:", node.finalbody


def _simple(node: ast.stmt, lines: Sequence[str], width: int) -> str:
    own = _comments(node, lines)
    if hasattr(node, "lineno"):
        before = dedent("\n".join(lines[node.lineno - 1 : node.end_lineno])) + "\n"
        if _same(before, node):
            return own + FOR_TOOLS.sub("", before)
    return own + wrapped(_line(node), width)


def _line(node: ast.stmt) -> str:
    if isinstance(node, ast.Assign):
        return " = ".join(map(_bare, [*node.targets, node.value]))
    if isinstance(node, ast.Return) and node.value is not None:
        return f"return {_bare(node.value)}"
    return _plain(node)


def _bare(node: ast.expr) -> str:
    """Return an expression, a tuple or a question without brackets round it."""
    if isinstance(node, ast.Tuple) and len(node.elts) > 1:
        return ", ".join(map(_plain, node.elts))
    line = _plain(node)
    return line[1:-1] if isinstance(node, ast.Yield | ast.YieldFrom) else line


def _plain(node: ast.AST) -> str:
    """Return code in one line, words in double quotes."""
    return re.sub(r"(?<![\w\"'])'([^'\"\\\n]*)'", r'"\1"', ast.unparse(ast.fix_missing_locations(node)))


def _same(before: str, node: ast.stmt) -> bool:
    """Say whether lines of a module say what ``node`` says."""
    try:
        return ast.dump(ast.parse(before).body[0]) == ast.dump(node)
    except (SyntaxError, IndexError):
        return False


def _comments(node: ast.stmt, lines: Sequence[str]) -> str:
    """Return the comments that stand right above a statement."""
    if not hasattr(node, "lineno"):
        return ""
    first = node.lineno - 1
    while first and lines[first - 1].strip().startswith("#"):
        first -= 1
    return dedent("\n".join([*lines[first : node.lineno - 1], ""]))


def _outermost(line: str) -> tuple[int, int]:
    """Return where the last pair of brackets that is in no other begins and ends; -1 twice for none."""
    depth, opened, pair = 0, -1, (-1, -1)
    for sign, at in _signs(line):
        if sign in OPEN:
            opened, depth = (at if depth == 0 else opened), depth + 1
        elif sign in CLOSE:
            depth -= 1
            pair = (opened, at) if depth == 0 and at > opened + 1 else pair
    return pair


def _at_commas(inner: str) -> list[str]:
    """Return what stands between commas that are in no brackets."""
    depth, cuts = 0, [-1]
    for sign, at in _signs(inner):
        depth += (sign in OPEN) - (sign in CLOSE)
        cuts += [at] * (sign == "," and depth == 0)
    return [inner[a + 1 : b] for a, b in zip(cuts, [*cuts[1:], len(inner)], strict=True)]


def _signs(line: str) -> Iterator[tuple[str, int]]:
    """Yield the signs of a line that are in no string, and where they are."""
    try:
        for token in tokenize.generate_tokens(io.StringIO(line).readline):
            if token.type == tokenize.OP and token.start[0] == 1:
                yield token.string, token.start[1]
    except tokenize.TokenError:  # a part of a statement need not be whole
        return
