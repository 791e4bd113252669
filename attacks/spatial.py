"""Engstrom et al.: Exploring the Landscape of Spatial Robustness. https://arxiv.org/abs/1712.02779."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from attacks.contract import Attack, AttackCard, Criterion, Query, Search
from attacks.settings import setting
from attacks.toolkit.batch import choose

AT_ONCE = 32
"""How many pictures are asked about beside the one that is shown."""


@dataclass(frozen=True)
class Spatial(Attack):
    """Turn and shift the picture in every way of a grid, and keep the worst (section 3.3, "grid search").

    What comes in from beyond the edge is black. Each query shows the worst picture so far, beside the ones
    that are tried; the untouched picture is not among them.
    """

    card: ClassVar[AttackCard] = AttackCard(
        name="spatial",
        title="Spatial (rotate and shift)",
        summary="Nothing but a turn and a shift: every one on a grid is tried, and the worst is kept.",
        paper="Exploring the Landscape of Spatial Robustness",
        url="https://arxiv.org/abs/1712.02779",
        year=2017,
        access="score-based",
        kind="free",
        rule=r"x_{\text{adv}} = T_{\theta,\,t}(x),\qquad "
        r"(\theta, t) = \arg\max_{\text{grid}} \ell\bigl(T_{\theta,\,t}(x)\bigr)",
        use="Seeing that a network can fail on a picture that nobody would call changed.",
    )

    rotation: float = setting(
        30.0, "Largest turn", "In degrees, to either side.", low=0, high=180, step=1, main=True
    )
    translation: float = setting(
        0.1,
        "Largest shift",
        "To each side, as a share of the picture's width or height.",
        low=0,
        high=1,
        soft_high=0.5,
        step=0.01,
        main=True,
    )
    angles: int = setting(31, "Turns", "How many turns the grid has.", low=1, high=361, soft_high=61)
    shifts: int = setting(
        5, "Shifts", "How many shifts the grid has, across and again down.", low=1, high=31, soft_high=11
    )

    def search(self, x: Tensor, criterion: Criterion, rng: torch.Generator) -> Search:
        """Yield ``x``, the worst picture so far beside those tried, and the worst; see `Attack.search`."""
        yield Query(x, None)
        moves = self.grid()
        worst = move(x, moves[:1])[0] if len(moves) else x
        top = x.new_full((len(x),), -math.inf)
        for part in moves.split(AT_ONCE) if len(moves) else ():
            tried = move(x, part)
            answer = yield Query(torch.cat([worst, tried.flatten(0, 1)]), None)
            margin = criterion.repeat(len(part) + 1).margin(answer.logits).view(len(part) + 1, -1)[1:]
            most, index = margin.max(0)
            worst = choose(most > top, tried[index, torch.arange(len(x), device=x.device)], worst)
            top = torch.maximum(most, top)
        if len(moves):
            yield Query(worst, None)

    def grid(self) -> Tensor:
        """Return every turn and shift ``(k, 3)`` but none at all: degrees, shares across and down."""
        turns = spread(self.rotation, self.angles)
        shifts = spread(self.translation, self.shifts)
        moves = torch.cartesian_prod(turns, shifts, shifts)
        return moves[moves.any(1)]

    def updates(self) -> int:
        """Return how many queries the grid takes, and one for the worst of it."""
        count = len(self.grid())
        return math.ceil(count / AT_ONCE) + (count > 0)

    def images(self) -> int:
        """Return the grid's pictures, and for each of its queries the worst one beside them."""
        return len(self.grid()) + self.updates() + 1


def spread(largest: float, count: int) -> Tensor:
    """Return ``count`` numbers from -largest to largest, or fewer where they are alike; one alone is 0."""
    numbers = torch.linspace(-largest, largest, count, dtype=torch.float64)
    different: Tensor = (numbers if count > 1 else numbers * 0).unique()
    return different


def move(x: Tensor, moves: Tensor) -> Tensor:
    """Return ``x`` turned around its middle, then shifted: for each of ``(k, 3)`` ways, ``(k, n, c, h, w)``.

    Degrees go counterclockwise, shifts to the right and down. Values between pixels are bilinear.
    """
    height, width = x.shape[2:]
    angle, right, down = moves.deg2rad()[:, 0], moves[:, 1], moves[:, 2]
    cos, sin, ratio = angle.cos(), angle.sin(), height / width
    # From where in the original each place is taken, in units of half a width and half a height.
    back = torch.stack([cos, -sin * ratio, sin / ratio, cos], 1).view(-1, 2, 2)
    offset = -back @ torch.stack([2 * right, 2 * down], 1)[:, :, None]
    affine = torch.cat([back, offset], 2).to(x)
    moved = []
    for matrix in affine:
        places = functional.affine_grid(matrix.expand(len(x), 2, 3), list(x.shape), align_corners=False)
        moved.append(functional.grid_sample(x, places, align_corners=False))
    return torch.stack(moved).clamp(0, 1)
