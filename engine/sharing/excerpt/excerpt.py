"""The definitions that code refers to, each followed to what it refers to in turn."""

from __future__ import annotations

import ast
import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from attacks.contract import Attack
from engine.sharing.excerpt import writing
from engine.sharing.excerpt.folding import Scope
from engine.sharing.excerpt.rewriting import Rewriter, Uses, copied, rewritten, summary
from engine.sharing.excerpt.sources import Definition, dependencies, own, source
from errors import FoolscopeError

PLAIN_TYPES, TENSOR = ("bool", "float", "int", "str"), {"Tensor": "torch.Tensor"}


@dataclass(frozen=True)
class Excerpt:
    """Code that runs by itself. ``imports``: statements; ``code``: definitions, each after those that it
    needs; ``names``: how the definitions that were asked for are called in it."""

    imports: tuple[str, ...]
    code: str
    names: Mapping[Definition, str]


@dataclass(frozen=True)
class Known:
    """What holds for one run. ``attack``: the one that is carried out; ``facts``: attributes of objects, by
    their class, whose values are known."""

    attack: Attack
    facts: Mapping[type, Mapping[str, object]]

    @classmethod
    def of(cls, attack: Attack, more: Mapping[type, Mapping[str, object]]) -> Known:
        """Return the settings of an attack, of the attacks that it is made of those that are the same in
        all that are of one class, and ``more``."""
        facts: dict[type, Mapping[str, object]] = {type(attack): _settings(attack)}
        for part in getattr(attack, "parts", list[Attack])():
            own = _settings(part)
            others = facts.get(type(part), own)
            facts[type(part)] = {name: own[name] for name in own if others.get(name) == own[name]}
        return cls(attack, facts | dict(more))


def excerpt(
    wanted: Sequence[Definition], known: Known, reserved: frozenset[str], read: Sequence[str] = ()
) -> Excerpt:
    """Return what runs ``wanted`` without this program. ``reserved``: names that the script has taken;
    ``read``: attributes that it reads or gives itself."""
    whole = _Closure(known)
    whole.uses.attributes.update(read)
    whole.follow(wanted)
    whole.rename(reserved)
    code = whole.code()
    statements = {meaning.statement for meaning in whole.uses.imported} | whole.needed()
    return Excerpt(tuple(sorted(statements)), code, {one: whole.name(one) for one in wanted})


def _settings(attack: Attack) -> dict[str, object]:
    return {item.name: getattr(attack, item.name) for item in attack.settings(getattr(attack, "norm", None))}


