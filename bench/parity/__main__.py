"""Compare our attacks with other libraries' and keep the table: ``python -m bench.parity [NAME...]``.

Writes ``assets/parity.json``, which the app shows on each attack's card, and ``docs/parity.md``. The
libraries are those of ``requirements-parity.txt``; rows of one that is not installed stay as they were.
"""

from __future__ import annotations

import argparse
import importlib
import json
import pkgutil
import time
from typing import Any

import torch

import attacks
import console
from bench import parity
from settings import ASSETS, ROOT

DOCS = ROOT / "docs"
Row = dict[str, Any]


def compared() -> list[str]:
    """Return the attacks that have a file here."""
    here = {info.name for info in pkgutil.iter_modules(parity.__path__)}
    return sorted(here & attacks.registry().keys())


def measure(name: str) -> list[Row]:
    """Return the rows of one attack; raises ValueError when one says less than it should."""
    rows: list[Row] = importlib.import_module(f"bench.parity.{name}").rows()
    for row in rows:
        if set(row) != {"library", "what", "difference", "verdict"}:
            raise ValueError(f"{name}: expected library, what, difference and verdict, got {sorted(row)}")
    return rows


def merged(before: list[Row], now: list[Row]) -> list[Row]:
    """Return what was measured now, and what was measured before of libraries that are not here now."""
    here = {row["library"].split()[0] for row in now}
    return now + [row for row in before if row["library"].split()[0] not in here]


def table(found: dict[str, list[Row]]) -> str:
    """Return all rows as a Markdown table."""
    lines = ["| Attack | Compared with | On | Difference | So it is |", "| --- | --- | --- | --- | --- |"]
    for name, rows in found.items():
        title = attacks.get(name).card.title
        for row in rows:
            size = row["difference"]
            text = f"{size:.2g}" if isinstance(size, int | float) else str(size)
            lines.append(f"| {title} | {row['library']} | {row['what']} | {text} | {row['verdict']} |")
    return "\n".join(lines)


def keep(found: dict[str, list[Row]]) -> None:
    """Write both files."""
    about = {"torch": torch.__version__, "date": time.strftime("%Y-%m-%d")}
    kept = {"about": about, "attacks": dict(sorted(found.items()))}
    DOCS.mkdir(exist_ok=True)
    text = json.dumps(kept, indent=1, ensure_ascii=False)
    (ASSETS / "parity.json").write_text(text + "\n", encoding="utf-8")
    head = "# Agreement with other libraries\n\nWritten by `python -m bench.parity`."
    (DOCS / "parity.md").write_text(f"{head}\n\n{table(dict(sorted(found.items())))}\n", encoding="utf-8")


def main(arguments: list[str] | None = None) -> None:
    """Measure the attacks that were named, or all."""
    parser = argparse.ArgumentParser(prog="python -m bench.parity", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*compared(), []], help="attacks; all when none is named")
    chosen = parser.parse_args(arguments).names or compared()
    path = ASSETS / "parity.json"
    found: dict[str, list[Row]] = json.loads(path.read_text("utf-8"))["attacks"] if path.is_file() else {}
    for name in chosen:
        found[name] = merged(found.get(name, []), measure(name))
        print(table({name: found[name]}).split("\n", 2)[-1], flush=True)
        keep(found)


if __name__ == "__main__":
    raise SystemExit(console.run(main))
