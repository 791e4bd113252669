"""The smallest adversarial picture of each row: what an attack that minimises a distance looks for."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from attacks.toolkit.batch import wide


class Smallest:
    """What was seen so far: ``adv``, one picture per row, and its ``size`` ``(n,)``, infinite where
    no adversarial picture was seen yet, as at first, where no ``size`` is given.
    """

    def __init__(self, adv: Tensor, size: Tensor | None = None) -> None:
        self.adv = adv
        self.size = adv.new_full((len(adv),), math.inf) if size is None else size

    def see(self, adv: Tensor, size: Tensor, fooled: Tensor) -> None:
        """Keep those rows of ``adv`` that are ``fooled`` ``(n,)`` at a smaller ``size`` ``(n,)``."""
        better = fooled & (size < self.size)
        self.adv = torch.where(wide(better, adv), adv, self.adv)
        self.size = torch.where(better, size, self.size)

    def found(self) -> Tensor:
        """Return ``(n,)`` booleans: an adversarial picture was seen."""
        return self.size.isfinite()

    def otherwise(self, last: Tensor) -> Tensor:
        """Return the smallest adversarial pictures, and ``last`` in the rows that have none."""
        return torch.where(wide(self.found(), last), self.adv, last)
