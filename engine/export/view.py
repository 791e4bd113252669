"""A photo in whole grey levels, and what a network sees of it when it is fed in as anybody would.

Resizing is linear: two matrices of weights, one for each direction, take a gradient in what the network sees
back to the photo. They serve directions only; whatever is claimed of a picture is read off its own pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from engine.export.carried import WHOLE
from models.core import FILTERS, Card, Crop

Levels = npt.NDArray[np.int16]
"""Changes in whole grey levels ``(c, h, w)``: three channels, or one that changes all three alike."""
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class View:
    """What a network sees of a photo.

    ``photo``: the untouched picture, 8-bit RGB. ``crop``: the square that is seen, None for the network's own
    evaluation.
    """

    card: Card
    photo: Image.Image
    crop: Crop | None = None

    @cached_property
    def base(self) -> Levels:
        """Return the photo's grey levels ``(3, h, w)``."""
        levels = np.asarray(self.photo, np.uint8).transpose(2, 0, 1)
        return np.ascontiguousarray(levels).astype(np.int16)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Return the shape ``(c, h, w)`` of a change of the photo."""
        return self.card.channels, self.photo.height, self.photo.width

    @cached_property
    def room(self) -> tuple[Levels, Levels]:
        """Return the least and the greatest change ``(c, h, w)`` that keeps every level in 0..255."""
        low, high = -self.base, 255 - self.base
        if self.card.channels == 1:
            low, high = low.max(0, keepdims=True), high.min(0, keepdims=True)
        return low, high

    def picture(self, change: Levels) -> Image.Image:
        """Return the photo with a change in grey levels ``(c, h, w)``."""
        levels = np.clip(self.base + change, 0, 255).astype(np.uint8)
        return Image.fromarray(np.ascontiguousarray(levels.transpose(1, 2, 0)))

    def see(self, change: Levels) -> Tensor:
        """Return what the network sees ``(1, c, size, size)`` in [0, 1] of the photo with a change."""
        return self.card.preprocess(self.picture(change), self.crop)[None]

    def pull(self, grad: Floats) -> Floats:
        """Return the slope ``(c, h, w)`` in a change by one grey level each, from that ``(c, size, size)`` in
        what the network sees, in [0, 1]."""
        rows, columns = self._weights
        return np.asarray(rows.T @ (grad / np.float32(255)) @ columns, np.float32)

    def lift(self, delta: Floats) -> Floats:
        """Return the least change, in grey levels ``(c, h, w)``, by l2, that the network sees as ``delta``
        ``(c, size, size)`` on the scale of [0, 1]; the nearest to it where the photo has too few pixels."""
        rows, columns = (np.linalg.pinv(each.astype(np.float64)) for each in self._weights)
        return np.asarray(rows @ (255 * delta.astype(np.float64)) @ columns.T, np.float32)

    @cached_property
    def seen_pixels(self) -> float:
        """Return how many of the photo's pixels the network sees."""
        left, top, right, bottom = self._box
        return (right - left) * (bottom - top)

    @property
    def _box(self) -> tuple[float, float, float, float]:
        size = self.photo.size
        return self.crop.box(size) if self.crop else self.card.evaluation_box(size)

    @cached_property
    def _weights(self) -> tuple[Floats, Floats]:
        """Return the weights of resizing, by rows ``(size, h)`` and by columns ``(size, w)``."""
        left, top, right, bottom = self._box
        return self._along(self.photo.height, top, bottom), self._along(self.photo.width, left, right)

    def _along(self, pixels: int, start: float, stop: float) -> Floats:
        """Return the weights ``(size, pixels)`` of one direction: the answers to one bright pixel each."""
        units = Image.fromarray(np.eye(pixels, dtype=np.float32))
        size, how = (self.card.size, pixels), FILTERS[self.card.interpolation]
        answers = units.resize(size, how, box=(start, 0, stop, pixels))
        return np.ascontiguousarray(np.asarray(answers, np.float32).T)


def network_view(card: Card, start: Tensor) -> View:
    """Return the view of a picture ``(c, size, size)`` in [0, 1] that is already what the network sees."""
    octets = (start * 255).round().to(torch.uint8).expand(3, -1, -1).permute(1, 2, 0).numpy()
    return View(card, Image.fromarray(np.ascontiguousarray(octets)), WHOLE)
