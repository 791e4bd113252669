"""Networks made to give one logit a class for square images, whatever they take and give themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.added.record import InputFormat, OutputFormat

SMALLEST = 1e-12
"""Probabilities below it are taken for it, so that their logarithm is finite."""


def adapted(network: nn.Module, takes: InputFormat, gives: OutputFormat) -> nn.Module:
    """Return ``network`` as a map from normalised images ``(n, c, size, size)`` to logits ``(n, classes)``,
    in float32; itself where it is one already."""
    network = network.float()
    plain = takes.height == takes.width and not (
        takes.reversed_channels or takes.one_at_a_time or takes.as_is
    )
    if plain and gives in (OutputFormat(), OutputFormat("log_probabilities")):
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
        if self.takes.as_is:
            x = x.contiguous()
        return logits(rows(self.network, x, self.takes, self.gives), self.gives)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Adapted:
        """Apply ``fn``, which may bring another memory layout, and undo that where it must not be."""
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        if self.takes.as_is:
            for tensor in (*self.parameters(), *self.buffers()):
                tensor.data = tensor.data.contiguous()
        return self


def rows(network: nn.Module, x: Tensor, takes: InputFormat, gives: OutputFormat) -> Tensor:
    """Return the outputs ``(n, outputs)`` of a network for what it takes, ``(n, c, height, width)``."""
    if takes.one_at_a_time:
        return torch.cat([selected(network(image), gives, 1) for image in x.split(1)])
    return selected(network(x), gives, len(x))


def selected(outputs: Any, gives: OutputFormat, n: int) -> Tensor:
    """Return the one of several outputs that is taken, as a row for each of ``n`` images where it is flat."""
    if gives.part:
        if isinstance(outputs, Mapping):
            outputs = outputs[gives.part]
        elif isinstance(outputs, tuple | list):
            outputs = outputs[int(gives.part)]
        else:
            outputs = getattr(outputs, gives.part)
    tensor: Tensor = outputs
    return tensor.reshape(n, -1) if gives.flat else tensor


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
