"""Pictures for any network: test digits for those that read digits, photos for the others."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

import settings
from errors import MissingData
from experiments.datasets.digit_sets import SMALL, digits, source
from models.core import Card
from models.train.data import ARCHIVES
from settings import SAMPLES

BUNDLED = "the photos that come with the program"
ARCHIVE = ARCHIVES["caltech101"]
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


class Pictures(NamedTuple):
    """``x`` ``(n, c, size, size)`` in [0, 1], as the network sees them; ``y`` ``(n,)`` int64 from 0, the
    number of each one's class, None where nobody says; ``source``: where they are from, in words."""

    x: Tensor
    y: Tensor | None
    source: str


class _Photo(NamedTuple):
    label: str | None
    open: Callable[[], Image.Image]


def origin(card: Card, folder: str = "") -> str:
    """Return where `pictures` would take them from, in words."""
    return source(folder) if card.channels == 1 else _photos(folder)[1]


def pictures(card: Card, folder: str = "", start: int = 0, end: int = 500) -> Pictures:
    """Return the pictures from number ``start`` to before ``end`` (fewer where there are no more).

    Test digits of `digit_sets.digits` for a network that takes grey pictures. For others the photos of
    ``folder``, or of ``FOOLSCOPE_DATA``, in an order that is shuffled once and for all: those of
    Caltech-101 where its archive is there, else every photo of the folder, labelled with the folder it
    lies in where there are several; with no folder at all, the photos that come with the program.
    Raises `errors.MissingData` for a folder without photos.
    """
    if card.channels == 1:
        grey = digits(folder)
        return Pictures(grey.test_x[start:end], grey.test_y[start:end], grey.source)
    photos, where = _photos(folder)
    labels = sorted({photo.label or "" for photo in photos})
    number = {label: index for index, label in enumerate(labels)}
    order = np.random.default_rng(0).permutation(len(photos))[start:end]
    shape = (0, card.channels, card.size, card.size)
    x = torch.stack([card.preprocess(photos[i].open()) for i in order]) if len(order) else torch.zeros(shape)
    y = torch.tensor([number[photos[i].label or ""] for i in order], dtype=torch.long)
    return Pictures(x, y if len(labels) > 1 else None, where)


def _photos(folder: str) -> tuple[list[_Photo], str]:
    folder = "" if folder == SMALL else folder  # which names digits only
    named = Path(folder) if folder else settings.data()
    if named and (named / ARCHIVE).is_file():
        return _archived(named / ARCHIVE), "Caltech-101"
    if not folder:
        return _loose(SAMPLES, (".jpg",)), BUNDLED
    photos = _loose(Path(folder), SUFFIXES)
    if not photos:
        raise MissingData(f"Expected photos in the folder {folder}, found none.")
    return photos, f"{len(photos)} photos of the folder {Path(folder).name}"


def _loose(folder: Path, suffixes: tuple[str, ...]) -> list[_Photo]:
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in suffixes)
    several = len({path.parent for path in paths}) > 1
    return [_Photo(path.parent.name if several else None, partial(Image.open, path)) for path in paths]


@lru_cache(maxsize=1)
def _archived(path: Path) -> list[_Photo]:
    """Return the photos of an archive without unpacking them: each is read from its place in the file."""
    with tarfile.open(path) as archive:
        members = [m for m in archive.getmembers() if m.name.lower().endswith(".jpg")]
    return [_Photo(Path(m.name).parent.name, partial(_read, path, m.offset_data, m.size)) for m in members]


def _read(path: Path, at: int, size: int) -> Image.Image:
    with path.open("rb") as file:
        file.seek(at)
        return Image.open(io.BytesIO(file.read(size)))
