"""One attack as a card: what it does, its rule, its settings, how it was proved, its code."""

from __future__ import annotations

import inspect
import json
from dataclasses import dataclass
from functools import cache

import attacks
from attacks.settings import Setting
from components.display import attack_families
from components.i18n.text import say
from experiments.toolkit import codec
from settings import ASSETS

AGREEMENTS = ASSETS / "parity.json"
ACCESS = {
    "white-box": "sees the gradient",
    "score-based": "sees the probabilities only",
    "decision-based": "sees the answer only",
    "control": "does not look",
}


@dataclass(frozen=True)
class Agreement:
    """One comparison with another library: on ``what``, the largest ``difference`` or why there is none, and
    the ``verdict``."""

    library: str
    what: str
    difference: float | str
    verdict: str


@dataclass(frozen=True)
class Agreements:
    """All comparisons, by attack, as ``python -m bench.parity`` wrote them."""

    attacks: dict[str, list[Agreement]]


@cache
def agreements() -> dict[str, list[Agreement]]:
    """Return, by attack, what it was compared with."""
    return codec.load(json.loads(AGREEMENTS.read_text(encoding="utf-8")), Agreements).attacks


def code(name: str) -> str:
    """Return the file of an attack, as it runs."""
    return inspect.getsource(inspect.getmodule(attacks.get(name)) or attacks)


def headline(name: str) -> str:
    """Return one line: family, what the attack sees, and the norms it can measure by."""
    card, norms = attacks.get(name).card, attack_families.norms(name)
    measured = f" · {', '.join(norms)}" if norms else ""
    family = say(attack_families.FAMILIES[attack_families.family(card)])
    return f"{family} · {say(ACCESS[card.access])}{measured}"


def settings_table(name: str) -> str:
    """Return the settings of an attack as a Markdown table."""
    lines = _head(say("Setting"), say("Default"), say("Range"), say("What it is"))
    for setting in attacks.get(name).settings():
        default = setting.format(setting.default)
        default = say(default) if setting.choices else default
        label, help_text = say(setting.label), say(setting.help)
        lines.append(f"| {label} (`{setting.name}`) | {default} | {_range(setting)} | {help_text} |")
    return "\n".join(lines)


def proof_table(name: str) -> str:
    """Return what the attack was compared with as a Markdown table, or "" when with nothing."""
    rows = agreements().get(name, [])
    if not rows:
        return ""
    lines = _head(say("Compared with"), say("On"), say("Difference"), say("So it is"))
    lines += [f"| {r.library} | {r.what} | {_short(r.difference)} | {r.verdict} |" for r in rows]
    return "\n".join(lines)


def proof_lines(name: str) -> str:
    """Return one line for each library that the attack was compared with, as a Markdown list: in how many
    comparisons the two agree, and what was found in the last that did not; "" when with nothing."""
    by_library: dict[str, list[Agreement]] = {}
    for row in agreements().get(name, []):
        by_library.setdefault(row.library, []).append(row)
    colon = say(": ")
    return "\n".join(f"- **{library}**{colon}{_agreement(rows)}" for library, rows in by_library.items())


def _agreement(rows: list[Agreement]) -> str:
    equal = [row for row in rows if row.verdict.startswith("equal")]
    others = [f"{row.verdict} ({row.what})" for row in rows if row not in equal]
    if not equal:
        return others[-1]
    gap = max(row.difference for row in equal if isinstance(row.difference, int | float))
    one, several = "in the one comparison", "in {equal} of {of} comparisons"
    many = say(several if len(rows) > 1 else one, equal=len(equal), of=len(rows))
    exact, close = "equal {many}, to the last digit", "equal {many}, to {gap}"
    sentence = say(close if gap else exact, many=many, gap=f"{gap:.0e}")
    return say("{said}; else {other}", said=sentence, other=others[-1]) if others else sentence


def _head(*names: str) -> list[str]:
    return [f"| {' | '.join(names)} |", f"|{' --- |' * len(names)}"]


def _range(setting: Setting) -> str:
    if setting.choices:
        return say(", ").join(map(say, setting.choices))
    if setting.type == "bool":
        return say("yes or no")
    return say("{low} to {high}", low=f"{setting.low:,g}", high=f"{setting.high:,g}")


def _short(value: float | str) -> str:
    return f"{value:.2g}" if isinstance(value, int | float) else value
