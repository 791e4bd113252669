"""Attacks, networks and samples as Markdown tables, made from their cards: for the README and a page."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import attacks
import experiments
import models
from engine.images import samples


def attacks_table() -> str:
    """Return the attacks, oldest first, with the names and defaults of their settings."""
    rows = []
    for kind in attacks.registry().values():
        card = kind.card
        fields = ", ".join(f"`{each.name}={each.format(each.default)}`" for each in kind.settings())
        paper = f"[{card.paper}]({card.url}), {card.year}"
        rows.append(
            (f"`{card.name}`", card.title, f"{card.access}, {card.kind}", card.summary, fields, paper)
        )
    return _table(("Name", "Attack", "Access, aim", "What it does", "Settings", "Source"), rows)


def models_table() -> str:
    """Return the networks, those that come with the product first."""
    rows = []
    for card in models.cards():
        accuracy = ", ".join(f"{measure} {value:.1f} %" for measure, value in card.accuracy.items())
        origin = "comes with Foolscope" if card.offline else "downloaded at first use"
        origin = origin if card.offline or card.weights.url else f"`{card.weights.file}`, put there by hand"
        sees = f"{card.size} x {card.size}{' grey' if card.channels == 1 else ''}"
        title = f"[{card.title}]({card.paper})" if card.paper else card.title
        rows.append((f"`{card.name}`", title, sees, f"{len(card.labels):,}", accuracy, origin, card.licence))
    return _table(("Name", "Network", "Sees", "Classes", "Accuracy", "Weights", "Licence"), rows)


def samples_table() -> str:
    """Return the sample pictures with their authors."""
    rows = [(f"`{each.name}`", each.author, each.licence, each.source) for each in samples().values()]
    return _table(("Name", "Author", "Licence", "Source"), rows)


def experiments_table() -> str:
    """Return the experiments with what they ask and how many of their claims the shipped result bears out."""
    rows = []
    for name, kind in experiments.registry().items():
        card, result = kind.card, experiments.shipped(name)
        held = "not run yet"
        if result is not None:
            claims = result["claims"].values()
            held = f"{sum(claims)} of {len(claims)} claims hold, {result['seconds']:.0f} s"
        rows.append((f"`{name}`", card.question, f"[{card.paper}]({card.url})", card.source, held))
    return _table(("Name", "What it asks", "Paper", "There", "Shipped result"), rows)


TABLES: dict[str, Callable[[], str]] = {
    "attacks": attacks_table,
    "models": models_table,
    "samples": samples_table,
    "experiments": experiments_table,
}


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|") or "–"
