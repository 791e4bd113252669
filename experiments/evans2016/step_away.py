"""One step down the gradient of what a network says of a picture, of a size that nobody sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from attacks.settings import setting
from engine.networks import shared
from experiments.cache import Store
from experiments.core import ExperimentCard, Stage
from experiments.datasets.photos import Open, open_named
from experiments.methods.sign_steps import asking, step
from experiments.toolkit.bases import OfNetwork

SIZES = {"small": 0.9, "famous": 0.007 * 255}
"""In grey levels: the article's step, and the .007 of Goodfellow et al. 2014 (figure 1)."""


@dataclass(frozen=True)
class Answers:
    """The label ``own`` that the network gives the picture, and its five most probable labels, with their
    probabilities from 0 to 1, before and after a step away from it."""

    own: str
    before: list[tuple[str, float]]
    after: list[tuple[str, float]]


@dataclass(frozen=True)
class StepAwayFigures:
    """The answers by the name of the step's size (`SIZES`)."""

    steps: dict[str, Answers]


@dataclass(frozen=True)
class OneStepAway(Stage):
    """A step of one of `SIZES`."""

    answer: ClassVar[type] = Answers

    size: str

    @property
    def name(self) -> str:
        """Return the name of the size."""
        return self.size


@dataclass(frozen=True)
class StepAway(OfNetwork[Answers, StepAwayFigures]):
    """One step against the sign of the gradient of the first class's probability, for each of `SIZES`.

    ``open`` returns the picture of a name, such as an upload's in an app.
    """

    card: ClassVar[ExperimentCard] = ExperimentCard(
        name="step_away",
        title="One step away",
        question="Does one step that nobody can see change what a network says of a photo?",
        paper="Explaining and Harnessing Adversarial Examples",
        url="https://arxiv.org/abs/1412.6572",
        source="Figure 1 (a step of .007), and the article's step of .9 grey levels",
        digits=False,
    )
    result: ClassVar[type] = StepAwayFigures

    n: int = setting(1, "Pictures", "The one picture.", low=1, high=1)
    image: str = setting("panda", "Picture", "A sample, or photo:FILE of the data folder.")
    open: Open = field(default=open_named, compare=False, repr=False)

    def stages(self) -> list[OneStepAway]:
        """Return one step for each size."""
        return [OneStepAway(size) for size in SIZES]

    def carry_out(self, stage: OneStepAway, store: Store) -> Answers:
        """Return what the network says before the step and after it: the five most probable classes."""
        model = shared(self.model)
        x = model.card.preprocess(self.open(self.image))[None]
        with torch.no_grad():
            own = int(model(x).argmax())
        p = step(asking(model), x, own, [-SIZES[stage.size] / 255], cut=True).p
        labels = model.card.labels
        return Answers(labels[own], _five(p[0], labels), _five(p[1], labels))

    def summarise(self, answers: Sequence[Answers]) -> StepAwayFigures:
        """Return both steps by the name of their size."""
        return StepAwayFigures(dict(zip(SIZES, answers, strict=True)))

    def claims(self, figures: StepAwayFigures) -> dict[str, bool]:
        """Return whether the steps change the answer, or at least weaken it."""
        small, famous = (figures.steps[size] for size in ("small", "famous"))
        (before, *_), (after, *_) = small.before, small.after
        return {
            "A step of .9 grey levels makes the network less sure of what it says.": (
                after[0] != small.own or after[1] < before[1]
            ),
            "A step of .007 changes what it says.": famous.after[0][0] != famous.own,
        }


def _five(p: Tensor, labels: tuple[str, ...]) -> list[tuple[str, float]]:
    best = p.topk(5)
    pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
    return [(labels[index], round(value, 5)) for index, value in pairs]
