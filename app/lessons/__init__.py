"""The lessons: one file each, with ``LAB`` (its menu), ``ORDER`` (among all lessons) and ``render``; what a
lesson says, its title first, is in ``assets/text``.

Adding a lesson is adding a file. A lesson imports what is slow (torch comes with the experiments) inside
``render``, so that the frame of the page shows at once.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from types import ModuleType


@cache
def registry() -> dict[str, ModuleType]:
    """Return every lesson by its file's name, which is also its address, in the order of the menus."""
    found = {
        info.name: importlib.import_module(f"{__name__}.{info.name}")
        for info in pkgutil.iter_modules(__path__)
    }
    return dict(sorted(found.items(), key=lambda item: item[1].ORDER))


def labs() -> dict[str, list[str]]:
    """Return the names of the lessons by the menu that they are in."""
    menus: dict[str, list[str]] = {}
    for name, lesson in registry().items():
        menus.setdefault(lesson.LAB, []).append(name)
    return menus
