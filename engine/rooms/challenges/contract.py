"""What a kind of challenge is: settings, a rule in words, and the score of a file.

A kind sees a file only as the server reads it: its decoded pixels, and the server's own networks.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from PIL import Image

import models
from engine.classification import ranking
from engine.export.carried import WHOLE
from engine.images.sources import samples
from engine.run import Floats, Prediction, Run
from engine.sentences import Said
from errors import BadSetting, BadTarget, UnknownName
from models.core import Card

Octets = npt.NDArray[np.uint8]
Ask = Callable[[str, Floats], Floats]
"""The logits ``(n, classes)`` of the network of that name for pictures ``(n, c, h, w)`` in [0, 1]."""
NOT_YET = "It does not count: the network still says {label}."
ANOTHER = "It does not count: the network says {label}, not {goal}."
COUNTS = "It counts: the network says {label}."
VOTES = 3
MOST_VOTES = 50


@dataclass(frozen=True)
class Answer:
    """What a network says of a picture: its ``logits`` ``(classes,)``, whose classes its ``card`` names."""

    card: Card
    logits: Floats

    @property
    def first(self) -> Prediction:
        """Return the most probable class."""
        return ranking(self.logits, self.card, 1)[0]


@dataclass(frozen=True)
class File:
    """A file as the server reads it.

    ``picture`` and ``original``: what was handed in and what it began with, both 8-bit pictures of the size
    and the mode ("RGB" or "L") that the challenge's network takes. ``run``: whose picture it is. ``ask``: the
    server's own networks.
    """

    card: Card
    picture: Image.Image
    original: Image.Image
    run: Run
    ask: Ask

    @property
    def change(self) -> npt.NDArray[np.float64]:
        """Return by how many grey levels the values differ from the original: ``(h, w)`` or ``(h, w, 3)``."""
        before, after = (np.asarray(image, np.float64) for image in (self.original, self.picture))
        return after - before

    @property
    def l2(self) -> float:
        """Return the l2 norm of the change on the scale of [0, 1]."""
        return float(np.linalg.norm(self.change.ravel()) / 255)

    @property
    def levels(self) -> float:
        """Return the largest change of a value, in grey levels."""
        return float(np.abs(self.change).max())

    def says(self, picture: Image.Image | None = None, model: str = "") -> Answer:
        """Return what a network says, by default the challenge's, of a picture, by default the file's. All of
        the picture goes in, whatever the file says of itself."""
        card = models.card(model or self.card.name)
        seen = card.see(picture or self.picture, WHOLE)
        return Answer(card, self.ask(card.name, seen[None])[0])


@dataclass(frozen=True)
class Outcome:
    """How a file did: its ``score``, None where it does not count, and what to say of it; ``label``: what the
    network that was to be fooled says."""

    score: float | None
    said: Said
    label: str = ""


@dataclass(frozen=True)
class Kind(ABC):
    """A kind of challenge; its fields are its settings. A file in `engine.rooms.challenges` defines one, and
    that is all there is to add.

    ``model``: the network that judges. ``image``: the sample that everybody begins with. ``target``: the
    class to reach, "" for any but the original's. ``votes``: so many people must have looked at a picture
    before they have judged it. Raises `errors.FoolscopeError` where these make no challenge.

    ``name``: in tables and addresses. ``title``: in a list. ``rule`` and ``rule_any``: what to do, in words,
    with a target and without one. ``unit``: how a score is shown. ``lower_wins``: whether less is better.
    ``finished``: whether a run is handed in finished on the grid of 8 bits, which takes gradients.
    ``suits``: attacks to begin with, the best one first.
    """

    model: str
    image: str
    target: str = ""
    votes: int = VOTES

    name: ClassVar[str]
    title: ClassVar[str]
    rule: ClassVar[str]
    rule_any: ClassVar[str]
    unit: ClassVar[str]
    lower_wins: ClassVar[bool] = True
    finished: ClassVar[bool] = True
    suits: ClassVar[tuple[str, ...]] = ("bim",)

    def __post_init__(self) -> None:
        if self.image not in samples():
            raise UnknownName.of("sample picture", self.image, samples())
        if self.target:
            self.card.label_index(self.target)
        if not 1 <= self.votes <= MOST_VOTES:
            raise BadSetting("Expected votes from 1 to {most}, got {got}.", most=MOST_VOTES, got=self.votes)

    @property
    def card(self) -> Card:
        """Return the card of the network that judges."""
        return models.card(self.model)

    @property
    def aim(self) -> int | None:
        """Return the index of the target class, None for any class but the original's."""
        return self.card.label_index(self.target) if self.target else None

    def facts(self) -> Mapping[str, str | int]:
        """Return the facts of the rule that everybody may know; never a network that nobody may see."""
        goal = {} if self.aim is None else {"goal": self.card.labels[self.aim]}
        return {"model": self.card.title, "picture": samples()[self.image].label, **goal}

    def said(self) -> Said:
        """Return the rule in words: a template and its facts."""
        return (self.rule if self.target else self.rule_any), self.facts()

    @property
    def hidden_model(self) -> str:
        """Return the network that nobody may see, "" for none."""
        return ""

    def begin(self) -> Mapping[str, str]:
        """Return the parts of a link that set a run up for this, beside network, picture, target, attack."""
        return {}

    def check(self, first: Prediction) -> None:
        """Raise `errors.BadTarget` where the original is already what is asked for; ``first``: what the
        network says of it."""
        if self.aim == first.index:
            raise BadTarget(
                "Expected a target other than {label}: that is what the network says already.",
                label=first.label,
            )

    @abstractmethod
    def score(self, file: File) -> Outcome:
        """Return how a file does."""

    def shown(self, score: float) -> Said:
        """Return a score in words."""
        return self.unit, {"score": f"{score:.3g}"}

    def fooled(self, file: File, model: str = "", picture: Image.Image | None = None) -> Outcome:
        """Return an outcome that counts, with the score 0, where a network is fooled as the settings ask."""
        answer, before = file.says(picture, model), file.says(file.original, model).first
        first = answer.first
        if self.target and first.label != self.target_label:
            return Outcome(None, (ANOTHER, {"label": first.label, "goal": self.target_label}))
        if first.index == before.index:
            return Outcome(None, (NOT_YET, {"label": first.label}))
        return Outcome(0.0, (COUNTS, {"label": first.label}), first.label)

    @property
    def target_label(self) -> str:
        """Return the label of the target class, "" for none."""
        return "" if self.aim is None else self.card.labels[self.aim]

    def plain(self) -> dict[str, Any]:
        """Return the settings as plain data."""
        return dict(vars(self))
