"""Training with pools of adversarial examples, one pool for each layer.

Szegedy et al., section 4.2: "a pool of adversarial examples a random subset of which is continuously replaced
by newly generated adversarial examples and which is mixed into the original training set all the time".
https://arxiv.org/abs/1312.6199. The paper says neither how large a pool is nor how its examples are made.
Here a few steps of gradient ascent make them, within an l2 ball around what the layer answers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from experiments.methods.perceptron import Perceptron, dropout


@dataclass(frozen=True)
class Training:
    """How to train: Adam, its rate falling to 0 along a cosine.

    ``layers``: those that have a pool (0: the picture), taken in turn. ``radius``: the longest change, as a
    share of the distance between two digits in that layer (`spread`). ``size``: examples in a pool.
    ``fresh``: how many of them are replaced when it is the layer's turn. ``inner``: gradient steps to make
    one. ``decay``: what the sum of squared weights is multiplied with in the loss. ``drop``: probability of
    dropout in hidden layers. ``shift``: pictures are moved by up to so many pixels in each direction.
    """

    epochs: int
    layers: tuple[int, ...] = ()
    radius: float = 0.1
    size: int = 2000
    fresh: int = 20
    inner: int = 2
    decay: float = 3e-6
    drop: float = 0.0
    shift: int = 0
    batch: int = 100
    rate: float = 3e-3


class Pool:
    """Adversarial values ``(size, width)`` of one layer and their labels; grows until it is full, then each
    new one takes a place drawn at random."""

    def __init__(self, size: int, width: int, generator: torch.Generator) -> None:
        self.h, self.y = torch.empty(size, width), torch.empty(size, dtype=torch.long)
        self.filled, self.generator = 0, generator

    def put(self, h: Tensor, y: Tensor) -> None:
        """Take in new examples ``(n, width)`` and their labels ``(n,)``, n at most the pool's size."""
        free = min(len(self.h) - self.filled, len(h))
        places = torch.randint(len(self.h), (len(h),), generator=self.generator)
        places[:free] = torch.arange(self.filled, self.filled + free)
        self.h[places], self.y[places] = h, y
        self.filled += free

    def draw(self, n: int) -> tuple[Tensor, Tensor]:
        """Return ``n`` examples and their labels, drawn with replacement."""
        rows = torch.randint(self.filled, (n,), generator=self.generator)
        return self.h[rows], self.y[rows]


class Trainer:
    """One training: the network, its pools, and all that is drawn at random."""

    def __init__(self, net: Perceptron, training: Training, generator: torch.Generator, steps: int) -> None:
        self.net, self.training, self.generator = net, training, generator
        biases = [p for p in net.parameters() if p.dim() == 1]
        # Adam's weight decay is a multiple of the weight in its gradient: half of it is that of the square.
        groups: list[dict[str, Any]] = [
            {"params": net.weights(), "weight_decay": 2 * training.decay},
            {"params": biases},
        ]
        self.optimiser = torch.optim.Adam(groups, lr=training.rate, fused=True)
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimiser, steps)
        self.pools = {layer: Pool(training.size, net.widths[layer], generator) for layer in training.layers}
        self.noise = dropout(training.drop, generator) if training.drop else None
        self.radius: dict[int, float] = {}
        self.turn = 0

    def measure(self, x: Tensor) -> None:
        """Set how long a change may be in each layer, from pictures ``x``."""
        with torch.no_grad():
            for layer in self.pools:
                self.radius[layer] = self.training.radius * spread(self.net.below(x, layer))

    def step(self, x: Tensor, y: Tensor) -> None:
        """Learn from a batch ``(n, ...)`` and from half as many examples of the pool whose turn it is."""
        h = (shift(x, self.training.shift, self.generator) if self.training.shift else x).flatten(1)
        layer = 0
        if self.training.layers:
            layer = self.training.layers[self.turn % len(self.training.layers)]
            h = self.net.between(h, 0, layer, self.noise)
            self._replace(h[: self.training.fresh].detach(), y[: self.training.fresh], layer)
            others, labels = self.pools[layer].draw(len(x) // 2)
            h, y = torch.cat([h, others]), torch.cat([y, labels])
        loss = functional.cross_entropy(self.net.above(h, layer, self.noise), y)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        self.schedule.step()
        self.turn += 1

    def _replace(self, h: Tensor, y: Tensor, layer: int) -> None:
        self.pools[layer].put(ascend(self.net, h, y, layer, self.radius[layer], self.training.inner), y)


def train(
    net: Perceptron,
    x: Tensor,
    y: Tensor,
    training: Training,
    generator: torch.Generator,
    on_epoch: Callable[[], None] = lambda: None,
) -> Trainer:
    """Train ``net`` in place on pictures ``(n, 1, 28, 28)`` in [0, 1]; return what holds the pools.

    ``on_epoch`` is called after each pass. Of the last batch of a pass, what is not a whole one is left out.
    """
    trainer = Trainer(net, training, generator, training.epochs * (len(x) // training.batch))
    for _ in range(training.epochs):
        order = torch.randperm(len(x), generator=generator)
        trainer.measure(x[order[:500]])
        for rows in order[: len(x) // training.batch * training.batch].split(training.batch):
            trainer.step(x[rows], y[rows])
        on_epoch()
    return trainer


def ascend(net: Perceptron, h: Tensor, y: Tensor, layer: int, radius: float, steps: int) -> Tensor:
    """Return values ``(n, width)`` of ``layer`` in [0, 1], within l2 distance ``radius`` of ``h``, where the
    loss is higher. Every step has the length ``radius / steps``; sigmoids and pictures lie in [0, 1]."""
    at = h
    for _ in range(steps):
        at = at.detach().requires_grad_()
        rise = functional.cross_entropy(net.above(at, layer), y, reduction="sum")
        (slope,) = torch.autograd.grad(rise, at)
        length = slope.norm(dim=1, keepdim=True).clamp_min(1e-12)
        at = (at.detach() + slope * (radius / steps) / length).clamp(0, 1)
    return at.detach()


def spread(h: Tensor) -> float:
    """Return the root mean square distance of two rows of ``h`` ``(n, width)``."""
    return float((2 * h.var(0, correction=0).sum()).sqrt())


def shift(x: Tensor, most: int, generator: torch.Generator) -> Tensor:
    """Return pictures ``(n, 1, h, w)``, each moved by up to ``most`` whole pixels, black coming in."""
    side = x.shape[-1]
    padded = functional.pad(x, (most,) * 4)
    down, right = torch.randint(2 * most + 1, (2, len(x), 1), generator=generator)
    rows = (down + torch.arange(side))[:, :, None]
    columns = (right + torch.arange(side))[:, None, :]
    return padded[torch.arange(len(x))[:, None, None], 0, rows, columns][:, None]
