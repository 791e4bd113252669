"""``python -m attacks [--json]``: every attack with its settings."""

from __future__ import annotations

import argparse
import dataclasses
import json
from typing import Any

import console
from attacks import registry
from attacks.contract import Attack
from attacks.settings import Setting


def main(arguments: list[str] | None = None) -> int:
    """Print the table of attacks, as JSON on request; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m attacks", description="List the attacks and their settings."
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    if parser.parse_args(arguments).json:
        print(json.dumps([describe(kind) for kind in registry().values()], indent=2, ensure_ascii=False))
    else:
        print("\n\n".join(table(kind) for kind in registry().values()))
    return 0


def describe(kind: type[Attack]) -> dict[str, Any]:
    """Return an attack's card and settings as plain data.

    A setting whose range depends on the norm has its ``by``: that range for each norm.
    """
    settings = [dataclasses.asdict(item) for item in kind.settings()]
    for item in settings:
        item["by"] = {norm: numbers._asdict() for norm, numbers in item["by"].items()}
    return {**dataclasses.asdict(kind.card), "settings": settings}


def table(kind: type[Attack]) -> str:
    """Return an attack as a few lines of text."""
    card = kind.card
    head = (
        f"{card.name}: {card.title} ({card.year}, {card.access}, {card.kind})\n  {card.summary}\n  {card.url}"
    )
    norms = next((item.choices for item in kind.settings() if item.name == "norm"), ())
    return "\n".join([head, *(f"    {item.name:<14}{_values(item, norms)}" for item in kind.settings())])


def _values(item: Setting, norms: tuple[str, ...]) -> str:
    if item.by:
        return "; ".join(
            f"{norm}: {_values(dataclasses.replace(item.under(norm), by={}), ())}" for norm in norms
        )
    default = item.format(item.default)
    if item.choices:
        return f"{default} ({', '.join(item.choices)})"
    return default if item.type == "bool" else f"{default} ({item.low:,g} to {item.high:,g})"


if __name__ == "__main__":
    raise SystemExit(console.run(main))
