"""What the declaration of a recipe's field says: its codecs, its widget, its command-line option.

A field is declared once, in `engine.recipe.Recipe`. JSON (`engine.recipe`), addresses (`engine.links`), the
form (`components.widgets.recipe_fields`) and the command line (`app.cli.options`) are made from that.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

import attacks
from attacks.contract import Stop
from errors import BadSetting
from models.core import Crop

SURE = Stop("probability", 0.95)
MAX_SEED = 2**32 - 1
BAD_SEED = "Expected seed to be a whole number from 0 to 4,294,967,295, got “{got}”."
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

    def mask(self, height: int, width: int) -> npt.NDArray[np.float32]:
        """Return ``(height, width)``: 1 inside, 0 outside; at least one pixel is inside."""
        mask = np.zeros((height, width), np.float32)
        left, top = min(round(self.left * width), width - 1), min(round(self.top * height), height - 1)
        right, bottom = max(round(self.right * width), left + 1), max(round(self.bottom * height), top + 1)
        mask[top:bottom, left:right] = 1
        return mask


def usual_stop(attack: str) -> Stop:
    """Return when a run of ``attack`` stops unless something else is asked for: one that looks for the
    smallest change only begins where it first succeeds."""
    return Stop("steps") if attacks.get(attack).card.kind == "minimal" else SURE


def check_seed(seed: Any) -> None:
    """Raise `errors.BadSetting` unless ``seed`` is a whole number that a generator takes."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= MAX_SEED:
        raise BadSetting(BAD_SEED, got=str(seed)[:40])


def seed_of(text: str) -> int:
    """Return the seed that ``text`` writes; raises `errors.BadSetting`."""
    if not text.isdecimal() or int(text) > MAX_SEED:
        raise BadSetting(BAD_SEED, got=text[:40])
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


def stop_text(stop: Stop) -> str:
    """Return the text that `stop_of` reads as ``stop``."""
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


def eight_bit_of(text: str) -> bool:
    """Return whether every query is rounded, as ``text`` writes it: 1 or 0; raises `errors.BadSetting`."""
    if text not in ("0", "1"):
        raise BadSetting("Expected eight_bit to be 1 or 0, got “{got}”.", got=text[:40])
    return text == "1"


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


def numbers_text(values: tuple[float, ...]) -> str:
    """Return the text of a crop or a region."""
    return ",".join(f"{value:.4g}" for value in values)


@dataclass(frozen=True)
class Widget:
    """How a page lets a person choose a field, as plain data.

    ``kind``: a key of `components.widgets.recipe_fields.KINDS`; ``place``: "main" (seen at once), "more" (in
    the box with that title) or "crop" (beside the image); ``low``, ``high``, ``step``: of a number;
    ``choices``: the values of a choice of one or of several, with the words for them.
    """

    kind: str
    label: str
    help: str = ""
    place: str = "more"
    low: float = 0
    high: float = 1
    step: float = 1
    choices: Mapping[str, str] = dataclasses.field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Option:
    """A field's option of the command line. ``flag``: it takes no value; given, it means True."""

    help: str
    metavar: str | None = None
    flag: bool = False


@dataclass(frozen=True)
class Field:
    """A field of a recipe.

    ``read`` and ``text``: from and to an address and the command line; ``read`` raises `errors.BadSetting`.
    ``plain`` and ``load``: to and from JSON. None has no text and is null in JSON. ``default``: the value by
    the attack's name. ``check``: raises `errors.BadSetting` for a value that no recipe may have.
    """

    name: str
    read: Callable[[str], Any]
    text: Callable[[Any], str]
    plain: Callable[[Any], Any]
    load: Callable[[Any], Any]
    default: Callable[[str], Any]
    check: Callable[[Any], None]
    widget: Widget | None
    option: Option | None


def recipe_field(
    default: Any,
    read: Callable[[str], Any],
    text: Callable[[Any], str],
    plain: Callable[[Any], Any] = lambda value: value,
    load: Callable[[Any], Any] = lambda plain: plain,
    *,
    usual: Callable[[str], Any] | None = None,
    check: Callable[[Any], None] = lambda value: None,
    widget: Widget | None = None,
    option: Option | None = None,
) -> Any:
    """Declare a field of `engine.recipe.Recipe`; see `Field`.

    ``default``: the value where none is given; ``usual``: what a page and the command line begin with, by the
    attack's name, where that is another.
    """
    by_attack = usual or (lambda attack: default)
    facts = Field("", read, text, plain, load, by_attack, check, widget, option)
    return dataclasses.field(default=default, metadata={Field: facts})


def declared(recipe: type) -> tuple[Field, ...]:
    """Return the fields that the dataclass ``recipe`` declares by `recipe_field`, by their names."""
    fields = dataclasses.fields(recipe)
    return tuple(dataclasses.replace(f.metadata[Field], name=f.name) for f in fields if Field in f.metadata)
