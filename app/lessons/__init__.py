"""The lessons: a file each in one of the folders here, whose function ``render`` draws it, and its text.

The text, ``assets/text/en/NAME.md``, says between two lines ``---`` at its top which ``menu`` the lesson
``NAME`` is in and its ``order`` among all lessons; the lesson itself is imported when it is first shown.
Other files in the folders hold parts of lessons. A lesson whose text asks a question
(`components.lesson.questions`) has a function ``answer`` besides, which works the right one out.
"""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from app.waiting import wait_for_engine
from components.lesson import questions
from components.lesson.questions import RightAnswer
from errors import UnknownName
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


def asking() -> list[str]:
    """Return the names of the lessons that ask a question, in the order of the menus."""
    return [name for name in registry() if questions.asks(name)]


def check_asks(name: str) -> None:
    """Raise `errors.UnknownName` for a lesson that is not there or asks nothing."""
    if name not in registry() or not questions.asks(name):
        raise UnknownName(questions.NO_QUESTION, name=name[:40])


@cache
def answer(name: str) -> RightAnswer:
    """Return the right answer to the question of the lesson ``name``, worked out from what ships.

    Raises `errors.UnknownName` for a lesson that is not there or asks nothing.
    """
    check_asks(name)
    right: RightAnswer = importlib.import_module(registry()[name].module).answer()
    return right
