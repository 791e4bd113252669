"""Networks whose answers can be worked out by hand."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.core import Card, Classifier, WeightsFile


class HalfSpace(nn.Module):
    """Two classes: logits ``(0, weight . x + bias)``."""

    def __init__(self, weight: Tensor, bias: float) -> None:
        super().__init__()
        self.weight, self.bias = weight, bias

    def forward(self, x: Tensor) -> Tensor:
        score = (x * self.weight).flatten(1).sum(1) + self.bias
        return torch.stack([torch.zeros_like(score), score], 1)


def half_space(weight: Tensor, bias: float) -> Classifier:
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
    return Classifier(card, HalfSpace(weight, bias))


def random_half_space(seed: int = 0, size: int = 16, away: float = 1.0) -> tuple[Classifier, Tensor, Tensor]:
    """Return a classifier, a grey picture that lies ``away`` (l2) below its boundary, and the unit normal."""
    normal = torch.randn(3, size, size, generator=torch.Generator().manual_seed(seed))
    normal /= normal.norm()
    start = torch.full_like(normal, 0.5)
    return half_space(normal, -float((normal * start).sum()) - away), start, normal
