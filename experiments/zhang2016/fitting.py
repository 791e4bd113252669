"""Training until a network has memorised every picture, with its learning curves."""

from __future__ import annotations

from dataclasses import dataclass, field

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


@dataclass(frozen=True)
class Curves:
    """Before the first pass and after each: training loss in nats, shares right in training and test, from 0
    to 1."""

    loss: list[float] = field(default_factory=list)
    train: list[float] = field(default_factory=list)
    test: list[float] = field(default_factory=list)

    def judged(self, net: Perceptron, digits: Digits) -> Curves:
        """Return the curves with one more value each, those of ``net`` as it is now."""
        loss, train = judge(net, digits.train_x, digits.train_y)
        _, test = judge(net, digits.test_x, digits.test_y)
        return Curves([*self.loss, round(loss, 5)], [*self.train, train], [*self.test, test])

    def fitted(self) -> int | None:
        """Return after how many passes every training picture was right for the first time."""
        return self.train.index(1.0) if 1.0 in self.train else None

    def rounded(self) -> Curves:
        """Return the curves with all values to five places."""
        return Curves(*([round(v, 5) for v in values] for values in (self.loss, self.train, self.test)))


def fit(net: Perceptron, digits: Digits, settings: Fit, generator: torch.Generator) -> Curves:
    """Train ``net`` in place until it has memorised ``digits.train_x``, or ``settings.most`` passes are over.

    It ends after a pass that leaves every training picture right, not before ``settings.least`` passes.
    """
    optimiser = torch.optim.SGD(net.parameters(), lr=settings.rate, momentum=settings.momentum)
    noise = dropout(settings.drop, generator) if settings.drop else None
    curves = Curves().judged(net, digits)
    while len(curves.loss) <= settings.most and (curves.train[-1] < 1 or len(curves.loss) <= settings.least):
        for rows in torch.randperm(len(digits.train_y), generator=generator).split(settings.batch):
            logits = net.above(digits.train_x[rows].flatten(1), 0, noise)
            loss = functional.cross_entropy(logits, digits.train_y[rows])
            loss = loss + settings.decay * net.squares() if settings.decay else loss
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        curves = curves.judged(net, digits)
    return curves


def patterns(net: Perceptron, x: Tensor) -> int:
    """Return how many different sets of units of the first hidden layer are on, over pictures ``x``."""
    with torch.no_grad():
        return len(torch.unique(net.below(x, 1) > 0, dim=0))
