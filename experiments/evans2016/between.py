"""Which classes a network names on the way from one picture to another's class."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

import models
from attacks.bim import BIM
from attacks.contract import Criterion, walk
from attacks.settings import setting
from engine.images.sources import open_image
from errors import BadSetting
from experiments.cache import Store
from experiments.core import JSON, ExperimentCard
from experiments.datasets.photos import open_photograph
from experiments.evans2016 import article
from experiments.toolkit.bases import OfNetwork
from models.core import Classifier

SAMPLES = "panda,dog,cat,coffee,bee,baseball"


@dataclass(frozen=True)
class Between(OfNetwork):
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

    def pieces(self) -> list[str]:
        """Return one piece for each picture."""
        return self.named()

    def piece(self, name: str, store: Store) -> JSON:
        """Return what the picture is to the network, and its way to each other picture's class."""
        model = models.load(self.model)
        first = {image: _said(model, _seen(model, image)) for image in self.named()}
        targets = sorted(set(first.values()) - {first[name]})
        ways = _ways(model, _seen(model, name), targets, self) if targets else []
        return {"is": model.card.labels[first[name]], "ways": ways}

    def figures(self, done: Mapping[str, JSON]) -> dict[str, JSON]:
        """Return the rows by picture, how many ways were gone to their end, and how often a third class was
        named on them; ``third``: those classes with their counts."""
        ways = [way for row in done.values() for way in row["ways"] if way["reached"] is not None]
        third = Counter(label for way in ways for label in _third(way))
        return {
            "rows": dict(done),
            "gone": len(ways),
            "all": sum(len(row["ways"]) for row in done.values()),
            "with_third": sum(bool(_third(way)) for way in ways),
            "third": dict(third.most_common(8)),
        }

    def claims(self, figures: Mapping[str, JSON]) -> dict[str, bool]:
        """Return whether every class can be reached, and what lies between."""
        return {
            "Every picture reaches the class of every other one.": figures["gone"] == figures["all"],
            "On some of these ways a third class is named in between.": figures["with_third"] > 0,
            "On most of them none is: the way is straight.": 2 * figures["with_third"] < figures["gone"],
        }


def _third(way: Mapping[str, Any]) -> list[str]:
    """Return the classes of a way other than its first and its target."""
    names = [label for label, _ in way["named"]]
    return [label for label in dict.fromkeys(names[1:]) if label not in (names[0], way["target"])]


def _seen(model: Classifier, image: str) -> Tensor:
    picture = open_image(image, sources={"photo": open_photograph})
    return model.card.see(picture)[None]


@torch.no_grad()
def _said(model: Classifier, x: Tensor) -> int:
    return int(model(x).argmax())


def _ways(model: Classifier, x: Tensor, targets: list[int], made: Between) -> list[dict[str, Any]]:
    """Return the way to each of ``targets``: what is named from which step on, and when it arrives."""
    label = torch.tensor(targets)
    criterion = Criterion(label, targeted=True)
    attack = BIM(epsilon=1.0, step_size=made.size / 255, steps=made.steps)
    search = attack.search(x.expand(len(targets), -1, -1, -1), criterion, torch.Generator())
    said: list[Tensor] = []
    for step in walk(search, model, criterion):
        said.append(step.evaluation.logits.argmax(1))
        if all((torch.stack(said) == label).any(0)):
            break
    labels = model.card.labels
    return [_way(labels, target, [int(each[i]) for each in said]) for i, target in enumerate(targets)]


def _way(labels: tuple[str, ...], target: int, said: list[int]) -> dict[str, Any]:
    reached = said.index(target) if target in said else None
    until = said if reached is None else said[: reached + 1]
    stretches = itertools.groupby(enumerate(until), key=lambda item: item[1])
    named = [[labels[label], next(iter(group))[0]] for label, group in stretches]
    return {"target": labels[target], "named": named, "reached": reached}
