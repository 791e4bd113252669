"""The README's tables, from the cards: ``python -m app.readme`` writes them, ``--check`` only looks.

A table stands between ``<!-- name -->`` and ``<!-- /name -->``, name being one of `tables.TABLES`.
"""

from __future__ import annotations

import argparse
import sys

import console
from app.catalogue.tables import TABLES
from settings import ROOT

README = ROOT / "README.md"


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


if __name__ == "__main__":
    raise SystemExit(console.run(main))
