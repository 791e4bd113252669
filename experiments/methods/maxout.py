"""A maxout network with an l1 penalty on its first layer (Goodfellow et al. 2015, section 5).

https://arxiv.org/abs/1412.6572 says of such a penalty of .0025 that it is too large, and leaves more than 5 %
training error, though the same size of adversarial training helps.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional


class Maxout(nn.Module):
    """784 - units - units - 10; a unit is the largest of its ``parts`` linear functions."""

    def __init__(self, units: int = 100, parts: int = 3) -> None:
        super().__init__()
        self.units = units
        self.first, self.second = nn.Linear(784, units * parts), nn.Linear(units, units * parts)
        self.last = nn.Linear(units, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits ``(n, 10)`` for ``(n, 1, 28, 28)`` in [0, 1]."""
        hidden = self.first(x.flatten(1)).unflatten(1, (self.units, -1)).amax(2)
        hidden = self.second(hidden).unflatten(1, (self.units, -1)).amax(2)
        return cast(Tensor, self.last(hidden))


def begin(seed: int) -> Maxout:
    """Return a model with weights from a normal distribution of variance 1 / inputs, and biases 0."""
    generator, model = torch.Generator().manual_seed(seed), Maxout()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) / parameter.shape[1] ** 0.5)
            else:
                parameter.zero_()
    return model


def train(
    model: Maxout,
    x: Tensor,
    y: Tensor,
    penalty: float,
    epochs: int,
    seed: int,
    batch: int = 100,
    rate: float = 0.05,
) -> None:
    """Train in place, by SGD with momentum .9, on cross-entropy + ``penalty`` * l1 norm of first weights.

    ``x`` ``(n, 1, 28, 28)`` in [0, 1], ``y`` ``(n,)``. The rate falls linearly to nothing, since with a
    constant one the penalty's slope, which does not fade near 0, would keep the weights trembling.
    """
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)
    steps = epochs * -(-len(y) // batch)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / steps)
    for _ in range(epochs):
        for part in torch.randperm(len(y), generator=generator).split(batch):
            loss = functional.cross_entropy(model(x[part]), y[part])
            loss = loss + penalty * model.first.weight.abs().sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    model.requires_grad_(False)
