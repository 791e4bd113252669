"""How far pictures must be moved before a network takes them for each of several things."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

import models
from attacks.bim import BIM
from attacks.contract import Criterion, Stop, walk
from attacks.settings import setting
from engine.networks import shared
from experiments.cache import Store
from experiments.core import ExperimentCard, Stage
from experiments.datasets.photos import Open, open_named
from experiments.datasets.superclasses import Network, least, superclasses
from experiments.evans2016 import article
from experiments.toolkit.bases import OfNetworks
from experiments.toolkit.codec import key
from models.core import Card

ROWS = ("dog", "panda", "cat", "polar_bear", "macaw", "coffee", "baseball", "bridge")
"""Samples that ship, so that every row can be opened and is credited."""
IMAGENET = (207, 263, 162, 281, 23, 700, 852, 412)
"""Golden retriever, Pembroke, beagle; tabby, vulture; paper towel, tennis ball, ash can."""
EVERYDAY = ("dog", "cat", "giant panda", "bird", "car", "ship", "cup", "ball")
LEVELS = 0.9 / 255
"""The article's step: the sign of the gradient times .9 grey levels."""
MOST = 20


@dataclass(frozen=True)
class Measurement:
    """How far an image must move to be taken for a class.

    ``answer``: the class, by index, that it is taken for, with probability ``p`` from 0 to 1; ``own``: it is
    the class aimed at; ``distance`` (l2, pixels in [0, 1]) and ``steps`` (of .9 grey levels along the sign of
    the gradient): None where it was never taken for that class, or is already.
    """

    answer: int = field(metadata=key("said"))
    p: float
    own: bool
    distance: float | None
    steps: int | None


@dataclass(frozen=True)
class Row:
    """An image: the label ``answer`` that it is given ("" while that is unknown) with probability ``p``, and
    whether that is ``inside`` the superclass."""

    image: str
    answer: str = field(metadata=key("said"))
    p: float | None
    inside: bool | None = field(metadata=key("kin"))


@dataclass(frozen=True)
class Column:
    """A class aimed at, and whether it is ``inside`` the superclass."""

    label: str
    inside: bool = field(metadata=key("kin"))


@dataclass(frozen=True)
class Medians:
    """Median l2 distances from images inside the superclass and outside it to classes inside and outside;
    None where there is none."""

    inside_to_inside: float | None = field(metadata=key("kin to kin"))
    inside_to_outside: float | None = field(metadata=key("kin to others"))
    outside_to_inside: float | None = field(metadata=key("others to kin"))
    outside_to_outside: float | None = field(metadata=key("others to others"))


@dataclass(frozen=True)
class Table:
    """What was measured with one network: ``cells`` by row and column, None where that is still to come.

    ``superclass``: the network's first, of ``size`` of its ``of`` classes.
    """

    superclass: str = field(metadata=key("family"))
    size: int
    of: int
    rows: list[Row]
    columns: list[Column]
    cells: list[list[Measurement | None]]
    medians: Medians


@dataclass(frozen=True)
class ResistanceFigures:
    """One table for each network, by its name."""

    networks: dict[str, Table]


@dataclass(frozen=True)
class Pair(Stage):
    """One cell: an image and the class, by index, that it is moved to, for one network."""

    answer: ClassVar[type] = Measurement

    network: str
    image: str
    target: int

    @property
    def name(self) -> str:
        """Return network, image and class."""
        return f"{self.network} | {self.image} | {self.target}"


