"""Fully connected networks that can be entered and left at any layer, all chance from one generator."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

UNITS: dict[str, Callable[[Tensor], Tensor]] = {"sigmoid": torch.sigmoid, "relu": torch.relu}
GAINS = {"sigmoid": 4.0, "relu": 2**0.5}
"""What makes up for the slope that units take away: a sigmoid passes on a quarter of it at most."""
Noise = Callable[[Tensor], Tensor]


class Perceptron(nn.Module):
    """Layers of ``widths`` (input and output included), with the units ``"sigmoid"`` or ``"relu"`` between.

    Layer 0 is the picture; layer k has ``widths[k]`` values after its units; the last gives logits.
    """

    def __init__(self, widths: Sequence[int], unit: str, generator: torch.Generator) -> None:
        super().__init__()
        self.widths, self.unit = tuple(widths), UNITS[unit]
        self.layers = nn.ModuleList()
        for inside, outside in itertools.pairwise(widths):
            layer = nn.Linear(inside, outside)
            nn.init.xavier_uniform_(layer.weight, GAINS[unit], generator)
            nn.init.zeros_(layer.bias)
            self.layers.append(layer)

    def between(self, h: Tensor, first: int, last: int, noise: Noise | None = None) -> Tensor:
        """Return values ``(n, widths[last])`` of layer ``last`` for values ``(n, widths[first])`` of another.

        ``noise``: what the values of every hidden layer go through, as dropout does it.
        """
        for index in range(first, last):
            h = self.layers[index](h)
            if index + 1 < len(self.layers):
                h = self.unit(h)
                h = h if noise is None else noise(h)
        return h

    def below(self, x: Tensor, layer: int) -> Tensor:
        """Return the values ``(n, widths[layer])`` of a layer for pictures ``(n, ...)``."""
        return self.between(x.flatten(1), 0, layer)

    def above(self, h: Tensor, layer: int, noise: Noise | None = None) -> Tensor:
        """Return logits ``(n, widths[-1])`` for values ``(n, widths[layer])`` of a layer."""
        return self.between(h, layer, len(self.layers), noise)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits ``(n, widths[-1])`` for pictures ``(n, ...)`` of ``widths[0]`` values each."""
        return self.above(x.flatten(1), 0)

    def weights(self) -> list[Tensor]:
        """Return the weights ``(out, in)`` of each layer, biases left out."""
        return [parameter for parameter in self.parameters() if parameter.dim() == 2]

    def squares(self) -> Tensor:
        """Return the sum of the squares of all weights."""
        return torch.stack([weight.square().sum() for weight in self.weights()]).sum()


def dropout(rate: float, generator: torch.Generator) -> Noise:
    """Return what sets each value to 0 with probability ``rate`` and scales the others to make up for it
    (https://jmlr.org/papers/v15/srivastava14a.html)."""

    def drop(h: Tensor) -> Tensor:
        mask = torch.rand(h.shape, generator=generator) >= rate
        return h * mask / (1 - rate)

    return drop


def wrong(net: Callable[[Tensor], Tensor], x: Tensor, y: Tensor) -> Tensor:
    """Return ``(n,)`` bool: where the answer of ``net`` is not ``y``."""
    with torch.no_grad():
        return torch.cat([net(part).argmax(1) for part in x.split(2000)]) != y


def judge(net: Callable[[Tensor], Tensor], x: Tensor, y: Tensor) -> tuple[float, float]:
    """Return the mean cross-entropy of ``net`` in nats, and the share of pictures ``x`` it gets right."""
    with torch.no_grad():
        logits = torch.cat([net(part) for part in x.split(2000)])
    return float(functional.cross_entropy(logits, y)), float((logits.argmax(1) == y).double().mean())
