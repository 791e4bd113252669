"""Bugs or features: a network that only ever saw wrong labels reads pictures that nobody changed.

Ilyas et al.: Adversarial Examples Are Not Bugs, They Are Features. https://arxiv.org/abs/1905.02175.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from attacks.settings import setting
from engine import intervals
from engine.intervals import Estimate
from experiments.cache import Store
from experiments.core import Experiment, ExperimentCard, Published, Stage
from experiments.datasets import digit_sets
from experiments.ilyas2019.wrong_labels import (
    Curves,
    Data,
    SmallNet,
    adversarial,
    next_targets,
    noisy,
    random_targets,
    right,
    train,
)
from experiments.methods.perceptron import wrong
from experiments.toolkit.chance import seeded
from experiments.toolkit.image_sheets import png

Targets = Callable[[Tensor, int, torch.Generator], Tensor]


class Kind(NamedTuple):
    """A title, the labels that training pictures are given (None: their own), and what is done to the
    pictures: "" nothing, "adversarial" a change towards that label, "noise" noise of the same length."""

    title: str
    targets: Targets | None = None
    change: str = ""


TRUE, RANDOM, NEXT, RANDOM_NOISE, NEXT_NOISE = "true", "random", "next", "random_noise", "next_noise"
KINDS = {
    TRUE: Kind("Clean pictures, right labels"),
    RANDOM: Kind(
        "Adversarial pictures, labelled as what they imitate: a random class", random_targets, "adversarial"
    ),
    NEXT: Kind(
        "Adversarial pictures, labelled as what they imitate: the next class", next_targets, "adversarial"
    ),
    RANDOM_NOISE: Kind("Noise of the same length, the same random labels", random_targets, "noise"),
    NEXT_NOISE: Kind("Noise of the same length, labelled as the next class", next_targets, "noise"),
}
PUBLISHED = {
    TRUE: (Published(95.3, recalled=True), Published(96.6, recalled=True)),
    RANDOM: (Published(63.3, recalled=True), Published(87.9, recalled=True)),
    NEXT: (Published(43.7, recalled=True), Published(64.4, recalled=True)),
}
"""Percent of clean test pictures right (table 1): CIFAR-10, Restricted ImageNet."""


@dataclass(frozen=True)
class Example:
    """A training picture as PNG in base64: as it was, and as it was learnt from; the class that it shows,
    and the label that it was given."""

    original: str
    picture: str
    shows: int
    label: int


@dataclass(frozen=True)
class Trained:
    """One network that learnt one of `KINDS`.

    ``right``: of ``tests`` clean test pictures, how many it gets right; ``next``: of how many it says the
    class after the right one. ``length``: mean l2 of the changes, pixels from 0 to 1. ``fooled``: share of
    the training pictures that the network which they were made for takes for their label.
    """

    curves: Curves
    right: int
    next: int
    tests: int
    digits: int
    length: float
    fooled: float
    examples: list[Example]


@dataclass(frozen=True)
class KindFigures:
    """Figures of one of `KINDS` over its networks. ``test`` and ``next``: shares of clean test pictures, from
    0 to 1, as in `Trained`, over all networks' answers together; ``networks``: mean share right of each;
    ``curves``: of the first network."""

    title: str
    test: Estimate
    next: Estimate
    networks: list[float]
    curves: Curves
    length: float
    fooled: float
    digits: int
    examples: list[Example]


@dataclass(frozen=True)
class PublishedRow:
    """Percent right on clean test pictures, in the paper."""

    cifar: Published
    imagenet: Published


@dataclass(frozen=True)
class FeaturesFigures:
    """Figures by kind. ``epsilon``: longest change, l2, pixels from 0 to 1; ``classes``: names, in order."""

    classes: list[str]
    kinds: dict[str, KindFigures]
    epsilon: float
    published: dict[str, PublishedRow]


@dataclass(frozen=True)
class LearningStage(Stage):
    """Training of network number ``index`` on one of `KINDS`; that on right labels is stored as tensors."""

    answer: ClassVar[type] = Trained

    kind: str
    index: int

    @property
    def name(self) -> str:
        """Return the kind and the number of the network."""
        return f"{self.kind} {self.index}"


@dataclass(frozen=True)
class Features(Experiment[Trained, FeaturesFigures]):
    """Training on adversarial pictures with the labels that they imitate, judged on clean ones; see
    `Experiment`.

    The network that learns them begins from weights of its own. A random class may be the right one by
    chance, as in the paper: one label in ten.
    """

    card: ClassVar[ExperimentCard] = ExperimentCard(
        name="features",
        title="Bugs or features?",
        question="What does a network learn from adversarial pictures whose labels are wrong to everybody?",
        paper="Adversarial Examples Are Not Bugs, They Are Features",
        url="https://arxiv.org/abs/1905.02175",
        source="Section 3.2, table 1",
    )

    result: ClassVar[type] = FeaturesFigures
    classes: ClassVar[tuple[str, ...]] = tuple(map(str, range(10)))
    shape: ClassVar[tuple[int, int]] = (1, 28)
    widths: ClassVar[tuple[int, ...]] = (16, 32)
    shown: ClassVar[int] = 5
    """So many training pictures of each kind are in the result, to be looked at."""

    n: int = setting(10_000, "Training digits", "How many digits are learnt from.", low=100, high=60_000)
    networks: int = setting(3, "Networks", "How many networks learn each kind.", low=1, high=20)
    passes: int = setting(12, "Passes", "How often each training picture is seen.", low=1, high=500)
    epsilon: float = setting(
        3.0, "Longest change", "In Euclidean length, pixels from 0 to 1.", low=0.05, high=10.0
    )
    steps: int = setting(30, "Steps", "Steps of the attack on each picture.", low=1, high=1000)
    tests: int = setting(
        10_000, "Test digits", "How many digits a network is judged on.", low=100, high=10_000
    )

    def depends(self) -> object:
        """Return where the digits come from."""
        return digit_sets.source(self.data)

    def stages(self) -> list[LearningStage]:
        """Return a stage for each kind and network, all kinds of the first network first."""
        return [LearningStage(kind, index) for index in range(self.networks) for kind in KINDS]

    def carry_out(self, stage: LearningStage, store: Store) -> Trained:
        """Make the training set of a kind, and train and judge one network on it."""
        clean, index = self.clean(), stage.index
        data, fooled = self._training_set(stage, clean, store)
        net = self._network(seeded(self.seed, index, 1 + list(KINDS).index(stage.kind)))
        curves = train(net, data, self.passes, seeded(self.seed, index, 0))
        if stage.kind == TRUE:
            store.put_tensors(stage.name, net.state_dict())
        tests, after = len(clean.test_y), (clean.test_y + 1) % len(self.classes)
        return Trained(
            curves=curves,
            right=int((~wrong(net, clean.test_x, clean.test_y)).sum()),
            next=int((~wrong(net, clean.test_x, after)).sum()),
            tests=tests,
            digits=len(data.train_y),
            length=float((data.train_x - clean.train_x).flatten(1).norm(dim=1).mean()),
            fooled=fooled,
            examples=_examples(clean, data, self.shown),
        )

    def clean(self) -> Data:
        """Return the pictures as they are."""
        whole = digit_sets.digits(self.data)
        n, tests = slice(0, self.n), slice(0, self.tests)
        return Data(whole.train_x[n], whole.train_y[n], whole.test_x[tests], whole.test_y[tests])

    def _network(self, generator: torch.Generator) -> SmallNet:
        return SmallNet(self.shape, self.widths, len(self.classes), generator)

    def _training_set(self, stage: LearningStage, clean: Data, store: Store) -> tuple[Data, float]:
        """Return what is learnt from, and the share of it that the first network takes for its label."""
        kind, first = KINDS[stage.kind], self._network(torch.Generator())
        if kind.targets is None:
            return clean, 1.0
        first.load_state_dict(store.tensors(LearningStage(TRUE, stage.index).name))
        first.requires_grad_(False)
        targets = kind.targets(clean.train_y, len(self.classes), seeded(self.seed, stage.index, 20))
        if kind.change == "noise":
            x = noisy(clean.train_x, self.epsilon, seeded(self.seed, stage.index, 21))
        else:
            x = adversarial(first, clean.train_x, targets, self.epsilon, self.steps)
        return clean._replace(train_x=x, train_y=targets), right(first, x, targets)

    def summarise(self, answers: Sequence[Trained]) -> FeaturesFigures:
        """Return each kind's figures over its networks."""
        networks: dict[str, list[Trained]] = {kind: [] for kind in KINDS}
        for stage, answer in zip(self.stages(), answers, strict=True):
            networks[stage.kind].append(answer)
        return FeaturesFigures(
            classes=list(self.classes),
            kinds={name: _figures(kind.title, networks[name]) for name, kind in KINDS.items()},
            epsilon=self.epsilon,
            published={name: PublishedRow(*row) for name, row in PUBLISHED.items()},
        )

    def claims(self, figures: FeaturesFigures) -> dict[str, bool]:
        """Return what the figures say of the paper's sentences; a share counts when its interval does."""
        test, guessing = {name: kind.test for name, kind in figures.kinds.items()}, 1 / len(figures.classes)
        return {
            "Random labels on adversarial pictures teach to read clean pictures better than by guessing.": (
                test[RANDOM].least > guessing
            ),
            "So does the next class as the label of every adversarial picture.": (
                test[NEXT].least > guessing
            ),
            "With random labels more than half of the clean pictures are right.": test[RANDOM].least > 0.5,
            "Random labels teach more than the next class.": (test[RANDOM].least > test[NEXT].most),
            "Noise as long as the adversarial change, with the same labels, teaches less: in both cases.": (
                test[RANDOM_NOISE].most < test[RANDOM].least and test[NEXT_NOISE].most < test[NEXT].least
            ),
            "Who learnt the next class says of clean pictures the right class more often than the next.": (
                test[NEXT].least > figures.kinds[NEXT].next.most
            ),
            "Right labels teach the most.": test[TRUE].least > max(test[RANDOM].most, test[NEXT].most),
        }


def _examples(clean: Data, data: Data, count: int) -> list[Example]:
    return [
        Example(png(before[0]), png(after[0]), int(shows), int(label))
        for before, after, shows, label in zip(
            clean.train_x[:count], data.train_x[:count], clean.train_y, data.train_y, strict=False
        )
    ]


def _figures(title: str, networks: Sequence[Trained]) -> KindFigures:
    tests = sum(network.tests for network in networks)
    return KindFigures(
        title=title,
        test=intervals.share(sum(network.right for network in networks), tests),
        next=intervals.share(sum(network.next for network in networks), tests),
        networks=[round(network.right / network.tests, 5) for network in networks],
        curves=networks[0].curves,
        length=float(np.mean([network.length for network in networks])),
        fooled=float(np.mean([network.fooled for network in networks])),
        digits=networks[0].digits,
        examples=networks[0].examples,
    )
