"""Which images of a batch a network still names rightly while PGD tries."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from attacks.contract import Criterion, walk
from attacks.pgd import PGD


def withstands(
    model: Callable[[Tensor], Tensor],
    x: Tensor,
    labels: Tensor,
    epsilon: float,
    steps: int,
    rng: torch.Generator,
) -> Tensor:
    """Return for each image of ``x`` ``(n, c, h, w)`` in [0, 1] whether ``model``, which gives logits, says
    its label at first, and still at every of ``steps`` of PGD within ``epsilon`` (linf, random start drawn
    from ``rng``, steps of a quarter of ``epsilon``): booleans ``(n, 2)``."""
    attack = PGD(epsilon=epsilon, step_size=epsilon / 4, steps=steps, random_start=True)
    criterion = Criterion(labels, targeted=False)
    trajectory = walk(attack.search(x, criterion, rng), model, criterion)
    right = torch.stack([step.evaluation.logits.argmax(1) == labels for step in trajectory])
    return torch.stack([right[0], right.all(0)], 1)