@dataclass(frozen=True)
class Resistance(OfNetworks[Measurement, ResistanceFigures]):
    """One stage for each cell: the least l2 change that DDN finds, and how many of the article's steps.
    ``open`` returns the picture of a name, such as an upload's in an app."""

    card: ClassVar[ExperimentCard] = ExperimentCard(
        name="resistance",
        title="You can't trick a dog",
        question="How far must each picture be moved to be taken for each of several things?",
        paper=article.TITLE,
        url=article.URL,
        source="The section on the dog that stays a dog",
        digits=False,
    )
    result: ClassVar[type] = ResistanceFigures
    version: ClassVar[int] = 3

    n: int = setting(8, "Pictures", "How many pictures, one a row.", low=1, high=len(ROWS))
    networks: str = setting(models.FIRST, "Networks", "Names of networks, with commas between.", main=True)
    steps: int = setting(40, "Steps", "How many steps DDN takes.", low=5, high=1000)
    extra: str = setting("", "One more picture", "A sample, or photo:FILE, that comes first.")
    open: Open = field(default=open_named, compare=False, repr=False)

    def depends(self) -> object:
        """Return the pictures that are here, and the digests of the weights."""
        return [self.images(), [models.card(name).weights.sha256 for name in self.named()]]

    def images(self) -> list[str]:
        """Return the pictures of the rows."""
        first = [self.extra] if self.extra else []
        return list(dict.fromkeys([*first, *ROWS[: self.n]]))

    def stages(self) -> list[Pair]:
        """Return one stage for each cell, row by row."""
        return [
            Pair(name, image, target)
            for name in self.named()
            for image in self.images()
            for target in columns(models.card(name))
        ]

    def carry_out(self, stage: Pair, store: Store) -> Measurement:
        """Measure one cell."""
        model = shared(stage.network)
        return measure(model, model.card.preprocess(self.open(stage.image)), stage.target, self.steps)

    def summarise(self, answers: Sequence[Measurement]) -> ResistanceFigures:
        """Return, for each network, rows, columns, cells, and medians inside and outside the superclass."""
        measured: dict[Stage, Measurement] = dict(zip(self.stages(), answers, strict=True))
        tables = {name: table(models.card(name), self.images(), measured) for name in self.named()}
        return ResistanceFigures(tables)

    def claims(self, figures: ResistanceFigures) -> dict[str, bool]:
        """Return what the article says of its dog."""
        medians = [network.medians for network in figures.networks.values()]
        return {
            "A member of the family is nearer to the family's other classes than to anything else.": all(
                _less(part.inside_to_inside, part.inside_to_outside) for part in medians
            ),
            "The family's classes are nearer to its members than to other pictures.": all(
                _less(part.inside_to_inside, part.outside_to_inside) for part in medians
            ),
            "To become something else, a member must move farther than other pictures.": all(
                _less(part.outside_to_outside, part.inside_to_outside) for part in medians
            ),
        }


def columns(card: Card) -> list[int]:
    """Return the classes aimed at, those of the first superclass first."""
    return list(IMAGENET) if len(card.labels) == 1000 else [card.labels.index(label) for label in EVERYDAY]


def measure(net: Network, x: Tensor, target: int, steps: int) -> Measurement:
    """Return how far ``x`` ``(c, h, w)`` must move to be taken for class ``target``; ``steps``: of DDN."""
    with torch.no_grad():
        p = torch.softmax(net(x[None])[0].double(), 0)
    answer, probability = int(p.argmax()), round(float(p.max()), 5)
    if answer == target:
        return Measurement(answer, probability, own=True, distance=None, steps=None)
    criterion = Criterion(torch.tensor([target]), targeted=True)
    far = float(least(net, x[None], criterion, steps)[0])
    distance = round(far, 4) if math.isfinite(far) else None
    return Measurement(answer, probability, False, distance, _sign_steps(net, x, criterion))


def _sign_steps(net: Network, x: Tensor, criterion: Criterion) -> int | None:
    """Return after how many of the article's steps, at most `MOST`, ``x`` meets ``criterion``."""
    signs = BIM(epsilon=1.0, step_size=LEVELS, steps=MOST)
    *_, last = walk(signs.search(x[None], criterion, torch.Generator()), net, criterion, Stop("success"))
    return last.index if bool(criterion.met(last.evaluation.logits)) else None


def table(card: Card, images: Sequence[str], measured: Mapping[Stage, Measurement]) -> Table:
    """Return the cells that are ``measured``, by image, None for those to come; with their medians."""
    superclass, classes = next(iter(superclasses(card).items()))
    targets = columns(card)
    cells = [[measured.get(Pair(card.name, image, target)) for target in targets] for image in images]
    firsts = [next((cell for cell in row if cell), None) for row in cells]
    rows = [_row(card, classes, image, first) for image, first in zip(images, firsts, strict=True)]
    heads = [Column(card.labels[target], target in classes) for target in targets]
    return Table(superclass, len(classes), len(card.labels), rows, heads, cells, _medians(rows, heads, cells))


def _row(card: Card, classes: Sequence[int], image: str, first: Measurement | None) -> Row:
    """Return what the ``first`` cell of a row says of its image."""
    if first is None:
        return Row(image, "", None, None)
    return Row(image, card.labels[first.answer], first.p, first.answer in classes)


def _medians(
    rows: Sequence[Row], heads: Sequence[Column], cells: Sequence[Sequence[Measurement | None]]
) -> Medians:
    def median(from_inside: bool, to_inside: bool) -> float | None:
        distances = [
            cell.distance
            for row, line in zip(rows, cells, strict=True)
            for head, cell in zip(heads, line, strict=True)
            if bool(row.inside) is from_inside and head.inside is to_inside
            if cell and cell.distance is not None
        ]
        return float(np.median(distances)) if distances else None

    return Medians(median(True, True), median(True, False), median(False, True), median(False, False))


def _less(a: float | None, b: float | None) -> bool:
    return a is not None and b is not None and a < b
