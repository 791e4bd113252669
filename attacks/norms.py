"""Distances between pictures: how far, which way is steepest, and how to stay near.

A norm is an object, so an attack takes one as a setting instead of coming once per norm.
Pictures and perturbations are ``(n, c, h, w)``; sizes and budgets are on the [0, 1] pixel
scale, one per row. Everything is per row: the rows of a batch never mix.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from errors import UnknownName

Measure = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Norm:
    """A norm for which a budget can be kept.

    ``size(delta) -> (n,)``: how large each perturbation is.
    ``steepest(grad)``: the step of size 1 along which a linear function grows most; a row
    whose gradient is zero gets a zero step.
    ``project(x, adv, epsilon)``: ``adv`` brought to within ``epsilon`` of ``x``. Where both
    lie in a box the result does too, so clamp first and project after: the other order
    leaves part of the budget unused wherever pixels saturate.
    ``sample(x, epsilon, rng)``: a picture drawn uniformly from the ball around ``x``, which
    may leave the box. ``rng`` lives on the CPU, so a seed means the same on every device.
    """

    name: str
    size: Measure
    steepest: Measure
    project: Callable[[Tensor, Tensor, float], Tensor]
    sample: Callable[[Tensor, float, torch.Generator], Tensor]


def l0(delta: Tensor) -> Tensor:
    """Return ``(n,)``: how many values (a pixel has one per channel) differ."""
    return delta.flatten(1).ne(0).sum(1).to(delta.dtype)


def l1(delta: Tensor) -> Tensor:
    """Return ``(n,)``: the sum of all changes."""
    return delta.abs().sum(-1).flatten(1).sum(1)


def l2(delta: Tensor) -> Tensor:
    """Return ``(n,)``: the Euclidean length."""
    # One axis at a time: summing 150,000 squares in one go costs float32 more than 1e-6.
    while delta.dim() > 1:
        delta = torch.linalg.vector_norm(delta, dim=-1)
    return delta


def linf(delta: Tensor) -> Tensor:
    """Return ``(n,)``: the largest change of any value."""
    return delta.abs().flatten(1).amax(1)


def _box_project(x: Tensor, adv: Tensor, epsilon: float) -> Tensor:
    return x + (adv - x).clamp(-epsilon, epsilon)


def _box_sample(x: Tensor, epsilon: float, rng: torch.Generator) -> Tensor:
    u = torch.rand(x.shape, generator=rng, dtype=x.dtype)
    return x + epsilon * (2 * u - 1).to(x.device)


def _unit(grad: Tensor) -> Tensor:
    # Squares of gradients below 1e-19 underflow in float32: bring the largest to 1 first.
    top = _wide(linf(grad), grad)
    scaled = grad / torch.where(top > 0, top, 1)
    length = _wide(l2(scaled), grad)
    return scaled / torch.where(length > 0, length, 1)


def _sphere_project(x: Tensor, adv: Tensor, epsilon: float) -> Tensor:
    delta = adv - x
    length = _wide(l2(delta), x)
    return torch.where(length > epsilon, x + delta * (epsilon / length), adv)


def _sphere_sample(x: Tensor, epsilon: float, rng: torch.Generator) -> Tensor:
    direction = _unit(torch.randn(x.shape, generator=rng, dtype=x.dtype))
    volume = torch.rand(len(x), generator=rng, dtype=x.dtype)
    radius = epsilon * volume ** (1 / x[0].numel())
    return x + (_wide(radius, x) * direction).to(x.device)


def _wide(values: Tensor, like: Tensor) -> Tensor:
    return values.view(-1, *[1] * (like.dim() - 1))


LINF = Norm("linf", linf, torch.sign, _box_project, _box_sample)
L2 = Norm("l2", l2, _unit, _sphere_project, _sphere_sample)

SIZES: dict[str, Measure] = {"linf": linf, "l2": l2, "l1": l1, "l0": l0}
"""Every way in which a perturbation is measured, by name."""


def get(name: str) -> Norm:
    """Return the norm called "linf" or "l2", or raise `errors.UnknownName`."""
    known = {norm.name: norm for norm in (LINF, L2)}
    if name not in known:
        raise UnknownName.of("norm", name, known)
    return known[name]
