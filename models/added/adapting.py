"""Networks made to give one logit a class for square images, whatever they take and give themselves."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.added.record import InputFormat, OutputFormat

SMALLEST = 1e-12
"""Probabilities below it are taken for it, so that their logarithm is finite."""


def adapted(network: nn.Module, takes: InputFormat, gives: OutputFormat) -> nn.Module:
    """Return ``network`` as a map from normalised images ``(n, c, size, size)`` to logits ``(n, classes)``;
    itself where it is one already."""
    plain = takes.height == takes.width and not takes.reversed_channels
    if plain and gives == OutputFormat():
        return network
    return Adapted(network, takes, gives).eval()


class Adapted(nn.Module):
    """A network between what comes, square images with red first, and what is wanted, logits."""

    def __init__(self, network: nn.Module, takes: InputFormat, gives: OutputFormat) -> None:
        super().__init__()
        self.network, self.takes, self.gives = network, takes, gives

    def forward(self, x: Tensor) -> Tensor:
        """Return logits ``(n, classes)`` for normalised images ``(n, c, size, size)``."""
        if self.takes.reversed_channels:
            x = x.flip(1)
        if x.shape[-2:] != (self.takes.height, self.takes.width):
            shape = (self.takes.height, self.takes.width)
            x = functional.interpolate(x, size=shape, mode="bilinear", antialias=True)
        return logits(self.network(x), self.gives)


def logits(outputs: Tensor, gives: OutputFormat) -> Tensor:
    """Return logits ``(n, classes)`` of a network's outputs ``(n, outputs)``, whose softmax are the network's
    own probabilities; of "sigmoids", which do not exclude each other, the logits."""
    match gives.kind:
        case "one_logit":
            z = outputs.reshape(len(outputs), 1)
            outputs = torch.cat([torch.zeros_like(z), z], 1)
        case "one_probability":
            z = torch.logit(outputs.reshape(len(outputs), 1), eps=1e-7)
            outputs = torch.cat([torch.zeros_like(z), z], 1)
        case "probabilities":
            outputs = outputs.clamp_min(SMALLEST).log()
        case "sigmoids":
            outputs = torch.logit(outputs, eps=1e-7)
    return outputs[:, 1:] if gives.background else outputs
