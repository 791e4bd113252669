"""What a camera, a printer or a chat program does to a picture, differentiable and at random.

A transform maps pictures ``(n, c, h, w)`` in [0, 1] to such pictures; how far each one is changed is drawn
for every row from ``rng`` (on the CPU) and scaled by ``strength``: 0 for next to nothing, 1 for the most.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812  # as everybody calls it
from torch import Tensor

from errors import UnknownName

Transform = Callable[[Tensor, torch.Generator, float], Tensor]


def resize(x: Tensor, rng: torch.Generator, strength: float) -> Tensor:
    """Shrink to as little as half the size, at a random place; the rest continues the picture's edge."""
    scale = 1 + strength * _uniform(x, rng)
    return _warp(x, scale, torch.zeros_like(scale), (scale - 1)[:, None] * _shift(x, rng))


def crop(x: Tensor, rng: torch.Generator, strength: float) -> Tensor:
    """Enlarge a random part, of at least half the picture's side."""
    scale = 1 - 0.5 * strength * _uniform(x, rng)
    return _warp(x, scale, torch.zeros_like(scale), (1 - scale)[:, None] * _shift(x, rng))


def rotate(x: Tensor, rng: torch.Generator, strength: float) -> Tensor:
    """Turn by up to 45 degrees either way; the corners continue the picture's edge."""
    angle = strength * math.pi / 4 * (2 * _uniform(x, rng) - 1)
    return _warp(x, torch.ones_like(angle), angle, x.new_zeros(len(x), 2))


def noise(x: Tensor, rng: torch.Generator, strength: float) -> Tensor:
    """Add normal noise whose standard deviation is up to a fifth of the scale."""
    deviation = 0.2 * strength * _uniform(x, rng).view(-1, 1, 1, 1)
    return (x + deviation * torch.randn(x.shape, generator=rng, dtype=x.dtype).to(x.device)).clamp(0, 1)


def blur(x: Tensor, rng: torch.Generator, strength: float) -> Tensor:
    """Blur with a Gaussian of up to two pixels' standard deviation."""
    deviation = 2 * strength * _uniform(x, rng) + 0.1
    at = torch.arange(-4, 5, device=x.device)
    kernel = (-((at / deviation[:, None]) ** 2) / 2).exp()
    kernel = kernel / kernel.sum(1, keepdim=True)
    n, c, h, w = x.shape
    rows = kernel.repeat_interleave(c, 0)[:, None, :]
    # A group for every channel of every picture: each picture has its own kernel.
    flat = F.pad(x, (4, 4, 4, 4), mode="replicate").reshape(1, n * c, h + 8, w + 8)
    flat = F.conv2d(F.conv2d(flat, rows[:, :, :, None], groups=n * c), rows[:, :, None, :], groups=n * c)
    return _within(flat.view_as(x))


def jpeg(x: Tensor, rng: torch.Generator, strength: float) -> Tensor:
    """Compress as JPEG does, to a quality between 95 and 95 - 85 strength, without thinning out colours."""
    return compressed(x, 95 - 85 * strength * _uniform(x, rng))


def compressed(x: Tensor, quality: Tensor) -> Tensor:
    """Return ``x`` ``(n, c, h, w)`` as JPEG of ``quality`` ``(n,)``, above 0 and up to 100, leaves it, but
    for colours, which are not thinned out.

    Rounding is replaced by ``round(t) + (t - round(t))^3``, which has a slope (Shin and Song 2017).
    """
    scale = torch.where(quality < 50, 50 / quality, 2 - quality / 50).view(-1, 1, 1, 1, 1, 1)
    colours = x.new_tensor(YCBCR if x.shape[1] == 3 else torch.eye(x.shape[1]).tolist())
    middle = x.new_tensor([128, 0, 0] if x.shape[1] == 3 else [128] * x.shape[1]).view(-1, 1, 1)
    planes = torch.einsum("dc,nchw->ndhw", colours, x) * 255 - middle
    h, w = x.shape[2:]
    padded = F.pad(planes, (0, -w % 8, 0, -h % 8), mode="replicate")
    blocks = padded.unflatten(3, (-1, 8)).unflatten(2, (-1, 8))
    luma, chroma = x.new_tensor(LUMA), x.new_tensor(CHROMA)
    table = torch.stack([luma, chroma, chroma] if x.shape[1] == 3 else [luma] * x.shape[1])
    table = (table[:, None, :, None, :] * scale).clamp(1, 255)
    waves = _cosines(x)
    shares = torch.einsum("ui,ncaibj,vj->ncaubv", waves, blocks, waves) / table
    rounded = shares.round()
    shares = (rounded + (shares - rounded) ** 3) * table
    blocks = torch.einsum("ui,ncaubv,vj->ncaibj", waves, shares, waves)
    planes = (blocks.flatten(4, 5).flatten(2, 3)[:, :, :h, :w] + middle) / 255
    return torch.einsum("cd,ndhw->nchw", torch.linalg.inv(colours), planes).clamp(0, 1)


