"""Reading the data sets that the project's own networks are trained on.

The folder is named by ``FOOLSCOPE_DATA``. It holds ``mnist/`` (the four idx files, packed) and the
photo sets as tar files of JPEGs with short side 160: ``caltech101_160.tar`` and ``animals_160.tar``
(one folder per class) and ``imagenet_1000_160.tar`` (``<index>_<synset>_<label>.jpg``). Nothing is
unpacked to disk.
"""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

import settings
from errors import MissingData

ARCHIVES = {
    "caltech101": "caltech101_160.tar",
    "animals": "animals_160.tar",
    "imagenet": "imagenet_1000_160.tar",
}


def data_root() -> Path:
    """Return the folder named by ``FOOLSCOPE_DATA``; raise `errors.MissingData` when there is none."""
    named = settings.data()
    if named is None or not named.is_dir():
        raise MissingData(
            f"Expected FOOLSCOPE_DATA to name the folder with the data sets, got “{named or ''}”."
        )
    return named


def _require(root: Path, file: str) -> Path:
    path = root / file
    if not path.is_file():
        raise MissingData(f"{file} is missing: expected it in {root} (the folder FOOLSCOPE_DATA names).")
    return path


def _idx(path: Path) -> Tensor:
    """Read one packed idx file of unsigned bytes (http://yann.lecun.com/exdb/mnist/)."""
    raw = gzip.decompress(path.read_bytes())
    kind, dimensions = raw[2], raw[3]
    start = 4 + 4 * dimensions
    shape = [int(n) for n in np.frombuffer(raw[4:start], dtype=">u4")]
    if raw[:2] != b"\0\0" or kind != 8 or len(raw) - start != int(np.prod(shape)):
        raise MissingData(f"{path.name} is not an idx file of bytes: put the original file there.")
    return torch.from_numpy(np.frombuffer(raw, dtype=np.uint8, offset=start).reshape(shape).copy())


def read_mnist(root: Path, *, train: bool) -> tuple[Tensor, Tensor]:
    """Return MNIST pictures ``(n, 1, 28, 28)`` float32 in [0, 1] and labels ``(n,)`` int64.

    Raises `errors.MissingData` when a file is not in ``root / "mnist"``.
    """
    part = "train" if train else "t10k"
    pictures = _idx(_require(root, f"mnist/{part}-images-idx3-ubyte.gz"))
    labels = _idx(_require(root, f"mnist/{part}-labels-idx1-ubyte.gz"))
    return pictures.unsqueeze(1).float().div_(255), labels.long()


class Photo(NamedTuple):
    """One undecoded photo: the archive it is from, its folder (or ImageNet index), its name."""

    source: str
    folder: str
    name: str
    jpeg: bytes


def read_photos(root: Path, sources: Sequence[str] = tuple(ARCHIVES)) -> Iterator[Photo]:
    """Yield every photo of the named archives, in the order of the archive.

    Raises `errors.MissingData` when an archive is not in ``root``.
    """
    for source in sources:
        with tarfile.open(_require(root, ARCHIVES[source])) as archive:
            for member in archive:
                handle = archive.extractfile(member) if member.name.lower().endswith(".jpg") else None
                if handle is not None:
                    path = Path(member.name)
                    folder = str(int(path.name[:3])) if source == "imagenet" else path.parent.name
                    yield Photo(source, folder, path.name, handle.read())


Classes = Mapping[str, Mapping[str, Sequence[str | int]]]


def read_classes(path: Path) -> Classes:
    """Read which folders of which archive are merged into which class."""
    classes: Classes = json.loads(path.read_text(encoding="utf-8"))
    return classes


def centre_square(jpeg: bytes, side: int) -> Tensor:
    """Decode to the central square, ``(3, side, side)`` uint8."""
    with Image.open(io.BytesIO(jpeg)) as opened:
        picture = opened.convert("RGB")
    short = min(picture.size)
    left, top = (picture.width - short) // 2, (picture.height - short) // 2
    box = (left, top, left + short, top + short)
    small = picture.resize((side, side), Image.Resampling.BILINEAR, box=box)
    return torch.from_numpy(np.asarray(small).transpose(2, 0, 1).copy())


@dataclass(frozen=True)
class PhotoSet:
    """Decoded photos: ``pictures`` ``(n, 3, side, side)`` uint8, ``labels`` ``(n,)`` int64."""

    classes: tuple[str, ...]
    pictures: Tensor
    labels: Tensor
    sources: tuple[str, ...]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    def counts(self) -> list[int]:
        """Return how many photos each class has."""
        return torch.bincount(self.labels, minlength=len(self.classes)).tolist()

    def take(self, rows: Sequence[int]) -> PhotoSet:
        """Return the photos at ``rows``."""
        where = torch.tensor(rows, dtype=torch.long)
        return PhotoSet(
            self.classes,
            self.pictures[where],
            self.labels[where],
            tuple(self.sources[row] for row in rows),
            tuple(self.names[row] for row in rows),
        )

    def split(self, held_out: float, seed: int) -> tuple[PhotoSet, PhotoSet]:
        """Return (train, held out), stratified by class.

        Photos of one class with one file name stay together, since Caltech-101 has the same
        portrait in two folders, once cropped.
        """
        groups: dict[int, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        for row, (label, name) in enumerate(zip(self.labels.tolist(), self.names, strict=True)):
            groups[label][name].append(row)
        chance = np.random.default_rng(seed)
        train: list[int] = []
        held: list[int] = []
        for label in sorted(groups):
            names = sorted(groups[label])
            order = chance.permutation(len(names))
            out = round(len(names) * held_out)
            for place, which in enumerate(order):
                (held if place < out else train).extend(groups[label][names[which]])
        return self.take(sorted(train)), self.take(sorted(held))


def load_photos(root: Path, classes: Classes, side: int = 160, limit: int | None = None) -> PhotoSet:
    """Decode every photo that belongs to one of ``classes``; of each class, the first ``limit`` at most.

    Raises `errors.MissingData` when an archive is not in ``root``.
    """
    names = tuple(classes)
    member = {
        (source, str(folder)): index
        for index, name in enumerate(names)
        for source, folders in classes[name].items()
        for folder in folders
    }
    taken = [0] * len(names)
    photos: list[tuple[Tensor, int, str, str]] = []
    for photo in read_photos(root):
        label = member.get((photo.source, photo.folder))
        if label is None or (limit is not None and taken[label] >= limit):
            continue
        taken[label] += 1
        photos.append((centre_square(photo.jpeg, side), label, photo.source, photo.name))
    pictures, labels, sources, files = zip(*photos, strict=True)
    return PhotoSet(names, torch.stack(pictures), torch.tensor(labels), sources, files)


def photo_names(root: Path) -> dict[int, str]:
    """Return the label of each ImageNet class, as the files of that archive are named."""
    with tarfile.open(_require(root, ARCHIVES["imagenet"])) as archive:
        files = [Path(name).stem for name in archive.getnames() if name.endswith(".jpg")]
    return {int(file[:3]): file.split("_", 2)[2].replace("_", " ") for file in files}
