"""What a classifier is: a network that takes pictures in [0, 1], and a card of facts.

Normalisation lives inside the classifier; nobody else knows about means and deviations.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from errors import BadSetting


class Crop(NamedTuple):
    """The square of an upload that the network gets to see.

    ``x`` and ``y``: the square's centre as fractions of width and height, in [0, 1].
    ``size``: its side as a fraction of the picture's short side, in (0, 1].
    """

    x: float
    y: float
    size: float


@dataclass(frozen=True)
class WeightsFile:
    """Where weights come from: a file name, its sha256 (a prefix is allowed where the
    publisher gives only a prefix), and a URL, or None when it can only be put there by hand."""

    file: str
    sha256: str
    url: str | None = None
    bytes: int | None = None


@dataclass(frozen=True)
class Card:
    """Facts of a model. Sizes are in pixels, accuracies in percent."""

    name: str
    title: str
    summary: str
    size: int
    labels: tuple[str, ...]
    weights: WeightsFile
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    resize: int | None = None
    interpolation: str = "bilinear"
    training_set: str = ""
    accuracy: Mapping[str, float] = field(default_factory=dict)
    parameters: int | None = None
    licence: str = ""
    paper: str = ""
    offline: bool = False

    @property
    def channels(self) -> int:
        """Return 3 for colour, 1 for greyscale."""
        return len(self.mean)

    def default_crop(self) -> Crop:
        """Return the central crop of the model's own evaluation transform."""
        return Crop(0.5, 0.5, self.size / (self.resize or self.size))

    def see(self, picture: Image.Image, crop: Crop | None = None) -> Tensor:
        """Return what the network sees of ``picture``: ``(channels, size, size)`` in [0, 1].

        Raises `errors.BadSetting` when the crop is not a square inside the picture.
        """
        box = _box(picture.size, crop or self.default_crop())
        mode = "RGB" if self.channels == 3 else "L"
        filters = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
        small = picture.convert(mode).resize((self.size, self.size), filters[self.interpolation], box=box)
        levels = np.asarray(small, dtype=np.float32) / 255
        return torch.from_numpy(levels.reshape(self.size, self.size, self.channels).transpose(2, 0, 1).copy())


def _box(size: tuple[int, int], crop: Crop) -> tuple[float, float, float, float]:
    """Return (left, top, right, bottom) in pixels, moved inside the picture where it sticks out."""
    if not all(map(math.isfinite, crop)) or not 0 < crop.size <= 1 or not (0 <= crop.x <= 1 and 0 <= crop.y <= 1):
        raise BadSetting(f"Expected a crop with centre in [0, 1] and size in (0, 1], got {tuple(crop)}.")
    side = max(1.0, crop.size * min(size))
    left = min(max(crop.x * size[0] - side / 2, 0), size[0] - side)
    top = min(max(crop.y * size[1] - side / 2, 0), size[1] - side)
    return left, top, left + side, top + side


class Classifier(nn.Module):
    """A frozen network with its normalisation: ``(n, c, size, size)`` in [0, 1] -> logits ``(n, classes)``."""

    mean: Tensor
    std: Tensor

    def __init__(self, card: Card, network: nn.Module) -> None:
        super().__init__()
        self.card = card
        self.network = network
        self.register_buffer("mean", torch.tensor(card.mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(card.std).view(1, -1, 1, 1), persistent=False)
        self.eval().requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits ``(n, classes)`` for pictures ``(n, c, size, size)`` in [0, 1]."""
        return self.network((x - self.mean) / self.std)


@dataclass(frozen=True)
class Entry:
    """A registered model: its card, and how to build its network before weights are put in."""

    card: Card
    build: Callable[[], nn.Module]


_REGISTRY: dict[str, Entry] = {}


def register(card: Card, build: Callable[[], nn.Module]) -> None:
    """Make a model known under ``card.name``; called at import by each file of this folder."""
    if card.name in _REGISTRY:
        raise ImportError(f"two models are called {card.name!r}")
    _REGISTRY[card.name] = Entry(card, build)
