"""An over-represented superclass: are digits harder to drive out of it when there was more to learn from?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import ClassVar, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from attacks.contract import Criterion
from attacks.settings import setting
from engine import intervals
from engine.intervals import Estimate
from errors import BadSetting
from experiments.cache import Store
from experiments.core import Experiment, ExperimentCard, Stage
from experiments.datasets import digit_sets, superclasses
from experiments.datasets.digit_sets import Digits
from experiments.evans2016 import article
from experiments.methods.perceptron import Perceptron, wrong
from experiments.toolkit.chance import seeded
from experiments.toolkit.codec import key

SUPERCLASS = (3, 5, 8)
KINDS = ("balanced", "ten times")
TIMES = 10
HIDDEN, PASSES, BATCH, RATE = 100, 40, 50, 0.05
V = TypeVar("V", float, Estimate)


@dataclass(frozen=True)
class Measures(Generic[V]):
    """How a network does on the superclass and on the rest, and how its digits leave the superclass.

    Median l2 distances of DDN, digits in [0, 1]: ``near``, from a digit of the superclass to another answer;
    ``leave``, to one outside; ``rest``, from another digit to another answer. Shares from 0 to 1: ``stays``,
    of the first that stay in the superclass; ``into``, of the last that end up in it; ``superclass_error``
    and ``other_error``, of test digits that the network gets wrong.
    """

    near: V
    leave: V
    rest: V
    stays: V
    into: V
    superclass_error: V = field(metadata=key("family error"))
    other_error: V = field(metadata=key("other error"))


MEASURES = tuple(measure.name for measure in fields(Measures))


@dataclass(frozen=True)
class Trained:
    """A network that learnt from so many ``digits``."""

    digits: int
    measures: Measures[float]


@dataclass(frozen=True)
class _Learnt:
    digits: int


@dataclass(frozen=True)
class KindFigures(Measures[Estimate], _Learnt):
    """The means over the networks that learnt from one kind of set, of so many ``digits``."""


@dataclass(frozen=True)
class ImbalanceFigures:
    """The means by kind of training set, and ``more``: the second less the first, seed by seed.

    ``superclass``: the classes of which there were so many ``times`` as many.
    """

    superclass: list[int] = field(metadata=key("family"))
    times: int
    kinds: dict[str, KindFigures]
    more: Measures[Estimate]


@dataclass(frozen=True)
class Training(Stage):
    """One network: trained on one of `KINDS`, from one of the seeds, and attacked."""

    answer: ClassVar[type] = Trained

    kind: str
    seed: int

    @property
    def name(self) -> str:
        """Return the kind and the seed."""
        return f"{self.kind} {self.seed}"


@dataclass(frozen=True)
class Imbalance(Experiment[Trained, ImbalanceFigures]):
    """Networks of 784-100-10 units, trained on ten times as many digits of the superclass 3, 5, 8 as of the
    others, or on as many digits in all with every class alike; each from ``seeds`` seeds.

    What is measured is measured on test digits of the superclass that the network gets right, by DDN.
    """

    card: ClassVar[ExperimentCard] = ExperimentCard(
        name="imbalance",
        title="Ten times as many of them",
        question="Is a picture harder to drive out of a family that was over-represented in training?",
        paper=article.TITLE,
        url=article.URL,
        source="Jeff Dean's explanation of the dog: there were many more dogs to learn from",
    )
    result: ClassVar[type] = ImbalanceFigures
    version: ClassVar[int] = 2

    n: int = setting(100, "Attacked digits", "How many test digits of the family.", low=10, high=1000)
    many: int = setting(
        1000, "Digits of a class of the family", "How many there are to learn from.", low=50, high=5000
    )
    seeds: int = setting(3, "Seeds", "How many networks of each kind are trained.", low=2, high=50)
    steps: int = setting(50, "Steps", "How many steps DDN takes.", low=5, high=1000)

    def depends(self) -> object:
        """Return where the digits come from."""
        return digit_sets.source(self.data)

    def stages(self) -> list[Training]:
        """Return one stage for each network."""
        return [Training(kind, seed) for seed in range(self.seeds) for kind in KINDS]

    def carry_out(self, stage: Training, store: Store) -> Trained:
        """Train a network and attack it."""
        digits = digit_sets.digits(self.data)
        rng = seeded(self.seed, stage.seed)
        rows = drawn(digits.train_y, counts(digits.train_y, self.many, stage.kind), rng)
        net = trained(digits.train_x[rows], digits.train_y[rows], rng)
        return Trained(len(rows), self._judged(net, digits))

    def _judged(self, net: Perceptron, digits: Digits) -> Measures[float]:
        """Return how a network does on the superclass and on the rest, and how its digits leave it."""
        x, y = digits.test_x, digits.test_y
        inside = torch.zeros(10, dtype=torch.bool)
        inside[list(SUPERCLASS)] = True
        errors, member = wrong(net, x, y), inside[y]
        rows = torch.nonzero(~errors & member)[:, 0][: self.n]
        if not len(rows):
            raise BadSetting("The network gets no digit of the family right: give it more to learn from.")
        near, lands = superclasses.least(net, x[rows], Criterion(y[rows], targeted=False), self.steps)
        leave, _ = superclasses.least(net, x[rows], superclasses.Leaving(y[rows], False, inside), self.steps)
        other = torch.nonzero(~errors & ~member)[:, 0][: self.n]
        rest, into = superclasses.least(net, x[other], Criterion(y[other], targeted=False), self.steps)
        return Measures(
            near=middle(near),
            leave=middle(leave),
            rest=middle(rest),
            stays=float(inside[lands].double().mean()),
            into=float(inside[into].double().mean()),
            superclass_error=float(errors[member].double().mean()),
            other_error=float(errors[~member].double().mean()),
        )

    def summarise(self, answers: Sequence[Trained]) -> ImbalanceFigures:
        """Return, for both kinds, the means over the seeds, and the mean differences, seed by seed."""
        columns, kinds = {}, {}
        for place, kind in enumerate(KINDS):  # the kinds take turns
            networks = answers[place :: len(KINDS)]
            columns[kind] = _columns(networks)
            means = {name: intervals.mean(values) for name, values in columns[kind].items()}
            kinds[kind] = KindFigures(digits=networks[0].digits, **means)
        pairs = {name: zip(*(columns[kind][name] for kind in KINDS), strict=True) for name in MEASURES}
        more = {name: intervals.mean([b - a for a, b in pair]) for name, pair in pairs.items()}
        return ImbalanceFigures(list(SUPERCLASS), TIMES, kinds, Measures(**more))

    def claims(self, figures: ImbalanceFigures) -> dict[str, bool]:
        """Return what follows from Jeff Dean's explanation."""
        more, stays = figures.more, figures.kinds["balanced"].stays
        chance = (len(SUPERCLASS) - 1) / 9
        return {
            "With ten times as many of the family to learn from, its digits must move farther to leave it.": (
                _above(more.leave, 0)
            ),
            "Fooled with the least change, more of them stay in the family.": _above(more.stays, 0),
            "The other digits are fooled with a smaller change.": (
                more.rest.high is not None and more.rest.high < 0
            ),
            "More of the other digits end up in the family.": _above(more.into, 0),
            "Even with balanced classes, more stay in the family than chance has it.": _above(stays, chance),
        }


