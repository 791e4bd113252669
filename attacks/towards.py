"""Evans: How to trick a neural network into thinking a panda is a vulture. https://codewords.recurse.com/issues/five/why-do-neural-networks-think-a-panda-is-a-vulture."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor

from attacks.contract import Attack, AttackCard, Criterion, Query, Search
from attacks.settings import Range, setting
from attacks.toolkit import norms


@dataclass(frozen=True)
class TowardsClass(Attack):
    """Step after step towards a class, or away from it, with no budget.

    The article goes ``image + step * sign(gradient of the class's probability)``, for .9 of a
    grey level in all, and never clips: pixels may leave [0, 1] by less than a level. Turn
    ``clip`` off for that.
    """

    card: ClassVar[AttackCard] = AttackCard(
        name="towards",
        title="Towards a class",
        summary="Nudge every pixel towards a class, or away from it, a fraction of a grey level at a time.",
        paper="How to trick a neural network into thinking a panda is a vulture",
        url="https://codewords.recurse.com/issues/five/why-do-neural-networks-think-a-panda-is-a-vulture",
        year=2016,
        access="white-box",
        kind="free",
        rule=r"x_{k+1} = x_k + \alpha\,\mathrm{sign}\,\nabla_x \log p_t(x_k)",
        use="Telling the story: no budget, no trick, only a nudge repeated until the network says the class.",
    )

    step_size: float = setting(
        None,
        "Step size",
        "How far one step moves: every single value (linf), or all of them together (l2).",
        by={
            norms.LINF.name: Range(0.02 / 255, 0, 1, 1 / 255, 0.01 / 255, "level"),
            norms.L2.name: Range(0.03, 0, 1000, 2, 0.01, "distance"),
        },
        main=True,
    )
    steps: int = setting(
        100, "Steps", "How often the gradient is followed.", low=0, high=10_000, soft_high=500, main=True
    )
    norm: str = setting(
        norms.LINF.name,
        "Direction",
        "Move every value alike, along the gradient's sign (linf), or along the gradient itself (l2).",
        choices=norms.names(norms.LINF, norms.L2),
    )
    ascend: str = setting(
        "log-probability",
        "Climb",
        "What to raise. Probability and its logarithm point alike; the logit ignores the other classes.",
        choices=("log-probability", "probability", "logit"),
    )
    clip: bool = setting(
        True, "Keep to real colours", "Off: values may go below 0 and above 1, as in the article."
    )

    def search(self, x: Tensor, criterion: Criterion, rng: torch.Generator) -> Search:
        """Yield ``x`` and one picture a step; see `Attack.search`."""
        yield from self.climb(x, criterion, self.steps)

    def climb(self, adv: Tensor, criterion: Criterion, steps: int) -> Search:
        """Yield ``adv`` and one picture for each of so many steps from there on."""
        norm, height = norms.get(self.norm), partial(objective, self.ascend, criterion)
        answer = yield Query(adv, height if steps else None)
        for left in reversed(range(steps)):
            adv = adv - self.step_size * norm.steepest(answer.gradient)
            adv = adv.clamp(0, 1) if self.clip else adv
            answer = yield Query(adv, height if left else None)

    def resumes(self) -> bool:
        """Say that it does."""
        return True

    def resume(self, x: Tensor, newest: Query, criterion: Criterion, taken: int) -> Search:
        """Climb on from ``newest`` for the steps that are left; see `Attack.resume`."""
        yield from self.climb(newest.x, criterion, self.steps - taken)

    def updates(self) -> int:
        """Return the number of steps."""
        return self.steps

    def boxed(self) -> bool:
        """Say whether pictures are clamped to [0, 1]."""
        return self.clip


def objective(ascend: str, criterion: Criterion, logits: Tensor) -> Tensor:
    """Return ``(n,)`` values to *minimise*: minus the target's height, or the height of the class to leave.

    ``ascend``: "log-probability", "probability" or "logit". Of the probability p the gradient
    returned is that of its logarithm, which is the true one divided by p: only its direction
    is used, and at p = 1e-30 the true one would underflow in float32 to no direction at all.
    """
    own = criterion.label[:, None].to(logits.device)
    height = (logits if ascend == "logit" else torch.log_softmax(logits, 1)).gather(1, own)[:, 0]
    if ascend == "probability":
        height = height.detach().exp() + (height - height.detach())
    return -height if criterion.targeted else height
