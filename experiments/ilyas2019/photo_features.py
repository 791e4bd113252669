"""Bugs or features on photos: cats, dogs and pandas, learnt from adversarial pictures with wrong labels."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import ClassVar

import torch

from attacks.settings import setting
from experiments.core import ExperimentCard
from experiments.ilyas2019.features import Features
from experiments.ilyas2019.wrong_labels import Data
from models.train.data import ARCHIVES, data_root, load_photos

FOLDERS = {"cat": "cats", "dog": "dogs", "panda": "panda"}
SET, SIDE = "animals", 48
HELD_OUT = 0.25


@dataclass(frozen=True)
class PhotoFeatures(Features):
    """As `Features`, on the photos of the data folder, none of which is in the result: they have no licence;
    see `Experiment`."""

    card: ClassVar[ExperimentCard] = ExperimentCard(
        name="photo_features",
        title="Bugs or features? On photos",
        question="What does a network learn from photos of animals whose labels are wrong to everybody?",
        paper="Adversarial Examples Are Not Bugs, They Are Features",
        url="https://arxiv.org/abs/1905.02175",
        source="Section 3.2, table 1",
        needs="photos of cats, dogs and pandas (animals_160.tar in FOOLSCOPE_DATA)",
        digits=False,
    )

    classes: ClassVar[tuple[str, ...]] = tuple(FOLDERS)
    shape: ClassVar[tuple[int, int]] = (3, SIDE)
    widths: ClassVar[tuple[int, ...]] = (24, 48, 64)
    shown: ClassVar[int] = 0

    n: int = setting(2250, "Training photos", "How many photos are learnt from.", low=30, high=2250)
    tests: int = setting(750, "Test photos", "How many photos a network is judged on.", low=30, high=750)
    networks: int = setting(1, "Networks", "How many networks learn each kind.", low=1, high=20)
    passes: int = setting(20, "Passes", "How often each training picture is seen.", low=1, high=500)

    def depends(self) -> object:
        """Return the digest of the archive; raises `errors.MissingData` where it is not."""
        archive = data_root() / ARCHIVES[SET]
        return {SET: hashlib.sha256(archive.read_bytes()).hexdigest() if archive.is_file() else ""}

    def clean(self) -> Data:
        """Return the photos as they are; raises `errors.MissingData` where they are not."""
        photos = load_photos(data_root(), {name: {SET: [f]} for name, f in FOLDERS.items()}, SIDE)
        train, test = photos.split(HELD_OUT, seed=0)
        order = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))[: self.n]
        tests = torch.randperm(len(test), generator=torch.Generator().manual_seed(0))[: self.tests]
        return Data(
            train.pictures[order].float() / 255,
            train.labels[order],
            test.pictures[tests].float() / 255,
            test.labels[tests],
        )
