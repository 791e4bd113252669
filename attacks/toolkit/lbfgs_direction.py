"""Byrd, Lu, Nocedal, Zhu: A Limited Memory Algorithm for Bound Constrained Optimization, one problem a row.

https://doi.org/10.1137/0916069. Not an attack: what `attacks.lbfgs` minimises with. Pictures are
flat here, ``(n, d)``; a number per row is ``(n, 1)``. Rows never mix.
"""

from __future__ import annotations

import torch
from torch import Tensor

ARMIJO = 1e-4
"""The part of the promised decrease that a step must bring."""
RESIDUAL = 3e-4
"""A row is at its minimum when its projected gradient is this part of the distance's own gradient."""


class Pairs:
    """The last ``size`` steps of each row, and how the loss's gradient changed along them."""

    def __init__(self, like: Tensor, size: int) -> None:
        self._steps = like.new_zeros(size, *like.shape)
        self._changes = self._steps.clone()
        self._next = torch.zeros(len(like), dtype=torch.long, device=like.device)

    def add(self, rows: Tensor, step: Tensor, change: Tensor) -> None:
        """Remember ``step`` and ``change`` ``(n, d)`` for ``rows`` ``(n, 1)``, in place of the oldest."""
        which = rows[:, 0].nonzero()[:, 0]
        slot = self._next[which]
        self._steps[slot, which], self._changes[slot, which] = step[which], change[which]
        self._next[which] = (slot + 1) % len(self._steps)

    def towards(self, rows: Tensor, grad: Tensor, free: Tensor, curvature: Tensor, plain: Tensor) -> Tensor:
        """Return minus the inverse Hessian times ``grad``, of the ``free`` values: the two loops.

        ``rows`` ``(k,)``: of which rows the other arguments speak. ``curvature`` ``(k, 1)``: what the
        distance adds to the loss's own Hessian, known exactly. ``plain`` ``(k, 1)``: the length of a
        gradient step, for rows that remember nothing.
        """
        ahead, scale, loops = grad * free, plain, []
        for age in range(len(self._steps)):
            slot = (self._next[rows] - 1 - age) % len(self._steps)
            step = self._steps[slot, rows] * free
            change = self._changes[slot, rows] * free + curvature * step
            along, size = dot(step, change), dot(change, change)
            curved = along > 1e-8 * size
            inverse = torch.where(curved, 1 / along, 0)
            scale = torch.where(curved, along / size, scale) if age == 0 else scale
            part = inverse * dot(step, ahead)
            ahead = ahead - part * change
            loops.append((step, change, inverse, part))
        ahead = scale * ahead
        for step, change, inverse, part in reversed(loops):
            ahead = ahead + (part - inverse * dot(change, ahead)) * step
        return -ahead


class Descent:
    """Minimises ``c |z - x|^2 + loss(z)`` over z in [0, 1], from z = x, told one loss and slope at a time.

    ``c`` ``(n, 1)`` may be changed at any time, followed by `turn`: what was learnt about the
    loss stays true.
    """

    def __init__(self, x: Tensor, loss: Tensor, slope: Tensor, c: Tensor, memory: int) -> None:
        self.x, self.at, self.loss, self.slope, self.c = x, x, loss, slope, c
        self.pairs = Pairs(x, memory)
        self.way, self.reach = torch.zeros_like(x), torch.ones_like(c)
        self.stuck = torch.zeros_like(c, dtype=torch.bool)
        self.turn(~self.stuck)

    def gradient(self) -> Tensor:
        """Return the gradient of the whole objective at the current point, ``(n, d)``."""
        return 2 * self.c * (self.at - self.x) + self.slope

    def free(self) -> Tensor:
        """Return the values that may follow minus the gradient, not held by the box: ``(n, d)``."""
        grad = self.gradient()
        return ~(((self.at <= 0) & (grad > 0)) | ((self.at >= 1) & (grad < 0)))

    def settled(self) -> Tensor:
        """Return the rows ``(n, 1)`` at their minimum: |projected gradient| <= RESIDUAL |2 c (z - x)|."""
        grad = self.gradient()
        left = (grad * self.free()).norm(dim=1, keepdim=True)
        pull = (2 * self.c * (self.at - self.x)).norm(dim=1, keepdim=True)
        small: Tensor = left <= RESIDUAL * pull
        return small | self.stuck

    def turn(self, rows: Tensor) -> None:
        """Aim anew in ``rows`` ``(n, 1)``, whose point or ``c`` is another than before."""
        which = rows[:, 0].nonzero()[:, 0]
        at, c, grad = self.at[which], self.c[which], self.gradient()[which]
        free = self.free()[which]
        length = (grad * free).norm(dim=1, keepdim=True)
        plain = torch.minimum(0.5 / c, 1 / length.clamp(min=1e-30))
        direction = self.pairs.towards(which, grad, free, 2 * c, plain)
        down = dot(grad, (at + direction).clamp(0, 1) - at) < 0
        self.way = self.way.index_copy(0, which, torch.where(down, direction, -plain * grad * free))
        self.reach = torch.where(rows, 1, self.reach)
        self.stuck = self.stuck & ~rows

    def trial(self) -> Tensor:
        """Return the point to ask about, ``(n, d)`` in [0, 1]."""
        return (self.at + self.reach * self.way).clamp(0, 1)

    def hear(self, trial: Tensor, loss: Tensor, slope: Tensor) -> Tensor:
        """Go to ``trial`` where that is enough of a descent, or plan a shorter step; return where it is."""
        step = trial - self.at
        promised = dot(self.gradient(), step)
        gained = self._value(trial, loss) - self._value(self.at, self.loss)
        fine = gained <= ARMIJO * promised
        self.pairs.add(fine, step, slope - self.slope)
        part = (-promised / (2 * (gained - promised))).nan_to_num(0.1).clamp(0.1, 0.5)
        self.reach = torch.where(fine, self.reach, part * self.reach)
        self.stuck = ~fine & (self.reach < 1e-5)
        self.at, self.slope = torch.where(fine, trial, self.at), torch.where(fine, slope, self.slope)
        self.loss = torch.where(fine, loss, self.loss)
        return fine

    def _value(self, at: Tensor, loss: Tensor) -> Tensor:
        return self.c * dot(at - self.x, at - self.x) + loss


def dot(a: Tensor, b: Tensor) -> Tensor:
    """Return the inner products of rows, ``(n, 1)``."""
    return (a * b).sum(1, keepdim=True)
