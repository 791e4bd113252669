"""Athalye, Engstrom, Ilyas, Kwok: Synthesizing Robust Adversarial Examples. https://arxiv.org/abs/1707.07397."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from attacks.bim import BIM
from attacks.contract import AttackCard, Criterion, Query, Search
from attacks.settings import setting
from attacks.toolkit import norms
from attacks.toolkit.transforms import TRANSFORMS

ANY = "any"


@dataclass(frozen=True)
class EOTPGD(BIM):
    """Projected gradient descent on the loss expected over random transforms, within a budget.

    Each step follows the mean gradient of ``samples`` freshly drawn transforms of the picture; they are
    probes beside it. What counts as fooled is the picture itself, untransformed.
    """

    card: ClassVar[AttackCard] = AttackCard(
        name="eot_pgd",
        title="EOT-PGD",
        summary="PGD for pictures that stay adversarial when resized, turned, blurred or compressed.",
        paper="Synthesizing Robust Adversarial Examples",
        url="https://arxiv.org/abs/1707.07397",
        year=2017,
        access="white-box",
        kind="budget",
        rule=r"x_{k+1} = \Pi_{B_\epsilon(x)}\,\mathrm{clip}_{[0,1]}\Bigl(x_k - \alpha\,\mathrm{sign}\,"
        r"\nabla_x\,\mathbb{E}_{t \sim T}\,\ell\bigl(t(x_k)\bigr)\Bigr)",
        use="Pictures that must survive a camera, a crop or a chat program; defences that answer at random.",
    )

    steps: int = setting(
        40, "Steps", "How often the gradient is followed.", low=0, high=10_000, soft_high=300, main=True
    )
    transform: str = setting(
        ANY,
        "Withstand",
        "What the picture is to survive; any: each sample draws one of them.",
        choices=(ANY, *TRANSFORMS),
        main=True,
    )
    strength: float = setting(
        0.3,
        "Strength",
        "How far a transform may go: 0 is next to nothing, 1 the most.",
        low=0,
        high=1,
        step=0.05,
    )
    samples: int = setting(
        8, "Samples a step", "How many transforms a step's mean is taken over.", low=1, high=32
    )

    def search(self, x: Tensor, criterion: Criterion, rng: torch.Generator) -> Search:
        """Yield ``x`` and one picture a step, with its transforms as probes; see `Attack.search`."""
        yield from self.expected(x, x, criterion, rng, self.steps)

    def expected(
        self, x: Tensor, adv: Tensor, criterion: Criterion, rng: torch.Generator, steps: int
    ) -> Search:
        """Yield ``adv`` and so many steps from there on."""
        norm, objective = norms.get(self.norm), criterion.repeat(self.samples + 1).loss
        for _ in range(steps):
            drawn = rng.get_state()
            # The gradient comes back with respect to the transformed pictures: one vector-Jacobian
            # product, with it as grad_outputs, carries it on to the picture itself.
            leaf = adv.detach().requires_grad_()
            with torch.enable_grad():
                seen = self.views(leaf, rng)
            answer = yield Query(torch.cat([adv, seen.detach()]), objective, (drawn,))
            (grad,) = torch.autograd.grad(seen, leaf, answer.gradient[len(x) :] / self.samples)
            adv = norm.project(x, norm.ascent_step(adv, -grad, self.step_size), self.epsilon)
        yield Query(adv, None)

    def resumes(self) -> bool:
        """Say that it does."""
        return True

    def resume(self, x: Tensor, newest: Query, criterion: Criterion, taken: int) -> Search:
        """Go on with the chance that is left; see `Attack.resume`."""
        rng = torch.Generator()
        rng.set_state(newest.memory[0].cpu())
        yield from self.expected(x, newest.x, criterion, rng, self.steps - taken)

    def images(self) -> int:
        """Return the samples of each step, and the picture itself beside them."""
        return self.updates() + 1 + self.steps * self.samples

    def stochastic(self) -> bool:
        """Return True: the transforms are drawn."""
        return True

    def views(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """Return ``samples`` random transforms of each picture: ``(samples n, c, h, w)``, row by row as in
        a `Query`."""
        names = [self.transform] * self.samples
        if self.transform == ANY:
            which = torch.randint(len(TRANSFORMS), (self.samples,), generator=rng)
            names = [list(TRANSFORMS)[i] for i in which.tolist()]
        parts = Counter(names).items()
        return torch.cat(
            [TRANSFORMS[name](x.repeat(times, 1, 1, 1), rng, self.strength) for name, times in parts]
        )
