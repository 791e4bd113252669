"""``python -m models``: list the models, or fetch their weights ahead of a workshop."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from typing import Any

from tqdm import tqdm

import console
import models
from errors import FoolscopeError
from models import imagenet, weights
from models.core import Card


def facts(card: Card) -> dict[str, Any]:
    """Return a card as JSON takes it, with the number of classes and whether its weights are here."""
    return asdict(card) | {"classes": len(card.labels), "available": weights.locate(card) is not None}


def table() -> str:
    """Return one line per model for a person to read."""
    rows = [f"{'name':24}{'input':>9}{'classes':>9}{'top-1':>7}  {'here':6}weights"]
    for card in models.cards():
        top1 = next((f"{value:.1f}" for key, value in card.accuracy.items() if "top-1" in key), "")
        located = weights.locate(card)
        file = (located.source if located else card.weights).file
        shape = f"{card.channels}x{card.size}"
        here = "yes" if located else "no"
        rows.append(f"{card.name:24}{shape:>9}{len(card.labels):>9}{top1:>7}  {here:6}{file}")
    return "\n".join(rows)


def fetch(name: str) -> None:
    """Download and verify the weights of a model with a progress bar, unless they are here."""
    with tqdm(desc=name, unit="B", unit_scale=True) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total or None
            bar.update(done - bar.n)

        located = weights.fetch(models.card(name), show)
    print(f"{name}: {located.path}")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit status: 2 after a refusal."""
    parser = argparse.ArgumentParser(prog="python -m models", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the cards as JSON")
    parser.add_argument("--fetch", nargs="+", metavar="NAME", help="download and verify weights, then exit")
    parser.add_argument("--refresh", action="store_true", help="write anew what torchvision says of its own")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.refresh:
            print(imagenet.refresh())
        elif chosen.fetch:
            for part in [part for name in chosen.fetch for part in models.card(name).parts or (name,)]:
                fetch(part)
        elif chosen.json:
            print(json.dumps([facts(card) for card in models.cards()], indent=1))
        else:
            print(table())
    except FoolscopeError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(console.run(main))
