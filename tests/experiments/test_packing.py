"""Arrays inside a result's JSON: what is written can be read, by the page too."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.toolkit.packing import READABLE, pack, unpack

MOST = 2**31 - 1


@pytest.mark.parametrize(("largest", "kind"), [(127, "<i1"), (128, "<i2"), (2**15, "<i4"), (MOST, "<i4")])
def test_the_smallest_type_that_holds_the_values_is_written(largest: int, kind: str) -> None:
    values = np.array([[0.0, -largest], [1.0, 0.0]])
    packed = pack(values)
    assert packed.type == kind and kind in READABLE
    assert np.array_equal(unpack(packed), values)


def test_values_come_back_within_half_a_step() -> None:
    values = np.random.default_rng(0).normal(0, 3, (7, 4, 2))
    packed = pack(values, 0.01)
    assert packed.shape == [7, 4, 2]
    assert np.abs(unpack(packed) - values).max() <= 0.005 + 1e-12


@pytest.mark.parametrize(
    ("values", "step"),
    [([0, MOST + 1], 1.0), ([-(2**31) - 1, 0], 1.0), ([[MOST], [-2]], 1.0), ([3e6], 1e-3)],
)
def test_what_a_page_cannot_read_is_refused(values: list[float], step: float) -> None:
    """The page reads whole numbers of at most 32 bits; differences between rows count."""
    with pytest.raises(ValueError, match="Expected rows that differ by at most 2,147,483,647 steps"):
        pack(values, step)
