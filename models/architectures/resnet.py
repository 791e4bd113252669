"""A small ResNet-18 (https://arxiv.org/abs/1512.03385) for pictures of about 128 pixels."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn


class Block(nn.Module):
    """Two 3x3 convolutions and a way around them."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.skip: nn.Module = nn.Identity()
        if stride > 1 or before != after:
            self.skip = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(n, after, h / stride, w / stride)`` for ``(n, before, h, w)``."""
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(y)) + self.skip(x))


class SmallResNet(nn.Module):
    """Stem of 5x5 stride 2 and a pool, four stages of two blocks, ``(n, 3, s, s)`` -> ``(n, classes)``."""

    def __init__(self, classes: int, widths: tuple[int, ...] = (48, 96, 192, 320)) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, widths[0], 5, 2, 2, bias=False),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        before = widths[0]
        stages: list[nn.Module] = []
        for index, width in enumerate(widths):
            stages += [Block(before, width, 2 if index else 1), Block(width, width, 1)]
            before = width
        self.stages = nn.Sequential(*stages)
        self.head = nn.Linear(before, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits ``(n, classes)``."""
        return cast(Tensor, self.head(self.stages(self.stem(x)).mean((2, 3))))
