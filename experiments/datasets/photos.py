"""Photos beside the samples: those of the data folder, each with one clear class and a credit."""

from __future__ import annotations

import csv
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from PIL import Image

import settings
from engine.images.sources import open_image, read_file
from errors import UnknownName

Open = Callable[[str], Image.Image]
"""What opens a picture by its name; raises `errors.UnknownName`."""


class Photograph(NamedTuple):
    """A photo: its file, the ImageNet class that it shows, and licence, author and page in words."""

    path: Path
    shows: str
    credit: str


def photographs() -> dict[str, Photograph]:
    """Return the photos that ``photos.tsv`` of ``FOOLSCOPE_DATA`` lists, by file name; none without it."""
    return _listed(settings.data())


@lru_cache(maxsize=4)
def _listed(root: Path | None) -> dict[str, Photograph]:
    if root is None or not (root / "photos.tsv").is_file():
        return {}
    with (root / "photos.tsv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    photos = [
        Photograph(
            root / row["file"],
            row["expected class"].split(" (")[0],
            row["licence, author, page"].split(" (as recorded")[0],
        )
        for row in rows
    ]
    return {photo.path.name: photo for photo in photos if photo.path.is_file()}


def open_photograph(name: str) -> Image.Image:
    """Return the photo of the data folder called ``name``; raises `errors.UnknownName`."""
    if name not in photographs():
        raise UnknownName.of("photo", name, photographs())
    return read_file(photographs()[name].path)


def plain(levels: str) -> Image.Image:
    """Return a field of one colour, 224 x 224: a grey level "0" to "255", or three of them ("0,80,255").

    Raises `errors.UnknownName` for anything else.
    """
    given = levels.split(",")
    if len(given) not in (1, 3) or not all(level.isdecimal() and int(level) < 256 for level in given):
        raise UnknownName(f"Expected plain:LEVEL or plain:R,G,B with levels 0 to 255, got “{levels[:40]}”.")
    red, green, blue = (int(level) for level in (given * 3 if len(given) == 1 else given))
    return Image.new("RGB", (224, 224), (red, green, blue))


def open_named(ref: str) -> Image.Image:
    """Return the picture that ``ref`` names: a sample, "photo:FILE" or "plain:LEVEL".

    Raises `errors.UnknownName`, for a visitor's upload too: only the engine has those.
    """
    return open_image(ref, sources={"photo": open_photograph, "plain": plain})
