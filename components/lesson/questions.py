"""The question at the end of a chapter: what people bet on before they see it.

A lesson's text has it under ``# question``: what is asked, a list of two to four answers, and after ``>`` a
sentence on why the right one is right. Which one that is, and the figures of the sentence, the lesson's own
function ``answer`` reads off its result (`app.lessons.answer`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from components.i18n.text import texts, translated
from errors import UnknownName

KEY = "question"
FEWEST, MOST = 2, 4
NO_QUESTION = "Expected a lesson with a question, got “{name}”."


@dataclass(frozen=True)
class RightAnswer:
    """``number``: of the right answer, from 0 on; ``facts``: what the sentence on why says, classes of a
    network under ``label``, ``goal`` or ``original``."""

    number: int
    facts: Mapping[str, str]


Answer = Callable[[], RightAnswer]
"""What works the right answer out."""


@dataclass(frozen=True)
class Question:
    """What a lesson ``name`` asks, in one language. ``why``: the sentence on the right answer, with holes for
    the facts of `RightAnswer`."""

    name: str
    language: str
    asks: str
    answers: tuple[str, ...]
    why: str

    def because(self, facts: Mapping[str, str]) -> str:
        """Return why the right answer is right."""
        return self.why.format(**translated(facts, self.language))


def asks(name: str) -> bool:
    """Say whether the lesson ``name`` has a question; raises `errors.UnknownName` for another lesson."""
    return KEY in texts(name)


def question(name: str, language: str = "en") -> Question:
    """Return the question of the lesson ``name``; raises `errors.UnknownName` for a lesson that is not there
    or asks nothing, ValueError for a text that is no question."""
    text = texts(name, language).get(KEY)
    if text is None:
        raise UnknownName(NO_QUESTION, name=name[:40])
    return _parsed(name, language, text)


def _parsed(name: str, language: str, text: str) -> Question:
    parts = re.fullmatch(r"(?P<asks>.+?)\n\n(?P<answers>(?:- .+\n)+)\n> (?P<why>.+)", text, re.DOTALL)
    answers = re.findall(r"^- (.+(?:\n(?![-\n]).+)*)", parts.group("answers"), re.MULTILINE) if parts else []
    if parts is None or not FEWEST <= len(answers) <= MOST:
        raise ValueError(
            f"Expected a question, {FEWEST} to {MOST} answers after - and a reason after > in {name}."
        )
    asks, _, why = map(_line, parts.groups())
    return Question(name, language, asks, tuple(map(_line, answers)), why)


def plain(text: str) -> str:
    """Return a text without the marks of emphasis, and no line broken before a per cent sign."""
    return text.replace("*", "").replace(" %", "\u00a0%")


def _line(text: str) -> str:
    return text.replace("\n", " ").strip()
