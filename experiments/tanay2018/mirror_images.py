"""The images of the experiment "svm_path" again, from its figures: points of the plane and mirror images."""

from __future__ import annotations

import base64

import torch

from errors import UnknownName
from experiments.datasets.digit_sets import Digits
from experiments.tanay2018.svm_path import SVMPathFigures
from experiments.toolkit.image_sheets import png
from experiments.toolkit.packing import unpack

PICTURES = ("x", "xm", "y", "ym")


def training_index(figures: SVMPathFigures, point: int, source: Digits) -> tuple[int, int]:
    """Return which digit the plane's point number ``point`` is, and its index among the training images of
    ``source``, the digits that the figures are of.

    The plane shows as many of the first digit as of the second, each in the order of the data set.
    """
    half = figures.plane.across.shape[0] // 2
    digit = figures.classes[0 if point < half else 1]
    return digit, int((source.train_y == digit).nonzero()[point % half])


def image_png(figures: SVMPathFigures, name: str, index: int) -> bytes:
    """Return a typical image ("x", "y") or its mirror image ("xm", "ym") at lambda number ``index`` as PNG.

    A mirror image is x - 2 d(x) w / ||w||; what leaves [0, 1] is clipped. Raises `errors.UnknownName` for
    another name.
    """
    if name not in PICTURES:
        raise UnknownName.of("picture", name, PICTURES)
    side = 0 if name[0] == "x" else 1
    image = unpack(figures.pictures.images)[side] / 255
    if name.endswith("m"):
        distance = unpack(figures.pictures.distance)[index][side]
        unit = unpack(figures.weights.images)[index] * figures.weights.peak[index] / 127
        image = image - 2 * distance * unit
    return base64.b64decode(png(torch.from_numpy(image).view(28, 28)))
