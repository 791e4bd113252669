"""Asking a network about many pictures in batches that are short enough for a piece of a probe."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from engine.inside.pace import Pace
from models.core import Classifier, fitted

FIRST, MOST = 4, 64
"""Pictures in the first batch, and at most."""
UNCHANGED = "At this step the picture has not changed yet: move to a later one."
"""The refusal of what is about a perturbation where there is none."""


class Asker:
    """Asks ``network`` in batches whose size follows from how long the last one took."""

    def __init__(self, network: Classifier) -> None:
        self.network, self.asked, self._pace = network, 0, Pace(MOST, FIRST)

    def batches(self, count: int) -> Iterator[slice]:
        """Yield the slices of ``count`` pictures, batch by batch."""
        return self._pace.parts(count)

    def logits(self, x: Tensor) -> Tensor:
        """Return the logits ``(n, classes)``, on the CPU, of pictures ``(n, c, h, w)`` in [0, 1] of any size:
        they are resized to the network's own (`models.core.fitted`)."""
        with self._pace.piece(len(x)), torch.inference_mode():
            logits = self._pace.in_parts(self._ask, x)
        self.asked += len(x)
        return logits

    def _ask(self, x: Tensor) -> Tensor:
        pictures = fitted(x, self.network.card.size).to(self.network.mean.device)
        answers: Tensor = self.network(pictures.contiguous(memory_format=torch.channels_last))
        return answers.float().cpu()
