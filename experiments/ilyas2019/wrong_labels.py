"""Training sets whose labels are wrong to people: what each is made of, and the network that learns them.

Ilyas et al.: Adversarial Examples Are Not Bugs, They Are Features, section 3.2. https://arxiv.org/abs/1905.02175.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from attacks.contract import Criterion, walk
from attacks.pgd import PGD
from attacks.toolkit.norms import L2
from experiments.methods.perceptron import wrong

Network = Callable[[Tensor], Tensor]


class Data(NamedTuple):
    """Pictures ``(n, c, side, side)`` in [0, 1] and labels ``(n,)`` of training and test."""

    train_x: Tensor
    train_y: Tensor
    test_x: Tensor
    test_y: Tensor


@dataclass(frozen=True)
class Curves:
    """After each pass: shares, from 0 to 1, of training pictures whose given label is learnt, and of clean
    test pictures whose right class is answered, over the first `JUDGED` of each."""

    train: list[float] = field(default_factory=list)
    test: list[float] = field(default_factory=list)


class SmallNet(nn.Module):
    """Strided 5 x 5 convolutions to ``widths`` channels and two linear layers, for pictures of ``shape``
    (channels, side); weights are drawn from ``generator`` alone."""

    def __init__(
        self, shape: tuple[int, int], widths: Sequence[int], classes: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        (before, side), layers = shape, list[nn.Module]()
        for width in widths:
            layers += [nn.Conv2d(before, width, 5, 2, 2), nn.ReLU()]
            before, side = width, (side + 1) // 2
        layers += [nn.Flatten(), nn.Linear(before * side**2, 128), nn.ReLU(), nn.Linear(128, classes)]
        self.layers = nn.Sequential(*layers)
        for layer in self.layers:
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu", generator=generator)
                assert layer.bias is not None
                nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits ``(n, classes)`` for pictures in [0, 1]."""
        logits: Tensor = self.layers(x)
        return logits


def random_targets(y: Tensor, classes: int, generator: torch.Generator) -> Tensor:
    """Return one of so many ``classes`` drawn evenly for each picture, its own among them, as the paper's
    D_rand has it."""
    return torch.randint(classes, y.shape, generator=generator)


def next_targets(y: Tensor, classes: int, generator: torch.Generator) -> Tensor:
    """Return the class after a picture's own, the first after the last, as the paper's D_det has it."""
    return (y + 1) % classes


def adversarial(net: Network, x: Tensor, targets: Tensor, epsilon: float, steps: int) -> Tensor:
    """Return pictures at most ``epsilon`` (l2) from ``x`` that were driven towards ``targets``, in [0, 1]."""
    attack = PGD(norm=L2.name, epsilon=epsilon, step_size=epsilon / 10, steps=steps)
    parts = []
    for some, aims in zip(x.split(1000), targets.split(1000), strict=True):
        criterion = Criterion(aims, targeted=True)
        *_, last = walk(attack.search(some, criterion, torch.Generator()), net, criterion)
        parts.append(last.x)
    return torch.cat(parts)


def noisy(x: Tensor, length: float, generator: torch.Generator) -> Tensor:
    """Return ``x`` with normal noise in each picture, in [0, 1] and then of that ``length`` (l2), to within a
    thousandth unless more than every pixel can take is asked for."""
    noise = torch.randn(x.shape, generator=generator)
    moved = x
    for _ in range(ROUNDS):
        before = (moved - x).flatten(1).norm(dim=1) if moved is not x else noise.flatten(1).norm(dim=1)
        noise = noise * (length / before).view(-1, 1, 1, 1)
        moved = (x + noise).clamp(0, 1)
    return moved


def train(net: SmallNet, data: Data, passes: int, generator: torch.Generator) -> Curves:
    """Train ``net`` in place by stochastic gradient descent with momentum and one cycle of the rate; return
    its curves."""
    optimiser = torch.optim.SGD(net.parameters(), lr=RATE, momentum=0.9, weight_decay=5e-4)
    batches = -(-len(data.train_y) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=batches * passes)
    curves = Curves()
    for _ in range(passes):
        for rows in torch.randperm(len(data.train_y), generator=generator).split(BATCH):
            loss = functional.cross_entropy(net(data.train_x[rows]), data.train_y[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        for curve, x, y in (
            (curves.train, data.train_x, data.train_y),
            (curves.test, data.test_x, data.test_y),
        ):
            curve.append(round(right(net, x[:JUDGED], y[:JUDGED]), 5))
    return curves


RATE, BATCH, JUDGED = 0.05, 128, 2000
ROUNDS = 12
"""How often noise is made longer for what is cut off of it."""


def right(net: Network, x: Tensor, y: Tensor) -> float:
    """Return the share of pictures, from 0 to 1, of which ``net`` says ``y``."""
    return float((~wrong(net, x, y)).double().mean())
