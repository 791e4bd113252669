"""Attacks, networks and samples as Markdown tables, made from their cards: for the README and a page."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import attacks
import experiments
import models
from app.catalogue.network_card import accuracy, sees
from components.i18n.text import say
from engine.images.sources import samples
from models.core import Card


def attacks_table() -> str:
    """Return the attacks, oldest first, with the names and defaults of their settings."""
    rows = []
    for kind in attacks.registry().values():
        card = kind.card
        fields = ", ".join(
            f"`{setting.name}={setting.format(setting.default)}`" for setting in kind.settings()
        )
        paper = f"[{card.paper}]({card.url}), {card.year}"
        rows.append(
            (f"`{card.name}`", card.title, f"{card.access}, {card.kind}", card.summary, fields, paper)
        )
    return _table(("Name", "Attack", "Access, aim", "What it does", "Settings", "Source"), rows)


def models_table() -> str:
    """Return the networks, those that come with the product first, without those that were added here."""
    rows = []
    for card in (card for card in models.cards() if not card.added):
        title = f"[{card.title}]({card.paper})" if card.paper else card.title
        facts = (sees(card), f"{len(card.labels):,}", accuracy(card), _origin(card), say(card.licence))
        rows.append((f"`{card.name}`", title, *facts))
    head = say("Name"), say("Network"), say("Sees"), say("Classes"), say("Accuracy"), say("Weights")
    return _table((*head, say("Licence")), rows)


def _origin(card: Card) -> str:
    if card.offline:
        return say("comes with Foolscope")
    if card.weights.url:
        return say("downloaded at first use")
    return say("`{file}`, put there by hand", file=card.weights.file)


def samples_table() -> str:
    """Return the sample pictures with their authors."""
    rows = [
        (f"`{sample.name}`", say(sample.author), say(sample.licence), say(sample.source))
        for sample in samples().values()
    ]
    return _table((say("Name"), say("Author"), say("Licence"), say("Source")), rows)


def experiments_table() -> str:
    """Return the experiments with what they ask and how many of their claims the shipped result bears out."""
    rows = []
    for name, kind in experiments.registry().items():
        card, result = kind.card, experiments.shipped(kind)
        held = say("not run yet")
        if result is not None:
            claims = result.claims.values()
            facts = {"held": sum(claims), "of": len(claims), "seconds": f"{result.seconds:.0f}"}
            held = say("{held} of {of} claims hold, {seconds} s", **facts)
        rows.append((f"`{name}`", say(card.question), f"[{card.paper}]({card.url})", say(card.source), held))
    head = say("Name"), say("What it asks"), say("Paper"), say("There"), say("Shipped result")
    return _table(head, rows)


TABLES: dict[str, Callable[[], str]] = {
    "attacks": attacks_table,
    "models": models_table,
    "samples": samples_table,
    "experiments": experiments_table,
}


def _table(head: Iterable[str], rows: Iterable[tuple[str, ...]]) -> str:
    names = tuple(head)
    lines = [names, ("---",) * len(names), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|") or "–"
