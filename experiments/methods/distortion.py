"""How far the nearest picture lies that a network answers otherwise, as the L-BFGS attack finds it."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from attacks.contract import Criterion, walk
from attacks.lbfgs import LBFGS

Network = Callable[[Tensor], Tensor]


def distortions(net: Network, x: Tensor, label: Tensor, attack: LBFGS | None = None) -> list[float]:
    """Return the distortion sqrt(sum r^2 / values) of the least change found for each picture.

    ``x``: ``(n, c, h, w)`` in [0, 1], of which ``net`` says ``label`` ``(n,)``. It is infinite where the
    attack found no change; measured as in https://arxiv.org/abs/1312.6199, table 1.
    """
    criterion = Criterion(label, targeted=False)
    *_, last = walk((attack or LBFGS()).search(x, criterion, torch.Generator()), net, criterion)
    size = (last.x - x).flatten(1).norm(dim=1) / math.sqrt(x[0].numel())
    return torch.where(criterion.met(last.evaluation.logits), size, math.inf).tolist()
