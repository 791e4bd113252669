"""How alike two pictures are to people, as far as a formula without learnt weights can say."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy  # not its ndimage, which takes a third of a second: scipy loads it when it is first used

from engine.run import Floats

Exact = npt.NDArray[np.float64]
SIDE, DEVIATION = 11, 1.5
"""The Gaussian window: its side and standard deviation in pixels."""
K1, K2 = 0.01, 0.03


def structural_similarity(one: Floats, other: Floats) -> float:
    """Return the mean structural similarity (SSIM) of two pictures ``(c, h, w)`` in [0, 1], each channel by
    itself: 1 for the same picture, less the less alike they are, at least -1.

    Wang, Bovik, Sheikh and Simoncelli, 2004 (https://doi.org/10.1109/TIP.2003.819861), with their window and
    constants; pictures are mirrored at their edges. Written here because torchmetrics, which does the same,
    takes many seconds to import.
    """
    x, y = one.astype(np.float64), other.astype(np.float64)
    mean_x, mean_y = _blurred(x), _blurred(y)
    var_x, var_y = _blurred(x * x) - mean_x**2, _blurred(y * y) - mean_y**2
    both = _blurred(x * y) - mean_x * mean_y
    light = (2 * mean_x * mean_y + K1**2) / (mean_x**2 + mean_y**2 + K1**2)
    structure = (2 * both + K2**2) / (var_x + var_y + K2**2)
    return float((light * structure).mean())


def _blurred(x: Exact) -> Exact:
    """Return the local means of ``x`` ``(c, h, w)``."""
    places = np.arange(SIDE) - SIDE // 2
    window = np.exp(-(places**2) / (2 * DEVIATION**2))
    window /= window.sum()
    for axis in (-2, -1):
        x = scipy.ndimage.correlate1d(x, window, axis, mode="mirror")
    return x
