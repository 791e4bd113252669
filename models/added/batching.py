"""Networks that were written down for one image at a time, used for several."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from errors import BadNetwork
from models.added.headers.limits import shown
from models.added.record import CheckResult

CLOSE = 1e-3
FAILURES = (
    RuntimeError, AssertionError, ValueError, TypeError, LookupError, NotImplementedError, AttributeError
)  # fmt: skip
"""What a network raises for a batch that it was not written down for."""


class OneByOne(nn.Module):
    """A network that takes one image at a time, as one that takes several."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """Return the network's outputs ``(n, outputs)`` for images ``(n, c, h, w)``."""
        return torch.cat([self.network(image) for image in x.split(1)])


class ChannelsLast(nn.Module):
    """A network that takes images ``(n, h, w, c)``, as one that takes ``(n, c, h, w)``."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """Return the network's outputs for images ``(n, c, h, w)``."""
        outputs: Tensor = self.network(x.permute(0, 2, 3, 1))
        return outputs


class Program(nn.Module):
    """A saved program as a network: it stays in the mode it was saved in, and where it gives one tensor in a
    tuple or by name, that is its output."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.training = False

    def train(self, mode: bool = True) -> Program:
        """Do nothing: an exported program refuses to change its mode."""
        return self

    def forward(self, x: Tensor) -> object:
        """Return what the program gives for images ``(n, c, h, w)``."""
        outputs = self.network(x)
        values = outputs.values() if isinstance(outputs, dict) else outputs
        if isinstance(values, Tensor):
            return values
        tensors = [value for value in values if value is not None]
        return tensors[0] if len(tensors) == 1 else outputs


def batched(network: nn.Module, shape: tuple[int, int, int]) -> tuple[nn.Module, tuple[CheckResult, ...]]:
    """Return a network that takes several images ``(n, *shape)`` at a time: itself, or image by image where
    it was written down for one; and that it is so.

    Raises `errors.BadNetwork` when it does not take one image either.
    """
    x = torch.rand((2, *shape), generator=torch.Generator().manual_seed(0))
    single = _tried(network, x[:1])
    if isinstance(single, (tuple, list, dict)):
        return network, ()  # which of its outputs is taken, its examination says
    if not isinstance(single, Tensor):
        words = "The network does not take an image of {shape}: {reason}."
        raise BadNetwork(words, shape=" x ".join(map(str, shape)), reason=shown(single))
    both = _tried(network, x)
    if isinstance(both, Tensor) and both.shape[:1] == (2,) and _agree(both[:1], single):
        return network, ()
    words = (
        "It was written down for one image at a time, and is asked image by image, which is slower: export "
        "it with a batch of any size."
    )
    return OneByOne(network), (CheckResult("batch", "note", words),)


def _tried(network: nn.Module, x: Tensor) -> object:
    """Return what a network gives, or what went wrong."""
    try:
        with torch.no_grad():
            return network(x)
    except FAILURES as error:
        return next(iter(str(error).splitlines()), type(error).__name__)


def _agree(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and bool((one - other).abs().max() <= CLOSE * (1 + other.abs().max()))
