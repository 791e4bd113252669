"""How often a network of ImageNet's classes is right on the photos of the data folder, one for each class."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import torch
from PIL import Image
from tqdm import tqdm

import models
from models.core import Classifier
from models.records import FOLDER
from models.train.data import Photo, data_root, read_photos

ROWS = 20


class Judged(NamedTuple):
    """How many of ``n`` photos had their class named first, and among the five most probable."""

    first: int
    five: int
    n: int


def judge(model: Classifier, photos: Iterator[Photo]) -> Judged:
    """Return how often ``model`` is right on ``photos``, whose folder is the index of their class."""
    first = five = n = 0
    while rows := list(islice(photos, ROWS)):
        x = torch.stack([model.card.preprocess(Image.open(io.BytesIO(photo.jpeg))) for photo in rows])
        wanted = torch.tensor([int(photo.folder) for photo in rows])
        with torch.inference_mode():
            named = model(x).topk(5).indices == wanted[:, None]
        first, five, n = first + int(named[:, 0].sum()), five + int(named.sum()), n + len(rows)
    return Judged(first, five, n)


def write(name: str, folder: Path = FOLDER) -> Path:
    """Judge the network called ``name`` on all photos and write its record, ``NAME.json``; return the path.

    Raises `errors.UnknownName`, `errors.MissingData` and `errors.WeightsError`.
    """
    model = models.load(name)
    photos = tqdm(read_photos(data_root(), ("imagenet",)), desc=name, total=1000)
    judged = judge(model, iter(photos))
    record = {
        "sha256": model.card.weights.sha256,
        "parameters": sum(p.numel() for p in models.registry()[name].build().parameters()),
        "photos": judged.n,
        "accuracy": {
            f"top-1 on {judged.n:,} photos": round(100 * judged.first / judged.n, 1),
            f"top-5 on {judged.n:,} photos": round(100 * judged.five / judged.n, 1),
        },
        "data": "imagenet_1000_160.tar: one ImageNet photo for each class, short side 160 pixels",
        "torch": torch.__version__,
    }
    path = folder / f"{name}.json"
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return path
