"""From a plan to what is done to each picture: a recipe for each network, attack and budget."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import attacks
from attacks.contract import Attack
from engine import links
from engine.evaluation.record import Key, Picture, Plan
from engine.fields import SURE, usual_stop
from engine.recipe import Recipe, Value
from errors import BadSetting

MOST = 64
"""Networks times attacks times budgets at most."""
MADRY = 2.5
"""A sweep's step size is so many times the budget, over the number of steps, where none was asked for
(Madry et al. 2017, https://arxiv.org/abs/1706.06083)."""


@dataclass(frozen=True)
class Setup:
    """What is done to every picture: a recipe without its picture. ``target``: as a link says it, a rank
    too. ``norm`` and ``epsilon``: of the attack's budget; ``epsilon`` 0: nothing is done."""

    recipe: Recipe
    target: str | None
    norm: str | None
    epsilon: float | None

    def key(self, file: str) -> Key:
        """Return the key of the row of a picture called ``file``."""
        return Key(file, self.recipe.model, self.recipe.attack, self.epsilon)


@dataclass(frozen=True)
class Work:
    """One row to come."""

    picture: Picture
    setup: Setup

    @property
    def key(self) -> Key:
        """Return the row's key."""
        return self.setup.key(self.picture.file)


def setups(plan: Plan) -> list[Setup]:
    """Return what is done to every picture, network by network.

    Raises `errors.FoolscopeError` for what cannot be done, before anything is.
    """
    _check_settings(plan)
    every = [
        setup for model in plan.models for attack in plan.attacks for setup in _budgets(plan, model, attack)
    ]
    if not 1 <= len(every) <= MOST:
        raise BadSetting(
            "Expected 1 to {most} combinations of network, attack and budget, got {got}.",
            most=MOST,
            got=len(every),
        )
    for setup in every:
        setup.recipe.check()
    return every


def works(pictures: Sequence[Picture], every: Iterable[Setup], done: set[Key]) -> Iterator[Work]:
    """Yield what is to be done that is not ``done``: network by network, then picture by picture."""
    by_model: dict[str, list[Setup]] = {}
    for setup in every:
        by_model.setdefault(setup.recipe.model, []).append(setup)
    for several in by_model.values():
        for picture in pictures:
            for setup in several:
                if setup.key(picture.file) not in done:
                    yield Work(picture, setup)


def _check_settings(plan: Plan) -> None:
    """Raise `errors.BadSetting` for a setting that no attack has, and for names that come twice."""
    known = {name: sorted(_names(name)) for name in plan.attacks}
    for name in plan.settings:
        if not any(name in names for names in known.values()):
            every = ", ".join(sorted(set().union(*known.values())))
            raise BadSetting(
                "Expected a setting of one of the attacks, which have {known}; got “{name}”.",
                known=every,
                name=name[:40],
            )
    for names in (plan.models, plan.attacks, plan.epsilons):
        if len(set(names)) < len(names):
            raise BadSetting("Expected each name and budget once, got {got}.", got=", ".join(map(str, names)))


def _names(attack: str) -> set[str]:
    return {setting.name for setting in attacks.get(attack).settings()}


def _budgets(plan: Plan, model: str, attack: str) -> Iterator[Setup]:
    """Yield the attack at each budget; one without a budget once."""
    settings = {name: text for name, text in plan.settings.items() if name in _names(attack)}
    # Not at a probability, where a network of many classes may still name the picture rightly.
    stop = {"stop": "success"} if usual_stop(attack) == SURE else {}
    query = {"model": model, "attack": attack, "target": plan.target, **settings, **stop, **plan.fields}
    link = links.checked(query)
    if not plan.epsilons or "epsilon" not in _names(attack):
        yield _setup(link, link.recipe)
        return
    for epsilon in plan.epsilons:
        params = _under(attack, link.recipe.params, epsilon)
        yield _setup(link, replace(link.recipe, params=params), epsilon)


def _under(attack: str, params: Mapping[str, Value], epsilon: float) -> dict[str, Value]:
    """Return the settings at a budget; the step size goes with it unless it was asked for."""
    if not epsilon:
        return dict(params)
    changed = {**params, "epsilon": epsilon}
    if "step_size" in _names(attack) - params.keys():
        steps = getattr(attacks.get(attack)(**changed), "steps", 1)
        changed["step_size"] = min(MADRY * epsilon / max(steps, 1), epsilon)
    return changed


def _setup(link: links.Link, recipe: Recipe, epsilon: float | None = None) -> Setup:
    built = recipe.build()
    bound = built.bound()
    own = None if bound is None else bound[1]
    target = None if recipe.target is not None else link.target
    return Setup(recipe, target, _norm(built), own if epsilon is None else epsilon)


def _norm(attack: Attack) -> str | None:
    """Return the norm that an attack keeps small, None where it names none."""
    bound = attack.bound()
    named = getattr(attack, "norm", None) if bound is None else bound[0]
    return None if named is None else str(named)
