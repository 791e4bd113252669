"""The LeNet of MatConvNet's MNIST example, which takes grey levels 0..255 less the mean picture.

It is `LeNet` but for its input: https://arxiv.org/abs/1806.11186 trains it twice, with weak and with strong
weight decay.
"""

from __future__ import annotations

import torch
from torch import Tensor

from models.architectures.lenet import LeNet


class LevelLeNet(LeNet):
    """conv 5x5x20, pool, conv 5x5x50, pool, 500 rectified units (the only ones), 10 logits.

    ``mean_levels``: ``(1, 1, 28, 28)``, the mean of the training pictures in grey levels 0..255, taken from
    the input before the first layer; kept with the weights.
    """

    mean_levels: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean_levels", torch.zeros(1, 1, 28, 28))

    def forward(self, x: Tensor) -> Tensor:
        """Return logits ``(n, 10)`` for ``(n, 1, 28, 28)`` in [0, 1]."""
        return super().forward(255 * x - self.mean_levels)
