"""What happens to pictures on their way: saved, shrunk, blurred, photographed off the screen.

Each corruption takes an 8-bit picture and returns one of the same size, as the next program would open it.
"""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import torch
from PIL import Image, ImageFilter
from torch import Tensor

Corruption = Callable[[Image.Image], Image.Image]
BICUBIC = Image.Resampling.BICUBIC


def picture(x: Tensor) -> Image.Image:
    """Return ``x`` ``(c, h, w)`` in [0, 1] with one or three channels as an 8-bit picture."""
    octets = (x.clamp(0, 1) * 255).round().to(torch.uint8).numpy()
    return Image.fromarray(octets[0] if len(octets) == 1 else np.ascontiguousarray(octets.transpose(1, 2, 0)))


def tensor(image: Image.Image) -> Tensor:
    """Return a picture, grey or RGB, as ``(c, h, w)`` in [0, 1]."""
    levels = np.asarray(image, dtype=np.float32) / 255
    return torch.from_numpy(levels.reshape(image.height, image.width, -1).transpose(2, 0, 1).copy())


def saved(image: Image.Image, kind: str, **options: int) -> Image.Image:
    """Return ``image`` written as a file of ``kind`` ("PNG", "JPEG") and opened again."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    file.seek(0)
    return Image.open(file).convert(image.mode)


def jpeg(quality: int) -> Corruption:
    """Return what saves as JPEG of ``quality``, 1 to 95, with colour at half the resolution, as is usual."""
    return lambda image: saved(image, "JPEG", quality=quality)


def scaled(image: Image.Image, factor: float) -> Image.Image:
    """Return ``image`` made ``factor`` times as large and brought back, both bicubically."""
    width, height = image.size
    small = image.resize((max(1, round(factor * width)), max(1, round(factor * height))), BICUBIC)
    return small.resize((width, height), BICUBIC)


def blurred(image: Image.Image) -> Image.Image:
    """Return ``image`` under a Gaussian of one pixel."""
    return image.filter(ImageFilter.GaussianBlur(1))


def screenshot(image: Image.Image) -> Image.Image:
    """Return ``image`` as a screenshot of it comes back: shown 1.1 times as large, saved as JPEG of quality
    90, and brought to its size again."""
    width, height = image.size
    shown = image.resize((round(1.1 * width), round(1.1 * height)), BICUBIC)
    return saved(shown, "JPEG", quality=90).resize((width, height), BICUBIC)


CORRUPTIONS: dict[str, Corruption] = {
    "PNG, 8 bits": lambda image: saved(image, "PNG"),
    "JPEG 95": jpeg(95),
    "JPEG 75": jpeg(75),
    "JPEG 50": jpeg(50),
    "half as large and back": lambda image: scaled(image, 0.5),
    "blurred by a pixel": blurred,
    "screenshot": screenshot,
}
"""What is done to a picture, by its name on the page."""


def corrupted(x: Tensor, name: str) -> Tensor:
    """Return ``x`` ``(c, h, w)`` in [0, 1] after one of `CORRUPTIONS`."""
    return tensor(CORRUPTIONS[name](picture(x)))