TRANSFORMS: dict[str, Transform] = {
    "resize": resize,
    "crop": crop,
    "rotate": rotate,
    "noise": noise,
    "blur": blur,
    "jpeg": jpeg,
}
"""Every transform, by name."""


def get(name: str) -> Transform:
    """Return the transform called ``name``, or raise `errors.UnknownName`."""
    if name not in TRANSFORMS:
        raise UnknownName.of("transform", name, TRANSFORMS)
    return TRANSFORMS[name]


YCBCR = [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]]
"""Brightness and two colour differences of red, green and blue, as JFIF has them."""

# ITU-T recommendation T.81, annex K.1.
LUMA = [
    [16, 11, 10, 16, 24, 40, 51, 61],
    [12, 12, 14, 19, 26, 58, 60, 55],
    [14, 13, 16, 24, 40, 57, 69, 56],
    [14, 17, 22, 29, 51, 87, 80, 62],
    [18, 22, 37, 56, 68, 109, 103, 77],
    [24, 35, 55, 64, 81, 104, 113, 92],
    [49, 64, 78, 87, 103, 121, 120, 101],
    [72, 92, 95, 98, 112, 100, 103, 99],
]
CHROMA = [
    [17, 18, 24, 47, 99, 99, 99, 99],
    [18, 21, 26, 66, 99, 99, 99, 99],
    [24, 26, 56, 99, 99, 99, 99, 99],
    [47, 66, 99, 99, 99, 99, 99, 99],
    *[[99] * 8] * 4,
]


def _cosines(x: Tensor) -> Tensor:
    """Return the orthonormal cosine transform of eight values, ``(8, 8)``: one wave a row."""
    wave, at = torch.arange(8)[:, None], torch.arange(8)[None, :]
    waves = torch.cos(math.pi / 8 * wave * (at + 0.5)) / 2
    waves[0] = 8**-0.5
    return waves.to(x)


def _uniform(x: Tensor, rng: torch.Generator) -> Tensor:
    return torch.rand(len(x), generator=rng, dtype=x.dtype).to(x.device)


def _shift(x: Tensor, rng: torch.Generator) -> Tensor:
    return (2 * torch.rand(len(x), 2, generator=rng, dtype=x.dtype) - 1).to(x.device)


def _warp(x: Tensor, scale: Tensor, angle: Tensor, shift: Tensor) -> Tensor:
    """Return what is seen of ``x`` through a window ``scale`` times its size, turned by ``angle`` (both
    ``(n,)``) and moved by ``shift`` ``(n, 2)`` in halves of the picture."""
    h, w = x.shape[2:]
    cos, sin = scale * angle.cos(), scale * angle.sin()
    matrix = torch.stack([cos, -sin * h / w, shift[:, 0], sin * w / h, cos, shift[:, 1]], 1).view(-1, 2, 3)
    grid = F.affine_grid(matrix, list(x.shape), align_corners=False)
    return _within(F.grid_sample(x, grid, padding_mode="border", align_corners=False))


def _within(x: Tensor) -> Tensor:
    # Means of values in [0, 1] leave it by rounding alone: no reason to lose the gradient of white.
    return x + (x.clamp(0, 1) - x).detach()
