"""A function of this program, rewritten for one run: no types, no branches that its settings rule out."""

from __future__ import annotations

import ast
import dataclasses
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TypeVar

from attacks.contract import Attack
from engine.sharing.excerpt.folding import Facts, NotKnown, Scope, literal, value, written
from engine.sharing.excerpt.sources import Definition, Imported, Meaning, Module, resolve

Function = ast.FunctionDef
Tree = TypeVar("Tree", bound=ast.AST)
Bodies = Mapping[type, Mapping[str, object]]
"""What is known of objects of some classes: attributes and their values."""
Named = Callable[[Definition], str]
SEE = re.compile(r"; see `[^`]+`")
LONGEST_SENTENCE = 92


@dataclass
class Uses:
    """What code refers to. ``attributes``: names after a dot; ``locals``: for each definition the names that
    functions which refer to it use for themselves."""

    definitions: set[Definition] = field(default_factory=set)
    imported: set[Imported] = field(default_factory=set)
    attributes: set[str] = field(default_factory=set)
    locals: dict[Definition, set[str]] = field(default_factory=dict)

    def add(self, meaning: Definition | Imported, bound: frozenset[str]) -> None:
        """Take in a name that stands for ``meaning`` in a function with the names ``bound`` of its own."""
        if isinstance(meaning, Imported):
            self.imported.add(meaning)
            return
        self.definitions.add(meaning)
        self.locals.setdefault(meaning, set()).update(bound)


def copied(tree: Tree) -> Tree:
    """Return a copy of a tree that can be changed, in a third of the time that `copy.deepcopy` takes."""
    new = type(tree)()
    for name, part in vars(tree).items():
        setattr(new, name, [_copied(one) for one in part] if isinstance(part, list) else _copied(part))
    return new


def _copied(part: object) -> object:
    return copied(part) if isinstance(part, ast.AST) else part


@cache
def _within(function: Function) -> tuple[ast.AST, ...]:
    """Return all that a function of a module consists of; it is asked often, and never changed."""
    return tuple(ast.walk(function))


