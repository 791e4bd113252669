"""In which language a file speaks: it is made where no page is, so it is given its words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

LABELS = ("label", "goal", "original")
"""The facts of a sentence that are labels of classes."""


class Say(Protocol):
    """Returns a phrase in a language, with facts put in as `str.format` does."""

    def __call__(self, phrase: str, /, **facts: object) -> str:
        """Return the phrase."""


def plain(phrase: str, /, **facts: object) -> str:
    """Return the English phrase itself, with ``facts`` put in."""
    return phrase.format(**facts) if facts else phrase


def same(label: str) -> str:
    """Return the label as it is."""
    return label


@dataclass(frozen=True)
class Voice:
    """``language``: its code, such as "en"; ``say``: phrases in it; ``named``: what it calls a class."""

    language: str = "en"
    say: Say = plain
    named: Callable[[str], str] = same

    def sentence(self, sentence: tuple[str, Mapping[str, str | int]]) -> str:
        """Return a sentence of `engine.sentences` or `engine.checks`, its classes named too."""
        template, facts = sentence
        named = {name: self.named(str(fact)) if name in LABELS else fact for name, fact in facts.items()}
        return self.say(template, **named)


ENGLISH = Voice()


def percent(probability: float) -> str:
    """Return a probability in [0, 1] as people read it: whole per cent, and a digit more near the ends."""
    if 0 < probability < 0.0005:
        return "< 0.1 %"
    digits = 0 if 0.01 <= probability < 0.995 or probability >= 0.9995 else 1
    return f"{100 * probability:.{digits}f} %" if probability else "0 %"
