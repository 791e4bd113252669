"""How much the network's resistance weighs against the distance: searched for, picture by picture."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from attacks.contract import Criterion


def shortfall(criterion: Criterion, confidence: float, logits: Tensor) -> Tensor:
    """Return ``(n,)``: how far the margin is from ``confidence``, 0 once it is reached (f6 in Carlini and
    Wagner 2016, section 5.1).
    """
    return (confidence - criterion.margin(logits)).clamp(min=0)


class Weight:
    """The weight ``c`` ``(n,)`` of the shortfall: tenfold until an attack succeeds, then halfway between
    the largest that failed and the smallest that succeeded (Carlini and Wagner 2016, section 6.1).
    """

    def __init__(self, c: Tensor) -> None:
        self.c = c
        self._failed = torch.zeros_like(c)
        self._succeeded = torch.full_like(c, math.inf)

    def adjust(self, success: Tensor) -> None:
        """Take up whether the attack with the present weight succeeded, ``(n,)``."""
        self._succeeded = torch.where(success, self.c, self._succeeded)
        self._failed = torch.where(success, self._failed, self.c)
        between = (self._failed + self._succeeded) / 2
        self.c = torch.where(between.isfinite(), between, self.c * 10)


class Patience:
    """When to give up: a row whose loss has not fallen by 0.01 % since a tenth of the steps before."""

    def __init__(self, steps: int, endless: bool) -> None:
        self._every = math.ceil(steps / 10)
        self._endless = endless
        self._asked = 0

    def left(self, loss: Tensor) -> Tensor:
        """Return, given the rows' present loss ``(n,)``, which of them are to go on."""
        if not self._asked:
            self._going, self._last = torch.ones_like(loss, dtype=torch.bool), loss
        elif not self._endless and self._asked % self._every == 0:
            self._going = self._going & (loss <= 0.9999 * self._last)
            self._last = loss
        self._asked += 1
        return self._going
