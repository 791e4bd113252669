"""Andriushchenko et al.: Square Attack, a Query-Efficient Black-Box Attack via Random Search. https://arxiv.org/abs/1912.00049."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from attacks.contract import Attack, AttackCard, Criterion, Query, Search
from attacks.random_noise import reach
from attacks.settings import Range, setting
from attacks.toolkit import norms
from attacks.toolkit.batch import choose, wide

HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
"""After which of 10,000 queries the share of the picture that changes is halved (section 5)."""


@dataclass(frozen=True)
class Square(Attack):
    """Random search: change one square, keep it if the score improves (algorithm 1).

    Changes are always as large as the budget lets them be: every value in the square by the whole
    ``epsilon`` up or down (linf, algorithm 2), or the length that other squares leave unused, and that of
    a second square, moved into the first one (l2, algorithm 3). The score is the margin, or the
    cross-entropy when a class is to be reached. The last query is the best picture.
    """

    card: ClassVar[AttackCard] = AttackCard(
        name="square",
        title="Square Attack",
        summary="Change a random square, keep what helps, try smaller squares: no gradient needed.",
        paper="Square Attack: a query-efficient black-box adversarial attack via random search",
        url="https://arxiv.org/abs/1912.00049",
        year=2019,
        access="score-based",
        kind="budget",
        rule=r"\delta \leftarrow \delta + \text{square of } \pm\epsilon \ \text{ if }\ \ell(x + "
        r"\delta_{\text{new}}) < \ell(x + \delta)",
        use="A network of which only the probabilities are known; strong, and blind to hidden gradients.",
    )

    epsilon: float = setting(
        None,
        "Largest change",
        "How far the picture may move in all: any single value (linf), or all of them together (l2).",
        by={
            norms.LINF.name: Range(8 / 255, 0, 1, 64 / 255, 0.25 / 255, "level"),
            norms.L2.name: Range(5, 0, 1000, 20, 0.05, "distance"),
        },
        main=True,
    )
    steps: int = setting(
        500,
        "Tries",
        "How many pictures are tried, one query each.",
        low=0,
        high=10_000,
        soft_high=5000,
        main=True,
    )
    norm: str = setting(
        norms.LINF.name,
        "Distance",
        "What counts as far: the largest change (linf) or its length (l2).",
        choices=norms.names(norms.LINF, norms.L2),
    )
    p_init: float = setting(
        0.8,
        "First share",
        "Which share of the picture the first squares cover.",
        low=0.001,
        high=1,
        step=0.01,
    )

    def search(self, x: Tensor, criterion: Criterion, rng: torch.Generator) -> Search:
        """Yield ``x``, every picture that is tried, and the best of them; see `Attack.search`."""
        yield Query(x, None)
        if self.steps:
            first = self.tried(0, x, x, rng)
            yield from self.onward(x, first, x, x.new_full((len(x),), math.inf), criterion, rng, 0)

    def onward(
        self, x: Tensor, adv: Tensor, best: Tensor, least: Tensor, criterion: Criterion,
        rng: torch.Generator, taken: int,
    ) -> Search:  # fmt: skip
        """Yield ``adv``, the try behind ``taken`` others, those that are left and the best of them all;
        ``least`` ``(n,)``: the loss of the ``best`` so far."""
        loss = criterion.loss if criterion.targeted else lambda logits: -criterion.margin(logits)
        for i in range(taken, self.steps):
            value = loss((yield Query(adv, None, (best, least, rng.get_state()))).logits)
            best, least = choose(value < least, adv, best), torch.minimum(value, least)
            if i + 1 < self.steps:
                adv = self.tried(i + 1, x, best, rng)
        yield Query(best, None)

    def tried(self, i: int, x: Tensor, best: Tensor, rng: torch.Generator) -> Tensor:
        """Return the picture of try ``i``: the first has stripes or tiles everywhere, later ones a square."""
        first, then = (stripes, squares) if self.norm == norms.LINF.name else (tiles, bumps)
        adv = then(x, best, self.side(i, x), self.epsilon, rng) if i else first(x, self.epsilon, rng)
        return norms.get(self.norm).project(x, adv.clamp(0, 1), self.epsilon)

    def resumes(self) -> bool:
        """Say that it does."""
        return True

    def resume(self, x: Tensor, newest: Query, criterion: Criterion, taken: int) -> Search:
        """Go on from the best so far with the chance that is left; see `Attack.resume`."""
        best, least, drawn = newest.memory
        rng = torch.Generator()
        rng.set_state(drawn.cpu())
        yield from self.onward(x, newest.x, best, least, criterion, rng, taken - 1)

    def side(self, i: int, x: Tensor) -> int:
        """Return the side of the square of try ``i``: the share p of the area, halved again and again."""
        p = self.p_init / 2 ** sum(i * 10_000 > after * self.steps for after in HALVINGS)
        height, width = x.shape[2:]
        side = max(round(math.sqrt(p * height * width)), 1)
        if self.norm == norms.L2.name:
            side = max(side + (side % 2 == 0), 3)
        return min(side, height, width)

    def updates(self) -> int:
        """Return the number of tries, and one for the best of them."""
        return self.steps + (self.steps > 0)

    def bound(self) -> tuple[str, float]:
        """Return (norm, epsilon)."""
        return self.norm, self.epsilon

    def stochastic(self) -> bool:
        """Say yes: squares fall where chance will have them."""
        return True


def stripes(x: Tensor, epsilon: float, rng: torch.Generator) -> Tensor:
    """Return ``x`` with every column of every channel moved up or down (section 4.1)."""
    return x + epsilon * signs((*x.shape[:2], 1, x.shape[3]), x, rng)


def squares(x: Tensor, best: Tensor, side: int, epsilon: float, rng: torch.Generator) -> Tensor:
    """Return ``best`` with a square in which each channel is moved all the way up or down (algorithm 2)."""
    inside = window(x, side, rng)[0]
    return torch.where(inside, x + epsilon * signs((*x.shape[:2], 1, 1), x, rng), best)


def tiles(x: Tensor, epsilon: float, rng: torch.Generator) -> Tensor:
    """Return ``x`` moved by ``epsilon`` along five by five bumps, each up or down (section 4.2)."""
    (n, c, height, width), side = x.shape, max(min(x.shape[2:]) // 5, 1)
    down, across = height // side, width // side
    grid = torch.kron(signs((n, c, down, across), x, rng), bump(side, False, x))
    top, left = (height - down * side) // 2, (width - across * side) // 2
    direction = torch.zeros_like(x)
    direction[:, :, top : top + down * side, left : left + across * side] = grid
    return reach(x, direction, epsilon)


def bumps(x: Tensor, best: Tensor, side: int, epsilon: float, rng: torch.Generator) -> Tensor:
    """Return ``x`` plus a change whose length went from one square into a bump in another (algorithm 3)."""
    change = best - x
    (first, row, column), (second, _, _) = (window(x, side, rng) for _ in range(2))
    unused = (epsilon**2 - norms.l2(change) ** 2).clamp(min=0)
    upright = (torch.rand(len(x), generator=rng) < 0.5).to(x.device)
    tall, flat = (bump(side, turned, x)[row, column][:, None] for turned in (True, False))
    shape = choose(upright, tall, flat)
    new = signs((*x.shape[:2], 1, 1), x, rng) * unit(shape * first) + unit(change * first)
    available = (length(change * (first | second)) ** 2 + wide(unused, x) / x.shape[1]).sqrt()
    return x + torch.where(first, unit(new) * available, change * ~second)


def bump(side: int, upright: bool, like: Tensor) -> Tensor:
    """Return two opposite hills ``(side, side)``: left and right, or top and bottom (section 4.2)."""
    left = side // 2
    both = torch.cat([hill(side, left, like), -hill(side, side - left, like)], 1)
    both = both / norms.l2(both[None])
    return both.T if upright else both


def hill(height: int, width: int, like: Tensor) -> Tensor:
    """Return ``(height, width)`` values that rise to the middle in rectangular steps (equation 2)."""
    half = height // 2
    down = (torch.arange(height, device=like.device) - height // 2).abs()
    across = (torch.arange(width, device=like.device) - width // 2).abs()
    level = half - torch.maximum(down[:, None], across[None])
    heights = torch.tensor([1 / (half + 1 - k) ** 2 for k in range(half + 1)], dtype=like.dtype).cumsum(0)
    return heights.to(like.device)[level]


def window(x: Tensor, side: int, rng: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Return a random square for each picture: which pixels ``(n, 1, h, w)`` it holds, and, of each pixel,
    its row and its column ``(n, h, w)`` there (those of the nearest one inside)."""
    place = torch.rand((2, len(x)), generator=rng)
    parts = []
    for size, share in zip(x.shape[2:], place, strict=True):
        start = (share * (size - side + 1)).long().clamp(max=size - side).to(x.device)
        parts.append(torch.arange(size, device=x.device) - start[:, None])
    inside = [(part >= 0) & (part < side) for part in parts]
    row, column = (part.clamp(0, side - 1) for part in parts)
    both = (inside[0][:, :, None] & inside[1][:, None, :])[:, None]
    return both, row[:, :, None], column[:, None, :]


def signs(shape: tuple[int, ...], like: Tensor, rng: torch.Generator) -> Tensor:
    """Return random signs, -1 or 1."""
    return (torch.randint(0, 2, shape, generator=rng) * 2 - 1).to(like)


def length(change: Tensor) -> Tensor:
    """Return the Euclidean length of each channel, ``(n, c, 1, 1)``."""
    size: Tensor = torch.linalg.vector_norm(change, dim=(2, 3), keepdim=True)
    return size


def unit(change: Tensor) -> Tensor:
    """Return each channel at length 1, or at 0 where it was 0."""
    size = length(change)
    return change / torch.where(size > 0, size, 1)
