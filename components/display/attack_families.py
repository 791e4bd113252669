"""The kinds of attack, in the order in which they are shown: by what they know and what they look for."""

from __future__ import annotations

from collections.abc import Iterable

import attacks
from attacks.contract import AttackCard
from components.i18n.text import say

FAMILIES = {
    "budget": "Within a budget",
    "minimal": "The smallest change",
    "black-box": "Without gradients",
    "free": "Another kind of change",
    "control": "Controls",
}


def family(card: AttackCard) -> str:
    """Return the key in `FAMILIES` of an attack."""
    if card.access == "control":
        return "control"
    if card.access != "white-box":
        return "black-box"
    return card.kind if card.kind in FAMILIES else "free"


def grouped() -> dict[str, list[str]]:
    """Return the names of all attacks by family, oldest first in each; families without any are left out."""
    families: dict[str, list[str]] = {key: [] for key in FAMILIES}
    for name, kind in attacks.registry().items():
        families[family(kind.card)].append(name)
    return {key: names for key, names in families.items() if names}


def norms(name: str) -> tuple[str, ...]:
    """Return the norms that an attack is told to measure by; empty where it has no choice of them."""
    return next((setting.choices for setting in attacks.get(name).settings() if setting.name == "norm"), ())


def ordered(names: Iterable[str]) -> list[str]:
    """Return ``names`` family by family."""
    wanted = set(names)
    return [name for group in grouped().values() for name in group if name in wanted]


def called(name: str) -> str:
    """Return an attack's title; in the reader's language where it is a description rather than a name."""
    return say(attacks.get(name).card.title)


def title(name: str) -> str:
    """Return an attack's title with its family before it, as a list of all attacks shows it."""
    card = attacks.get(name).card
    return f"{say(FAMILIES[family(card)])} · {called(name)}"
