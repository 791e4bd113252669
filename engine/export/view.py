"""A photo in whole grey levels, and what a network sees of it when it is fed in as anybody would.

Resizing is linear: two matrices of weights, mostly zeros, one for each direction, take a gradient in what the
network sees back to the photo. They serve directions only; whatever is claimed of a picture is read off its
own pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import scipy  # not its sparse, which it loads when it is first used
import torch
from PIL import Image
from torch import Tensor

from engine.export.carried import WHOLE
from engine.run import Floats
from models.core import FILTERS, Card, Crop

Levels = npt.NDArray[np.int16]
"""Changes in whole grey levels ``(c, h, w)``: three channels, or one that changes all three alike."""
RANK = 0.01
"""Singular values of a product of weights below this share of the greatest are taken for none: they are of
pixels at the edge, of which the network hardly sees a thing, or rounding alone."""


@dataclass(frozen=True)
class View:
    """What a network sees of a photo.

    ``photo``: the untouched picture, 8-bit RGB. ``crop``: the square that is seen, None for the network's own
    evaluation. ``after``: what is done to the picture before it is seen, None for nothing.
    """

    card: Card
    photo: Image.Image
    crop: Crop | None = None
    after: Callable[[Image.Image], Image.Image] | None = None

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
        picture = self.picture(change)
        return self.card.preprocess(self.after(picture) if self.after else picture, self.crop)[None]

    def pull(self, grad: Floats) -> Floats:
        """Return the slope ``(c, h, w)`` in a change by one grey level each, from that ``(c, size, size)`` in
        what the network sees, in [0, 1]."""
        return self._back(grad / np.float32(255))

    def lift(self, delta: Floats) -> Floats:
        """Return the least change, in grey levels ``(c, h, w)``, by l2, that the network sees as ``delta``
        ``(c, size, size)`` on the scale of [0, 1]; near to it where the photo has too few pixels."""
        # The pseudo-inverse of weights A is A' pinv(A A'), and that is a matrix of the network's size.
        rows, columns = (np.linalg.pinv(_product(each), RANK, hermitian=True) for each in self._weights)
        return self._back((rows @ (255 * delta.astype(np.float64)) @ columns).astype(np.float32))

    def _back(self, seen: Floats) -> Floats:
        """Return ``(c, h, w)`` for ``(c, size, size)``: what resizing took together, handed out again by the
        weights with which it was taken."""
        rows, columns = (each.T.tocsr() for each in self._weights)
        wide = [np.ascontiguousarray((columns @ channel.T).T) for channel in seen]
        return np.stack([rows @ channel for channel in wide])

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
    def _weights(self) -> tuple[scipy.sparse.csr_array, scipy.sparse.csr_array]:
        """Return the weights of resizing, by rows ``(size, h)`` and by columns ``(size, w)``."""
        left, top, right, bottom = self._box
        return self._along(self.photo.height, top, bottom), self._along(self.photo.width, left, right)

    def _along(self, pixels: int, start: float, stop: float) -> scipy.sparse.csr_array:
        """Return the weights ``(size, pixels)`` of one direction: the answers to one bright pixel each."""
        units = Image.fromarray(np.eye(pixels, dtype=np.float32))
        size, how = (self.card.size, pixels), FILTERS[self.card.interpolation]
        answers = units.resize(size, how, box=(start, 0, stop, pixels))
        return scipy.sparse.csr_array(np.asarray(answers, np.float32).T)


def _product(weights: scipy.sparse.csr_array) -> npt.NDArray[np.float64]:
    """Return the products ``(size, size)`` of the rows of ``weights``."""
    precise = weights.astype(np.float64)
    products: npt.NDArray[np.float64] = (precise @ precise.T).toarray()
    return products


def network_view(card: Card, start: Tensor) -> View:
    """Return the view of a picture ``(c, size, size)`` in [0, 1] that is already what the network sees."""
    octets = (start * 255).round().to(torch.uint8).expand(3, -1, -1).permute(1, 2, 0).numpy()
    return View(card, Image.fromarray(np.ascontiguousarray(octets)), WHOLE)
