"""What happens to images on their way: saved, shrunk, blurred, turned, sent through a messenger.

A corruption takes an 8-bit image and returns one of the same size, as the next program would open it. Beside
it stands a differentiable substitute, whose slope an attack takes where the corruption has none.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageFilter
from torch import Tensor
from torch.nn import functional

from attacks.toolkit.transforms import compressed
from errors import BadSetting, UnknownName

Change = Callable[[Image.Image], Image.Image]
Substitute = Callable[[Tensor], Tensor]
BICUBIC = Image.Resampling.BICUBIC
MESSENGER_SIDE, MESSENGER_QUALITY = 1600, 80
"""To how many pixels a messenger makes the longer side smaller, and the quality of the JPEG that it sends."""
CROPPED, ANGLE, WEBP_QUALITY = 0.025, 5.0, 80
"""The share of the side that is cut off at each edge, degrees, and the quality of a WebP file."""
GREY = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in grey (ITU-R BT.601), as Pillow has them."""


def picture(x: Tensor) -> Image.Image:
    """Return ``x`` ``(c, h, w)`` in [0, 1] with one or three channels as an 8-bit image."""
    octets = (x.clamp(0, 1) * 255).round().to(torch.uint8).numpy()
    return Image.fromarray(octets[0] if len(octets) == 1 else np.ascontiguousarray(octets.transpose(1, 2, 0)))


def tensor(image: Image.Image) -> Tensor:
    """Return an image, grey or RGB, as ``(c, h, w)`` in [0, 1]."""
    levels = np.asarray(image, dtype=np.float32) / 255
    return torch.from_numpy(levels.reshape(image.height, image.width, -1).transpose(2, 0, 1).copy())


def saved(image: Image.Image, kind: str, **options: int) -> Image.Image:
    """Return ``image`` written as a file of ``kind`` ("PNG", "JPEG", "WEBP") and opened again."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    file.seek(0)
    return Image.open(file).convert(image.mode)


def jpeg(quality: int) -> Change:
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


def cropped(image: Image.Image) -> Image.Image:
    """Return the middle 95 % of ``image``, brought to its size again bicubically."""
    width, height = image.size
    left, top = _margin(width), _margin(height)
    return image.crop((left, top, width - left, height - top)).resize((width, height), BICUBIC)


def five_bits(image: Image.Image) -> Image.Image:
    """Return ``image`` with 32 levels a channel in place of 256 (Xu et al. 2018, feature squeezing)."""
    return image.point(
        [round(round(level / 255 * 31) / 31 * 255) for level in range(256)] * len(image.getbands())
    )


def grey(image: Image.Image) -> Image.Image:
    """Return ``image`` without its colours."""
    return image.convert("L").convert(image.mode)


def turned(image: Image.Image) -> Image.Image:
    """Return ``image`` turned by 5 degrees against the clock; its corners are black."""
    return image.rotate(ANGLE, BICUBIC)


def sent(image: Image.Image) -> Image.Image:
    """Return ``image`` as a messenger delivers it: its longer side 1,600 pixels at most, saved as JPEG of
    quality 80, and brought to its size again. An image of a network's size is smaller and is not scaled."""
    small = image.copy()
    small.thumbnail((MESSENGER_SIDE, MESSENGER_SIDE), BICUBIC)
    delivered = saved(small, "JPEG", quality=MESSENGER_QUALITY)
    return delivered if delivered.size == image.size else delivered.resize(image.size, BICUBIC)


def _margin(side: int) -> int:
    return max(1, round(CROPPED * side))


def _same(x: Tensor) -> Tensor:
    return x


def _like_jpeg(quality: int) -> Substitute:
    return lambda x: compressed(x, x.new_full((len(x),), float(quality)))


def _like_half(x: Tensor) -> Tensor:
    height, width = x.shape[-2:]
    small = (max(1, round(height / 2)), max(1, round(width / 2)))
    return _resized(_resized(x, small), (height, width))


def _like_cropped(x: Tensor) -> Tensor:
    height, width = x.shape[-2:]
    top, left = _margin(height), _margin(width)
    return _resized(x[..., top : height - top, left : width - left], (height, width))


