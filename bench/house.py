"""Counts of what keeps the code readable: ``make house`` prints them, a test holds them.

| count | what it is |
|---|---|
| functions at or under 20 lines | share of all functions, in per cent |
| longest function | lines |
| string subscripts | ``figures["rows"]``: constants as keys where a field of a dataclass should be |
| late imports | import statements inside functions |
| untyped signatures | functions of ``experiments`` with ``Any`` or ``JSON`` among parameters or result |
| single-use modules | modules of ``components`` that serve one module elsewhere, where they belong |
| norms by string | modules in which a norm is named by its string; those of ``engine`` name figures |
| old words | names of variables that say nothing: each, found, said, told, kept, ... |
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import console
from settings import ROOT

PACKAGES = ("app", "components", "engine", "experiments", "attacks", "models")
TYPED = ("app", "components", "experiments")
"""Where results are read by attribute."""
OLD_WORDS = frozenset(
    ("each", "found", "said", "told", "kept", "made", "way", "ways", "cast", "deck", "kin", "odds", "pieces")
)
NORM_NAMES = frozenset(("linf", "l2", "l1", "l0"))
FIGURES = "engine"
"""Where such a name is a figure's."""
SHORT = 20
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class House:
    """The counts, as the module's docstring lists them."""

    short_functions: float
    longest_function: int
    string_subscripts: int
    late_imports: int
    untyped_signatures: int
    single_use_modules: int
    norms_by_string: int
    old_words: int


def count(root: Path = ROOT) -> House:
    """Return the counts over the packages of a checkout at ``root``."""
    trees = {
        path: ast.parse(path.read_text("utf-8")) for name in PACKAGES for path in (root / name).rglob("*.py")
    }
    lengths = [lines(function) for tree in trees.values() for function in functions(tree)]
    typed = [tree for path, tree in trees.items() if path.relative_to(root).parts[0] in TYPED]
    experiments = [tree for path, tree in trees.items() if path.relative_to(root).parts[0] == "experiments"]
    counts = House(
        short_functions=100 * sum(length <= SHORT for length in lengths) / len(lengths),
        longest_function=max(lengths),
        string_subscripts=sum(map(string_subscripts, typed)),
        late_imports=sum(map(late_imports, trees.values())),
        untyped_signatures=sum(untyped(function) for tree in experiments for function in functions(tree)),
        single_use_modules=len(single_use(trees, root)),
        norms_by_string=sum(names_a_norm(tree) for path, tree in trees.items() if FIGURES not in path.parts),
        old_words=sum(map(old_words, trees.values())),
    )
    walked.cache_clear()  # it holds every tree
    return counts


@cache
def walked(tree: ast.AST) -> tuple[ast.AST, ...]:
    """Return all nodes of a module, once for all counts."""
    return tuple(ast.walk(tree))


def functions(tree: ast.AST) -> Iterator[Function]:
    """Yield all functions in a module, inner ones too."""
    return (node for node in walked(tree) if isinstance(node, Function))


def lines(function: Function) -> int:
    """Return how many lines a function has."""
    return (function.end_lineno or function.lineno) - function.lineno + 1


def string_subscripts(tree: ast.AST) -> int:
    """Return how often something is subscripted with a string constant."""
    nodes = (node for node in walked(tree) if isinstance(node, ast.Subscript))
    return sum(isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str) for node in nodes)


def late_imports(tree: ast.AST) -> int:
    """Return how many import statements stand inside functions."""
    inside = {node for function in functions(tree) for node in ast.walk(function)}
    return sum(isinstance(node, ast.Import | ast.ImportFrom) for node in inside)


def untyped(function: Function) -> bool:
    """Return whether ``Any`` or ``JSON`` is among the types of a function's parameters or result."""
    parameters = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    hints = [parameter.annotation for parameter in parameters] + [function.returns]
    names = (node for hint in hints if hint for node in ast.walk(hint) if isinstance(node, ast.Name))
    return any(name.id in ("Any", "JSON") for name in names)


def single_use(trees: dict[Path, ast.Module], root: Path) -> list[str]:
    """Return the modules of ``components`` that only one module imports, from another folder."""
    modules = {".".join(path.relative_to(root).with_suffix("").parts): path for path in trees}
    users: dict[str, set[Path]] = {name: set() for name in modules}
    for path, tree in trees.items():
        for name in imported(tree):
            if name in users:
                users[name].add(path)
    return [
        name
        for name, paths in users.items()
        if name.startswith("components.") and _serves_one(modules[name], paths)
    ]


def _serves_one(module: Path, users: set[Path]) -> bool:
    """Return whether a module has one user, in another folder than its own."""
    return len(users) == 1 and next(iter(users)).parent != module.parent


def imported(tree: ast.AST) -> set[str]:
    """Return what a module imports, names of modules and names in them alike."""
    names = {alias.name for node in walked(tree) if isinstance(node, ast.Import) for alias in node.names}
    for node in walked(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def names_a_norm(tree: ast.AST) -> bool:
    """Return whether a module has a constant that is a norm's name."""
    return any(isinstance(node, ast.Constant) and node.value in NORM_NAMES for node in walked(tree))


def old_words(tree: ast.AST) -> int:
    """Return how often a variable or parameter is called one of `OLD_WORDS`."""
    bound = Counter(
        node.id for node in walked(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    )
    bound.update(node.arg for node in walked(tree) if isinstance(node, ast.arg))
    return sum(bound[word] for word in OLD_WORDS)


def main() -> None:
    """Print the counts of this checkout."""
    counts = count()
    for name, value in vars(counts).items():
        print(
            f"{name.replace('_', ' '):20} {value:8.1f}"
            if isinstance(value, float)
            else f"{name.replace('_', ' '):20} {value:6}"
        )


if __name__ == "__main__":
    raise SystemExit(console.run(main))
