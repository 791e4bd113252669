"""Settings of attacks and experiments: fields of dataclasses with a range, a unit and words for a person."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from errors import BadSetting


class Range(NamedTuple):
    """The numbers a field takes: ``low`` to ``high`` are legal, a slider runs from ``low`` to
    ``soft_high`` (None: to ``high``) by ``step`` (None: a whole number moves by 1, any other freely).
    """

    default: float
    low: float
    high: float
    soft_high: float | None = None
    step: float | None = None
    unit: str = ""


@dataclass(frozen=True)
class Setting:
    """One field of an attack: what a slider, a URL, a table and a test need to know.

    ``label`` is a person's word, ``name`` the field's term. ``type``: "float", "int", "bool"
    or "str" (one of ``choices``, or, where there are none, any text of up to 100 signs). ``main``:
    shown at first sight. ``low``, ``high``, ``soft_high``, ``step``: see `Range`.
    ``unit``: "level" is a distance on the [0, 1] pixel scale, shown as k/255 and %; "distance" is
    a length over all values of the picture (Euclidean, or under l1 their sum), on the same scale; "" is
    a bare number.
    ``by``: the field's `Range` for each value of the field ``norm``, where it depends on that;
    `Attack.settings` has then already put the right one in place.
    """

    name: str
    type: str
    default: Any
    label: str
    help: str
    low: float | None = None
    high: float | None = None
    soft_high: float | None = None
    step: float | None = None
    choices: tuple[str, ...] = ()
    unit: str = ""
    main: bool = False
    by: Mapping[str, Range] = dataclasses.field(default_factory=dict, hash=False)

    def under(self, norm: str) -> Setting:
        """Return this field as it is when the attack's norm is ``norm``."""
        return dataclasses.replace(self, **self.by[norm]._asdict()) if self.by else self

    def check(self, value: Any) -> Any:
        """Return ``value`` as this field's type, or raise `errors.BadSetting`."""
        right = self._right(value)
        if not right:
            raise self._wrong(value)
        return value if self._is_word() else self._number(value)

    def parse(self, text: str) -> Any:
        """Return the value that ``text`` writes, or raise `errors.BadSetting`.

        Numbers may be fractions ("8/255") unless whole ones are asked for; true and false may
        also be written 1 and 0. Ranges are checked as in `check`.
        """
        plain = text.strip()
        if self.choices or self.type == "str":
            return self.check(plain)
        if self.type == "bool":
            return self.check(WORDS.get(plain.lower(), plain))
        above, slash, below = plain.partition("/")
        if slash and self.type == "int":
            raise self._wrong(plain)
        try:
            return self.check(float(above) / float(below if slash else 1))
        except (ValueError, ZeroDivisionError):
            raise self._wrong(plain) from None

    def format(self, value: Any) -> str:
        """Return the shortest text that `parse` reads as exactly ``value``."""
        if self._is_word():
            return str(value).lower() if self.type == "bool" else str(value)
        texts = [f"{value * 255:.6g}/255"] if self.unit == "level" and value else []
        return next((t for t in (*texts, f"{value:.6g}") if self.parse(t) == value), repr(value))

    def _right(self, value: Any) -> bool:
        if self.choices:
            return value in self.choices
        if self.type == "str":
            return isinstance(value, str) and len(value) <= 100
        if self.type == "bool":
            return isinstance(value, bool)
        if not isinstance(value, int | float) or isinstance(value, bool):
            return False
        low, high = cast(float, self.low), cast(float, self.high)
        return low <= value <= high and (self.type != "int" or value == int(value))

    def _is_word(self) -> bool:
        return bool(self.choices) or self.type in ("bool", "str")

    def _number(self, value: Any) -> int | float:
        return int(value) if self.type == "int" else float(value)

    def _wrong(self, value: Any) -> BadSetting:
        kind = "level" if self.unit == "level" else "choice" if self.choices else self.type
        facts = {"name": self.name, "got": str(value)[:40], "choices": ", ".join(self.choices)}
        if self.low is not None and self.high is not None:
            facts |= {"low": f"{self.low:,g}", "high": f"{self.high:,g}"}
        return BadSetting(WRONG[kind], **facts)


WORDS = {"true": True, "1": True, "false": False, "0": False}
NO_SETTING = "{attack} has no setting “{name}”; it has: {known}."
WRONG = {
    "choice": "Expected {name} to be one of {choices}, got “{got}”.",
    "str": "Expected {name} to be a text of up to 100 signs, got “{got}”.",
    "bool": "Expected {name} to be true or false, got “{got}”.",
    "int": "Expected {name} to be a whole number from {low} to {high}, got “{got}”.",
    "float": "Expected {name} to be a number from {low} to {high}, got “{got}”.",
    "level": "Expected {name} to be a number from {low} to {high} (such as 8/255), got “{got}”.",
}


def setting(default: Any, label: str, help: str, **facts: Any) -> Any:
    """Declare a field of an attack; ``facts`` are those of `Setting` (low, high, choices, unit, main...).

    Of a field whose range goes ``by`` the norm the default is None: that range's own.
    """
    return dataclasses.field(default=default, metadata={"label": label, "help": help, **facts})
