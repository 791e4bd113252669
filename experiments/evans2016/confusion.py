"""Where photos of a superclass (all dogs, all animals) go when they are moved as little as possible."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import torch

import models
from attacks.contract import Criterion
from attacks.settings import setting
from engine import intervals
from engine.intervals import Estimate
from engine.networks import shared
from errors import BadSetting
from experiments.cache import Store
from experiments.core import ExperimentCard, Stage
from experiments.datasets import superclasses
from experiments.evans2016 import article
from experiments.toolkit.bases import OfNetworks
from experiments.toolkit.codec import key

AT_ONCE = 10


@dataclass(frozen=True)
class Photo:
    """One photo that was moved as little as possible (l2, infinite where DDN did not get there).

    ``near``: how far to another class; ``leave``: how far to a class outside its superclass; ``lands``: that
    other class, by index; ``label``: its own.
    """

    near: float
    leave: float
    lands: int
    label: int


@dataclass(frozen=True)
class Photos:
    """Photos of one superclass."""

    photos: list[Photo]


@dataclass(frozen=True)
class SuperclassFigures:
    """Where the photos of one superclass land, and how far that is.

    ``size``: how many classes it has, ``of`` so many in all; ``chance``: the share of other classes that
    belong to it; ``stays``: the share of photos whose nearest other answer does. Medians of l2 distances:
    ``near``, to another answer, and ``leave``, to one outside; ``farther``: the median of their ratios.
    ``lost``: how many photos DDN did not move out, which are left out; ``landings``: the most frequent pairs
    of own and other class, with their counts.
    """

    size: int
    of: int
    chance: float
    stays: Estimate
    near: Estimate
    leave: Estimate
    farther: Estimate
    lost: int
    landings: list[tuple[str, str, int]] = field(metadata=key("ways"))


@dataclass(frozen=True)
class ConfusionFigures:
    """The figures by network and superclass; ``on``: what they were measured on."""

    on: str
    networks: dict[str, dict[str, SuperclassFigures]]


@dataclass(frozen=True)
class MovedPhotos(Stage):
    """`AT_ONCE` photos of a superclass, from number ``first`` on, moved for one network."""

    answer: ClassVar[type] = Photos

    network: str
    superclass: str
    first: int

    @property
    def name(self) -> str:
        """Return the network, the superclass and the number of the first photo."""
        return f"{self.network} | {self.superclass} | {self.first}"


@dataclass(frozen=True)
class Confusion(OfNetworks[Photos, ConfusionFigures]):
    """The least change to another answer, and the least to an answer outside the superclass, for photos of
    each superclass that the network gets right."""

    card: ClassVar[ExperimentCard] = ExperimentCard(
        name="confusion",
        title="It stays in the family",
        question="Do photos of a family stay in it when a network is fooled with the least change?",
        paper=article.TITLE,
        url=article.URL,
        source="The section on the dog that stays a dog",
        needs="photos",
        digits=False,
    )
    result: ClassVar[type] = ConfusionFigures
    version: ClassVar[int] = 2

    n: int = setting(30, "Photos", "How many photos of each family.", low=4, high=1000)
    networks: str = setting(models.FIRST, "Networks", "Names of networks, with commas between.", main=True)
    steps: int = setting(20, "Steps", "How many steps DDN takes.", low=5, high=1000)

    def depends(self) -> object:
        """Return the digests of the weights."""
        return [models.card(name).weights.sha256 for name in self.named()]

    def stages(self) -> list[MovedPhotos]:
        """Return one stage for ten photos of each network's superclasses."""
        return [
            MovedPhotos(name, superclass, first)
            for name in self.named()
            for superclass in superclasses.superclasses(models.card(name))
            for first in range(0, self.n, AT_ONCE)
        ]

    def carry_out(self, stage: MovedPhotos, store: Store) -> Photos:
        """Move ten photos of one superclass, from the one of that number on."""
        model = shared(stage.network)
        x, label = superclasses.members(model.card, stage.superclass, 2 * self.n, self.data)
        with torch.no_grad():
            right = torch.cat([model(part).argmax(1) for part in x.split(AT_ONCE)]) == label
        rows = slice(stage.first, min(stage.first + AT_ONCE, self.n))
        x, own = x[right][rows], label[right][rows]
        if not len(x):
            return Photos([])
        inside = superclasses.mask(model.card, superclasses.superclasses(model.card)[stage.superclass])
        near, lands = superclasses.least(model, x, Criterion(own, targeted=False), self.steps)
        leave, _ = superclasses.least(model, x, superclasses.Leaving(own, False, inside), self.steps)
        columns = (values.tolist() for values in (near, leave, lands, own))
        return Photos([Photo(*row) for row in zip(*columns, strict=True)])

    def summarise(self, answers: Sequence[Photos]) -> ConfusionFigures:
        """Return, for each network and superclass, where its photos land and how far that is."""
        photos: dict[str, dict[str, list[Photo]]] = {name: {} for name in self.named()}
        for stage, answer in zip(self.stages(), answers, strict=True):
            photos[stage.network].setdefault(stage.superclass, []).extend(answer.photos)
        networks = {
            name: {superclass: superclass_figures(name, superclass, own) for superclass, own in parts.items()}
            for name, parts in photos.items()
        }
        return ConfusionFigures("photos of each family", networks)

    def claims(self, figures: ConfusionFigures) -> dict[str, bool]:
        """Return what the article says of dogs, of every superclass."""
        networks = [list(parts.values()) for parts in figures.networks.values()]
        first = [parts[0] for parts in networks]
        return {
            "Fooled with the least change, a dog stays a dog (or an animal an animal) more often than chance "
            "has it.": all((part.stays.low or 0) > part.chance for part in first),
            "To leave that family a photo must be moved farther than to another of its classes.": all(
                (part.farther.low or 0) > 1 for part in first
            ),
            "That family, the largest, is the farthest to leave.": all(
                parts[0].leave.value == max(part.leave.value for part in parts) for parts in networks
            ),
        }


def superclass_figures(network: str, superclass: str, photos: Sequence[Photo]) -> SuperclassFigures:
    """Return the figures of one superclass; photos that DDN did not move out are counted and left out.

    Raises `errors.BadSetting` where none is left.
    """
    card = models.card(network)
    classes = superclasses.superclasses(card)[superclass]
    moved = [photo for photo in photos if math.isfinite(photo.near) and math.isfinite(photo.leave)]
    if not moved:
        raise BadSetting(f"No photo of the family “{superclass}” that {card.title} gets right was fooled.")
    landings = Counter((card.labels[photo.label], card.labels[photo.lands]) for photo in moved)
    return SuperclassFigures(
        size=len(classes),
        of=len(card.labels),
        chance=(len(classes) - 1) / (len(card.labels) - 1),
        stays=intervals.share(sum(photo.lands in classes for photo in moved), len(moved)),
        near=intervals.median([photo.near for photo in moved]),
        leave=intervals.median([photo.leave for photo in moved]),
        farther=intervals.median([photo.leave / photo.near for photo in moved]),
        lost=len(photos) - len(moved),
        landings=[(own, other, count) for (own, other), count in landings.most_common(5)],
    )
