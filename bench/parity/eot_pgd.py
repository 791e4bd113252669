"""EOT-PGD beside torchattacks, which is given the same transforms as a network that answers at random."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from attacks.eot_pgd import EOTPGD
from attacks.toolkit.transforms import TRANSFORMS
from bench.parity import _curved as curved
from bench.parity import _peers as peers

EPSILON, STEP, SAMPLES = 8 / 255, 2 / 255, 4


class Randomised(nn.Module):
    """A network behind a transform of which each call uses the next ``samples``-th of the same draws."""

    def __init__(self, net: nn.Module, attack: EOTPGD) -> None:
        super().__init__()
        self.net, self.attack, self.calls = net, attack, 0
        self.rng = torch.Generator().manual_seed(0)
        self.state = self.rng.get_state()

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of one view of each picture."""
        which = self.calls % self.attack.samples
        self.rng.set_state(self.state)
        views = self.attack.views(x, self.rng)
        self.calls += 1
        if which == self.attack.samples - 1:
            self.state = self.rng.get_state()
        logits: Tensor = self.net(views[which * len(x) : (which + 1) * len(x)])
        return logits


def rows() -> list[dict[str, object]]:
    """Return the comparisons; a library that is not installed is left out."""
    if not (name := peers.version("torchattacks")):
        return []
    found = []
    for transform in TRANSFORMS:
        net, x, criterion = curved.case(False)
        attack = EOTPGD(epsilon=EPSILON, step_size=STEP, steps=10, samples=SAMPLES, transform=transform)
        ours = curved.run(attack, net, x, criterion)[-1].x
        settings = {"eps": EPSILON, "alpha": STEP, "steps": 10, "eot_iter": SAMPLES, "random_start": False}
        theirs = peers.torchattack("EOTPGD", Randomised(net, attack), x, criterion, **settings)
        what = f"linf 8/255, step 2/255, 10 steps, {SAMPLES} draws of {transform}: share of other values"
        share = ((ours - theirs).abs() > 1e-6).float().mean()
        found.append(_row(name, what, share.item()))
    return found


def _row(name: str, what: str, share: float) -> dict[str, object]:
    verdict = "equal" if share == 0 else f"equal but for {share:.2%} of the signs, where rounding decides"
    return {"library": name, "what": what, "difference": share, "verdict": verdict}
