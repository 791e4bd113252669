"""The fields of a recipe that stand for themselves: each is declared here once, with its codecs.

`engine.recipe` writes and reads them as JSON, `engine.links` as parts of an address; a widget for each is in
`components.widgets.controls`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor

import attacks
from attacks.contract import Stop
from errors import BadSetting
from models.core import Crop

SURE = Stop("probability", 0.95)
BAD_CROP = "Expected crop as x,y,size (each in 0 to 1), got “{got}”."


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


def usual_stop(attack: str) -> Stop:
    """Return when a run of ``attack`` stops unless something else is asked for: one that looks for the
    smallest change only begins where it first succeeds."""
    return Stop("steps") if attacks.get(attack).card.kind == "minimal" else SURE


def seed_of(text: str) -> int:
    """Return the seed that ``text`` writes; raises `errors.BadSetting`."""
    if not text.isdecimal() or int(text) >= 2**32:
        raise BadSetting(
            "Expected seed to be a whole number from 0 to 4,294,967,295, got “{got}”.", got=text[:40]
        )
    return int(text)


def stop_of(text: str) -> Stop:
    """Return the stop rule that ``text`` writes: "steps", "success", a probability such as 0.95, or a number
    of successes in a row such as "5x"; raises `errors.BadSetting`."""
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


def crop_of(text: str) -> Crop:
    """Return the crop that ``text`` writes as x,y,size; raises `errors.BadSetting`."""
    try:
        x, y, size = map(float, text.split(","))
    except ValueError:
        raise BadSetting(BAD_CROP, got=text[:40]) from None
    crop = Crop(x, y, size)
    if not (0 <= x <= 1 and 0 <= y <= 1 and 0 < size <= 1):
        raise BadSetting(BAD_CROP, got=text[:40])
    return crop


def _numbers(values: tuple[float, ...]) -> str:
    return ",".join(f"{value:.4g}" for value in values)


@dataclass(frozen=True)
class Field:
    """A field of a recipe. ``default``: its value by the attack's name; ``read`` and ``text``: from and to an
    address; ``plain`` and ``load``: to and from JSON. None has no text and is null in JSON."""

    name: str
    default: Callable[[str], Any]
    read: Callable[[str], Any]
    text: Callable[[Any], str]
    plain: Callable[[Any], Any]
    load: Callable[[Any], Any]


FIELDS = (
    Field("seed", lambda attack: 0, seed_of, str, int, lambda plain: plain),
    Field(
        "stop",
        usual_stop,
        stop_of,
        _stop_text,
        lambda stop: {"rule": stop.rule, "at": stop.at, "times": stop.times},
        lambda plain: Stop(**plain),
    ),
    Field("crop", lambda attack: None, crop_of, _numbers, list, lambda plain: Crop(*plain)),
    Field("region", lambda attack: None, region_of, _numbers, list, lambda plain: Region(*plain)),
)
