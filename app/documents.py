"""The documents' tables, from the cards: ``python -m app docs`` writes them, ``--check`` only looks.

A table stands in ``docs/NAME.md`` between ``<!-- NAME -->`` and ``<!-- /NAME -->``, NAME being one of
`tables.TABLES`.
"""

from __future__ import annotations

import argparse
import sys

import console
from app.catalogue.tables import TABLES
from settings import ROOT

DOCS = ROOT / "docs"


def fill(name: str, text: str) -> str:
    """Return ``text`` with the table ``name`` made new; raise ValueError when it has no place."""
    head, start, rest = text.partition(f"<!-- {name} -->\n")
    _, end, tail = rest.partition(f"<!-- /{name} -->")
    if not start or not end:
        raise ValueError(f"Expected a place for the table between <!-- {name} --> and <!-- /{name} -->.")
    return f"{head}{start}\n{TABLES[name]()}\n\n{end}{tail}"


def main(arguments: list[str] | None = None) -> int:
    """Write the tables into the documents; with ``--check`` return 1 when that would change one."""
    parser = argparse.ArgumentParser(prog="python -m app docs", description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing, say whether all are up to date")
    options = parser.parse_args(arguments)
    for name in TABLES:
        path = DOCS / f"{name}.md"
        old = path.read_text(encoding="utf-8")
        new = fill(name, old)
        if options.check and new != old:
            print(f"The table of docs/{name}.md is not what the code says: run make docs.", file=sys.stderr)
            return 1
        if new != old:
            path.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(console.run(main))
