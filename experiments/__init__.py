"""The papers' experiments without pixels: one file per experiment, typed settings in, typed results out.

Every file in the folder of a paper that defines a subclass of `Experiment` with a ``card`` is found by
`registry`; adding an experiment is adding a file. Results that ship lie in ``assets/results``.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import json
import pkgutil
from pathlib import Path
from types import ModuleType

from errors import UnknownName
from experiments.core import A, AnyExperiment, Experiment, F, Result, load
from settings import RESULTS

SHARED = ("datasets", "methods", "toolkit")
"""Folders that belong to no paper."""


@functools.cache
def registry() -> dict[str, type[AnyExperiment]]:
    """Return every experiment by its card's name."""
    kinds: dict[str, type[AnyExperiment]] = {}
    for name in _modules().values():
        for kind in _published(importlib.import_module(name)):
            if kind.card.name in kinds:
                raise ImportError(f"two experiments are called {kind.card.name!r}")
            kinds[kind.card.name] = kind
    return dict(sorted(kinds.items()))


def _modules() -> dict[str, str]:
    """Return the modules in the folders of the papers, by the names of their files."""
    modules: dict[str, str] = {}
    for paper in pkgutil.iter_modules(__path__):
        if paper.ispkg and paper.name not in SHARED:
            folder = Path(__path__[0]) / paper.name
            for info in pkgutil.iter_modules([str(folder)]):
                modules[info.name] = f"{__name__}.{paper.name}.{info.name}"
    return modules


def _published(module: ModuleType) -> list[type[AnyExperiment]]:
    """Return the experiments that ``module`` itself defines and gives a card."""
    classes = [value for _, value in inspect.getmembers(module, inspect.isclass)]
    own = [kind for kind in classes if kind.__module__ == module.__name__ and issubclass(kind, Experiment)]
    return [kind for kind in own if "card" in vars(kind)]


def get(name: str) -> type[AnyExperiment]:
    """Return the experiment called ``name``, or raise `errors.UnknownName`."""
    kind = alone(name) or registry().get(name)
    if kind is None:
        raise UnknownName.of("experiment", name, registry())
    return kind


@functools.cache
def alone(name: str) -> type[AnyExperiment] | None:
    """Return the experiment called ``name`` where a file is called so too, without importing any other."""
    if name not in _modules():
        return None
    published = _published(importlib.import_module(_modules()[name]))
    return next((kind for kind in published if kind.card.name == name), None)


def shipped(kind: type[Experiment[A, F]], folder: Path = RESULTS, name: str = "") -> Result[F] | None:
    """Return the result of an experiment that ships with the program, or None where none does.

    ``name``: of the file, where it is another than the experiment's. Raises ValueError for one that the
    experiment's own types cannot hold.
    """
    path = folder / f"{name or kind.card.name}.json"
    if not path.is_file():
        return None
    return load(kind, json.loads(path.read_text(encoding="utf-8")))
