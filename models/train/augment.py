"""Random crops, tilts, colours and mixtures, for whole batches at once.

One bilinear look-up does crop, flip and tilt together, so that making a batch costs a few percent of
learning from it.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional


class Mixed(NamedTuple):
    """A batch whose row ``i`` is ``share[i] * x[i] + (1 - share[i]) * x[partner[i]]``."""

    x: Tensor
    share: Tensor
    partner: Tensor


def _uniform(n: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    return torch.rand(n, generator=generator) * (high - low) + low


def random_crops(
    pictures: Tensor, size: int, generator: torch.Generator, smallest: float = 0.35, tilt: float = 12.0
) -> Tensor:
    """Return ``(n, 3, size, size)`` in [0, 1] from ``(n, 3, side, side)`` uint8.

    A crop covers ``smallest`` to all of the area, with aspect 3/4 to 4/3, half of them mirrored,
    tilted by up to ``tilt`` degrees; what lies outside is a reflection.
    """
    n = len(pictures)
    area = _uniform(n, smallest, 1, generator)
    aspect = torch.exp(_uniform(n, -math.log(4 / 3), math.log(4 / 3), generator))
    width, height = (area * aspect).sqrt().clamp(max=1), (area / aspect).sqrt().clamp(max=1)
    x, y = (1 - width) * _uniform(n, -1, 1, generator), (1 - height) * _uniform(n, -1, 1, generator)
    flip = (torch.rand(n, generator=generator) < 0.5).float() * 2 - 1
    angle = _uniform(n, -math.radians(tilt), math.radians(tilt), generator)
    cos, sin = angle.cos(), angle.sin()
    rows = [width * cos * flip, -height * sin, x, width * sin * flip, height * cos, y]
    grid = functional.affine_grid(torch.stack(rows, 1).view(n, 2, 3), [n, 3, size, size], align_corners=False)
    levels = pictures.float() / 255
    return functional.grid_sample(levels, grid, padding_mode="reflection", align_corners=False)


def random_colours(
    x: Tensor, generator: torch.Generator, strength: float = 0.35, grey: float = 0.1
) -> Tensor:
    """Return ``x`` ``(n, 3, h, w)`` in [0, 1] with each picture's brightness, contrast and saturation
    scaled by up to ``1 +- strength``, and a share ``grey`` of them without colour."""
    n = len(x)
    gains = [_uniform(n, 1 - strength, 1 + strength, generator).view(n, 1, 1, 1) for _ in range(3)]
    gains[2] = torch.where(torch.rand(n, 1, 1, 1, generator=generator) < grey, 0.0, gains[2])
    luma = (x * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
    x = luma + (x - luma) * gains[2]
    middle = luma.mean((2, 3), keepdim=True)
    return ((middle + (x - middle) * gains[1]) * gains[0]).clamp(0, 1)


def mixup(x: Tensor, alpha: float, generator: torch.Generator) -> Mixed:
    """Blend each picture with another of the batch (https://arxiv.org/abs/1710.09412).

    Shares are drawn from Beta(``alpha``, ``alpha``); 0 leaves the batch as it is.
    """
    n = len(x)
    partner = torch.randperm(n, generator=generator)
    if alpha <= 0:
        return Mixed(x, torch.ones(n), partner)
    parts = torch._standard_gamma(torch.full((2, n), alpha), generator=generator).clamp(min=1e-6)
    share = parts.max(0).values / parts.sum(0)
    blend = share.view(n, 1, 1, 1)
    return Mixed(x * blend + x[partner] * (1 - blend), share, partner)
