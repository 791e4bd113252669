"""How far away the boundary is: along random directions, and along the adversarial one; and how straight a
network is along lines through a picture.

Fawzi, Moosavi-Dezfooli and Frossard, 2016 (arXiv 1608.08967) compare the distances; Goodfellow, Shlens and
Szegedy, 2015 (arXiv 1412.6572, section 9) look along the line of the gradient's sign.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from engine.inside.asking import UNCHANGED, Asker
from engine.inside.plane import SMALLEST
from engine.run import Floats
from errors import BadSetting
from models.core import Classifier

Exact = npt.NDArray[np.float64]
TOGETHER = 16
"""Directions that are followed at the same time."""
HALVINGS = 6
"""Between two lengths of which one is twice the other, so often: to within 1 / 128 of the longer one."""
MOST = 400
"""Directions at most."""


@dataclass(frozen=True)
class Distance:
    """How far the boundary is along one direction: ``length``, the l2 of the clipped perturbation there, None
    where the class stays the same to the end of [0, 1]; ``label``: the class behind it. ``direction``: its
    number, -1 for the adversarial one. ``asked``: pictures so far."""

    direction: int
    length: float | None
    label: int | None
    asked: int


@dataclass(frozen=True)
class Searching:
    """Nothing new yet. ``asked``: pictures so far."""

    asked: int


@dataclass(frozen=True)
class Distances:
    """Searches for the boundary from ``start`` ``(c, h, w)`` in [0, 1] along ``delta``, the adversarial
    direction, and ``count`` random ones: half of them normal (``seed``), the others their opposites.

    Lengths are doubled until the class changes, from the adversarial one on, and halved; a probe that yields
    a `Distance` for each direction, `Searching` in between. All pictures are clipped to [0, 1].
    """

    start: Floats
    delta: Floats
    seed: int = 0
    count: int = 200

    def __post_init__(self) -> None:
        if not 2 <= self.count <= MOST or self.count % 2:
            raise BadSetting(
                "Expected an even number of directions from 2 to {most}, got {count}.",
                most=MOST,
                count=self.count,
            )
        _moved(self.delta)

    def pieces(self, network: Classifier) -> Iterator[Distance | Searching]:
        """Yield the adversarial direction's distance, then the random ones' as they come."""
        asker, length = Asker(network), _moved(self.delta)
        start, delta = torch.from_numpy(self.start), torch.from_numpy(self.delta)
        own = int(asker.logits(start[None]).argmax())
        yield from _search(asker, start, (delta / length)[None], own, length / 8, [-1])
        noise = torch.Generator().manual_seed(self.seed)
        for first in range(0, self.count, TOGETHER):
            pairs = min(TOGETHER, self.count - first) // 2
            normal = torch.randn((pairs, *start.shape), generator=noise)
            unit = normal / normal.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
            directions = torch.stack([unit, -unit], 1).flatten(0, 1)
            numbers = list(range(first, first + 2 * pairs))
            yield from _search(asker, start, directions, own, length, numbers)


def _moved(delta: Floats) -> float:
    length = float(np.linalg.norm(delta.astype(np.float64)))
    if length < SMALLEST:
        raise BadSetting(UNCHANGED)
    return length


def _search(
    asker: Asker, start: Tensor, directions: Tensor, own: int, first: float, numbers: list[int]
) -> Iterator[Distance | Searching]:
    """Yield where the class is no longer ``own`` along unit ``directions`` ``(n, c, h, w)``, ``first`` being
    the shortest length that is tried."""
    farthest = math.sqrt(start.numel())
    low, high = torch.zeros(len(directions)), torch.full((len(directions),), first)
    labels = torch.full((len(directions),), own)
    while True:
        open_ = ((labels == own) & (high < 2 * farthest)).nonzero().ravel()
        if not len(open_):
            break
        for batch in asker.batches(len(open_)):
            rows = open_[batch]
            labels[rows] = asker.logits(_along(start, directions[rows], high[rows])).argmax(1)
            yield Searching(asker.asked)
        same = labels == own
        low, high = torch.where(same, high, low), torch.where(same, 2 * high, high)
    crossed = (labels != own).nonzero().ravel()
    for _ in range(HALVINGS if len(crossed) else 0):
        for batch in asker.batches(len(crossed)):
            rows = crossed[batch]
            middle = (low[rows] + high[rows]) / 2
            answers = asker.logits(_along(start, directions[rows], middle)).argmax(1)
            labels[rows] = torch.where(answers == own, labels[rows], answers)
            low[rows] = torch.where(answers == own, middle, low[rows])
            high[rows] = torch.where(answers == own, high[rows], middle)
            yield Searching(asker.asked)
    lengths = (_along(start, directions, (low + high) / 2) - start).flatten(1).norm(dim=1).tolist()
    for number, length, label in zip(numbers, lengths, labels.tolist(), strict=True):
        crossed_there = label != own
        yield Distance(
            number, length if crossed_there else None, label if crossed_there else None, asker.asked
        )


def _along(start: Tensor, directions: Tensor, lengths: Tensor) -> Tensor:
    return (start + lengths.view(-1, 1, 1, 1) * directions).clamp(0, 1)


LINES = ("adversarial", "sign")
POINTS = 41
FROM, TO = -1.0, 2.0
"""The ends of a line, as multiples of the adversarial perturbation's l2."""


