"""Answers of networks as table cells: a sign and a word say whether one is fooled, not a colour alone."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from components.display import html_table
from components.display.probability_bars import percent
from components.i18n.text import named, say


def answer(label: str, probability: float, fooled: bool | None = None) -> Markup:
    """Return an answer as HTML; ``fooled``: whether it is, None where nothing is judged."""
    share = percent(probability).replace(" ", "\u00a0")
    text = Markup("{} {}").format(named(label), share)
    if fooled is None:
        return text
    if fooled:
        return Markup('<span class="fooled">✗ {}: {}</span>').format(say("fooled"), text)
    return Markup("✓ {}: {}").format(say("not fooled"), text)


def table(head: Sequence[str], rows: Sequence[Sequence[str]], key: str) -> None:
    """Show a table under ``head``; each of ``rows`` begins with its heading. ``key``: a class."""
    cells = [[html_table.row_head(row[0]), *map(html_table.cell, row[1:])] for row in rows]
    html_table.show(head, cells, place=f"asked {key}")
