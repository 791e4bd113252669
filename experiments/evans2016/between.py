"""Which classes a network names on the way from one picture to another's class."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from attacks.bim import BIM
from attacks.contract import Criterion, walk
from attacks.settings import setting
from engine.images.sources import open_image
from engine.networks import shared
from errors import BadSetting
from experiments.cache import Store
from experiments.core import ExperimentCard, Stage
from experiments.datasets.photos import open_photograph
from experiments.evans2016 import article
from experiments.toolkit.bases import OfNetwork
from experiments.toolkit.codec import key
from models.core import Classifier

SAMPLES = "panda,dog,cat,coffee,bee,baseball"


@dataclass(frozen=True)
class ClassPath:
    """What the network named on the way to the class ``target``: labels with the step from which on it gave
    them, until it arrived at step ``reached``; None where it did not arrive."""

    target: str
    named: list[tuple[str, int]]
    reached: int | None

    @property
    def third(self) -> list[str]:
        """Return the classes other than the first and the target, in the order in which they were named."""
        first, *others = [label for label, _ in self.named]
        return [label for label in dict.fromkeys(others) if label not in (first, self.target)]


@dataclass(frozen=True)
class ClassPaths:
    """The label that the network gives an image, and the path to the class of each other image."""

    label: str = field(metadata=key("is"))
    paths: list[ClassPath] = field(metadata=key("ways"))


@dataclass(frozen=True)
class BetweenFigures:
    """The paths by image; how many of ``total`` arrived, on how many of those a third class was named, and
    the most frequent third classes with their counts."""

    rows: dict[str, ClassPaths]
    arrived: int = field(metadata=key("gone"))
    total: int = field(metadata=key("all"))
    with_third: int
    third: dict[str, int]


@dataclass(frozen=True)
class FromImage(Stage):
    """The paths from one image."""

    answer: ClassVar[type] = ClassPaths

    image: str

    @property
    def name(self) -> str:
        """Return the image's name."""
        return self.image


@dataclass(frozen=True)
class Between(OfNetwork[ClassPaths, BetweenFigures]):
    """Every picture is taken, in small signed steps, to the class of every other one; what the network says
    on the way is noted. ``n`` is the number of pictures, and follows from ``images``."""

    card: ClassVar[ExperimentCard] = ExperimentCard(
        name="between",
        title="What lies between",
        question="Which classes does a network name on the way from one class to another?",
        paper=article.TITLE,
        url=article.URL,
        source="the “panda ostrich space”",
        digits=False,
    )
    result: ClassVar[type] = BetweenFigures

    n: int = setting(6, "Pictures", "How many of the pictures are used.", low=2, high=40)
    images: str = setting(SAMPLES, "Pictures", "Samples or photos (photo:NAME), with commas between.")
    size: float = setting(
        0.1, "Step size", "How far each pixel moves in a step, in grey levels.", low=0.01, high=8
    )
    steps: int = setting(100, "Steps", "At most so many.", low=1, high=1000)

    def named(self) -> list[str]:
        """Return the pictures; raises `errors.BadSetting` for fewer than two."""
        names = [name.strip() for name in self.images.split(",") if name.strip()][: self.n]
        if len(names) < 2:
            raise BadSetting(f"Expected images to name at least two pictures, got “{self.images[:40]}”.")
        return names

    def stages(self) -> list[FromImage]:
        """Return one stage for each picture."""
        return [FromImage(image) for image in self.named()]

    def carry_out(self, stage: FromImage, store: Store) -> ClassPaths:
        """Return what the picture is to the network, and its path to each other picture's class."""
        model = shared(self.model)
        first = {image: _answer(model, _seen(model, image)) for image in self.named()}
        own = first[stage.image]
        targets = sorted(set(first.values()) - {own})
        paths = _paths(model, _seen(model, stage.image), targets, self) if targets else []
        return ClassPaths(model.card.labels[own], paths)

    def summarise(self, answers: Sequence[ClassPaths]) -> BetweenFigures:
        """Return the paths by picture, how many arrived, and how often a third class was named on them."""
        paths = [path for answer in answers for path in answer.paths]
        arrived = [path for path in paths if path.reached is not None]
        third = Counter(label for path in arrived for label in path.third)
        return BetweenFigures(
            rows=dict(zip(self.named(), answers, strict=True)),
            arrived=len(arrived),
            total=len(paths),
            with_third=sum(bool(path.third) for path in arrived),
            third=dict(third.most_common(8)),
        )

    def claims(self, figures: BetweenFigures) -> dict[str, bool]:
        """Return whether every class can be reached, and what lies between."""
        return {
            "Every picture reaches the class of every other one.": figures.arrived == figures.total,
            "On some of these ways a third class is named in between.": figures.with_third > 0,
            "On most of them none is: the way is straight.": 2 * figures.with_third < figures.arrived,
        }


def _seen(model: Classifier, image: str) -> Tensor:
    picture = open_image(image, sources={"photo": open_photograph})
    return model.card.preprocess(picture)[None]


@torch.no_grad()
def _answer(model: Classifier, x: Tensor) -> int:
    return int(model(x).argmax())


def _paths(model: Classifier, x: Tensor, targets: list[int], settings: Between) -> list[ClassPath]:
    """Return the path to each of ``targets``: what is named from which step on, and when it arrives."""
    label = torch.tensor(targets)
    criterion = Criterion(label, targeted=True)
    attack = BIM(epsilon=1.0, step_size=settings.size / 255, steps=settings.steps)
    search = attack.search(x.expand(len(targets), -1, -1, -1), criterion, torch.Generator())
    answers: list[Tensor] = []
    for step in walk(search, model, criterion):
        answers.append(step.evaluation.logits.argmax(1))
        if all((torch.stack(answers) == label).any(0)):
            break
    columns = torch.stack(answers).T.tolist()
    return [class_path(model.card.labels, *row) for row in zip(targets, columns, strict=True)]


def class_path(labels: tuple[str, ...], target: int, answers: list[int]) -> ClassPath:
    """Return the path to class ``target`` on which the network gave ``answers`` (classes), step by step."""
    reached = answers.index(target) if target in answers else None
    until = answers if reached is None else answers[: reached + 1]
    stretches = itertools.groupby(enumerate(until), key=lambda item: item[1])
    named = [(labels[label], next(iter(group))[0]) for label, group in stretches]
    return ClassPath(labels[target], named, reached)
