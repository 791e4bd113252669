"""Adversarial attacks as coroutines: one file per published method.

Every file in this folder that defines a subclass of `Attack` with a ``card`` is found by
`registry`; adding an attack is adding a file.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from functools import cache
from types import ModuleType

from attacks.contract import Attack
from errors import UnknownName


@cache
def registry() -> dict[str, type[Attack]]:
    """Return every attack by its card's name, in order of publication."""
    kinds: dict[str, type[Attack]] = {}
    for info in pkgutil.iter_modules(__path__):
        if info.name == "__main__":
            continue
        for kind in _published(importlib.import_module(f"{__name__}.{info.name}")):
            if kind.card.name in kinds:
                raise ImportError(f"two attacks are called {kind.card.name!r}")
            kinds[kind.card.name] = kind
    return dict(sorted(kinds.items(), key=lambda item: (item[1].card.year, item[0])))


def _published(module: ModuleType) -> list[type[Attack]]:
    """Return the attacks that ``module`` itself defines and gives a card."""
    classes = [value for _, value in inspect.getmembers(module, inspect.isclass)]
    own = [kind for kind in classes if kind.__module__ == module.__name__ and issubclass(kind, Attack)]
    return [kind for kind in own if "card" in vars(kind)]


def get(name: str) -> type[Attack]:
    """Return the attack class called ``name``, or raise `errors.UnknownName`."""
    if name not in registry():
        raise UnknownName.of("attack", name, registry())
    return registry()[name]
