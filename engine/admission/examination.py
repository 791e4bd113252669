"""What is checked of a network before it is kept."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from errors import BadNetwork
from models.added.record import CheckResult, InputFormat, OutputFormat


@dataclass(frozen=True)
class Examination:
    """What came out: what the network gives, for how many classes (without a background), and each check."""

    gives: OutputFormat
    classes: int
    results: tuple[CheckResult, ...]


def examine(network: nn.Module, takes: InputFormat) -> Examination:
    """Check a network, in evaluation mode on the CPU, that takes normalised images of that format.

    Raises `errors.BadNetwork` with a sentence when it cannot be used.
    """
    outputs = _outputs(network, takes)
    results = [CheckResult("outputs", "fine", "It gives {classes} logits.", {"classes": outputs.shape[1]})]
    return Examination(OutputFormat(), outputs.shape[1], tuple(results))


def _outputs(network: nn.Module, takes: InputFormat) -> Tensor:
    """Return what the network gives for two random images: ``(2, outputs)``."""
    generator = torch.Generator().manual_seed(0)
    x = torch.rand((2, takes.channels, takes.height, takes.width), generator=generator)
    with torch.no_grad():
        outputs = network(x)
    if not isinstance(outputs, Tensor) or outputs.ndim != 2:
        raise BadNetwork("Expected one row of numbers for each image.")
    return outputs
