"""Adversarial attacks as coroutines: one file per published method.

Every file in this folder that defines a subclass of `Attack` with a ``card`` is found by
`registry`; adding an attack is adding a file.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from functools import cache

from attacks.core import Attack
from errors import UnknownName


@cache
def registry() -> dict[str, type[Attack]]:
    """Return every attack by its card's name, in order of publication."""
    found: dict[str, type[Attack]] = {}
    for info in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{info.name}") if info.name != "__main__" else None
        for _, value in inspect.getmembers(module, inspect.isclass):
            if issubclass(value, Attack) and "card" in vars(value) and value.__module__ == module.__name__:
                if value.card.name in found:
                    raise ImportError(f"two attacks are called {value.card.name!r}")
                found[value.card.name] = value
    return dict(sorted(found.items(), key=lambda item: (item[1].card.year, item[0])))


def get(name: str) -> type[Attack]:
    """Return the attack class called ``name``, or raise `errors.UnknownName`."""
    if name not in registry():
        raise UnknownName.of("attack", name, registry())
    return registry()[name]
