"""A recipe: everything that determines a run, as plain data (JSON, URL, key)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from torch import Tensor

import attacks
import models
from attacks.contract import Attack, Stop
from errors import BadSetting
from models.core import Crop

Value = float | int | bool | str


class Region(NamedTuple):
    """The part of what the network sees that may change; edges as fractions of its side, in [0, 1].

    `check` raises `errors.BadSetting` when it is empty or reaches outside.
    """

    left: float
    top: float
    right: float
    bottom: float

    def check(self) -> None:
        """Raise `errors.BadSetting` unless the region is a rectangle inside the picture."""
        if not (0 <= self.left < self.right <= 1 and 0 <= self.top < self.bottom <= 1):
            raise BadSetting(
                "Expected a region left,top,right,bottom with 0 <= left < right <= 1 and "
                f"0 <= top < bottom <= 1, got {','.join(f'{edge:g}' for edge in self)}."
            )

    def mask(self, x: Tensor) -> Tensor:
        """Return ``(1, 1, h, w)``: 1 inside, 0 outside, for pictures ``x`` ``(n, c, h, w)``; at least
        one pixel is inside."""
        height, width = x.shape[-2:]
        mask = x.new_zeros(1, 1, height, width)
        left, top = min(round(self.left * width), width - 1), min(round(self.top * height), height - 1)
        right, bottom = max(round(self.right * width), left + 1), max(round(self.bottom * height), top + 1)
        mask[..., top:bottom, left:right] = 1
        return mask


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
        return {
            "model": self.model,
            "image": self.image,
            "attack": self.attack,
            "params": dict(self.params),
            "target": self.target,
            "seed": self.seed,
            "stop": {"rule": self.stop.rule, "at": self.stop.at, "times": self.stop.times},
            "crop": list(self.crop) if self.crop else None,
            "region": list(self.region) if self.region else None,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Recipe:
        """Return the recipe written by `to_json`; raises `errors.BadSetting` on a missing field."""
        try:
            crop, region = data.get("crop"), data.get("region")
            stop = Stop(**data.get("stop", {}))
            plain = {k: data[k] for k in ("model", "image", "attack", "params", "target", "seed")}
            return cls(
                **plain,
                stop=stop,
                crop=Crop(*crop) if crop else None,
                region=Region(*region) if region else None,
            )
        except (KeyError, TypeError) as error:
            raise BadSetting(
                f"Expected a recipe with model, image, attack and params, got {error}."
            ) from error

    def key(self) -> str:
        """Return a digest that two recipes share exactly when they are equal."""
        text = json.dumps(self.to_json(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]
