"""The MNIST test digits that the results which ship show: they open where there is no MNIST, too."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from torch import Tensor

import experiments
from experiments.toolkit.image_sheets import read


@cache
def shipped_digits() -> dict[int, Tensor]:
    """Return grey pictures ``(1, 28, 28)`` in [0, 1] by their number in MNIST's test set."""
    return dict([*_of_grid(), *_of_lenet(), *_of_units()])


@cache
def one_of_class(label: int) -> int:
    """Return the number in MNIST's test set of a digit ``label`` that ships."""
    return int(_figures("grid")["rows"][label]["index"])


def _figures(name: str) -> Any:
    result = experiments.shipped(name)
    assert result is not None, name
    return result["figures"]


def _of_grid() -> Iterator[tuple[int, Tensor]]:
    """Yield the digits of the grid's diagonal, which are taken to their own class: unchanged."""
    for label, row in enumerate(_figures("grid")["rows"]):
        if row["cells"][label]["distortion"] == 0:
            yield row["index"], read(row["cells"][label]["picture"])[:1]


def _of_lenet() -> Iterator[tuple[int, Tensor]]:
    """Yield the digits that LeNet's changes start from."""
    for network in _figures("lenet")["networks"].values():
        for shown in network["changes"]["shown"]:
            yield shown["row"], read(shown["original"])[:1]


def _of_units() -> Iterator[tuple[int, Tensor]]:
    """Yield the digits that most excite units and mixtures of them."""
    for family in _figures("units")["families"].values():
        for row in family["shown"]:
            yield from zip(row["top"], read(row["png"])[:1].split(28, dim=2), strict=True)
