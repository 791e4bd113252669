"""What an expression is for one run: settings, the goal and constants are known, pictures are not."""

from __future__ import annotations

import ast
import dataclasses
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import BuiltinFunctionType, FunctionType
from typing import Any, TypeGuard

import torch

from engine.sharing.excerpt.sources import Definition, Imported, Module, own, resolve, source


class NotKnown(Exception):  # noqa: N818  # it is no error: most expressions are about pictures
    """Raised for an expression whose value depends on more than the run's settings."""


@dataclass(frozen=True)
class Facts:
    """An object of which some attributes are known."""

    attributes: Mapping[str, object]


@dataclass
class Scope:
    """Names inside a function of ``module``. ``bound``: those that the function itself gives a value;
    ``known``: the values of some of these."""

    module: str
    bound: frozenset[str]
    known: dict[str, object]


COMPARISONS: Mapping[type[ast.cmpop], Callable[[Any, Any], object]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.In: lambda one, many: operator.contains(many, one),
}


def value(node: ast.expr, scope: Scope) -> object:
    """Return the value of an expression; raises `NotKnown` where it has no known one."""
    reader = READERS.get(type(node))
    if reader is None:
        raise NotKnown
    return reader(node, scope)


Literal = bool | int | float | str | None
"""What is written as it is."""


def literal(known: object) -> TypeGuard[Literal]:
    """Say whether a value is written as it is: a number, a word, true, false, None."""
    return known is None or isinstance(known, bool | int | float | str)


def written(known: object) -> Definition | Imported | None:
    """Return what a value that is no literal is called at the top of a module; None where it has no name."""
    called = str(getattr(known, "__name__", ""))
    if isinstance(known, BuiltinFunctionType) and getattr(torch, called, None) is known:
        return Imported(f"torch.{called}", "import torch")
    if isinstance(known, FunctionType):
        module, name = str(known.__module__), known.__qualname__
        return Definition(module, name) if own(module) and name in source(module).definitions else None
    module = type(known).__module__
    if not own(module) or not dataclasses.is_dataclass(known):
        return None
    names = (name for name in source(module).definitions if Definition(module, name).value is known)
    return next((Definition(module, name) for name in names), None)


def _name(node: ast.expr, scope: Scope) -> object:
    assert isinstance(node, ast.Name)
    if node.id in scope.bound:
        if node.id in scope.known:
            return scope.known[node.id]
        raise NotKnown
    return _meant(resolve(scope.module, node.id))


def _meant(meaning: Definition | Imported | Module | None) -> object:
    if isinstance(meaning, Definition) and not isinstance(meaning.node, ast.ClassDef):
        return meaning.value
    if isinstance(meaning, Module):
        return meaning
    raise NotKnown


def _attribute(node: ast.expr, scope: Scope) -> object:
    assert isinstance(node, ast.Attribute)
    owner = value(node.value, scope)
    if isinstance(owner, Facts) and node.attr in owner.attributes:
        return owner.attributes[node.attr]
    if isinstance(owner, Module):
        return _meant(resolve(owner.name, node.attr))
    if dataclasses.is_dataclass(owner) and node.attr in {item.name for item in dataclasses.fields(owner)}:
        return getattr(owner, node.attr)
    raise NotKnown


def _constant(node: ast.expr, scope: Scope) -> object:
    assert isinstance(node, ast.Constant)
    return node.value


def _subscript(node: ast.expr, scope: Scope) -> object:
    assert isinstance(node, ast.Subscript)
    table, key = value(node.value, scope), value(node.slice, scope)
    if isinstance(table, dict) and key in table:
        return table[key]
    raise NotKnown


def _call(node: ast.expr, scope: Scope) -> object:
    """Look up by name, as in ``norms.get(self.norm)``: no other function is called."""
    assert isinstance(node, ast.Call)
    if len(node.args) == 1 and not node.keywords:
        called, argument = value(node.func, scope), value(node.args[0], scope)
        if isinstance(called, FunctionType) and called.__name__ == "get" and isinstance(argument, str):
            result: object = called(argument)
            return result
    raise NotKnown


def _compare(node: ast.expr, scope: Scope) -> object:
    assert isinstance(node, ast.Compare)
    compares = COMPARISONS.get(type(node.ops[0]))
    if len(node.ops) > 1 or compares is None:
        raise NotKnown
    return compares(value(node.left, scope), value(node.comparators[0], scope))


def _bool_op(node: ast.expr, scope: Scope) -> object:
    assert isinstance(node, ast.BoolOp)
    stops = isinstance(node.op, ast.Or)
    known: object = not stops
    for part in node.values:
        known = value(part, scope)
        if bool(known) is stops:
            return known
    return known


def _not(node: ast.expr, scope: Scope) -> object:
    assert isinstance(node, ast.UnaryOp)
    known = value(node.operand, scope)
    if isinstance(node.op, ast.Not):
        return not known
    if isinstance(node.op, ast.USub) and isinstance(known, int | float):
        return -known
    raise NotKnown


def _if_exp(node: ast.expr, scope: Scope) -> object:
    assert isinstance(node, ast.IfExp)
    return value(node.body if value(node.test, scope) else node.orelse, scope)


READERS: Mapping[type[ast.expr], Callable[[ast.expr, Scope], object]] = {
    ast.Name: _name,
    ast.Attribute: _attribute,
    ast.Constant: _constant,
    ast.Subscript: _subscript,
    ast.Call: _call,
    ast.Compare: _compare,
    ast.BoolOp: _bool_op,
    ast.UnaryOp: _not,
    ast.IfExp: _if_exp,
}
"""What reads the value of each kind of expression."""
