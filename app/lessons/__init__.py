"""The lessons: a file each in one of the folders here, whose function ``render`` draws it, and its text.

The text, ``assets/text/en/NAME.md``, says between two lines ``---`` at its top which ``menu`` the lesson
``NAME`` is in and its ``order`` among all lessons; the lesson itself is imported when it is first shown.
Other files in the folders hold parts of lessons.
"""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from app.waiting import wait_for_engine
from settings import TEXT


@dataclass(frozen=True)
class Lesson:
    """Where a lesson stands: ``name`` is its address, ``module`` what draws it."""

    name: str
    menu: str
    order: int
    module: str

    def render(self) -> None:
        """Draw the lesson on the current page."""
        wait_for_engine()
        importlib.import_module(self.module).render()


@cache
def registry() -> dict[str, Lesson]:
    """Return every lesson by its name, in the order of the menus."""
    here = Path(__file__).parent
    modules = {path.stem: f"{__name__}.{path.parent.name}.{path.stem}" for path in here.glob("*/*.py")}
    lessons = [_read(path, modules) for path in (TEXT / "en").glob("*.md")]
    return {lesson.name: lesson for lesson in sorted(lessons, key=lambda lesson: lesson.order)}


def _read(path: Path, modules: dict[str, str]) -> Lesson:
    """Return the lesson of a text; raises ValueError where the text does not begin as it should."""
    head = re.match(r"---\nmenu: (.+)\norder: (\d+)\n---\n", path.read_text(encoding="utf-8"))
    if head is None:
        raise ValueError(f"Expected {path.name} to begin with ---, menu: NAME, order: NUMBER, ---.")
    if path.stem not in modules:
        raise ValueError(f"Expected a lesson app/lessons/FOLDER/{path.stem}.py beside the text {path.name}.")
    return Lesson(path.stem, head[1], int(head[2]), modules[path.stem])


def menus() -> dict[str, list[str]]:
    """Return the names of the lessons by the menu that they are in."""
    names: dict[str, list[str]] = {}
    for name, lesson in registry().items():
        names.setdefault(lesson.menu, []).append(name)
    return names
