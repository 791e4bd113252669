"""Lets a page's server whose networks are elsewhere (`engine.remote`) go without torch.

Attacks and networks declare what a page needs of them, such as settings and cards, in the files that compute
with torch. Where torch is not installed and `settings.engine` names replicas, `stand_in` lets these files be
imported: what they name of torch is then a class that can be named, inherited from and subscripted, and that
says what is missing once it is called.
"""

from __future__ import annotations

import sys
from collections.abc import MutableSequence, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import settings
from errors import MissingExtra

PACKAGES = ("torch", "torchvision", "safetensors.torch")
"""What is stood in for: packages, their modules too."""
MISSING = "Expected torch, which computes here, got none: install requirements.txt, or let replicas do it."


class _AbsentType(type):
    """The type of all that torch would have; a name of it is another such class."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _absent(name)

    def __getitem__(cls, _: object) -> Any:
        return cls

    def __call__(cls, *_: object, **__: object) -> Any:
        if cls.__name__ == "no_grad":  # as a decorator it is called where a function is defined
            return lambda function: function
        raise MissingExtra(MISSING)


class _Absent(metaclass=_AbsentType):
    """Whatever a module of torch would have."""


def _absent(name: str) -> Any:
    return _AbsentType(name, (_Absent,), {})


class _AbsentModule(ModuleType):
    """A module of torch; it has whatever it is asked for."""

    __path__: MutableSequence[str] = []

    def __getattr__(self, name: str) -> Any:
        if name == "__version__":
            raise MissingExtra(MISSING)
        if name.startswith("__"):
            raise AttributeError(name)
        value = _absent(name)
        setattr(self, name, value)
        return value


class _Finder(MetaPathFinder, Loader):
    """Finds the modules of `PACKAGES`."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return where a module comes from, None unless it is one of `PACKAGES`."""
        if not f"{fullname}.".startswith(tuple(f"{package}." for package in PACKAGES)):
            return None
        return ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return the module."""
        return _AbsentModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Do nothing: it has no code."""


def stand_in() -> bool:
    """Stand in for torch if it is not installed and replicas compute; say whether that is so."""
    if find_spec("torch") is not None or not settings.engine():
        return False
    sys.meta_path.insert(0, _Finder())
    return True
