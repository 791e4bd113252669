"""The images of the experiment "svm_path" again, from its figures: points of the plane and mirror images."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from engine.work import Evaluates
from errors import UnknownName
from experiments.datasets.digit_sets import of_source
from experiments.tanay2018.svm_path import SVMPathFigures
from experiments.toolkit.image_sheets import png
from experiments.toolkit.packing import unpack

PICTURES = ("x", "xm", "y", "ym")


@dataclass(frozen=True)
class TrainingImage:
    """Looks for the image number ``number`` of ``digit`` in the training images of ``source``, as
    `experiments.datasets.digit_sets` names it. A piece of `engine.work`."""

    source: str
    digit: int
    number: int
    model: ClassVar[str] = ""

    @classmethod
    def of(cls, figures: SVMPathFigures, point: int, source: str) -> TrainingImage:
        """Return what looks for the plane's point number ``point``: the plane shows as many of the first
        digit as of the second, each in the order of the data set."""
        half = figures.plane.across.shape[0] // 2
        return cls(source, figures.classes[0 if point < half else 1], point % half)

    def carry_out(self, engine: Evaluates) -> Iterator[int | None]:
        """Yield its index among all training images, None where the data set is not there."""
        digits = of_source(self.source)
        yield None if digits is None else int((digits.train_y == self.digit).nonzero()[self.number])


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
    return base64.b64decode(png(image.reshape(28, 28)))
