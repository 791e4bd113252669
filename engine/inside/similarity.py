"""How alike two pictures are to people, as far as a formula without learnt weights can say."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

SIDE, DEVIATION = 11, 1.5
"""The Gaussian window: its side and standard deviation in pixels."""
K1, K2 = 0.01, 0.03


def structural_similarity(one: Tensor, other: Tensor) -> float:
    """Return the mean structural similarity (SSIM) of two pictures ``(c, h, w)`` in [0, 1], each channel by
    itself: 1 for the same picture, less the less alike they are, at least -1.

    Wang, Bovik, Sheikh and Simoncelli, 2004 (https://doi.org/10.1109/TIP.2003.819861), with their window and
    constants; pictures are mirrored at their edges. Written here because torchmetrics, which does the same,
    takes many seconds to import.
    """
    x, y = one.double()[:, None], other.double()[:, None]
    means = _blurred(torch.cat([x, y]))
    mean_x, mean_y = means.chunk(2)
    squares = _blurred(torch.cat([x * x, y * y, x * y]))
    var_x, var_y, both = (s - m for s, m in zip(squares.chunk(3), _products(mean_x, mean_y), strict=True))
    light = (2 * mean_x * mean_y + K1**2) / (mean_x**2 + mean_y**2 + K1**2)
    structure = (2 * both + K2**2) / (var_x + var_y + K2**2)
    return float((light * structure).mean())


def _products(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return x * x, y * y, x * y


def _blurred(x: Tensor) -> Tensor:
    """Return the local means of ``x`` ``(n, 1, h, w)``."""
    places = torch.arange(SIDE, dtype=x.dtype) - SIDE // 2
    window = torch.exp(-(places**2) / (2 * DEVIATION**2))
    window = window / window.sum()
    half = SIDE // 2
    x = functional.pad(x, (half, half, half, half), mode="reflect")
    return functional.conv2d(functional.conv2d(x, window.view(1, 1, 1, -1)), window.view(1, 1, -1, 1))