@dataclass
class _Closure:
    """All definitions that code needs, and what they refer to. ``functions``: those that were rewritten with
    the names that definitions have now."""

    known: Known
    wanted: list[Definition] = field(default_factory=list)
    uses: Uses = field(default_factory=Uses)
    names: dict[Definition, str] = field(default_factory=dict)
    functions: dict[tuple[ast.FunctionDef, type | None], ast.FunctionDef] = field(default_factory=dict)

    def name(self, definition: Definition) -> str:
        """Return what a definition is called in the script."""
        return self.names.get(definition, definition.name)

    def follow(self, wanted: Sequence[Definition]) -> None:
        """Take in definitions and what they refer to, until nothing new comes."""
        self.uses.definitions.update(wanted)
        before = (-1, -1)
        while before != (size := (len(self.uses.definitions), len(self.uses.attributes))):
            before = size
            for definition in list(self.uses.definitions):
                self.statement(definition)

    def rename(self, reserved: frozenset[str]) -> None:
        """Give a name of its own to each definition whose name means something else where it is used."""
        taken = set(reserved)
        for definition in self.ordered():
            name, module = definition.name, definition.module.rpartition(".")[2]
            if name in taken or name in self.uses.locals.get(definition, ()):
                name = f"{name}_of_{module}"
            self.names[definition] = name
            taken.add(name)
        self.functions.clear()

    def ordered(self) -> list[Definition]:
        """Return the definitions, each after those of the modules that its own takes names from."""
        modules: dict[str, None] = {}
        for module in sorted({definition.module for definition in self.uses.definitions}):
            _visit(module, modules, set())
        places = {module: index for index, module in enumerate(modules)}
        return sorted(self.uses.definitions, key=lambda one: (places[one.module], one.node.lineno, one.name))

    def code(self) -> str:
        """Return the text of all definitions."""
        parts, done, flat = list[str](), list[ast.stmt](), True
        for definition in self.ordered():
            if definition.node in done:
                continue
            done.append(definition.node)
            plain = isinstance(definition.node, ast.Assign | ast.AnnAssign)
            parts.append("" if flat and plain else "\n\n")
            parts.append(writing.text(self.statement(definition), _lines(definition)))
            flat = plain
        return "".join(parts)

    def needed(self) -> set[str]:
        """Return the imports that the classes' own form needs."""
        kinds = [one.value for one in self.uses.definitions if isinstance(one.node, ast.ClassDef)]
        tuples = any(isinstance(kind, type) and issubclass(kind, tuple) for kind in kinds)
        records = any(
            dataclasses.is_dataclass(kind) and kind is not type(self.known.attack) for kind in kinds
        )
        lines = ["from typing import NamedTuple"] * tuples + ["from dataclasses import dataclass"] * records
        return set(lines)

    def statement(self, definition: Definition) -> ast.stmt:
        """Return a definition as the script has it, and take in what it refers to."""
        node = definition.node
        if isinstance(node, ast.FunctionDef):
            done: ast.stmt = self._function(node, definition.module, None)
        elif isinstance(node, ast.ClassDef):
            done = self._class(node, definition)
        else:
            scope = Scope(definition.module, frozenset(), {})
            done = Rewriter(scope, self.name, self.uses).visit(copied(node))
        if isinstance(done, ast.FunctionDef | ast.ClassDef):
            done.name = self.name(definition)
        return done

    def _function(self, node: ast.FunctionDef, module: str, own: type | None) -> ast.FunctionDef:
        if (node, own) not in self.functions:
            done = rewritten(node, module, self.known.facts, own, self.name, self.uses)
            self.functions[node, own] = done
        return self.functions[node, own]

    def _class(self, node: ast.ClassDef, definition: Definition) -> ast.ClassDef:
        """Return a class with what its bases give it, as far as anybody uses it."""
        kind = definition.value
        assert isinstance(kind, type)
        sentence = summary(node)
        body: list[ast.stmt] = [ast.Expr(ast.Constant(sentence))] if sentence else []
        if issubclass(kind, FoolscopeError):
            error: list[ast.expr] = [ast.Name("ValueError", ast.Load())]
            return ast.ClassDef(node.name, error, [], body or [ast.Pass()], [])
        body += self._fields(kind)
        body += self._methods(kind)
        record = dataclasses.is_dataclass(kind) and kind is not type(self.known.attack)
        above = [ast.parse("dataclass(frozen=True)", mode="eval").body] if record else []
        bases: list[ast.expr] = [ast.Name("NamedTuple", ast.Load())] if issubclass(kind, tuple) else []
        return ast.ClassDef(node.name, bases, [], body or [ast.Pass()], above)

    def _methods(self, kind: type) -> Iterator[ast.FunctionDef]:
        """Yield the methods of a class and of its bases that anybody calls."""
        begins = {"search"} if kind is type(self.known.attack) else set()
        wanted, above = self.uses.attributes | begins | {"__init__"}, 0
        for base in _bases(kind):
            for method in _methods(base):
                if method.name in wanted:
                    wanted = wanted - {method.name}
                    yield ast.increment_lineno(self._function(method, base.module, kind), above)
            above += len(source(base.module).lines)

    def _fields(self, kind: type) -> Iterator[ast.stmt]:
        """Yield the fields of a class that are read; settings with their values."""
        attack = self.known.attack
        if issubclass(kind, Attack):
            this = attack if kind is type(attack) else None
            for item in kind.settings(getattr(attack, "norm", None)):
                read, value = item.name in self.uses.attributes, getattr(this, item.name, item.default)
                if read or this is None:
                    text = json.dumps(value) if isinstance(value, str) else item.format(value).title()
                    hint = "" if this else f": {item.type}"
                    yield ast.parse(f"{item.name}{hint} = {text}").body[0]
            return
        for base in reversed(_bases(kind)):
            for declared in _declared(base):
                name = ast.unparse(declared.target)
                if name in self.uses.attributes or issubclass(kind, tuple):
                    yield self._plain_field(declared, base.module)

    def _plain_field(self, node: ast.AnnAssign, module: str) -> ast.stmt:
        """Return a record's field with a type that needs no import, and its default."""
        hint = ast.unparse(node.annotation)
        known = hint if hint in PLAIN_TYPES else TENSOR.get(hint, "object")
        scope = Scope(module, frozenset(), {})
        default = node.value and Rewriter(scope, self.name, self.uses).visit(copied(node.value))
        return ast.AnnAssign(node.target, ast.Name(known, ast.Load()), default, 1)


def _bases(kind: type) -> list[Definition]:
    """Return a class and those of this program that it is derived from, in the order of look-up."""
    every = [(base.__module__, base.__name__) for base in kind.__mro__]
    return [Definition(module, name) for module, name in every if own(module)]


def _methods(base: Definition) -> list[ast.FunctionDef]:
    assert isinstance(base.node, ast.ClassDef)
    return [part for part in base.node.body if isinstance(part, ast.FunctionDef)]


def _declared(base: Definition) -> list[ast.AnnAssign]:
    assert isinstance(base.node, ast.ClassDef)
    return [part for part in base.node.body if isinstance(part, ast.AnnAssign)]


def _lines(definition: Definition) -> list[str]:
    """Return the lines that the statements of a definition were taken from: for a class those of its bases'
    modules, one after the other."""
    kind = definition.value
    bases = (
        _bases(kind) if isinstance(definition.node, ast.ClassDef) and isinstance(kind, type) else [definition]
    )
    return [line for base in bases for line in source(base.module).lines]


def _visit(module: str, order: dict[str, None], begun: set[str]) -> None:
    """Write a module into ``order`` after those that it takes names from."""
    if module in begun:
        return
    begun.add(module)
    for other in dependencies(module):
        _visit(other, order, begun)
    order[module] = None
