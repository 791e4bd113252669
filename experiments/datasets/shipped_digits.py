"""The MNIST test digits that the results which ship show: they open where there is no MNIST, too.

Of the files of these results only what is needed here is read: the experiments themselves import this module.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

import numpy as np

from engine.run import Floats
from experiments.toolkit import codec
from experiments.toolkit.image_sheets import read
from settings import RESULTS

F = TypeVar("F")


@dataclass(frozen=True)
class _Target:
    distortion: float
    picture: str


@dataclass(frozen=True)
class _Source:
    index: int
    cells: list[_Target]


@dataclass(frozen=True)
class _Grid:
    """Digits by their class, each taken to each class."""

    rows: list[_Source]


@dataclass(frozen=True)
class _Changed:
    row: int
    original: str


@dataclass(frozen=True)
class _Changes:
    shown: list[_Changed]


@dataclass(frozen=True)
class _Network:
    changes: _Changes


@dataclass(frozen=True)
class _LeNet:
    """Networks by name, and the digits that their changes start from."""

    networks: dict[str, _Network]


@dataclass(frozen=True)
class _Unit:
    top: list[int]
    png: str


@dataclass(frozen=True)
class _Family:
    shown: list[_Unit]


@dataclass(frozen=True)
class _Units:
    """Units and mixtures of them, by family, and the digits that most excite them, side by side."""

    families: dict[str, _Family]


@cache
def shipped_digits() -> dict[int, Floats]:
    """Return grey pictures ``(1, 28, 28)`` in [0, 1] by their number in MNIST's test set."""
    return dict([*_of_grid(), *_of_lenet(), *_of_units()])


@cache
def one_of_class(label: int) -> int:
    """Return the number in MNIST's test set of a digit ``label``, 0 to 9, that ships."""
    return _figures("grid", _Grid).rows[label].index


def _figures(name: str, kind: type[F]) -> F:
    whole = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return codec.load(whole["figures"], kind)


def _of_grid() -> Iterator[tuple[int, Floats]]:
    """Yield the digits of the grid's diagonal, which are taken to their own class: unchanged."""
    for label, row in enumerate(_figures("grid", _Grid).rows):
        if row.cells[label].distortion == 0:
            yield row.index, read(row.cells[label].picture)[:1]


def _of_lenet() -> Iterator[tuple[int, Floats]]:
    """Yield the digits that LeNet's changes start from."""
    for network in _figures("lenet", _LeNet).networks.values():
        for changed in network.changes.shown:
            yield changed.row, read(changed.original)[:1]


def _of_units() -> Iterator[tuple[int, Floats]]:
    """Yield the digits that most excite units and mixtures of them."""
    for family in _figures("units", _Units).families.values():
        for unit in family.shown:
            yield from zip(unit.top, np.split(read(unit.png)[:1], len(unit.top), axis=2), strict=True)
