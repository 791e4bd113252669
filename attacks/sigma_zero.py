"""Cinà et al.: σ-zero: Gradient-based Optimization of l0-norm Adversarial Examples. https://arxiv.org/abs/2402.01879."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor

from attacks.carlini_wagner import Adam
from attacks.contract import Attack, AttackCard, Criterion, Query, Search
from attacks.settings import setting
from attacks.toolkit import norms
from attacks.toolkit.batch import wide
from attacks.toolkit.best_so_far import Smallest
from attacks.toolkit.constant_search import shortfall


@dataclass(frozen=True)
class SigmaZero(Attack):
    """Descends on the margin, while there is one, plus a smooth count of changed values, and drops the
    changes below a threshold that rises after a success and falls after a failure (algorithm 1).

    The gradient is divided by its largest value and followed by Adam, as the authors' own program
    does (``adam`` off: by itself, as algorithm 1 is printed), with a rate that falls along a cosine
    to a tenth. The paper has no targets; with one, the margin is the target's.
    """

    card: ClassVar[AttackCard] = AttackCard(
        name="sigma_zero",
        title="σ-zero",
        summary="As few changed values as can be, by following a smooth stand-in for their number.",
        paper="σ-zero: Gradient-based Optimization of l0-norm Adversarial Examples",
        url="https://arxiv.org/abs/2402.01879",
        year=2024,
        access="white-box",
        kind="minimal",
        rule=r"\min_\delta\ \max(-\mathrm{margin}(x + \delta), 0) + \frac1d \sum_i "
        r"\frac{\delta_i^2}{\delta_i^2 + \sigma},\qquad \delta_i \leftarrow 0 \text{ if } |\delta_i| < \tau",
        use="The smallest number of changed values among attacks that follow gradients.",
    )

    steps: int = setting(
        200, "Steps", "How often the gradient is followed.", low=0, high=10_000, soft_high=1000, main=True
    )
    step_size: float = setting(
        1.0, "Step size", "The first and largest step of any value.", low=0.001, high=1, step=0.01, main=True
    )
    sigma: float = setting(
        0.001, "Smoothness σ", "Squared change that counts half.", low=1e-6, high=1, soft_high=0.1, step=0.001
    )
    threshold: float = setting(
        0.3, "First threshold τ", "Changes below it are dropped, at first.", low=0, high=1, step=0.01
    )
    threshold_rate: float = setting(
        0.01, "Threshold's rate", "How fast it rises and falls, per step size.", low=0, high=1, soft_high=0.1
    )
    adam: bool = setting(
        True, "Adam", "Follow the gradient by Adam, or, off, the plain gradient as in the paper's listing."
    )

    def search(self, x: Tensor, criterion: Criterion, rng: torch.Generator) -> Search:
        """Yield ``x``, one picture a step, and last the one with the fewest changes; see `Attack.search`."""
        lack, best, adam = partial(shortfall, criterion, 0.0), Smallest(x), Adam(1.0)
        delta, threshold = torch.zeros_like(x), x.new_full((len(x),), self.threshold)
        answer = yield Query(x, lack if self.steps else None)
        for step in range(self.steps):
            fooled = criterion.met(answer.logits)
            best.see(x + delta, norms.l0(delta), fooled)
            grad = largest_to_one(answer.gradient + count_slope(delta, self.sigma))
            delta = delta - self.rate(max(step - 1, 0)) * (adam.step(grad) if self.adam else grad)
            delta = (x + delta).clamp(0, 1) - x
            turn = self.threshold_rate * self.rate(step)
            threshold = torch.where(fooled, threshold + turn, threshold - turn).clamp(0, 1)
            delta = torch.where(delta.abs() < wide(threshold, x), 0, delta)
            if step < self.steps - 1:
                answer = yield Query(x + delta, lack)
        if self.steps:
            yield Query(best.otherwise(x + delta), None)

    def rate(self, step: int) -> float:
        """Return the step size after ``step`` steps: from the first to a tenth of it along a cosine."""
        return self.step_size * (0.1 + 0.9 * (1 + math.cos(math.pi * step / self.steps)) / 2)

    def updates(self) -> int:
        """Return the number of steps."""
        return self.steps


def count_slope(delta: Tensor, sigma: float) -> Tensor:
    """Return the gradient of the share of values that changed, counted smoothly (equation 4):
    the mean of ``delta^2 / (delta^2 + sigma)``.
    """
    return 2 * delta * sigma / (delta**2 + sigma) ** 2 / delta[0].numel()


def largest_to_one(grad: Tensor) -> Tensor:
    """Return each row divided by its largest absolute value; zeros stay zeros."""
    return grad / wide(norms.linf(grad), grad).clamp(min=1e-12)
