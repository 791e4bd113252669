"""Asking a network about many pictures in batches that are short enough for a piece of a probe."""

from __future__ import annotations

import time
from collections.abc import Iterator

import torch
from torch import Tensor

from models.core import Classifier, fitted

PIECE = 0.15
"""Seconds that one batch is to take."""
FIRST, MOST = 4, 64
"""Pictures in the first batch, and at most."""


class Asker:
    """Asks ``network`` in batches whose size follows from how long the last one took."""

    def __init__(self, network: Classifier) -> None:
        self.network, self.rows, self.asked = network, FIRST, 0

    def batches(self, count: int) -> Iterator[slice]:
        """Yield the slices of ``count`` pictures, batch by batch."""
        start = 0
        while start < count:
            stop = min(start + self.rows, count)
            yield slice(start, stop)
            start = stop

    def logits(self, x: Tensor) -> Tensor:
        """Return the logits ``(n, classes)``, on the CPU, of pictures ``(n, c, h, w)`` in [0, 1] of any size:
        they are resized to the network's own (`models.core.fitted`)."""
        started = time.perf_counter()
        with torch.inference_mode():
            pictures = fitted(x, self.network.card.size).to(self.network.mean.device)
            logits: Tensor = (
                self.network(pictures.contiguous(memory_format=torch.channels_last)).float().cpu()
            )
        self.asked += len(x)
        row = (time.perf_counter() - started) / len(x)
        self.rows = int(min(max(PIECE / max(row, 1e-9), 1), 2 * len(x), MOST)) or 1
        return logits
