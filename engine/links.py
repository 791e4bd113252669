"""A recipe as the query of a link, and back: the state of a page fits in its address."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from dataclasses import field as data_field
from functools import partial
from typing import Any

import attacks
import models
from engine.fields import SURE, Field
from engine.recipe import FIELDS, Recipe
from engine.targets import ranked_target
from errors import FoolscopeError

ANYTHING = "any"
OTHERS = "model image attack target run present mode runs witness lang register twin"
RESERVED = {*OTHERS.split(), *(field.name for field in FIELDS)}
"""Parts of an address that are no settings of an attack."""
DEFAULT = Recipe(
    models.FIRST,
    "panda",
    "bim",
    {"steps": 100, "step_size": 0.05 / 255},
    stop=SURE,
)


@dataclass
class Link:
    """What an address says. ``target`` is None when it says nothing about one, `ANYTHING` for
    untargeted, or a class by its rank (`engine.targets.ranked_target`), which is known once the picture is
    classified. ``witness``: a second network to ask. ``twin``: a run of the network's twin to show beside,
    "1" where none was started, None for no twin. ``refused``: why a part of the address could not be used,
    by the name of that part."""

    recipe: Recipe = DEFAULT
    target: str | None = None
    run: str | None = None
    present: bool = False
    witness: str | None = None
    twin: str | None = None
    refused: dict[str, FoolscopeError] = data_field(default_factory=dict)

    @property
    def problems(self) -> list[FoolscopeError]:
        """Return one refusal for each part that could not be used."""
        return list(self.refused.values())

    def read(self, part: str, value: Callable[[], Any], otherwise: Any) -> Any:
        """Return ``value()``; where that refuses, note why ``part`` is refused and return ``otherwise``."""
        try:
            return value()
        except FoolscopeError as error:
            self.refused[part] = error
            return otherwise


def read(query: Mapping[str, str]) -> Link:
    """Return what ``query`` says; what it says wrongly becomes a sentence and falls back to the default."""
    link = Link(run=query.get("run"), present=query.get("present") == "1", twin=query.get("twin"))
    if "witness" in query:
        link.witness = link.read("witness", lambda: models.card(query["witness"]).name, None)
    model = link.read("model", lambda: models.card(query.get("model", DEFAULT.model)).name, DEFAULT.model)
    attack = link.read(
        "attack", lambda: attacks.get(query.get("attack", DEFAULT.attack)).card.name, DEFAULT.attack
    )
    params = dict(DEFAULT.params) if "attack" not in query else {}
    given = {name: text for name, text in query.items() if name not in RESERVED}
    norm = {"norm": given["norm"]} if "norm" in given else {}
    for name, text in given.items():
        params |= link.read(name, partial(_setting, attack, name, {**norm, name: text}), {})
    target = link.read("target", lambda: _target(query.get("target"), model), None)
    parts = {field.name: _part(link, query, field, attack) for field in FIELDS}
    link.recipe = Recipe(model, query.get("image", DEFAULT.image), attack, params, target, **parts)
    link.target = None if "target" in link.refused else query.get("target")
    if link.recipe.target is not None:  # by its label, whichever of its names the address has
        link.target = models.card(model).labels[link.recipe.target]
    return link


def checked(query: Mapping[str, str | None]) -> Link:
    """Return what ``query`` says, without its parts that are None; raises the first refusal."""
    link = read({name: text for name, text in query.items() if text is not None})
    if link.problems:
        raise link.problems[0]
    return link


def write(recipe: Recipe, run: str | None = None) -> dict[str, str]:
    """Return the query that `read` turns back into ``recipe``; what is at its default is left out."""
    fields = {
        item.name: item for item in attacks.get(recipe.attack).settings(str(recipe.params.get("norm", "")))
    }
    query = {"model": recipe.model, "image": recipe.image, "attack": recipe.attack}
    labels = models.card(recipe.model).labels
    query["target"] = ANYTHING if recipe.target is None else labels[recipe.target]
    query |= {n: fields[n].format(v) for n, v in recipe.params.items() if v != fields[n].default}
    for field in FIELDS:
        value = getattr(recipe, field.name)
        if value != field.default(recipe.attack):
            query[field.name] = field.text(value)
    return query | ({"run": run} if run else {})


def _part(link: Link, query: Mapping[str, str], field: Field, attack: str) -> Any:
    """Return what an address says of one field, else its default."""
    usual = field.default(attack)
    return (
        link.read(field.name, lambda: field.read(query[field.name]), usual) if field.name in query else usual
    )


def _setting(attack: str, name: str, texts: Mapping[str, str]) -> dict[str, Any]:
    return {name: attacks.get(attack).parse(texts)[name]}


def _target(text: str | None, model: str) -> int | None:
    if text is None or text == ANYTHING or ranked_target(text):
        return None
    return models.card(model).label_index(text)
