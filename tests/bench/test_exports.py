"""What whole grey levels cost at least."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from bench.exports import least_longer


def test_no_change_in_whole_levels_gains_as_much_for_less() -> None:
    delta = np.array([[[0.4, -0.7, 1.9]]], np.float32)
    slope = np.array([[[0.3, -0.5, 1.1]]], np.float32)
    gain = float((delta * slope).sum())
    longer = least_longer(delta, slope)
    changes = [np.array(c, np.float32) for c in product(range(-3, 4), repeat=3)]
    enough = [c for c in changes if float((c * slope[0, 0]).sum()) >= gain]
    least = min(float(np.linalg.norm(c)) for c in enough) / float(np.linalg.norm(delta)) - 1
    assert longer == pytest.approx(least, abs=1e-6) and longer > 0


def test_a_fine_change_along_the_slope_costs_more_in_whole_levels_and_a_poor_one_less() -> None:
    slope = np.random.default_rng(0).standard_normal((3, 40, 40)).astype(np.float32)
    fine, poor = 0.1 * slope, 2 * np.sign(slope) * (np.abs(slope) < 0.5)
    assert least_longer(fine, slope) > 0.3
    assert least_longer(poor, slope) < -0.3
