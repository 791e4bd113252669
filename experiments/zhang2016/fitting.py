"""Training until every picture is learnt by heart, with the curves of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

import torch
from torch import Tensor
from torch.nn import functional

from experiments.datasets.digit_sets import Digits
from experiments.methods.perceptron import Perceptron, dropout, judge


@dataclass(frozen=True)
class Fit:
    """Stochastic gradient descent with momentum, until all training pictures are right.

    ``most`` and ``least``: passes over the data. ``decay``: what the sum of squared weights is multiplied
    with in the loss. ``drop``: probability of dropout in the hidden layers.
    """

    most: int
    least: int = 30
    decay: float = 0.0
    drop: float = 0.0
    batch: int = 50
    rate: float = 0.1
    momentum: float = 0.9


@dataclass
class Curves:
    """Before the first pass and after each: training loss in nats, shares right in training and test."""

    loss: list[float] = field(default_factory=list)
    train: list[float] = field(default_factory=list)
    test: list[float] = field(default_factory=list)

    def add(self, net: Perceptron, digits: Digits) -> None:
        """Judge ``net`` as it is now."""
        loss, right = judge(net, digits.train_x, digits.train_y)
        self.loss.append(round(loss, 5))
        self.train.append(right)
        self.test.append(judge(net, digits.test_x, digits.test_y)[1])

    def fitted(self) -> int | None:
        """Return after how many passes every training picture was right for the first time."""
        return self.train.index(1.0) if 1.0 in self.train else None

    def as_json(self) -> dict[str, list[float]]:
        """Return the curves by name, shares rounded to 4 digits."""
        return {name: [round(v, 5) for v in values] for name, values in asdict(self).items()}


def fit(net: Perceptron, digits: Digits, how: Fit, generator: torch.Generator) -> Curves:
    """Train ``net`` in place until it knows ``digits.train_x`` by heart, or ``how.most`` passes are over.

    It ends after a pass that leaves every training picture right, not before ``how.least`` passes.
    """
    optimiser = torch.optim.SGD(net.parameters(), lr=how.rate, momentum=how.momentum)
    noise = dropout(how.drop, generator) if how.drop else None
    curves = Curves()
    curves.add(net, digits)
    while len(curves.loss) <= how.most and (curves.train[-1] < 1 or len(curves.loss) <= how.least):
        for rows in torch.randperm(len(digits.train_y), generator=generator).split(how.batch):
            logits = net.above(digits.train_x[rows].flatten(1), 0, noise)
            loss = functional.cross_entropy(logits, digits.train_y[rows])
            loss = loss + how.decay * net.squares() if how.decay else loss
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        curves.add(net, digits)
    return curves


def patterns(net: Perceptron, x: Tensor) -> int:
    """Return how many different sets of units of the first hidden layer are on, over pictures ``x``."""
    with torch.no_grad():
        return len(torch.unique(net.below(x, 1) > 0, dim=0))
