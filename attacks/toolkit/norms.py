"""Distances between pictures: how far, which way is steepest, and how to stay near.

A norm is an object, so an attack takes one as a setting instead of coming once per norm.
Pictures and perturbations are ``(n, c, h, w)``; sizes and budgets are on the [0, 1] pixel
scale, one per row. Everything is per row: the rows of a batch never mix.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from attacks.settings import Range
from attacks.toolkit.batch import wide
from errors import UnknownName

Measure = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Facts:
    """What people are shown of a norm, and the numbers that settings offer for it.

    ``title``: what it measures, in words. ``epsilon`` and ``step_size``: default and range of a budget and of
    a step. ``visible``: the size from which a change of a photo is plain to see. ``of_all(values)``: the size
    of a change by 1 of each of so many values. ``usual`` and ``budgets``: a comparison's first budget and the
    budgets of its curve, none where comparisons do not offer the norm.
    """

    title: str
    epsilon: Range
    step_size: Range
    visible: float
    of_all: Callable[[int], float]
    usual: float = 0.0
    budgets: tuple[float, ...] = ()

    def text(self, size: float) -> str:
        """Return a size as it is written: in grey levels of 255, or as it is."""
        if self.epsilon.unit == "level":
            return f"{255 * size:.3g}/255"
        return f"{size:,.3g}" if size < 1000 else f"{size:,.0f}"


@dataclass(frozen=True)
class Distance:
    """How far a perturbation goes, and its name in settings, addresses and tables.

    ``size(delta) -> (n,)``: how large each perturbation is.
    ``dual(grad) -> (n,)``: how much a linear function of that gradient grows by a change of size 1; under l0,
    by a change of one value by 1.
    """

    name: str
    size: Measure
    dual: Measure


@dataclass(frozen=True)
class Norm(Distance):
    """A norm for which a budget can be kept.

    ``steepest(grad)``: the step of size 1 along which a linear function grows most; a row
    whose gradient is zero gets a zero step.
    ``ascent_step(adv, grad, size)``: ``adv`` in [0, 1] after a step of that size up the gradient, clamped
    to [0, 1]. Under l1 it spends the whole size on values that have room to move (see `_fill`).
    ``project(x, adv, epsilon)``: ``adv`` brought to within ``epsilon`` of ``x``. Where both
    lie in a box the result does too, so clamp first and project after: the other order
    leaves part of the budget unused wherever pixels saturate.
    ``sample(x, epsilon, rng)``: a picture drawn uniformly from the ball around ``x``, which
    may leave the box. ``rng`` lives on the CPU, so a seed means the same on every device.
    """

    steepest: Measure
    ascent_step: Callable[[Tensor, Tensor, float | Tensor], Tensor]
    project: Callable[[Tensor, Tensor, float], Tensor]
    sample: Callable[[Tensor, float, torch.Generator], Tensor]
    facts: Facts

    def random_start(self, x: Tensor, epsilon: float, rng: torch.Generator) -> Tensor:
        """Return a random picture in [0, 1] within ``epsilon`` of ``x``."""
        return self.project(x, self.sample(x, epsilon, rng).clamp(0, 1), epsilon)


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


def exact(values: Tensor) -> Tensor:
    """Return ``values`` in float64, in which long sums are exact enough, where the device has that type."""
    return values if values.device.type == "mps" else values.double()


def _sign_step(adv: Tensor, grad: Tensor, size: float | Tensor) -> Tensor:
    return (adv + size * grad.sign()).clamp(0, 1)


def _box_project(x: Tensor, adv: Tensor, epsilon: float) -> Tensor:
    return x + (adv - x).clamp(-epsilon, epsilon)


def _box_sample(x: Tensor, epsilon: float, rng: torch.Generator) -> Tensor:
    u = torch.rand(x.shape, generator=rng, dtype=x.dtype)
    return x + epsilon * (2 * u - 1).to(x.device)


def _unit(grad: Tensor) -> Tensor:
    # Squares of gradients below 1e-19 underflow in float32: bring the largest to 1 first.
    top = wide(linf(grad), grad)
    scaled = grad / torch.where(top > 0, top, 1)
    length = wide(l2(scaled), grad)
    return scaled / torch.where(length > 0, length, 1)


def _unit_step(adv: Tensor, grad: Tensor, size: float | Tensor) -> Tensor:
    return (adv + size * _unit(grad)).clamp(0, 1)


def _sphere_project(x: Tensor, adv: Tensor, epsilon: float) -> Tensor:
    delta = adv - x
    length = wide(l2(delta), x)
    return torch.where(length > epsilon, x + delta * (epsilon / length), adv)


def _sphere_sample(x: Tensor, epsilon: float, rng: torch.Generator) -> Tensor:
    direction = _unit(torch.randn(x.shape, generator=rng, dtype=x.dtype))
    volume = torch.rand(len(x), generator=rng, dtype=x.dtype)
    radius = epsilon * volume ** (1 / x[0].numel())
    return x + (wide(radius, x) * direction).to(x.device)


def _largest(grad: Tensor) -> Tensor:
    flat = grad.flatten(1)
    top = flat.abs().argmax(1, keepdim=True)
    return torch.zeros_like(flat).scatter(1, top, flat.gather(1, top).sign()).view_as(grad)


def _fill(adv: Tensor, grad: Tensor, size: float | Tensor) -> Tensor:
    """Return ``adv`` after the best step of l1 size ``size`` that stays in [0, 1].

    The largest gradient's value goes as far as the box lets it, then the next largest, until the size
    is spent: the steepest step in l1 ball and box of Croce and Hein 2021
    (https://arxiv.org/abs/2103.01208). The sparse step of Tramer and Boneh 2019 gives each of a fixed
    share of all values the same instead, saturated ones included.
    """
    flat, slope = exact(adv.flatten(1)), grad.flatten(1)
    room = torch.where(slope > 0, 1 - flat, flat) * slope.ne(0)
    order = slope.abs().sort(dim=1, descending=True, stable=True).indices
    sorted_room = room.gather(1, order)
    spent = sorted_room.cumsum(1) - sorted_room
    budget = torch.as_tensor(size, dtype=room.dtype, device=room.device).reshape(-1, 1)
    share = (budget - spent).clamp(min=0).minimum(sorted_room)
    move = torch.zeros_like(room).scatter(1, order, share) * slope.sign()
    return (flat + move).to(adv.dtype).view_as(adv).clamp(0, 1)


def _diamond_project(x: Tensor, adv: Tensor, epsilon: float) -> Tensor:
    # Duchi et al. 2008, figure 1: all sizes shrink by the one theta that leaves epsilon in all.
    delta = exact(adv.flatten(1)) - exact(x.flatten(1))
    sizes = delta.abs()
    top = sizes.sort(dim=1, descending=True).values
    excess = top.cumsum(1) - epsilon
    rank = torch.arange(1, top.shape[1] + 1, device=top.device)
    rho = (top * rank > excess).sum(1, keepdim=True).clamp(min=1)
    theta = excess.gather(1, rho - 1) / rho
    near = _towards(x, (delta.sign() * (sizes - theta).clamp(min=0)).view_as(x))
    return torch.where(wide(sizes.sum(1) > epsilon, x), near, adv)


def _diamond_sample(x: Tensor, epsilon: float, rng: torch.Generator) -> Tensor:
    # Spacings of exponentials are uniform on the simplex; the last one is the distance to the surface.
    sizes = -torch.rand(len(x), x[0].numel() + 1, generator=rng, dtype=x.dtype).neg().log1p()
    sign = 2 * torch.randint(2, x.shape, generator=rng).to(x.dtype) - 1
    share = sizes[:, :-1] / sizes.sum(1, keepdim=True)
    return _towards(x, (epsilon * share.view_as(sign) * sign).to(x.device))


def _towards(x: Tensor, delta: Tensor) -> Tensor:
    """Return ``x + delta`` in the type of ``x``, each value rounded towards ``x``: 150,000 values
    rounded to the nearest may together overrun an l1 budget."""
    change = exact(delta)
    end = (exact(x) + change).to(x.dtype)
    beyond = (exact(end) - exact(x)).abs() > change.abs()
    return torch.where(beyond, torch.nextafter(end, x), end)


LINF = Norm(
    "linf",
    linf,
    l1,
    torch.sign,
    _sign_step,
    _box_project,
    _box_sample,
    Facts(
        title="largest change (linf)",
        epsilon=Range(8 / 255, 0, 1, 64 / 255, 0.25 / 255, "level"),
        step_size=Range(1 / 255, 0, 1, 16 / 255, 0.05 / 255, "level"),
        visible=32 / 255,
        of_all=lambda values: 1.0,
        usual=4 / 255,
        budgets=tuple(k / 255 for k in (0.25, 0.5, 1, 2, 3, 4, 6, 8, 12, 16)),
    ),
)
L2 = Norm(
    "l2",
    l2,
    l2,
    _unit,
    _unit_step,
    _sphere_project,
    _sphere_sample,
    Facts(
        title="total change (l2)",
        epsilon=Range(3, 0, 1000, 20, 0.05, "distance"),
        step_size=Range(0.2, 0, 1000, 5, 0.01, "distance"),
        visible=20.0,
        of_all=math.sqrt,
        usual=1.5,
        budgets=(0.1, 0.2, 0.4, 0.7, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0),
    ),
)
L1 = Norm(
    "l1",
    l1,
    linf,
    _largest,
    _fill,
    _diamond_project,
    _diamond_sample,
    Facts(
        title="sum of all changes (l1)",
        epsilon=Range(60, 0, 100_000, 500, 0.5, "distance"),
        step_size=Range(6, 0, 100_000, 50, 0.1, "distance"),
        visible=2000.0,
        of_all=float,
    ),
)
L0 = Distance("l0", l0, linf)
NORMS = {norm.name: norm for norm in (LINF, L2, L1)}
"""Every norm in which a budget can be kept, by name, in the order in which they are shown."""

DISTANCES: dict[str, Distance] = {distance.name: distance for distance in (*NORMS.values(), L0)}
"""Every way in which a perturbation is measured, by name."""
SIZES = {name: distance.size for name, distance in DISTANCES.items()}


def get(name: str) -> Norm:
    """Return the norm called "linf", "l2" or "l1", or raise `errors.UnknownName`."""
    if name not in NORMS:
        raise UnknownName.of("norm", name, NORMS)
    return NORMS[name]


def names(*distances: Distance) -> tuple[str, ...]:
    """Return the names of distances, for a setting that lets a person choose among them."""
    return tuple(distance.name for distance in distances)


def budgets(*norms: Norm) -> dict[str, Range]:
    """Return default and range of a budget for each of the norms (all of them by default), by name."""
    return {norm.name: norm.facts.epsilon for norm in norms or NORMS.values()}


def step_sizes(*norms: Norm) -> dict[str, Range]:
    """Return default and range of a step for each of the norms (all of them by default), by name."""
    return {norm.name: norm.facts.step_size for norm in norms or NORMS.values()}
