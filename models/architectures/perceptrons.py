"""The digit networks of https://arxiv.org/abs/1312.6199, tables 1 to 4, before weights are put in."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import cast

from torch import Tensor, nn


class Perceptron(nn.Module):
    """784 pixels, then layers of the given ``widths`` with sigmoids between them; the last gives logits."""

    def __init__(self, *widths: int) -> None:
        super().__init__()
        parts: list[nn.Module] = [nn.Flatten()]
        for before, after in pairwise((784, *widths)):
            parts += [nn.Linear(before, after), nn.Sigmoid()]
        self.layers = nn.Sequential(*parts[:-1])

    def forward(self, x: Tensor) -> Tensor:
        """Return logits ``(n, 10)`` for ``(n, 1, 28, 28)``."""
        return cast(Tensor, self.layers(x))


class Convolutional(nn.Module):
    """conv 5x5x16, pool, conv 5x5x32, pool, 10 logits; rectified."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 16, 5),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 5),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(32 * 4 * 4, 10),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return logits ``(n, 10)`` for ``(n, 1, 28, 28)``."""
        return cast(Tensor, self.layers(x))


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "fc10_1e-4": partial(Perceptron, 10),
    "fc10_1e-2": partial(Perceptron, 10),
    "fc10_1": partial(Perceptron, 10),
    "fc100_100": partial(Perceptron, 100, 100, 10),
    "fc200_200": partial(Perceptron, 200, 200, 10),
    "ae400": partial(Perceptron, 400, 10),
    "conv": Convolutional,
    "fc100_p1": partial(Perceptron, 100, 100, 10),
    "fc123_p1": partial(Perceptron, 123, 456, 10),
    "fc100_p2": partial(Perceptron, 100, 100, 10),
}
"""By name: three linear ones that differ in weight decay, two with two hidden layers, one on top of a sparse
autoencoder, a convolutional one, and three that were trained on halves (p1, p2) of the training set."""
