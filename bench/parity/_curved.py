"""A strongly curved network and pictures of which a quarter of the values is saturated."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from attacks.contract import Attack, Criterion, Step, walk


class Curved(nn.Module):
    """Four convolutions with ReLU and tanh and all weights fourfold: ten classes."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        with torch.random.fork_rng():
            torch.manual_seed(0)
            for depth, (before, after) in enumerate([(3, 8), (8, 12), (12, 12), (12, 16)]):
                layers.append(nn.Conv2d(before, after, 3, 1 + depth % 2, 1))
                layers.append(nn.Tanh() if depth % 2 else nn.ReLU())
            self.body = nn.Sequential(*layers, nn.Flatten(), nn.Linear(256, 10)).requires_grad_(False)
        for weights in self.body.parameters():
            weights.mul_(4)
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        """Return logits ``(n, 10)`` of pictures ``(n, 3, 16, 16)``."""
        logits: Tensor = self.body(x)
        return logits


def case(targeted: bool, dtype: torch.dtype = torch.float32) -> tuple[Curved, Tensor, Criterion]:
    """Return the network, eight pictures, and the criterion: leave the class seen, or reach another."""
    net = Curved().to(dtype)
    x = torch.rand(8, 3, 16, 16, generator=torch.Generator().manual_seed(1)) * 1.34 - 0.17
    x = x.clamp(0, 1).to(dtype)
    own = net(x).argmax(1)
    return net, x, Criterion((own + 3) % 10 if targeted else own, targeted)


def run(attack: Attack, net: nn.Module, x: Tensor, criterion: Criterion) -> list[Step]:
    """Return every step of the attack, with seed 0."""
    return list(walk(attack.search(x, criterion, torch.Generator().manual_seed(0)), net, criterion))


def row(library: str, what: str, ours: Tensor, theirs: Tensor, differs: str = "") -> dict[str, object]:
    """Return one comparison: the largest difference of any value, and the verdict (``differs``: why)."""
    gap = (ours - theirs).abs().max().item()
    equal = "equal" if gap == 0 else f"equal to {gap:.0e}" if gap < 1e-5 else f"differs: {gap:.2g}"
    verdict = f"differs by design: {differs}" if differs else equal
    return {"library": library, "what": what, "difference": gap, "verdict": verdict}
