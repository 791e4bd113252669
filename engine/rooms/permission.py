"""Whether a room allows a recipe."""

from __future__ import annotations

import math
import random
from collections.abc import Collection, Mapping
from dataclasses import replace

from engine import links
from engine.base import EngineBase
from engine.images.sources import PREPARED, UPLOAD
from engine.recipe import Recipe
from engine.rooms.records import Allowed, Room
from engine.targets import class_by_rank, ranked_target
from errors import NotAllowed

FROZEN = "The teacher has stopped the room for a moment: nothing can be started or handed in now."
NOT_HERE = "This room does not allow the {kind} “{name}”; it has: {known}."
OWN = "This room does not take pictures of your own."
FOREIGN = "Expected one of this room's pictures or one of your own uploads."


def recipe_of(engine: EngineBase, room: Room, query: Mapping[str, str], own: Collection[str]) -> Recipe:
    """Return the recipe that a link's ``query`` describes, if the room allows it.

    ``own``: names of the member's uploads. Raises `errors.NotAllowed`, and what `engine.links.checked` and
    `engine.base.EngineBase.classify` raise.
    """
    link = links.checked({name: text for name, text in query.items() if name != "run"})
    check(room.allowed, link.recipe, own)
    rank = ranked_target(link.target or "")
    if rank is None:
        return link.recipe
    ranking = engine.classify(link.recipe.model, link.recipe.image, link.recipe.crop)
    return replace(link.recipe, target=class_by_rank(rank, ranking, random.Random(link.recipe.seed)))


def check(allowed: Allowed, recipe: Recipe, own: Collection[str]) -> None:
    """Raise `errors.NotAllowed` unless a room allows ``recipe``; ``own``: the member's uploads."""
    check_sight(allowed, recipe.model, recipe.image, own)
    _among("attack", recipe.attack, allowed.attacks)
    norm, epsilon = recipe.build().bound() or ("", math.inf)
    if allowed.epsilon and norm == "linf" and epsilon > allowed.epsilon * (1 + 1e-6):
        raise NotAllowed(
            "This room allows changes of at most {most}/255, got {got}/255.",
            most=f"{255 * allowed.epsilon:.3g}",
            got=f"{255 * epsilon:.3g}",
        )
    if recipe.build().updates() > allowed.steps:
        raise NotAllowed(
            "This room allows at most {most} steps, got {got}.",
            most=allowed.steps,
            got=recipe.build().updates(),
        )


def check_sight(allowed: Allowed, model: str, image: str, own: Collection[str]) -> None:
    """Raise `errors.NotAllowed` unless a room lets a member show ``image`` to ``model``."""
    check_network(allowed, model)
    _picture(allowed, image.removeprefix(PREPARED), own)


def check_network(allowed: Allowed, model: str) -> None:
    """Raise `errors.NotAllowed` unless a room has ``model``."""
    _among("network", model, allowed.models)


def _picture(allowed: Allowed, image: str, own: Collection[str]) -> None:
    if not image.startswith(UPLOAD):
        _among("picture", image, allowed.images)
    elif not allowed.uploads:
        raise NotAllowed(OWN)
    elif image not in own:
        raise NotAllowed(FOREIGN)


def _among(kind: str, name: str, known: tuple[str, ...]) -> None:
    if known and name not in known:
        raise NotAllowed(NOT_HERE, kind=kind, name=name[:40], known=", ".join(known))
