"""What images a network takes: their size, their channels, how they are normalised."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import nn

from engine.admission.subject import reason
from errors import BadNetwork
from models.added.record import CheckResult, Facts, InputFormat

SIZE, DIGIT_SIZE = 224, 28
"""Side of the input where nobody says it: of colour images, of grey ones."""
SIZES = (
    32, 64, 96, 128, 160, 192, 224, 240, 256, 260, 288, 299, 300, 320, 331, 380, 384, 448, 512, 28,
)  # fmt: skip
"""Sides that are tried where another one fails."""
LARGEST = 4096
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and std where nobody says them."""


def input_format(network: nn.Module, facts: Facts) -> tuple[InputFormat, tuple[CheckResult, ...]]:
    """Return what the network takes, tried out, and what had to be assumed.

    Raises `errors.BadNetwork` when it fails for what it is said to take, or for all that is common.
    """
    stated = _stated(network, facts)
    failure = _failure(network, stated)
    if facts.height:
        if failure:
            raise _refusal(network, stated, failure)
        return stated, tuple(_shape(stated))
    size = stated.height
    if failure:
        fitting = _fitting(network, stated)
        if not fitting:
            raise BadNetwork(
                "The network fails for images of every common size and {channels} channels ({reason}).",
                channels=stated.channels,
                reason=failure,
            )
        words = "Nobody says how large its images are: it fails at {failed} pixels and takes {size}."
        size_note = CheckResult("input", "note", words, {"failed": size, "size": fitting.height})
        return fitting, (size_note, *_shape(fitting))
    words = "Nobody says how large its images are: {size} pixels are assumed."
    return stated, (CheckResult("input", "note", words, {"size": size}), *_shape(stated))


def _stated(network: nn.Module, facts: Facts) -> InputFormat:
    """Return what facts say of the input, and what is assumed where they do not; raises
    `errors.BadNetwork`."""
    channels = facts.channels or (len(facts.mean) if facts.mean else _first_channels(network))
    if channels not in (1, 3):
        words = "Expected a network for images of 1 or 3 channels, got one for {channels}."
        raise BadNetwork(words, channels=channels)
    mean, std = facts.mean, facts.std
    if mean is None or std is None:
        mean, std = IMAGENET if channels == 3 else ((0.0,), (1.0,))
    if len(mean) != channels or len(std) != channels or not all(map(math.isfinite, (*mean, *std))):
        words = "Expected mean and std of {channels} finite numbers, one a channel, got {mean} and {std}."
        raise BadNetwork(words, channels=channels, mean=len(mean), std=len(std))
    if min(std) <= 0:
        raise BadNetwork("Expected std above 0, got {std}.", std=min(std))
    height = facts.height or (SIZE if channels == 3 else DIGIT_SIZE)
    width = facts.width or height
    if max(height, width) > LARGEST:
        raise BadNetwork("Expected images of at most {most} pixels a side.", most=LARGEST)
    filters = facts.interpolation if facts.interpolation in ("bilinear", "bicubic") else "bilinear"
    return InputFormat(
        height, width, channels, mean, std, facts.resize, filters, facts.reversed_channels and channels == 3
    )


def _first_channels(network: nn.Module) -> int:
    """Return for how many channels the first convolution is; 3 without one."""
    kernels = (m for m in network.modules() if isinstance(m, nn.Conv2d))
    return next((kernel.in_channels for kernel in kernels), 3)


def _failure(network: nn.Module, takes: InputFormat) -> str:
    """Return why the network fails for an image of that format, "" where it answers."""
    generator = torch.Generator().manual_seed(0)
    x = torch.rand((1, takes.channels, takes.height, takes.width), generator=generator)
    try:
        with torch.no_grad():
            network(x)
    except Exception as error:  # what a network's own code raises is its own
        return reason(error)
    return ""


def _fitting(network: nn.Module, takes: InputFormat) -> InputFormat | None:
    """Return the same for the first common size at which the network answers; None where it never does."""
    tried = (replace(takes, height=size, width=size, resize=None) for size in SIZES)
    return next((other for other in tried if not _failure(network, other)), None)


def _refusal(network: nn.Module, takes: InputFormat, failure: str) -> BadNetwork:
    facts = {"width": takes.width, "height": takes.height, "channels": takes.channels, "reason": failure}
    fitting = _fitting(network, takes)
    if fitting:
        words = (
            "The network fails for images of {width} x {height} pixels, as stated ({reason}); it takes "
            "{size} pixels: add it with --input {size}."
        )
        return BadNetwork(words, **facts, size=fitting.height)
    words = "The network fails for images of {width} x {height} pixels and {channels} channels ({reason})."
    return BadNetwork(words, **facts)


def _shape(takes: InputFormat) -> Iterator[CheckResult]:
    if takes.channels == 1:
        yield CheckResult("input", "note", "It takes images of one channel: photos are shown to it in grey.")
    if takes.height != takes.width:
        words = "It takes {width} x {height} pixels: square images are squeezed to that."
        yield CheckResult("input", "note", words, {"width": takes.width, "height": takes.height})