def _like_blurred(x: Tensor) -> Tensor:
    at = torch.arange(-3, 4, device=x.device, dtype=x.dtype)
    kernel = torch.softmax(-(at**2) / 2, 0).expand(x.shape[1], 1, 7)
    wide = functional.pad(x, (3, 3, 3, 3), mode="replicate")
    across = functional.conv2d(wide, kernel[:, :, None, :], groups=x.shape[1])
    return functional.conv2d(across, kernel[:, :, :, None], groups=x.shape[1])


def _like_grey(x: Tensor) -> Tensor:
    if x.shape[1] == 1:
        return x
    return torch.einsum("c,nchw->nhw", x.new_tensor(GREY), x)[:, None].expand_as(x)


def _like_turned(x: Tensor) -> Tensor:
    height, width = x.shape[-2:]
    cos, sin = math.cos(math.radians(ANGLE)), math.sin(math.radians(ANGLE))
    matrix = x.new_tensor([[cos, -sin * height / width, 0], [sin * width / height, cos, 0]])
    grid = functional.affine_grid(matrix.expand(len(x), 2, 3), list(x.shape), align_corners=False)
    return functional.grid_sample(x, grid, align_corners=False)


def _resized(x: Tensor, size: tuple[int, int]) -> Tensor:
    return functional.interpolate(x, size=size, mode="bicubic", antialias=True)


@dataclass(frozen=True)
class Corruption:
    """``name``: as in links and on the command line. ``title``: as on a page. ``apply``: the corruption of an
    8-bit image. ``substitute``: maps ``(n, c, h, w)`` to the same shape, differentiably and nearly alike."""

    name: str
    title: str
    apply: Change
    substitute: Substitute = _same

    def of(self, x: Tensor) -> Tensor:
        """Return images ``x`` ``(n, c, h, w)`` in [0, 1], rounded to 8 bits, after this corruption."""
        rows = [tensor(self.apply(picture(row))) for row in x.detach().cpu()]
        return torch.stack(rows).to(x)

    def through(self, x: Tensor) -> Tensor:
        """Return `of` with the slope of the substitute: the straight-through estimator, or BPDA (Athalye,
        Carlini and Wagner 2018, https://arxiv.org/abs/1802.00420, section 4.1)."""
        near = self.substitute(x)
        return near + (self.of(x) - near).detach()


CORRUPTIONS = {
    corruption.name: corruption
    for corruption in (
        Corruption("png", "PNG, 8 bits", lambda image: saved(image, "PNG")),
        Corruption("jpeg95", "JPEG 95", jpeg(95), _like_jpeg(95)),
        Corruption("jpeg75", "JPEG 75", jpeg(75), _like_jpeg(75)),
        Corruption("jpeg50", "JPEG 50", jpeg(50), _like_jpeg(50)),
        Corruption("webp", "WebP 80", lambda i: saved(i, "WEBP", quality=WEBP_QUALITY), _like_jpeg(75)),
        Corruption("half", "half as large and back", lambda image: scaled(image, 0.5), _like_half),
        Corruption("crop", "cropped to 95 %", cropped, _like_cropped),
        Corruption("blur", "blurred by a pixel", blurred, _like_blurred),
        Corruption("bits5", "5 bits a channel", five_bits),
        Corruption("grey", "without colours", grey, _like_grey),
        Corruption("rotate", "turned by 5 degrees", turned, _like_turned),
        Corruption("messenger", "sent by a messenger", sent, _like_jpeg(MESSENGER_QUALITY)),
    )
}
"""Every corruption that a page asks about, by name."""


def names_of(text: str) -> tuple[str, ...]:
    """Return the names in ``text``, with commas between them, each once and in the order of `CORRUPTIONS`.

    Raises `errors.UnknownName` for one that is not there and `errors.BadSetting` for none at all.
    """
    given = [name.strip() for name in text.split(",") if name.strip()]
    if not given:
        raise BadSetting("Expected names of corruptions such as jpeg75,blur, got “{got}”.", got=text[:40])
    return ordered(given)


def ordered(names: Iterable[str]) -> tuple[str, ...]:
    """Return ``names`` each once, in the order of `CORRUPTIONS`; raises `errors.UnknownName` for another."""
    given = list(names)
    for name in given:
        if name not in CORRUPTIONS:
            raise UnknownName.of("corruption", str(name), CORRUPTIONS)
    return tuple(name for name in CORRUPTIONS if name in given)


def check_corruptions(names: Iterable[str]) -> None:
    """Raise `errors.UnknownName` unless all of ``names`` are corruptions."""
    ordered(names)
