"""A recipe as the query of a link, and back: the state of a page fits in its address."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import attacks
import models
from attacks.contract import Stop
from engine.recipe import Recipe, Region
from engine.targets import ranked_target
from errors import BadSetting, FoolscopeError
from models.core import Crop

ANYTHING = "any"
RESERVED = (
    "model",
    "image",
    "attack",
    "target",
    "seed",
    "stop",
    "crop",
    "region",
    "run",
    "present",
    "mode",
    "runs",
    "witness",
    "lang",
    "register",
    "twin",
)
BAD_CROP = "Expected crop as x,y,size (each in 0 to 1), got “{got}”."
DEFAULT = Recipe(
    models.FIRST,
    "panda",
    "bim",
    {"steps": 100, "step_size": 0.05 / 255},
    stop=Stop("probability", 0.95),
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
    refused: dict[str, FoolscopeError] = field(default_factory=dict)

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
    link.recipe = Recipe(
        model,
        query.get("image", DEFAULT.image),
        attack,
        params,
        link.read("target", lambda: _target(query.get("target"), model), None),
        link.read("seed", lambda: _seed(query.get("seed", "0")), 0),
        link.read("stop", lambda: _stop(query["stop"]), usual_stop(attack))
        if "stop" in query
        else usual_stop(attack),
        link.read("crop", lambda: _crop(query["crop"]), None) if "crop" in query else None,
        link.read("region", lambda: region_of(query["region"]), None) if "region" in query else None,
    )
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
        each.name: each for each in attacks.get(recipe.attack).settings(str(recipe.params.get("norm", "")))
    }
    query = {"model": recipe.model, "image": recipe.image, "attack": recipe.attack}
    labels = models.card(recipe.model).labels
    query["target"] = ANYTHING if recipe.target is None else labels[recipe.target]
    query |= {n: fields[n].format(v) for n, v in recipe.params.items() if v != fields[n].default}
    if recipe.seed:
        query["seed"] = str(recipe.seed)
    if recipe.stop != usual_stop(recipe.attack):
        query["stop"] = _stop_text(recipe.stop)
    if recipe.crop:
        query["crop"] = ",".join(f"{value:.4g}" for value in recipe.crop)
    if recipe.region:
        query["region"] = ",".join(f"{value:.4g}" for value in recipe.region)
    return query | ({"run": run} if run else {})


def usual_stop(attack: str) -> Stop:
    """Return when a run of ``attack`` stops unless something else is asked for: one that looks for the
    smallest change only begins where it first succeeds."""
    return Stop("steps") if attacks.get(attack).card.kind == "minimal" else DEFAULT.stop


def stop_of(text: str) -> Stop:
    """Return the stop rule that ``text`` writes: "steps", "success", a probability such as 0.95, or a
    number of successes in a row such as "5x"."""
    return _stop(text)


def _setting(attack: str, name: str, texts: Mapping[str, str]) -> dict[str, Any]:
    return {name: attacks.get(attack).parse(texts)[name]}


def _target(text: str | None, model: str) -> int | None:
    if text is None or text == ANYTHING or ranked_target(text):
        return None
    return models.card(model).label_index(text)


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**32:
        raise BadSetting(
            "Expected seed to be a whole number from 0 to 4,294,967,295, got “{got}”.", got=text[:40]
        )
    return int(text)


def _stop(text: str) -> Stop:
    if text in ("steps", "success"):
        return Stop(text)
    if text.endswith("x") and text[:-1].isdecimal():
        return Stop("row", times=int(text[:-1]))
    try:
        return Stop("probability", float(text))
    except ValueError:
        raise BadSetting(
            "Expected stop to be steps, success, a probability or a count such as 5x, got “{got}”.",
            got=text[:40],
        ) from None


def _stop_text(stop: Stop) -> str:
    numbers = {"probability": f"{stop.at:g}", "row": f"{stop.times}x"}
    return numbers.get(stop.rule, stop.rule)


def region_of(text: str) -> Region:
    """Return the region that ``text`` writes as left,top,right,bottom; raises `errors.BadSetting`."""
    try:
        left, top, right, bottom = map(float, text.split(","))
    except ValueError:
        raise BadSetting("Expected region as left,top,right,bottom, got “{got}”.", got=text[:40]) from None
    region = Region(left, top, right, bottom)
    region.check()
    return region


def _crop(text: str) -> Crop:
    try:
        x, y, size = map(float, text.split(","))
    except ValueError:
        raise BadSetting(BAD_CROP, got=text[:40]) from None
    crop = Crop(x, y, size)
    if not (0 <= x <= 1 and 0 <= y <= 1 and 0 < size <= 1):
        raise BadSetting(BAD_CROP, got=text[:40])
    return crop
