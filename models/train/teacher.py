"""A teacher for the offline photo net: ImageNet features with a linear probe on top.

The features are torchvision's ``mobilenet_v2`` before its last layer; the probe is a softmax
regression fitted on random crops of the training photos. Distillation after
https://arxiv.org/abs/2106.05237 (the teacher sees the very picture that the student sees).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol, cast

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import mobilenet_v2

import settings
from errors import MissingWeights
from models.fusion import fold
from models.train.augment import random_crops
from models.train.data import PhotoSet

FILE = "mobilenet_v2.safetensors"


def find_teacher() -> Path:
    """Return the teacher's weights file; raise `errors.MissingWeights` when no folder has it."""
    folders = settings.weights()
    for folder in folders:
        if (folder / FILE).is_file():
            return folder / FILE
    where = ", ".join(map(str, folders)) or "no folder at all"
    raise MissingWeights(
        f"The teacher {FILE} is missing: expected it in FOOLSCOPE_WEIGHTS, which names {where}."
    )


class Guide(Protocol):
    """What a student learns from: normalised pictures to logits. ``size``: the least it sees well at."""

    size: int

    def __call__(self, x: Tensor) -> Tensor:
        """Return logits ``(n, classes)``."""
        ...


class Teacher(nn.Module):
    """``(n, 3, size, size)`` normalised -> logits ``(n, classes)``, never trained after `fit`."""

    def __init__(self, path: Path, classes: int, size: int) -> None:
        super().__init__()
        network = mobilenet_v2()
        network.load_state_dict(load_file(path))
        self.size = size
        features = fold(network.features.eval().requires_grad_(False))
        self.features = features.to(memory_format=torch.channels_last)
        self.probe = nn.Linear(1280, classes)

    def describe(self, x: Tensor) -> Tensor:
        """Return features ``(n, 1280)``; the picture is resized to the teacher's own size."""
        if x.shape[-1] != self.size:
            x = functional.interpolate(x, size=self.size, mode="bilinear", antialias=x.shape[-1] > self.size)
        return cast(Tensor, self.features(x.contiguous(memory_format=torch.channels_last)).mean((2, 3)))

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """Return logits ``(n, classes)``."""
        return cast(Tensor, self.probe(self.describe(x)))


def fit_probe(
    teacher: Teacher,
    photos: PhotoSet,
    prepare: Callable[[Tensor], Tensor],
    generator: torch.Generator,
    *,
    views: int = 2,
    follow: Callable[[Iterable[Tensor]], Iterable[Tensor]] = iter,
) -> None:
    """Fit the probe on ``views`` random crops of each photo; classes count with weight n^-1/2."""
    rows = torch.arange(len(photos)).repeat(views)
    with torch.no_grad():
        seen = [
            teacher.describe(prepare(random_crops(photos.pictures[part], teacher.size, generator)))
            for part in follow(rows.split(128))
        ]
    features, labels = torch.cat(seen), photos.labels[rows]
    middle, spread = features.mean(0), features.std(0) + 1e-3
    features = (features - middle) / spread
    weight = torch.tensor(photos.counts()).clamp(min=1).float().rsqrt()
    probe = nn.Linear(1280, len(photos.classes))
    optimiser = torch.optim.AdamW(probe.parameters(), lr=1e-3, weight_decay=0.5)
    epochs, batch = 12, 256
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs * (len(labels) // batch + 1))
    for _ in range(epochs):
        for part in torch.randperm(len(labels), generator=generator).split(batch):
            loss = functional.cross_entropy(probe(features[part]), labels[part], weight, label_smoothing=0.05)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    with torch.no_grad():
        teacher.probe.weight.copy_(probe.weight / spread)
        teacher.probe.bias.copy_(probe.bias - (probe.weight * (middle / spread)).sum(1))
    teacher.requires_grad_(False)
