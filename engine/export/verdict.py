"""What a network says of a file: its very bytes, read back through the door for uploads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from attacks.contract import Criterion
from engine.export.carried import entering
from engine.export.finish import Ask
from engine.export.view import View
from engine.images.sources import examine
from engine.run import Prediction


@dataclass(frozen=True)
class Verdict:
    """What the network says of a file.

    ``label`` and ``probability`` in [0, 1]: its first class. ``success``: fooled as the run asked.
    ``linf`` and ``l2``: the difference from the untouched picture, on the [0, 1] scale of its own pixels.
    ``original`` and ``original_probability``: what the network says of the untouched picture in its place.
    """

    label: str
    probability: float
    success: bool
    linf: float
    l2: float
    original: str
    original_probability: float

    def plain(self) -> dict[str, Any]:
        """Return the verdict as JSON holds it."""
        return {
            "label": self.label,
            "probability": self.probability,
            "success": self.success,
            "linf": self.linf,
            "l2": self.l2,
        }


def judge(ask: Ask, view: View, criterion: Criterion, data: bytes) -> Verdict:
    """Return what the network says of a file, which is read as an upload is; ``view``: of the untouched
    picture.

    Raises `errors.BadImage` where the door does not take it.
    """
    picture = examine(data).picture
    seen = torch.stack(
        [
            view.card.preprocess(picture, entering(view.card, picture)),
            view.card.preprocess(view.photo, view.crop),
        ]
    )
    logits = ask(seen, None).logits
    p, index = logits.softmax(1).max(1)
    linf, l2 = _distance(picture, view.photo, "RGB" if view.card.channels == 3 else "L")
    file, untouched = (
        Prediction(int(i), view.card.labels[i], float(q)) for q, i in zip(p, index, strict=True)
    )
    met = bool(criterion.met(logits[:1])[0])
    return Verdict(file.label, file.probability, met, linf, l2, untouched.label, untouched.probability)


def _distance(picture: Image.Image, photo: Image.Image, mode: str) -> tuple[float, float]:
    """Return linf and l2 between two pictures of one size, in [0, 1]."""
    before, after = (np.asarray(each.convert(mode), np.float32) for each in (photo, picture))
    difference = after - before
    return float(np.abs(difference).max() / 255), float(np.linalg.norm(difference.ravel()) / 255)


def own_criterion(criterion: Criterion, logits: Tensor) -> Criterion:
    """Return the criterion for a photo seen as the network's own evaluation does: without a target, the class
    to leave is what the network says of that photo; ``logits`` ``(1, classes)``."""
    return criterion if criterion.targeted else Criterion(logits.argmax(1), False)
