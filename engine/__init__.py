"""Where an attack meets a model: recipes, runs, and the one thread that owns the device.

For scripts, `attack` is all that is needed; it is imported when it is asked for, as it brings torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.scripting import AttackStep, attack

__all__ = ["AttackStep", "attack"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module("engine.scripting"), name)
