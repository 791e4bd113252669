"""The two digit networks.

`LeNet` is the convolutional network of https://doi.org/10.1109/5.726791 in the later form with
rectified units and 20 and 50 maps; `FC100` is the FC100-100-10 of https://arxiv.org/abs/1312.6199,
Table 1, with sigmoid hidden layers.
"""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn


class LeNet(nn.Module):
    """conv 5x5x20, pool, conv 5x5x50, pool, 500 rectified units, 10 logits."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 20, 5)
        self.conv2 = nn.Conv2d(20, 50, 5)
        self.pool = nn.MaxPool2d(2)
        self.fc1 = nn.Linear(50 * 4 * 4, 500)
        self.fc2 = nn.Linear(500, 10)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Return logits ``(n, 10)`` for ``(n, 1, 28, 28)``."""
        maps = self.pool(self.conv2(self.pool(self.conv1(x))))
        return cast(Tensor, self.fc2(self.relu(self.fc1(maps.flatten(1)))))


class FC100(nn.Module):
    """784 - 100 - 100 - 10, sigmoid hidden layers."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(784, 100),
            nn.Sigmoid(),
            nn.Linear(100, 100),
            nn.Sigmoid(),
            nn.Linear(100, 10),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return logits ``(n, 10)`` for ``(n, 1, 28, 28)``."""
        return cast(Tensor, self.layers(x))


NETWORKS: dict[str, type[nn.Module]] = {"lenet": LeNet, "fc100": FC100}
