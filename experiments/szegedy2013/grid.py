"""Every digit into every other: a 10 x 10 grid of sources and targets (Szegedy et al. 2013, section 4)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

import models
from attacks.contract import Criterion, setting, walk
from attacks.lbfgs import LBFGS
from experiments.cache import Store
from experiments.core import JSON, Experiment, ExperimentCard
from experiments.datasets.digit_sets import digits, source
from experiments.toolkit.image_sheets import png, signed
from experiments.toolkit.intervals import mean

DIGIT_NETWORKS = tuple(card.name for card in models.cards() if card.channels == 1)
GAIN = 0.25
"""The change of a value that is shown black or white in the pictures of changes."""


@dataclass(frozen=True)
class Grid(Experiment):
    """One test digit of each class, which the network reads rightly, taken to each of the nine others by the
    box-constrained L-BFGS attack; ``n`` is the number of pictures that come of it."""

    card: ClassVar[ExperimentCard] = ExperimentCard(
        name="grid",
        title="Every digit into every other",
        question="Can any digit be made into any other without a change that one would notice?",
        paper="Szegedy et al. 2013",
        url="https://arxiv.org/abs/1312.6199",
        source="section 4 (the perturbation can change the prediction arbitrarily)",
    )

    n: int = setting(100, "Pictures", "Ten sources by ten targets.", low=100, high=100)
    model: str = setting("fc100", "Network", "Which network is attacked.", choices=DIGIT_NETWORKS)

    def depends(self) -> JSON:
        """Return where the digits are from and which weights are attacked."""
        return {"digits": source(self.data), "weights": models.card(self.model).weights.sha256}

    def pieces(self) -> list[str]:
        """Return one piece for each source class."""
        return [str(digit) for digit in range(10)]

    def piece(self, name: str, store: Store) -> JSON:
        """Return the index of the source digit and its row of the grid."""
        found, network = digits(self.data), models.load(self.model)
        of_class = (found.test_y == int(name)).nonzero()[:, 0]
        start = torch.randperm(len(of_class), generator=torch.Generator().manual_seed(self.seed))
        tried = of_class[start[:50]]
        right = network(found.test_x[tried]).argmax(1) == int(name)
        index = int(tried[right][0])
        return {"index": index, "cells": row(self.model, found.test_x[index : index + 1])}

    def figures(self, done: Mapping[str, JSON]) -> dict[str, JSON]:
        """Return the rows in order, the mean distortion off the diagonal, and how many were reached."""
        rows = [done[str(digit)] for digit in range(10)]
        moved = [each for line in rows for each in line["cells"] if each["distortion"]]
        return {
            "rows": rows,
            "reached": sum(cell["reached"] for line in rows for cell in line["cells"]),
            "distortion": mean([each["distortion"] for each in moved]),
            "largest": max(each["distortion"] for each in moved),
        }

    def claims(self, figures: Mapping[str, JSON]) -> dict[str, bool]:
        """Return whether all hundred were reached, and by how little."""
        return {
            "Each of the ten digits can be made into each of the nine others.": figures["reached"] == 100,
            "The largest of these changes is below a tenth of the full scale, as the root mean square over "
            "the pixels.": figures["largest"] < 0.1,
        }


def row(model: str, x: Tensor) -> list[dict[str, Any]]:
    """Return the digit ``x`` ``(1, 1, 28, 28)`` taken to each of the ten classes of the network ``model``.

    Each has ``reached``, ``distortion`` (root mean square of the change, 0 where nothing had to change),
    ``probability`` of the target, ``picture`` and ``change`` (PNG in base64; middle grey: unchanged).
    """
    network, target = models.load(model), torch.arange(10)
    start, criterion = x.expand(10, -1, -1, -1), Criterion(target, targeted=True)
    *_, last = walk(LBFGS().search(start, criterion, torch.Generator().manual_seed(0)), network, criterion)
    logits = last.evaluation.logits
    met, probability = criterion.met(logits), logits.softmax(1).diagonal()
    change = last.x - start
    rms = change.flatten(1).norm(dim=1) / math.sqrt(x[0].numel())
    return [
        {
            "reached": bool(met[i]),
            "distortion": round(float(rms[i]), 5),
            "probability": round(float(probability[i]), 4),
            "picture": png(last.x[i, 0]),
            "change": png(signed(change[i, 0], GAIN)),
        }
        for i in range(10)
    ]
