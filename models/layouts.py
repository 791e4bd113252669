"""The forms in which the same network can be run: batch norm folded or not, memory plain or channels-last."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from models.fusion import fold


@dataclass(frozen=True)
class Layout:
    """``folded``: batch norm is part of the convolutions before it. ``channels_last``: the channels of a
    pixel lie side by side in memory, not the pixels of a channel."""

    folded: bool
    channels_last: bool

    def __str__(self) -> str:
        return ("folded, " if self.folded else "") + ("channels-last" if self.channels_last else "plain")

    @property
    def memory_format(self) -> torch.memory_format:
        """Return the memory format as torch has it."""
        return torch.channels_last if self.channels_last else torch.contiguous_format


def by_rule(network: nn.Module) -> Layout:
    """Return the layout that mostly is the fastest: folded where there is batch norm, and channels-last for
    networks that are convolutions throughout: attention and layer norm gain nothing."""
    kinds = {type(module) for module in network.modules()}
    normalised = any(issubclass(kind, nn.LayerNorm) for kind in kinds)
    return Layout(has_batch_norm(network), nn.Conv2d in kinds and not normalised)


def has_batch_norm(network: nn.Module) -> bool:
    """Say whether there is anything to fold."""
    return any(isinstance(module, nn.BatchNorm2d) for module in network.modules())


def laid_out(network: nn.Module, layout: Layout) -> nn.Module:
    """Return the same function in a layout; a network that cannot be folded stays as it is otherwise."""
    network = fold(network) if layout.folded else network
    return network.to(memory_format=layout.memory_format)