def _columns(networks: Sequence[Trained]) -> dict[str, list[float]]:
    """Return each measure of all ``networks``."""
    return {name: [getattr(network.measures, name) for network in networks] for name in MEASURES}


def _above(figure: Estimate, least: float) -> bool:
    return figure.low is not None and figure.low > least


def counts(y: Tensor, many: int, kind: str) -> list[int]:
    """Return how many digits of each class are learnt from. Both kinds have as many in all; where a class has
    too few, all are scaled down."""
    many = min(many, int(torch.bincount(y, minlength=10).min()))
    few = max(1, many // TIMES)
    if kind == "ten times":
        return [many if digit in SUPERCLASS else few for digit in range(10)]
    return [(len(SUPERCLASS) * many + (10 - len(SUPERCLASS)) * few) // 10] * 10


def drawn(y: Tensor, sizes: list[int], rng: torch.Generator) -> Tensor:
    """Return the rows of so many digits of each class, drawn at random."""
    rows = []
    for digit, size in enumerate(sizes):
        own = torch.nonzero(y == digit)[:, 0]
        rows.append(own[torch.randperm(len(own), generator=rng)[:size]])
    return torch.cat(rows)


def trained(x: Tensor, y: Tensor, rng: torch.Generator) -> Perceptron:
    """Return a network trained for `PASSES` passes by stochastic gradient descent with momentum .9."""
    net = Perceptron([x[0].numel(), HIDDEN, 10], "relu", rng)
    optimiser = torch.optim.SGD(net.parameters(), lr=RATE, momentum=0.9)
    for _ in range(PASSES):
        for rows in torch.randperm(len(y), generator=rng).split(BATCH):
            loss = functional.cross_entropy(net(x[rows]), y[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return net.requires_grad_(False)


def middle(far: Tensor) -> float:
    """Return the median of the finite distances."""
    finite = [value for value in far.tolist() if math.isfinite(value)]
    if not finite:
        raise BadSetting("DDN fooled the network on no digit: take more steps.")
    return float(np.median(finite))