def bound_names(node: Function) -> frozenset[str]:
    """Return the names that a function, and what is nested in it, gives values to."""
    stored = {n.id for n in _within(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    nested = {n.name for n in _within(node) if isinstance(n, Function) and n is not node}
    return frozenset(stored | nested | {n.arg for n in _within(node) if isinstance(n, ast.arg)})


def summary(node: Function | ast.ClassDef) -> str | None:
    """Return the first sentence of a docstring where it fits into a line."""
    text = " ".join((ast.get_docstring(node) or "").split())
    first = re.match(r".+?[.](?= |$)", SEE.sub("", text))
    return first[0] if first and len(first[0]) <= LONGEST_SENTENCE else None


class Rewriter(ast.NodeTransformer):
    """Rewrites code at the top of a module or in a function.

    ``scope``: where it stands; ``name``: how each definition is called in the script; ``uses``: takes in
    what the result refers to.
    """

    def __init__(self, scope: Scope, name: Named, uses: Uses) -> None:
        self.scope, self.name, self.uses = scope, name, uses

    def visit_FunctionDef(self, node: Function) -> ast.AST:  # as ast calls it
        """Drop the types and all but the first sentence of the docstring."""
        sentence = summary(node)
        node.body = node.body[1:] if ast.get_docstring(node) else node.body
        for argument in ast.walk(node.args):
            if isinstance(argument, ast.arg):
                argument.annotation = None
        node.returns = None
        self.generic_visit(node)
        doc = [ast.Expr(ast.Constant(sentence))] if sentence else []
        node.body = [*doc, *node.body] or [ast.Pass()]
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        """Drop the type."""
        if node.value is None:
            return None
        plain = ast.Assign([node.target], node.value)
        ast.copy_location(plain, node)
        return self.generic_visit(plain)

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        """Leave the branch that is taken."""
        test = self._known(node.test)
        if test is None:
            self.generic_visit(node)
            node.test, node.body = _brief_test(node.test), node.body or [ast.Pass()]
            return node
        taken = node.body if test[0] else node.orelse
        visited = [self.visit(statement) for statement in taken]
        return [one for part in visited if part for one in (part if isinstance(part, list) else [part])]

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        """Leave the value that is chosen."""
        test = self._known(node.test)
        if test is None:
            self.generic_visit(node)
            node.test = _brief_test(node.test)
            return node
        chosen: ast.AST = self.visit(node.body if test[0] else node.orelse)
        return chosen

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        """Write what is known as it is."""
        return self._folded(node) or self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        """Write what is known as it is."""
        return self._folded(node) or self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        """Write what is known as it is."""
        known = isinstance(node.op, ast.Not) and self._folded(node)
        return known or self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        """Write what is looked up by its own name."""
        return self._named(node) or self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Write what is looked up by its own name, and of a record the fields that somebody reads."""
        return self._named(node) or self.generic_visit(self._brief(node))

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        """Write what a module's name stands for by its own name."""
        if isinstance(node.ctx, ast.Load):
            named = self._named(node)
            if named:
                return named
            known = self._known(node.value)
            if known and isinstance(known[0], Module):
                return self._referred(resolve(known[0].name, node.attr), node.attr)
        self.uses.attributes.add(node.attr)
        return self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        """Write a name of this program as the script calls it."""
        if node.id in self.scope.bound:
            return node
        if isinstance(node.ctx, ast.Store):
            node.id = self.name(Definition(self.scope.module, node.id))
            return node
        return self._referred(resolve(self.scope.module, node.id), node.id)

    def _brief(self, node: ast.Call) -> ast.Call:
        """Return the making of a record without what nobody reads of it."""
        meaning = resolve(self.scope.module, node.func.id) if isinstance(node.func, ast.Name) else None
        kind = meaning.value if isinstance(meaning, Definition) else None
        if not isinstance(kind, type) or not dataclasses.is_dataclass(kind) or issubclass(kind, Attack):
            return node
        names = [item.name for item in dataclasses.fields(kind)]
        if not set(names) - self.uses.attributes:
            return node
        given = [ast.keyword(name, part) for name, part in zip(names, node.args, strict=False)]
        read = [one for one in [*given, *node.keywords] if one.arg in self.uses.attributes]
        return ast.Call(node.func, [], read)

    def _referred(self, meaning: Meaning, name: str) -> ast.Name:
        if isinstance(meaning, Definition):
            name = self.name(meaning)
        if isinstance(meaning, Definition | Imported):
            self.uses.add(meaning, self.scope.bound)
        return ast.Name(name, ast.Load())

    def _known(self, node: ast.expr) -> tuple[object] | None:
        try:
            return (value(node, self.scope),)
        except NotKnown:
            return None

    def _folded(self, node: ast.expr) -> ast.AST | None:
        known = self._known(node)
        return ast.Constant(known[0]) if known and literal(known[0]) else None

    def _named(self, node: ast.expr) -> ast.AST | None:
        known = self._known(node)
        if known is None:
            return None
        if literal(known[0]):
            return None if _of_the_attack(node, self.scope) else ast.Constant(known[0])
        meaning = written(known[0])
        return self._referred(meaning, getattr(meaning, "name", "")) if meaning else None


def _brief_test(node: ast.expr) -> ast.expr:
    """Return a condition without parts that are known to change nothing."""
    if not isinstance(node, ast.BoolOp):
        return node
    neutral = isinstance(node.op, ast.And)
    left = [part for part in node.values if not (isinstance(part, ast.Constant) and part.value is neutral)]
    node.values = left or node.values[:1]
    return node if len(node.values) > 1 else node.values[0]


def _of_the_attack(node: ast.expr, scope: Scope) -> bool:
    """Say whether a known value is read off an object, as a setting is, and not off a module."""
    names = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
    return bool(names & scope.bound)


def rewritten(
    node: Function,
    module: str,
    facts: Bodies,
    own: type | None,
    name: Callable[[Definition], str],
    uses: Uses,
) -> Function:
    """Return a function as a script has it.

    ``facts``: what is known of objects of some classes; ``own``: the class whose method it is, None for a
    plain function; ``name`` and ``uses``: see `Rewriter`.
    """
    scope = Scope(module, bound_names(node), _typed(node, module, facts, own))
    for known, result in _constants(node, scope):
        scope.known[known] = result
    rewriter = Rewriter(scope, name, uses)
    done: Function = rewriter.visit(copied(node))
    unread = scope.known.keys() - _read(done)
    done.body = [left for statement in done.body for left in _without(statement, unread)]
    return done


def _typed(node: Function, module: str, facts: Bodies, own: type | None) -> dict[str, object]:
    """Return what is known of the arguments, by their types."""
    known: dict[str, object] = {}
    for argument in node.args.args:
        if argument.arg == "self" and own is not None and own in facts:
            known["self"] = Facts(facts[own])
        elif isinstance(argument.annotation, ast.Name):
            meaning = resolve(module, argument.annotation.id)
            kind = meaning.value if isinstance(meaning, Definition) else None
            if isinstance(kind, type) and kind in facts:
                known[argument.arg] = Facts(facts[kind])
    return known


def _constants(node: Function, scope: Scope) -> Iterator[tuple[str, object]]:
    """Yield the names that are given one value, once, and that value."""
    names = (n.id for n in _within(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))
    given = {n.arg for n in _within(node) if isinstance(n, ast.arg)}
    once = {name for name, times in Counter(names).items() if times == 1} - given
    for statement in _within(node):
        if isinstance(statement, ast.Assign):
            for target, result_of in _pairs(statement):
                if isinstance(target, ast.Name) and target.id in once:
                    try:
                        result = value(result_of, scope)
                    except NotKnown:
                        continue
                    if literal(result) or written(result):
                        yield target.id, result


def _pairs(node: ast.Assign) -> list[tuple[ast.expr, ast.expr]]:
    """Return what an assignment gives to what, one by one where it says so."""
    if len(node.targets) > 1:
        return []
    target = node.targets[0]
    if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
        return list(zip(target.elts, node.value.elts, strict=True))
    return [(target, node.value)]


def _read(node: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}


def _without(statement: ast.stmt, unread: set[str]) -> list[ast.stmt]:
    """Return a statement without the constants that nobody reads any more."""
    if not isinstance(statement, ast.Assign) or not _pairs(statement):
        return [statement]
    pairs = _pairs(statement)
    left = [pair for pair in pairs if not (isinstance(pair[0], ast.Name) and pair[0].id in unread)]
    if len(left) == len(pairs):
        return [statement]
    if not left:
        return []
    targets, values = [pair[0] for pair in left], [pair[1] for pair in left]
    new = ast.Assign([targets[0] if len(left) == 1 else ast.Tuple(targets, ast.Store())], values[0])
    new.value = values[0] if len(left) == 1 else ast.Tuple(values, ast.Load())
    return [ast.copy_location(new, statement)]
