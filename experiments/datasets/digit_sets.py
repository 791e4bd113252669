"""Handwritten digits for the experiments: MNIST where it is to be had, else scikit-learn's small ones."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from errors import MissingData, UnknownName
from experiments.datasets.mnist import place
from experiments.datasets.shipped_digits import shipped_digits
from models.train.data import read_mnist

MNIST = "MNIST"
SMALL = "scikit-learn digits (8 x 8, enlarged to 28 x 28)"
OF_SMALL = "small:"
"""What the name of one of scikit-learn's digits begins with."""
COUNTS = {"train": 60_000, "test": 10_000}
"""How many digits the parts of MNIST hold."""
NO_DIGIT = (
    "Expected a digit as test:NUMBER, train:NUMBER or small:test:NUMBER, within {source}, got “{name}”."
)
NEEDS_MNIST = (
    "The digit {name} is one of MNIST's, which is not on this server: fetch it on a page that computes with "
    "digits, or run “python -m experiments --download”."
)


class Digits(NamedTuple):
    """Pictures ``(n, 1, 28, 28)`` float32 in [0, 1] and labels ``(n,)`` int64; ``source``: `MNIST` or
    `SMALL`, in words that a page may show."""

    train_x: Tensor
    train_y: Tensor
    test_x: Tensor
    test_y: Tensor
    source: str


def digits(folder: str = "") -> Digits:
    """Return the digits of ``folder`` (which holds ``mnist``), by default MNIST where `mnist.place` finds it,
    else scikit-learn's. `SMALL` in place of a folder: scikit-learn's.

    Raises `errors.MissingData` when a folder is named that holds no MNIST.
    """
    if folder == SMALL:
        return _small()
    root = Path(folder) if folder else place()
    return _mnist(root) if root else _small()


def of_source(source: str) -> Digits | None:
    """Return the digits whose ``source`` is that, `MNIST` or `SMALL`; None where MNIST is not here."""
    return None if source == MNIST and place() is None else digits(SMALL if source == SMALL else "")


def source(folder: str = "") -> str:
    """Return where `digits` would take them from: `MNIST` or `SMALL`."""
    return SMALL if folder == SMALL or not (folder or place()) else MNIST


def source_of(data: object) -> str:
    """Return the first source, `MNIST` or `SMALL`, that is named in what an experiment depends on
    (`experiments.core.Result.data`); "" where none is."""
    if isinstance(data, dict | list):
        parts = data.values() if isinstance(data, dict) else data
        return next((name for name in map(source_of, parts) if name), "")
    return data if isinstance(data, str) and data in (MNIST, SMALL) else ""


def digit_name(source: str, part: str, index: int) -> str:
    """Return the name under which a digit of ``part`` "train" or "test" opens: "digit:test:7" for one of
    MNIST's, "digit:small:test:7" for one of scikit-learn's."""
    return f"digit:{OF_SMALL if source == SMALL else ''}{part}:{index}"


def has_digit(name: str) -> bool:
    """Return whether the digit that `digit_name` named can be opened here."""
    digit = name.removeprefix("digit:")
    if digit.startswith(OF_SMALL) or place() is not None:
        return True
    part, _, index = digit.partition(":")
    return part == "test" and int(index) in shipped_digits()


def open_digit(name: str) -> Image.Image:
    """Return a digit, counted from 0, as a grey picture of 28 x 28: MNIST's "test:7" or "train:12", or
    scikit-learn's "small:test:7". Without MNIST, those of its digits are there that results show.

    Raises `errors.UnknownName` for any other name, `errors.MissingData` for a digit that needs MNIST.
    """
    origin = SMALL if name.startswith(OF_SMALL) else MNIST
    part, _, index = name.removeprefix(OF_SMALL).partition(":")
    levels = _levels(origin, part, int(index)) if part in COUNTS and index.isdecimal() else None
    if levels is None:
        raise UnknownName(NO_DIGIT, source=origin, name=name[:40])
    return Image.fromarray((levels[0] * 255).round().to(torch.uint8).numpy(), "L").convert("RGB")


def _levels(origin: str, part: str, index: int) -> Tensor | None:
    """Return a digit's levels ``(1, 28, 28)``, None for a number that no digit has."""
    every = of_source(origin)
    if every is not None:
        pictures = every.test_x if part == "test" else every.train_x
        return pictures[index] if index < len(pictures) else None
    if part == "test" and index in shipped_digits():
        return torch.from_numpy(shipped_digits()[index])
    if index < COUNTS[part]:
        raise MissingData(NEEDS_MNIST, name=f"{part}:{index}")
    return None


def forget() -> None:
    """Read the digits anew when they are next asked for."""
    _mnist.cache_clear()
    _small.cache_clear()


@lru_cache(maxsize=1)
def _mnist(place: Path) -> Digits:
    return Digits(*read_mnist(place, train=True), *read_mnist(place, train=False), MNIST)


@lru_cache(maxsize=1)
def _small() -> Digits:
    from sklearn.datasets import load_digits  # slow to import

    bunch = load_digits()
    x = torch.from_numpy(bunch.images).float().unsqueeze(1) / 16
    # 20 x 20 within a margin of 4, as MNIST's digits are.
    x = functional.interpolate(x, size=(20, 20), mode="bilinear").clamp(0, 1)
    x, y = functional.pad(x, (4, 4, 4, 4)), torch.from_numpy(bunch.target).long()
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(0))
    train, test = order[:1397], order[1397:]
    return Digits(x[train], y[train], x[test], y[test], SMALL)
