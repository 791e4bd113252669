"""What pages say, in the reader's language.

Prose: one Markdown file for each lesson and language, ``assets/text/en/NAME.md``. A line ``# key`` begins
the text called ``key``; what follows, up to the next such line, is the text. Before the first such line an
English file says between two lines ``---`` where in the menus the lesson stands (`app.lessons`).

Phrases (labels, buttons, claims): the English phrase is its own key, and the gettext catalogues
``assets/text/zh/phrases/*.po`` hold what it is in Chinese; where they lack it, it stays English. ``make
translations`` lists what is missing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from babel.messages.pofile import read_po

from components.i18n import preferences
from errors import FoolscopeError, Hint, UnknownName
from settings import TEXT

HAN = "\u2e80-\u9fff\uff00-\uffef"
NAMED = ("kind", "what", "reason")
"""The facts of an error that are words, and not names or numbers."""
LABELS = ("label", "goal", "original")
"""The facts of a sentence that are labels of classes."""


@cache
def texts(name: str, language: str = "en", folder: Path = TEXT) -> dict[str, str]:
    """Return the texts of the lesson ``name`` by key; raises `errors.UnknownName` for another lesson.

    A lesson that was not translated is in English; a test finds those.
    """
    path = folder / language / f"{name}.md"
    path = path if path.is_file() else folder / "en" / f"{name}.md"
    if not path.is_file():
        raise UnknownName.of("lesson", name, [path.stem for path in sorted((folder / "en").glob("*.md"))])
    parts = re.split(r"^# (\w+)\n", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {key: _joined(text.strip()) for key, text in zip(parts[1::2], parts[2::2], strict=True)}


def _joined(text: str) -> str:
    """Return ``text`` without the line breaks between Chinese characters, which would show as spaces."""
    within = rf"(?<=[{HAN}])\n(?=[{HAN}“])|(?<=”)\n(?=[{HAN}])"
    after_a_stop = r"(?<=[，。；：？！、）])\n(?=[^\s*+>#|\d-])"
    return re.sub(f"{within}|{after_a_stop}", "", text)


@cache
def phrases(language: str, folder: Path = TEXT, part: str = "*") -> dict[str, str]:
    """Return what each English phrase is in ``language``; nothing for English itself.

    ``part``: the one file to read, without its ending; all of them by default.
    """
    known: dict[str, str] = {}
    for path in sorted((folder / language / "phrases").glob(f"{part}.po")):
        known |= catalogue(path)
    return known


def catalogue(path: Path) -> dict[str, str]:
    """Return the translated phrases of a gettext file by the English ones."""
    with path.open("rb") as file:
        return {str(message.id): str(message.string) for message in read_po(file) if message.id}


def say(phrase: str, **facts: object) -> str:
    """Return ``phrase`` in the reader's language, with ``facts`` put in as `str.format` does.

    A phrase that was not translated stays English; a test finds those.
    """
    return say_in(preferences.language(), phrase, **facts)


def say_in(tongue: str, phrase: str, **facts: object) -> str:
    """Return ``phrase`` as `say` does, in the language ``tongue``."""
    translation = phrases(tongue).get(phrase, phrase)
    return translation.format(**facts) if facts else translation


def told(error: FoolscopeError, language: str = "") -> str:
    """Return what an error says, in ``language``, by default the reader's, where its sentence was
    translated."""
    tongue = language or preferences.language()
    if error.sentence not in phrases(tongue):
        return str(error)
    facts = translated(error.facts, tongue)
    facts |= {name: say_in(tongue, str(fact)) for name, fact in facts.items() if name in NAMED}
    hint = facts.get("hint")
    if error.facts.get("kind") == "class" and isinstance(hint, Hint):
        facts["hint"] = say_in(tongue, ", ").join(named(label, tongue) for label in hint)
    return say_in(tongue, error.sentence, **facts)


def translated(facts: Mapping[str, Any], language: str = "") -> dict[str, Any]:
    """Return the facts of a sentence, those that are labels of classes (`LABELS`) as `named` has them."""
    return {name: named(str(fact), language) if name in LABELS else fact for name, fact in facts.items()}


def named(label: str, language: str = "") -> str:
    """Return what the class ``label`` is called in ``language``, by default the reader's."""
    if (language or preferences.language()) != "zh":
        return label
    from models.labels import names  # the package brings torch, for which the frame of a page does not wait

    return names(label).chinese
