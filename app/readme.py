"""The README's tables, from the cards: ``python -m app.readme`` writes them, ``--check`` only looks.

A table stands between ``<!-- name -->`` and ``<!-- /name -->``, where name is one of `TABLES`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import attacks
import models
from engine.images import samples

README = Path(__file__).parents[1] / "README.md"


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


TABLES: dict[str, Callable[[], str]] = {
    "attacks": attacks_table,
    "models": models_table,
    "samples": samples_table,
}


def fill(text: str) -> str:
    """Return ``text`` with every table made new; raise ValueError when one has no place."""
    for name, table in TABLES.items():
        head, start, rest = text.partition(f"<!-- {name} -->\n")
        _, end, tail = rest.partition(f"<!-- /{name} -->")
        if not start or not end:
            raise ValueError(f"Expected a place for the table between <!-- {name} --> and <!-- /{name} -->.")
        text = f"{head}{start}\n{table()}\n\n{end}{tail}"
    return text


def main(arguments: list[str] | None = None) -> int:
    """Write the tables into the README; with ``--check`` return 1 when that would change it."""
    parser = argparse.ArgumentParser(prog="python -m app.readme", description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing, say whether it is up to date")
    options = parser.parse_args(arguments)
    old = README.read_text(encoding="utf-8")
    new = fill(old)
    if options.check and new != old:
        print("The README's tables are not what the code says: run make readme.", file=sys.stderr)
        return 1
    if new != old:
        README.write_text(new, encoding="utf-8")
    return 0


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|") or "–"


if __name__ == "__main__":
    raise SystemExit(main())