@dataclass(frozen=True)
class Along:
    """What the network says on a line: ``line``, one of `LINES`; ``at``: signed l2 from the picture,
    ``losses``: cross-entropy of the picture's class, in nats; ``margins``: logit of the adversarial's class
    less that of the picture's; ``clipped``: shares of values in [0, 1] that were clipped."""

    line: str
    at: tuple[float, ...]
    losses: tuple[float, ...]
    margins: tuple[float, ...]
    clipped: tuple[float, ...]


@dataclass(frozen=True)
class Straightness:
    """How straight a line is: the share of the variance, in [0, 1], that the best straight line explains
    (R^2), of the loss and of the margin; ``other``: the class of the margin beside the picture's, ``own``."""

    line: str
    loss: float
    margin: float
    own: int
    other: int


@dataclass(frozen=True)
class Lines:
    """Follows the loss from ``start`` ``(c, h, w)`` in [0, 1] along ``delta`` and along the sign of the
    loss's gradient, both from `FROM` to `TO` times the l2 of ``delta``; a probe that yields `Along`, and
    at the end of each line its `Straightness`. All pictures are clipped to [0, 1]."""

    start: Floats
    delta: Floats

    def pieces(self, network: Classifier) -> Iterator[Along | Straightness]:
        """Yield the points of the adversarial line, then those of the sign's."""
        length, asker = _moved(self.delta), Asker(network)
        start, delta = torch.from_numpy(self.start), torch.from_numpy(self.delta)
        pair = asker.logits(torch.stack([start, (start + delta).clamp(0, 1)]))
        own = int(pair[0].argmax())
        other = int(pair[1].index_fill(0, torch.tensor([own]), -math.inf).argmax())
        sign = loss_gradient(network, start, own).sign()
        for line, direction in zip(LINES, (delta, sign), strict=True):
            unit = direction / max(float(direction.norm()), SMALLEST)
            yield from self._line(asker, line, unit, length, (own, other))

    def _line(
        self, asker: Asker, line: str, unit: Tensor, length: float, pair: tuple[int, int]
    ) -> Iterator[Along | Straightness]:
        at = torch.linspace(FROM * length, TO * length, POINTS)
        rows: list[Along] = []
        for batch in asker.batches(POINTS):
            x = torch.from_numpy(self.start) + at[batch].view(-1, 1, 1, 1) * unit
            logits = asker.logits(x.clamp(0, 1))
            losses = functional.cross_entropy(logits, torch.full((len(x),), pair[0]), reduction="none")
            clipped = ((x < 0) | (x > 1)).flatten(1).float().mean(1)
            margins = logits[:, pair[1]] - logits[:, pair[0]]
            numbers = (tuple(values.tolist()) for values in (at[batch], losses, margins, clipped))
            rows.append(Along(line, *numbers))
            yield rows[-1]
        places = np.array([place for row in rows for place in row.at])
        fits = [np.array([v for row in rows for v in values(row)]) for values in (_losses, _margins)]
        yield Straightness(line, straightness(places, fits[0]), straightness(places, fits[1]), *pair)


def _losses(row: Along) -> tuple[float, ...]:
    return row.losses


def _margins(row: Along) -> tuple[float, ...]:
    return row.margins


def loss_gradient(network: Classifier, x: Tensor, label: int) -> Tensor:
    """Return the gradient ``(c, h, w)``, on the CPU, of the cross-entropy of class ``label`` at ``x``
    ``(c, h, w)`` in [0, 1]."""
    device = network.mean.device
    point = x[None].detach().clone().to(device).requires_grad_()
    with torch.enable_grad():
        loss = functional.cross_entropy(network(point), torch.tensor([label], device=device))
        (gradient,) = torch.autograd.grad(loss, point)
    return gradient[0].cpu()


def straightness(x: Exact, y: Exact) -> float:
    """Return the share of the variance of ``y`` ``(n,)`` that the best straight line over ``x`` ``(n,)``
    explains, in [0, 1]; 1 where ``y`` does not vary."""
    total = float(((y - y.mean()) ** 2).sum())
    if total < 1e-12:
        return 1.0
    slope, offset = np.polyfit(x, y, 1)
    rest = float(((y - slope * x - offset) ** 2).sum())
    return max(0.0, 1 - rest / total)
