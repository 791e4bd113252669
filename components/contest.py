"""Several recipes side by side: a race of attacks at one budget, and one attack over many budgets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import attacks
from attacks.core import Attack, Stop
from engine.recipe import Recipe, Value
from errors import BadSetting

NORMS = ("linf", "l2")
BUDGETS: dict[str, tuple[float, ...]] = {
    "linf": tuple(k / 255 for k in (0.25, 0.5, 1, 2, 3, 4, 6, 8, 12, 16)),
    "l2": (0.1, 0.2, 0.4, 0.7, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0),
}
CONTROL = "random_noise"
MOST = 8


def budgeted(norm: str) -> list[str]:
    """Return the attacks that keep a budget in ``norm``, oldest first."""
    return [name for name, kind in attacks.registry().items() if _keeps(kind, norm)]


def known(norm: str) -> list[str]:
    """Return the attacks that can race under a budget in ``norm``: those that keep it, and those that
    look for the smallest change, oldest first."""
    return [n for n, k in attacks.registry().items() if k.card.kind == "minimal" or _keeps(k, norm)]


def under(attack: str, norm: str, epsilon: float, steps: int) -> dict[str, Value]:
    """Return the settings that put ``attack`` under a budget: ``epsilon`` in ``norm``, and ``steps``
    steps of 2.5 ``epsilon / steps`` (Madry et al. 2017), as far as it has such fields.

    An attack that looks for the smallest change keeps its own defaults: it needs no budget. Raises
    `errors.BadSetting` when the attack keeps a budget in another norm only.
    """
    kind = attacks.get(attack)
    if kind.card.kind != "budget":
        return {}
    if not _keeps(kind, norm):
        raise BadSetting(f"{kind.card.title} keeps no budget in {norm}; expected one that does.")
    fields = {each.name: each for each in kind.settings(norm)}
    wanted: dict[str, Any] = {"norm": norm, "epsilon": epsilon, "steps": steps}
    wanted["step_size"] = min(2.5 * epsilon / max(steps, 1), epsilon)
    return {name: value for name, value in wanted.items() if name in fields}


def race(base: Recipe, names: Sequence[str], norm: str, epsilon: float, steps: int) -> list[Recipe]:
    """Return one recipe for each attack on the picture, network and goal of ``base``.

    Raises `errors.BadSetting` for none, too many, or one that does not fit the budget.
    """
    if not 1 <= len(names) <= MOST:
        raise BadSetting(f"Expected 1 to {MOST} attacks in a race, got {len(names)}.")
    return [_recipe(base, name, under(name, norm, epsilon, steps)) for name in names]


def sweep(base: Recipe, attack: str, norm: str, steps: int) -> list[Recipe]:
    """Return ``attack`` at each of `BUDGETS`, and after it random noise of the same sizes."""
    names = [attack, CONTROL] if CONTROL in budgeted(norm) and attack != CONTROL else [attack]
    return [_recipe(base, name, under(name, norm, e, steps)) for name in names for e in BUDGETS[norm]]


def facts(recipe: Recipe, run: str) -> dict[str, Any]:
    """Return what the browser is told of a run: its name, its budget, and whether it is a control."""
    kind, (norm, epsilon) = attacks.get(recipe.attack), recipe.build().bound() or ("linf", None)
    control = kind.card.access == "control"
    return {
        "id": run,
        "title": kind.card.title,
        "norm": norm,
        "epsilon": epsilon,
        "limit": epsilon,
        "control": control,
    }


def _recipe(base: Recipe, attack: str, params: dict[str, Value]) -> Recipe:
    return replace(base, attack=attack, params=params, stop=Stop("steps"), region=None)


def _keeps(kind: type[Attack], norm: str) -> bool:
    if kind.card.kind != "budget":
        return False
    choices = next((each.choices for each in kind.settings() if each.name == "norm"), ())
    return norm in choices if choices else (kind().bound() or ("",))[0] == norm
