"""Superclasses (all dogs, all animals), and the least change that leaves a class or its superclass."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from attacks.contract import Criterion, walk
from attacks.ddn import DDN
from errors import BadSetting
from models.core import Card
from models.records import FOLDER
from models.superclasses import superclasses as superclasses
from models.train.data import Photo, PhotoSet, centre_square, data_root, read_classes, read_photos

Network = Callable[[Tensor], Tensor]
HELD, SEED = 0.15, 0
"""How the photos of that network were split (its training record says so)."""


@dataclass(frozen=True)
class Leaving(Criterion):
    """Success is an answer outside a superclass. ``inside``: ``(classes,)`` bool, its classes."""

    inside: Tensor

    def margin(self, logits: Tensor) -> Tensor:
        """Return by how much the best class outside leads, positive once the superclass is left."""
        out, own = logits.masked_fill(self.inside, -math.inf), logits.masked_fill(~self.inside, -math.inf)
        return out.amax(1) - own.amax(1)

    def loss(self, logits: Tensor) -> Tensor:
        """Return the log-probability of the whole superclass."""
        own = logits.masked_fill(~self.inside, -math.inf)
        return own.logsumexp(1) - logits.logsumexp(1)

    def confidence(self, logits: Tensor) -> Tensor:
        """Return the probability of all that is outside."""
        return 1 - self.loss(logits).exp()


def mask(card: Card, classes: tuple[int, ...]) -> Tensor:
    """Return ``(classes of the network,)`` bool: which are among ``classes``."""
    inside = torch.zeros(len(card.labels), dtype=torch.bool)
    inside[list(classes)] = True
    return inside


def least(net: Network, x: Tensor, criterion: Criterion, steps: int) -> tuple[Tensor, Tensor]:
    """Return for each picture ``(n, c, h, w)`` how far DDN moved it (l2; infinite where it did not get there)
    and what ``net`` answers there ``(n,)``. Its spheres grow and shrink by tenths, so the last bit of the
    segment is halved eight times to end at the boundary."""
    attack = DDN(steps=steps, gamma=0.1)
    *_, last = walk(attack.search(x, criterion, torch.Generator()), net, criterion)
    delta, logits = last.x - x, last.evaluation.logits
    success = criterion.met(logits)
    short, full = torch.zeros(len(x)), torch.ones(len(x))
    for _ in range(8):
        middle = (short + full) / 2
        with torch.no_grad():
            there = net(x + middle.view(-1, 1, 1, 1) * delta)
        met = criterion.met(there)
        full, short = torch.where(met, middle, full), torch.where(met, short, middle)
        logits = torch.where(met[:, None], there, logits)
    return torch.where(success, full * delta.flatten(1).norm(dim=1), math.inf), logits.argmax(1)


def members(card: Card, superclass: str, n: int, folder: str = "") -> tuple[Tensor, Tensor]:
    """Return up to ``n`` photos ``(n, 3, size, size)`` of a superclass and their classes ``(n,)``: for a
    network of the 1000 classes, one photo of each; for the one that ships, photos that it was not trained on.

    Classes take turns. Raises `errors.MissingData` where the photos are not here, and `errors.BadSetting`
    where none is of this superclass.
    """
    root, classes = Path(folder) if folder else data_root(), superclasses(card)[superclass]
    photos = _imagenet(root) if len(card.labels) == 1000 else _held_out(root)
    turns: dict[int, int] = {}
    order = []
    for photo, label in photos:
        if label in classes:
            turns[label] = turns.get(label, 0) + 1
            order.append((turns[label], label, photo))
    chosen = sorted(order, key=lambda entry: entry[:2])[:n]
    if not chosen:
        raise BadSetting(f"Found no photo of the family “{superclass}” in {root.name}.")
    x = torch.stack([centre_square(photo.jpeg, card.size) for *_, photo in chosen]).float() / 255
    return x, torch.tensor([label for _, label, _ in chosen])


def _imagenet(root: Path) -> list[tuple[Photo, int]]:
    return [(photo, int(photo.folder)) for photo in read_photos(root, ("imagenet",))]


@lru_cache(maxsize=1)
def _held_out(root: Path) -> list[tuple[Photo, int]]:
    """Return the photos that the network that ships was not trained on, with their classes."""
    classes = read_classes(FOLDER / "photos_classes.json")
    number = {
        (source, str(folder)): index
        for index, name in enumerate(classes)
        for source, folders in classes[name].items()
        for folder in folders
    }
    photos = [photo for photo in read_photos(root) if (photo.source, photo.folder) in number]
    labels = torch.tensor([number[photo.source, photo.folder] for photo in photos])
    rows = torch.arange(len(photos))
    sources, names = tuple(p.source for p in photos), tuple(p.name for p in photos)
    _, held = PhotoSet(tuple(classes), rows, labels, sources, names).split(HELD, SEED)
    return [
        (photos[row], label) for row, label in zip(held.pictures.tolist(), held.labels.tolist(), strict=True)
    ]
