"""One attack as a card: what it does, its rule, its settings, how it was proved, its code."""

from __future__ import annotations

import inspect
import json
from functools import cache
from pathlib import Path
from typing import Any

import attacks
from attacks.core import Setting
from components import families

AGREEMENTS = Path(__file__).parents[1] / "docs" / "parity.json"
ACCESS = {
    "white-box": "sees the gradient",
    "score-based": "sees the probabilities only",
    "decision-based": "sees the answer only",
    "control": "does not look",
}


@cache
def agreements() -> dict[str, list[dict[str, Any]]]:
    """Return, by attack, what it was compared with: library, what, difference, verdict; {} when that was
    never measured."""
    if not AGREEMENTS.is_file():
        return {}
    found: dict[str, list[dict[str, Any]]] = json.loads(AGREEMENTS.read_text(encoding="utf-8"))["attacks"]
    return found


def code(name: str) -> str:
    """Return the file of an attack, as it runs."""
    return inspect.getsource(inspect.getmodule(attacks.get(name)) or attacks)


def headline(name: str) -> str:
    """Return one line: family, what the attack sees, and the norms it can measure by."""
    card, norms = attacks.get(name).card, families.norms(name)
    measured = f" · {', '.join(norms)}" if norms else ""
    return f"{families.FAMILIES[families.family(card)]} · {ACCESS[card.access]}{measured}"


def settings_table(name: str) -> str:
    """Return the settings of an attack as a Markdown table."""
    lines = ["| Setting | Default | Range | What it is |", "| --- | --- | --- | --- |"]
    for each in attacks.get(name).settings():
        default = each.format(each.default)
        lines.append(f"| {each.label} (`{each.name}`) | {default} | {_range(each)} | {each.help} |")
    return "\n".join(lines)


def proof_table(name: str) -> str:
    """Return what the attack was compared with as a Markdown table, or "" when with nothing."""
    rows = agreements().get(name, [])
    if not rows:
        return ""
    lines = ["| Compared with | On | Difference | So it is |", "| --- | --- | --- | --- |"]
    lines += [f"| {r['library']} | {r['what']} | {_short(r['difference'])} | {r['verdict']} |" for r in rows]
    return "\n".join(lines)


def proof_lines(name: str) -> str:
    """Return one line for each library that the attack was compared with, as a Markdown list: in how many
    comparisons the two agree, and what was found in the last that did not; "" when with nothing."""
    by_library: dict[str, list[dict[str, Any]]] = {}
    for row in agreements().get(name, []):
        by_library.setdefault(row["library"], []).append(row)
    return "\n".join(f"- **{library}**: {_agreement(rows)}" for library, rows in by_library.items())


def _agreement(rows: list[dict[str, Any]]) -> str:
    equal = [row for row in rows if row["verdict"].startswith("equal")]
    others = [f"{row['verdict']} ({row['what']})" for row in rows if row not in equal]
    if not equal:
        return others[-1]
    many = "in the one comparison" if len(rows) == 1 else f"in {len(equal)} of {len(rows)} comparisons"
    gap = max(row["difference"] for row in equal)
    said = f"equal {many}, to {gap:.0e}" if gap else f"equal {many}, to the last digit"
    return f"{said}; else {others[-1]}" if others else said


def _range(each: Setting) -> str:
    if each.choices:
        return ", ".join(each.choices)
    if each.type == "bool":
        return "yes or no"
    return f"{each.low:,g} to {each.high:,g}"


def _short(value: Any) -> str:
    return f"{value:.2g}" if isinstance(value, int | float) else str(value)
