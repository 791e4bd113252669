"""The words of files that are made outside a page, where nothing knows who reads."""

from __future__ import annotations

from functools import partial

from components.i18n.text import named, phrases
from engine.sharing.voice import Voice


def voice(language: str) -> Voice:
    """Return how files speak ``language``, "en" or "zh"."""
    return Voice(language, partial(_said, language), lambda label: named(label, language))


def _said(language: str, phrase: str, /, **facts: object) -> str:
    own = phrases(language).get(phrase, phrase)
    return own.format(**facts) if facts else own
