"""A recipe: everything that determines a run, as plain data (JSON, URL, key)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import attacks
import models
from attacks.contract import Attack, Stop
from engine.fields import (
    MAX_SEED,
    Option,
    Region,
    Widget,
    check_seed,
    crop_of,
    declared,
    eight_bit_of,
    numbers_text,
    recipe_field,
    region_of,
    seed_of,
    stop_of,
    stop_text,
    usual_stop,
)
from engine.robustness.corruptions import CORRUPTIONS, check_corruptions, names_of, ordered
from errors import BadSetting
from models.core import Crop

Value = float | int | bool | str


@dataclass(frozen=True)
class Recipe:
    """What to run. ``image`` is a sample's name or an upload's id; ``target`` a class index,
    or None for "anything but what it is"; ``params`` the attack's fields that differ from
    their defaults or all of them; ``region`` the only part that may change, None for all of it;
    ``survives`` the corruptions after which it must fool too (`engine.robustness.surviving`);
    ``crop`` None for the model's own central crop;
    ``eight_bit``: every query is rounded to whole grey levels.

    To add a field is to declare it here by `engine.fields.recipe_field`: link, JSON, form and command line
    follow. The fields before those decide what the others mean, and have widgets of their own.
    """

    model: str
    image: str
    attack: str
    params: Mapping[str, Value] = field(default_factory=dict)
    target: int | None = None
    stop: Stop = recipe_field(
        Stop(),
        stop_of,
        stop_text,
        lambda stop: {"rule": stop.rule, "at": stop.at, "times": stop.times},
        lambda plain: Stop(**plain),
        usual=usual_stop,
        widget=Widget("stop", "Stop when"),
        option=Option("steps, success, a probability such as 0.95, or 5x: so often in a row."),
    )
    region: Region | None = recipe_field(
        None,
        region_of,
        numbers_text,
        list,
        lambda plain: Region(*plain),
        check=lambda region: None if region is None else region.check(),
        widget=Widget("region", "Change only a part", "Everything outside stays as it is."),
        option=Option("Only this part may change, as fractions.", metavar="LEFT,TOP,RIGHT,BOTTOM"),
    )
    seed: int = recipe_field(
        0,
        seed_of,
        str,
        check=check_seed,
        widget=Widget("whole number", "Seed", "The same seed gives the same run again.", high=MAX_SEED),
        option=Option("Of everything random, a random target too; default: 0."),
    )
    crop: Crop | None = recipe_field(
        None,
        crop_of,
        numbers_text,
        list,
        lambda plain: Crop(*plain),
        widget=Widget("crop", "Zoom: part of the short side", place="crop"),
        option=Option("Square that the model sees, as fractions.", metavar="X,Y,SIZE"),
    )
    survives: tuple[str, ...] = recipe_field(
        (),
        names_of,
        ",".join,
        list,
        ordered,
        check=check_corruptions,
        widget=Widget(
            "several",
            "Must survive",
            "The picture is to fool as it is and after each of these, which every step then looks at too.",
            choices={name: corruption.title for name, corruption in CORRUPTIONS.items()},
        ),
        option=Option("What it must survive, such as jpeg75,blur.", metavar="NAMES"),
    )
    eight_bit: bool = recipe_field(
        False,
        eight_bit_of,
        lambda wanted: str(int(wanted)),
        widget=Widget(
            "toggle",
            "8-bit",
            "Every picture asked about is rounded to whole grey levels, as a saved file is.",
        ),
        option=Option("Round every picture asked about to 8 bits.", flag=True),
    )

    def __post_init__(self) -> None:
        for declaration in FIELDS:
            declaration.check(getattr(self, declaration.name))

    def aim(self, original: int) -> int:
        """Return the class to reach, or, without a target, the class to leave: the ``original`` one."""
        return original if self.target is None else self.target

    def build(self) -> Attack:
        """Return the attack with this recipe's settings.

        Raises `errors.UnknownName` or `errors.BadSetting`.
        """
        kind = attacks.get(self.attack)
        known = [s.name for s in kind.settings()]
        for name in self.params:
            if name not in known:
                raise BadSetting(f"{kind.card.title} has no setting “{name}”; it has: {', '.join(known)}.")
        return kind(**self.params)

    def check(self) -> None:
        """Raise when a name is unknown, a setting out of range or the target no class of the model."""
        norm, epsilon = self.build().bound() or ("", 1.0)
        if self.eight_bit and norm == "linf" and 255 * epsilon < 1 - 1e-3:
            raise BadSetting(
                "Expected a budget of at least 1/255 where pictures have 8 bits, got {levels}/255.",
                levels=f"{255 * epsilon:.3g}",
            )
        labels = models.card(self.model).labels
        if self.target is not None and not 0 <= self.target < len(labels):
            raise BadSetting(
                f"Expected a target class from 0 to {len(labels) - 1} for {self.model}, got {self.target}."
            )

    def to_json(self) -> dict[str, Any]:
        """Return plain data from which `from_json` makes an equal recipe."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        plain = {f.name: None if values[f.name] is None else f.plain(values[f.name]) for f in FIELDS}
        return values | {"params": dict(self.params)} | plain

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Recipe:
        """Return the recipe written by `to_json`, also before a field of `FIELDS` was there.

        Raises `errors.BadSetting` when another field is missing.
        """
        try:
            given = {f.name: f.load(data[f.name]) for f in FIELDS if data.get(f.name) is not None}
            return cls(**{name: data[name] for name in SUBJECT}, **given)
        except (KeyError, TypeError) as error:
            raise BadSetting(
                f"Expected a recipe with model, image, attack and params, got {error}."
            ) from error

    def key(self) -> str:
        """Return a digest that two recipes share exactly when they are equal."""
        text = json.dumps(self.to_json(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]


FIELDS = declared(Recipe)
"""The fields that are declared by `engine.fields.recipe_field`."""
SUBJECT = tuple(field.name for field in fields(Recipe) if field.name not in {field.name for field in FIELDS})
"""The other fields: what is attacked, by what, towards what."""
