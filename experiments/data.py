"""Handwritten digits for the experiments: MNIST where it is to be had, else scikit-learn's small ones."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from errors import UnknownName
from experiments.store import cache
from models.train.data import read_mnist

MNIST = "MNIST"
SMALL = "scikit-learn digits (8 x 8, enlarged to 28 x 28)"


class Digits(NamedTuple):
    """Pictures ``(n, 1, 28, 28)`` float32 in [0, 1] and labels ``(n,)`` int64; ``source``: `MNIST` or
    `SMALL`, in words that a page may show."""

    train_x: Tensor
    train_y: Tensor
    test_x: Tensor
    test_y: Tensor
    source: str


def digits(folder: str = "") -> Digits:
    """Return the digits of ``folder`` (which holds ``mnist``), of ``FOOLSCOPE_DATA``, of an earlier
    `download`, or, where there are none, scikit-learn's.

    Raises `errors.MissingData` when a folder is named that holds no MNIST.
    """
    found = place(folder)
    return _mnist(found) if found else _small()


def place(folder: str = "") -> Path | None:
    """Return the folder that `digits` takes MNIST from, None where there is none (a ``folder`` that is named
    is taken at its word)."""
    if folder:
        return Path(folder)
    named = os.environ.get("FOOLSCOPE_DATA", "")
    here = Path(named) if named else cache().parent
    return here if (here / "mnist" / "train-images-idx3-ubyte.gz").is_file() else None


def open_digit(name: str) -> Image.Image:
    """Return the digit "test:7" or "train:12", counted from 0, as a grey picture of 28 x 28.

    Raises `errors.UnknownName` for any other name.
    """
    part, _, index = name.partition(":")
    found = digits()
    pictures = {"test": found.test_x, "train": found.train_x}.get(part)
    if pictures is None or not index.isdecimal() or int(index) >= len(pictures):
        raise UnknownName(
            f"Expected a digit as test:NUMBER or train:NUMBER, within {found.source}, got “{name[:40]}”."
        )
    levels = (pictures[int(index), 0] * 255).round().to(torch.uint8)
    return Image.fromarray(levels.numpy(), "L").convert("RGB")


def source(folder: str = "") -> str:
    """Return where `digits` would take them from: `MNIST` or `SMALL`."""
    return digits(folder).source if folder else MNIST if place() else SMALL


def download() -> Path:
    """Fetch MNIST (12 MB, verified by torchvision) to where `digits` looks; return the folder."""
    from torchvision import datasets  # slow to import, and seldom needed

    target = cache().parent / "mnist"
    if not (target / "train-images-idx3-ubyte.gz").is_file():
        datasets.MNIST(str(target / "download"), download=True)
        for file in (target / "download" / "MNIST" / "raw").glob("*.gz"):
            file.replace(target / file.name)
    return target


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
