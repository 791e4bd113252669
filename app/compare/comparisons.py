"""Several recipes side by side: many attacks, budgets, networks or norms."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import attacks
import models
from attacks.contract import Attack, Stop
from attacks.toolkit import norms
from components.display import attack_families
from engine.recipe import Recipe, Value
from errors import BadSetting
from models.core import Card

NORMS = tuple(name for name, norm in norms.NORMS.items() if norm.facts.budgets)
"""The norms whose budgets are compared."""
MEASURES = {"value": "the same change of every value", "length": "the same longest change"}
"""What makes budgets of several norms comparable. "value": each is what a change of epsilon on every value
measures; "length": each lets the picture move equally far, as the crow flies (l2)."""
ORDER = tuple(norms.SIZES)
CONTROL = "random_noise"
Bound = tuple[str, float | None]
"""A norm, and how large a change may be in it; None where it may be as large as it likes."""
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
        raise BadSetting(
            "{attack} keeps no budget in {norm}; expected one that does.", attack=kind.card.title, norm=norm
        )
    fields = {setting.name: setting for setting in kind.settings(norm)}
    wanted: dict[str, Any] = {"norm": norm, "epsilon": epsilon, "steps": steps}
    wanted["step_size"] = min(2.5 * epsilon / max(steps, 1), epsilon)
    return {name: value for name, value in wanted.items() if name in fields}


def race(base: Recipe, names: Sequence[str], norm: str, epsilon: float, steps: int) -> list[Recipe]:
    """Return one recipe for each attack on the picture, network and goal of ``base``.

    Raises `errors.BadSetting` for none, too many, or one that does not fit the budget.
    """
    if not 1 <= len(names) <= MOST:
        raise BadSetting("Expected 1 to {most} attacks in a race, got {got}.", most=MOST, got=len(names))
    return [alone(base, name, norm, epsilon, steps) for name in names]


def sweep(base: Recipe, attack: str, norm: str, steps: int) -> list[Recipe]:
    """Return ``attack`` at each budget of the norm's curve, and after it random noise of the same sizes."""
    names = [attack, CONTROL] if CONTROL in budgeted(norm) and attack != CONTROL else [attack]
    budgets = norms.NORMS[norm].facts.budgets
    return [_recipe(base, name, under(name, norm, e, steps)) for name in names for e in budgets]


def networks(base: Recipe, names: Sequence[str], recipe: Recipe, says: Callable[[str], int]) -> list[Recipe]:
    """Return ``recipe``'s attack on the picture of ``base`` for each of the networks ``names``.

    The target goes by its label; a network that has no such class, or says it already (``says``: the class
    that a network puts first), is only to say something else. Raises `errors.BadSetting` for none of them
    and for too many.
    """
    if not 1 <= len(names) <= MOST:
        raise BadSetting("Expected 1 to {most} networks, got {got}.", most=MOST, got=len(names))
    label = None if base.target is None else models.card(base.model).labels[base.target].casefold()
    recipes = []
    for name in names:
        labels = [label.casefold() for label in models.card(name).labels]
        target = labels.index(label) if label in labels else None
        target = None if target == says(name) else target
        recipes.append(replace(recipe, model=name, target=target))
    return recipes


def manynormed() -> list[str]:
    """Return the attacks that can measure a change in several norms, oldest first; controls are none."""
    every = attacks.registry().items()
    return [name for name, kind in every if len(_norms(kind)) > 1 and kind.card.access != "control"]


def comparable(card: Card, norm: str, epsilon: float, measure: str) -> float:
    """Return the budget in ``norm`` that compares with ``epsilon`` in linf, in the sense of `MEASURES`."""
    values = card.channels * card.size**2
    if measure == "value":
        return epsilon * norms.NORMS[norm].facts.of_all(values)
    return epsilon if norm == norms.LINF.name else epsilon * math.sqrt(values)


def across_norms(base: Recipe, attack: str, epsilon: float, steps: int, measure: str) -> list[Recipe]:
    """Return ``attack`` under each norm that it knows, at budgets `comparable` with ``epsilon`` in linf.

    An attack that looks for the smallest change has no budget: only its norm is set.
    """
    kind, card = attacks.get(attack), models.card(base.model)
    recipes = []
    for norm in _norms(kind):
        params: dict[str, Value] = {"norm": norm}
        if kind.card.kind == "budget":
            params = under(attack, norm, comparable(card, norm, epsilon, measure), steps)
        recipes.append(_recipe(base, attack, params))
    return recipes


def alone(base: Recipe, attack: str, norm: str, epsilon: float, steps: int) -> Recipe:
    """Return one attack at one budget on the picture, network and goal of ``base``."""
    return _recipe(base, attack, under(attack, norm, epsilon, steps))


def facts(runs: Mapping[str, Recipe], mode: str = "race") -> list[dict[str, Any]]:
    """Return what the browser is told of each of ``runs``, recipes by run: its name in a comparison of that
    ``mode``, its budget, and whether it is a control.

    In a race an attack that looks for the smallest change is judged by the budget that the others keep.
    """
    bounds = [recipe.build().bound() for recipe in runs.values()]
    stated = {bound for bound in bounds if bound}
    common: Bound = next(iter(stated)) if mode == "race" and len(stated) == 1 else (norms.LINF.name, None)
    return [
        _fact(run, recipe, mode, bound, common)
        for (run, recipe), bound in zip(runs.items(), bounds, strict=True)
    ]


def _fact(run: str, recipe: Recipe, mode: str, bound: Bound | None, common: Bound) -> dict[str, Any]:
    norm, limit = bound or common
    return {
        "id": run,
        "title": title(recipe, mode),
        "norm": norm,
        "epsilon": bound and bound[1],
        "limit": limit,
        "control": attacks.get(recipe.attack).card.access == "control",
    }


def title(recipe: Recipe, mode: str) -> str:
    """Return what a run of ``recipe`` is called among the runs of a comparison."""
    if mode == "networks":
        return models.card(recipe.model).title
    title = attack_families.called(recipe.attack)
    return f"{title}, {recipe.params['norm']}" if mode == "norms" else title


def _norms(kind: type[Attack]) -> list[str]:
    """Return the norms that an attack knows, in the usual order."""
    choices = next((setting.choices for setting in kind.settings() if setting.name == "norm"), ())
    return [norm for norm in ORDER if norm in choices]


def _recipe(base: Recipe, attack: str, params: dict[str, Value]) -> Recipe:
    return replace(base, attack=attack, params=params, stop=Stop("steps"), region=None)


def _keeps(kind: type[Attack], norm: str) -> bool:
    if kind.card.kind != "budget":
        return False
    choices = next((setting.choices for setting in kind.settings() if setting.name == "norm"), ())
    return norm in choices if choices else (kind().bound() or ("",))[0] == norm
