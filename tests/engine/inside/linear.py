"""Networks whose answers can be worked out by hand."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from engine.run import Floats
from models.core import Card, Classifier, WeightsFile


class HalfSpace(nn.Module):
    """Two classes: logits ``(0, weight . x + bias)``."""

    def __init__(self, weight: Tensor, bias: float) -> None:
        super().__init__()
        self.weight, self.bias = weight, bias

    def forward(self, x: Tensor) -> Tensor:
        score = (x * self.weight).flatten(1).sum(1) + self.bias
        return torch.stack([torch.zeros_like(score), score], 1)


def half_space(weight: Floats, bias: float) -> Classifier:
    """Return a classifier that says class 1 where ``weight . x + bias > 0``; ``weight``: ``(c, h, w)``."""
    channels, size = weight.shape[0], weight.shape[-1]
    card = Card(
        name="half-space",
        title="Half-space",
        summary="for tests",
        size=size,
        labels=("below", "above"),
        weights=WeightsFile("none", "0" * 64),
        mean=(0.0,) * channels,
        std=(1.0,) * channels,
    )
    return Classifier(card, HalfSpace(torch.from_numpy(weight), bias))


def random_half_space(seed: int = 0, size: int = 16, away: float = 1.0) -> tuple[Classifier, Floats, Floats]:
    """Return a classifier, a grey picture that lies ``away`` (l2) below its boundary, and the unit normal."""
    normal = normal_noise((3, size, size), seed)
    normal /= np.linalg.norm(normal.astype(np.float64))
    start = np.full_like(normal, 0.5)
    return half_space(normal, -float((normal * start).sum()) - away), start, normal


def normal_noise(shape: tuple[int, ...], seed: int) -> Floats:
    """Return normal noise."""
    noise: Floats = torch.randn(shape, generator=torch.Generator().manual_seed(seed)).numpy()
    return noise
