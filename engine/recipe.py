"""A recipe: everything that determines a run, as plain data (JSON, URL, key)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import attacks
import models
from attacks.contract import Attack, Stop
from engine.fields import FIELDS, Region
from errors import BadSetting
from models.core import Crop

Value = float | int | bool | str


@dataclass(frozen=True)
class Recipe:
    """What to run. ``image`` is a sample's name or an upload's id; ``target`` a class index,
    or None for "anything but what it is"; ``params`` the attack's fields that differ from
    their defaults or all of them; ``crop`` None for the model's own central crop; ``region`` the only
    part that may change, None for all of it."""

    model: str
    image: str
    attack: str
    params: Mapping[str, Value] = field(default_factory=dict)
    target: int | None = None
    seed: int = 0
    stop: Stop = Stop()
    crop: Crop | None = None
    region: Region | None = None

    def __post_init__(self) -> None:
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or not 0 <= self.seed < 2**32:
            raise BadSetting(f"Expected seed to be a whole number from 0 to 4,294,967,295, got {self.seed}.")

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
        self.build()
        if self.region:
            self.region.check()
        labels = models.card(self.model).labels
        if self.target is not None and not 0 <= self.target < len(labels):
            raise BadSetting(
                f"Expected a target class from 0 to {len(labels) - 1} for {self.model}, got {self.target}."
            )

    def to_json(self) -> dict[str, Any]:
        """Return plain data from which `from_json` makes an equal recipe."""
        first = {
            "model": self.model,
            "image": self.image,
            "attack": self.attack,
            "params": dict(self.params),
            "target": self.target,
        }
        values = {field.name: getattr(self, field.name) for field in FIELDS}
        return first | {f.name: None if values[f.name] is None else f.plain(values[f.name]) for f in FIELDS}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Recipe:
        """Return the recipe written by `to_json`; raises `errors.BadSetting` on a missing field."""
        try:
            plain = {name: data[name] for name in ("model", "image", "attack", "params", "target", "seed")}
            given = {field.name: field.load(data[field.name]) for field in FIELDS if data.get(field.name)}
            return cls(**(plain | given))
        except (KeyError, TypeError) as error:
            raise BadSetting(
                f"Expected a recipe with model, image, attack and params, got {error}."
            ) from error

    def key(self) -> str:
        """Return a digest that two recipes share exactly when they are equal."""
        text = json.dumps(self.to_json(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]
