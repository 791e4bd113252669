"""How the two digit networks are trained: Adam on MNIST, a few minutes at most."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class DigitSettings:
    """What a run is made of. ``tilt`` (degrees), ``shift`` (pixels) and ``zoom`` vary each digit."""

    epochs: int
    seed: int = 0
    batch: int = 128
    rate: float = 2e-3
    decay: float = 0.0
    tilt: float = 0.0
    shift: float = 0.0
    zoom: float = 0.0


RECIPES = {
    "lenet": DigitSettings(epochs=8, decay=1e-2, tilt=12, shift=2, zoom=0.12),
    "fc100": DigitSettings(epochs=30, decay=1e-5),
}


def _varied(x: Tensor, settings: DigitSettings, generator: torch.Generator) -> Tensor:
    """Return ``x`` ``(n, 1, 28, 28)`` with each digit tilted, shifted and zoomed a little."""
    if not (settings.tilt or settings.shift or settings.zoom):
        return x
    n = len(x)
    random = torch.rand(5, n, generator=generator) * 2 - 1
    angle = random[0] * math.radians(settings.tilt)
    width, height = 1 + random[1] * settings.zoom, 1 + random[2] * settings.zoom
    x_shift, y_shift = random[3:] * settings.shift / (x.shape[-1] / 2)
    rows = [
        width * angle.cos(),
        -height * angle.sin(),
        x_shift,
        width * angle.sin(),
        height * angle.cos(),
        y_shift,
    ]
    grid = functional.affine_grid(torch.stack(rows, 1).view(n, 2, 3), list(x.shape), align_corners=False)
    return functional.grid_sample(x, grid, align_corners=False)


def train_digits(
    network: nn.Module,
    pictures: Tensor,
    labels: Tensor,
    settings: DigitSettings,
    on_step: Callable[[float, float], None] = lambda progress, loss: None,
) -> list[float]:
    """Train ``network`` in place and return the mean loss of each epoch.

    ``pictures`` are ``(n, 1, 28, 28)`` in [0, 1]. ``on_step`` gets progress in [0, 1] and the loss.
    """
    generator = torch.Generator().manual_seed(settings.seed + 1)
    optimiser = torch.optim.AdamW(network.parameters(), lr=settings.rate, weight_decay=settings.decay)
    steps = settings.epochs * math.ceil(len(labels) / settings.batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    losses = []
    network.train()
    for epoch in range(settings.epochs):
        parts = torch.randperm(len(labels), generator=generator).split(settings.batch)
        total = 0.0
        for done, part in enumerate(parts, 1):
            logits = network(_varied(pictures[part], settings, generator))
            loss = functional.cross_entropy(logits, labels[part])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += float(loss.detach())
            on_step((epoch + done / len(parts)) / settings.epochs, float(loss.detach()))
        losses.append(total / len(parts))
    network.eval()
    return losses


@torch.no_grad()
def digit_answers(network: nn.Module, pictures: Tensor) -> Tensor:
    """Return logits ``(n, 10)``."""
    return torch.cat([network(part) for part in pictures.split(1000)])


def digit_record(
    network: nn.Module,
    tests: tuple[Tensor, Tensor],
    settings: DigitSettings,
    losses: list[float],
    seconds: float,
) -> dict[str, Any]:
    """Return the facts of a training: accuracy and error in percent on ``tests`` (pictures, labels)."""
    right = float((digit_answers(network, tests[0]).argmax(1) == tests[1]).float().mean()) * 100
    return {
        "data": "MNIST",
        "size": 28,
        "labels": [str(digit) for digit in range(10)],
        "accuracy": {"MNIST test top-1": round(right, 2)},
        "test_error": round(100 - right, 2),
        "seed": settings.seed,
        "epochs": settings.epochs,
        "seconds": round(seconds),
        "losses": [round(loss, 4) for loss in losses],
        "settings": asdict(settings),
    }
