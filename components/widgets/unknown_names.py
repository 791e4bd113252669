"""What an address names in vain: it stays in sight until the person chooses something else in its place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from components.i18n.text import say, told
from errors import FoolscopeError


class Refusal(NamedTuple):
    """Why a part of the address could not be used; ``consequence``: a phrase on how the page goes on."""

    error: FoolscopeError
    consequence: str = ""

    def sentence(self) -> str:
        """Return what a person reads, in the reader's language."""
        return " ".join(filter(None, [told(self.error), self.consequence and say(self.consequence)]))


class Refusals:
    """Refusals by the part of the address that they are about, each with what stands in its place."""

    def __init__(self) -> None:
        self._by_part: dict[str, Refusal] = {}
        self._instead: dict[str, object] = {}

    def add(self, part: str, error: FoolscopeError, consequence: str = "") -> None:
        """Refuse ``part``; what it is when `sentences` is next asked for stands in its place."""
        self._by_part[part] = Refusal(error, consequence)
        self._instead.pop(part, None)

    def parts(self) -> list[str]:
        """Return the parts that were refused."""
        return list(self._by_part)

    def sentences(self, now: Mapping[str, object]) -> list[str]:
        """Return what is still to be said, given what each part is ``now``: a part that has changed since its
        refusal was first shown is forgotten."""
        for part in list(self._by_part):
            if self._instead.setdefault(part, now.get(part)) != now.get(part):
                del self._by_part[part], self._instead[part]
        return [refusal.sentence() for refusal in self._by_part.values()]
