"""The source of this program's modules, which are loaded already, and what a name in one stands for."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec

OWN = frozenset(["attacks", "engine", "errors", "models", "settings"])
"""The packages that a script has to do without."""


@dataclass(frozen=True)
class Definition:
    """A function, a class or a constant at the top of one of this program's modules."""

    module: str
    name: str

    @property
    def node(self) -> ast.stmt:
        """The statement that defines it."""
        return source(self.module).definitions[self.name]

    @property
    def value(self) -> object:
        """What the name stands for at run time."""
        return getattr(sys.modules[self.module], self.name)


@dataclass(frozen=True)
class Imported:
    """A name of another package, and the statement that imports it."""

    name: str
    statement: str


@dataclass(frozen=True)
class Module:
    """One of this program's modules."""

    name: str


Meaning = Definition | Imported | Module | None
"""What a name stands for; None where the module does not define it, as builtins."""


@dataclass(frozen=True, eq=False)
class Source:
    """A module. ``lines``: its text; ``definitions``: statements by the name that they define; ``imports``:
    what its imports bring, by name."""

    lines: tuple[str, ...]
    definitions: dict[str, ast.stmt]
    imports: dict[str, Meaning]


@cache
def source(module: str) -> Source:
    """Return the source of one of this program's modules."""
    text = inspect.getsource(sys.modules[module])
    tree = ast.parse(text)
    imports = {name: meaning for node in tree.body for name, meaning in _brought(node)}
    defined = {name: node for node in tree.body for name in _defined(node)}
    return Source(tuple(text.splitlines()), defined, imports)


def resolve(module: str, name: str) -> Meaning:
    """Return what ``name`` stands for at the top of ``module``."""
    here = source(module)
    return Definition(module, name) if name in here.definitions else here.imports.get(name)


def dependencies(module: str) -> Iterator[str]:
    """Yield this program's modules that ``module`` takes names from."""
    for meaning in source(module).imports.values():
        if isinstance(meaning, Definition):
            yield meaning.module
        elif isinstance(meaning, Module):
            yield meaning.name


def _defined(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Assign):
        yield from (part.id for part in ast.walk(node.targets[0]) if isinstance(part, ast.Name))
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        yield node.target.id


def _brought(node: ast.stmt) -> Iterator[tuple[str, Meaning]]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            name = alias.asname or alias.name
            statement = ast.unparse(ast.Import([alias]))
            yield name, Module(alias.name) if own(alias.name) else Imported(name, statement)
    elif isinstance(node, ast.ImportFrom) and node.module and node.module != "__future__":
        for alias in node.names:
            yield alias.asname or alias.name, _from(node.module, alias)


def _from(module: str, alias: ast.alias) -> Meaning:
    if not own(module):
        name = alias.asname or alias.name
        return Imported(name, ast.unparse(ast.ImportFrom(module, [alias], 0)))
    if hasattr(sys.modules[module], "__path__") and find_spec(f"{module}.{alias.name}"):
        return Module(f"{module}.{alias.name}")
    return resolve(module, alias.name)


def own(module: str) -> bool:
    """Say whether a module is one of this program's."""
    return module.partition(".")[0] in OWN
