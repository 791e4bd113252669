"""What a room is made of, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import attacks
import models
from engine.images.sources import samples
from errors import BadSetting

TITLE, NAME = 100, 40
"""Characters of a room's title and of a member's name at most."""


@dataclass(frozen=True)
class Allowed:
    """What a room's members may do.

    ``images``: names of samples; ``models`` and ``attacks``: their names; of these three nothing is
    everything. ``epsilon``: the largest change of a pixel in [0, 1] that an attack with a linf budget may
    make, 0 for any. ``steps``: updates of a run at most. ``seconds``: device time that a run may cost at
    most. ``runs``: how many runs of a person wait or go on at the same time. ``camera`` and ``uploads``:
    whether people may bring pictures of their own.
    """

    images: tuple[str, ...] = ()
    models: tuple[str, ...] = ("efficientnet_lite0", "photos", "lenet")
    attacks: tuple[str, ...] = ("fgsm", "bim", "pgd", "mi_fgsm", "random_noise")
    epsilon: float = 0.0
    steps: int = 200
    seconds: float = 60.0
    runs: int = 1
    camera: bool = True
    uploads: bool = True

    def __post_init__(self) -> None:
        """Raise `errors.UnknownName` or `errors.BadSetting`."""
        for name in self.models:
            models.card(name)
        for name in self.attacks:
            attacks.get(name)
        unknown = set(self.images) - set(samples())
        if unknown:
            raise BadSetting("Expected names of samples, got {names}.", names=", ".join(sorted(unknown)))
        self._within("epsilon", self.epsilon, 0, 1)
        self._within("steps", self.steps, 1, 10_000)
        self._within("seconds", self.seconds, 0.1, 3_600)
        self._within("runs", self.runs, 1, 20)

    @staticmethod
    def _within(name: str, value: float, least: float, most: float) -> None:
        if not least <= value <= most:
            raise BadSetting(
                "Expected {name} from {least} to {most}, got {value}.",
                name=name,
                least=least,
                most=most,
                value=value,
            )

    def plain(self) -> dict[str, Any]:
        """Return plain data from which `read` makes the same."""
        return asdict(self)

    @classmethod
    def read(cls, plain: Mapping[str, Any]) -> Allowed:
        """Return what `plain` wrote, or a part of it; raises `errors.BadSetting`, `errors.UnknownName`."""
        kinds = {field.name: type(field.default) for field in fields(cls)}
        unknown = set(plain) - set(kinds)
        if unknown:
            raise BadSetting(
                "Expected settings of a room ({known}), got {names}.",
                known=", ".join(kinds),
                names=", ".join(sorted(map(str, unknown)))[:80],
            )
        return replace(cls(), **{name: _of_kind(name, kinds[name], value) for name, value in plain.items()})


def _of_kind(name: str, kind: type, value: object) -> Any:
    """Return ``value`` when it is of the kind that the setting ``name`` has."""
    if kind is tuple and isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return tuple(value)
    if kind is bool and isinstance(value, bool):
        return value
    if kind in (int, float) and isinstance(value, int | float) and not isinstance(value, bool):
        return kind(value)
    raise BadSetting("Expected {name} to be {kind}, got {value}.", name=name, kind=kind.__name__, value=value)


@dataclass(frozen=True)
class Broadcast:
    """What everybody is asked to run. ``number``: 1 for the room's first; ``query``: a link's
    (`engine.links`); ``words``: what the teacher says of it."""

    number: int
    query: Mapping[str, str]
    words: str


@dataclass(frozen=True)
class Revealed:
    """The right answer to a question, as everybody may know it now. ``right``: its number, from 0 on;
    ``facts``: what the sentence on why it is right says."""

    right: int
    facts: Mapping[str, str]


@dataclass(frozen=True)
class Challenge:
    """Something that a room's members compete in. ``kind``: of `engine.rooms.challenges.registry`, whose
    fields are the ``settings``; ``number``: in the order in which the room's were set; ``open``: pictures are
    taken."""

    id: str
    room: str
    kind: str
    title: str
    settings: Mapping[str, Any]
    number: int
    open: bool


@dataclass(frozen=True)
class Room:
    """A room. ``opened``: in seconds since 1970. ``frozen``: nothing can be started or handed in.
    ``hide_names``: the wall shows numbers instead. ``judging``: people are asked what they see in others'
    pictures. ``question``: what everybody is asked now (`engine.rooms.bets`), "" for nothing; ``revealed``:
    by question, all right answers that the teacher has revealed. ``challenges``: in the order in which they
    were set; their settings are for the teacher alone."""

    code: str
    title: str
    opened: float
    allowed: Allowed
    frozen: bool
    hide_names: bool
    judging: bool
    broadcast: Broadcast | None
    question: str
    revealed: Mapping[str, Revealed] = field(default_factory=dict)
    challenges: tuple[Challenge, ...] = ()


@dataclass(frozen=True)
class Member:
    """Somebody who joined a room. ``number``: in the order of joining, from 1 on; ``owner``: for whom the
    engine keeps the member's runs, to be shown to nobody."""

    id: str
    room: str
    name: str
    owner: str
    number: int
    joined: float
    removed: bool


@dataclass(frozen=True)
class MemberRun:
    """A run of a member. ``number``: of the member's runs, from 1 on; ``broadcast``: the number of the
    broadcast that it answers, 0 for none; ``started``: in seconds since 1970."""

    run: str
    member: str
    number: int
    started: float
    broadcast: int


@dataclass(frozen=True)
class Opened:
    """A room that was just opened, and the key that only its teacher holds."""

    room: Room
    key: str


@dataclass(frozen=True)
class Joined:
    """A member who has just joined, and the token that only its browser holds."""

    member: Member
    token: str
