"""Brown et al.: Adversarial Patch. https://arxiv.org/abs/1712.09665."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from attacks.contract import Attack, AttackCard, Criterion, Query, Search
from attacks.settings import setting


@dataclass(frozen=True)
class AdversarialPatch(Attack):
    """A square of any colours, pasted on the picture, trained by signed steps on its values.

    With random placement each step also pastes it at ``samples`` random places, turns and sizes, and
    follows the mean of all their losses: the expectation of section 2. It begins as the part of the picture
    that it covers. Every query shows it at its own place.
    """

    card: ClassVar[AttackCard] = AttackCard(
        name="patch",
        title="Adversarial patch",
        summary="A square sticker that may look like anything, and takes over the answer.",
        paper="Adversarial Patch",
        url="https://arxiv.org/abs/1712.09665",
        year=2017,
        access="white-box",
        kind="free",
        rule=r"p \leftarrow \mathrm{clip}_{[0,1]}\bigl(p + \alpha\,\mathrm{sign}\,\nabla_p\, "
        r"\mathbb{E}_{t}\,[\log \Pr(y \mid A(p, x, t))]\bigr)",
        use="Changes that could be printed and put into a scene: visible, but only in one place.",
    )

    size: float = setting(
        0.3,
        "Size",
        "The square's side, as a share of the picture's shorter one.",
        low=0.01,
        high=1,
        step=0.01,
        main=True,
    )
    x: float = setting(
        0.5, "Across", "Its place: 0 is the left edge, 1 the right one.", low=0, high=1, step=0.01
    )
    y: float = setting(
        0.5, "Down", "Its place: 0 is the upper edge, 1 the lower one.", low=0, high=1, step=0.01
    )
    step_size: float = setting(
        8 / 255,
        "Step size",
        "How far one step moves every value of the square.",
        low=0,
        high=1,
        soft_high=64 / 255,
        step=1 / 255,
        unit="level",
        main=True,
    )
    steps: int = setting(
        60, "Steps", "How often the gradient is followed.", low=0, high=10_000, soft_high=300, main=True
    )
    placement: str = setting(
        "fixed",
        "Trained",
        "For its own place alone (fixed), or for other places, turns and sizes too (random).",
        choices=("fixed", "random"),
    )
    samples: int = setting(
        6, "Samples", "How many random placements each step averages over.", low=1, high=32
    )
    rotation: float = setting(
        22.5, "Largest turn", "Random placements turn by up to so many degrees.", low=0, high=180, step=0.5
    )
    resize: float = setting(
        0.2,
        "Largest resize",
        "Random placements grow or shrink by up to this share.",
        low=0,
        high=0.9,
        step=0.05,
    )

    def search(self, x: Tensor, criterion: Criterion, rng: torch.Generator) -> Search:
        """Yield ``x`` and one picture a step, later ones beside random placements; see `Attack.search`."""
        top, left, side = self.square(x)
        patch = x[:, :, top : top + side, left : left + side]
        placements = x.new_empty((0, len(x), 4))
        for _ in range(self.steps):
            with torch.enable_grad():
                leaf = patch.clone().requires_grad_()
                pasted = torch.cat(
                    [self.cover(x, leaf), *(self.place(x, leaf, placement) for placement in placements)]
                )
            answer = yield Query(pasted.detach(), criterion.repeat(len(placements) + 1).loss)
            (slope,) = torch.autograd.grad(pasted, leaf, answer.gradient)
            patch = (patch - self.step_size * slope.sign()).clamp(0, 1)
            if self.placement == "random":
                placements = torch.rand((self.samples, len(x), 4), generator=rng, dtype=x.dtype).to(x.device)
        yield Query(self.cover(x, patch), None)

    def square(self, x: Tensor) -> tuple[int, int, int]:
        """Return the upper edge, the left edge and the side of the square, in pixels."""
        height, width = x.shape[2:]
        side = max(round(self.size * min(height, width)), 1)
        return round(self.y * (height - side)), round(self.x * (width - side)), side

    def cover(self, x: Tensor, patch: Tensor) -> Tensor:
        """Return ``x`` with the patch ``(n, c, side, side)`` at its own place."""
        (top, left, side), (height, width) = self.square(x), x.shape[2:]
        margins = (left, width - left - side, top, height - top - side)
        inside = functional.pad(torch.ones_like(patch[:1, :1]), margins) > 0
        return torch.where(inside, functional.pad(patch, margins), x)

    def place(self, x: Tensor, patch: Tensor, placement: Tensor) -> Tensor:
        """Return ``x`` with the patch turned, resized and placed as ``(n, 4)`` numbers in [0, 1] say."""
        (n, _, height, width), side = x.shape, patch.shape[3]
        angle, resize = (2 * placement[:, :2] - 1).T
        angle, scale = (angle * self.rotation).deg2rad(), 1 + resize * self.resize
        middle = (placement[:, 2:] - 0.5) * torch.tensor([width - side, height - side]).to(placement)
        cos, sin = angle.cos(), angle.sin()
        # From each pixel, in units of half the picture, to the patch's own, in units of half its side.
        back = torch.stack([cos, -sin, sin, cos], 1).view(n, 2, 2) * (2 / (side * scale))[:, None, None]
        shift = -back @ middle[:, :, None]
        back = back * torch.tensor([width / 2, height / 2]).to(placement)
        places = functional.affine_grid(
            torch.cat([back, shift], 2), [n, 1, height, width], align_corners=False
        )
        inside = (places.abs() <= 1).all(-1)[:, None]
        seen = functional.grid_sample(patch, places, padding_mode="border", align_corners=False)
        return torch.where(inside, seen, x)

    def updates(self) -> int:
        """Return the number of steps."""
        return self.steps

    def images(self) -> int:
        """Return the samples of each step, where there are any, and the picture itself beside them."""
        samples = self.samples if self.placement == "random" else 0
        return self.updates() + 1 + self.steps * samples

    def stochastic(self) -> bool:
        """Say whether placements are random."""
        return self.placement == "random"
