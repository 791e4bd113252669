"""What the attacks that look for the smallest perturbation are compared by: who fools, and how far away."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from attacks.contract import Attack, Criterion
from attacks.toolkit import norms
from bench.parity import _curved as curved
from bench.parity import _peers as peers

Finder = Callable[[nn.Module, Tensor, Criterion], Tensor]
"""What finds pictures: it is given a network, pictures and the criterion."""


def foolbox(name: str, **settings: Any) -> Finder:
    """Return what asks the foolbox attack ``name``."""

    def find(net: nn.Module, x: Tensor, criterion: Criterion) -> Tensor:
        criteria = importlib.import_module("foolbox.criteria")
        rule = criteria.TargetedMisclassification if criterion.targeted else criteria.Misclassification
        model = importlib.import_module("foolbox.models.pytorch").PyTorchModel(net, (0, 1), device="cpu")
        attack = getattr(importlib.import_module("foolbox.attacks"), name)(**settings)
        found: Tensor = attack.run(model, x, rule(criterion.label))
        return found

    return find


def adv_lib(name: str, **settings: Any) -> Finder:
    """Return what asks the adv_lib function ``name``."""

    def find(net: nn.Module, x: Tensor, criterion: Criterion) -> Tensor:
        attack = getattr(importlib.import_module("adv_lib.attacks"), name)
        found: Tensor = attack(net, x, criterion.label, targeted=criterion.targeted, **settings)
        return found.detach()

    return find


def torchattack(name: str, **settings: Any) -> Finder:
    """Return what asks the torchattacks class ``name``."""
    return lambda net, x, criterion: peers.torchattack(name, net, x, criterion, **settings)


def art(name: str, **settings: Any) -> Finder:
    """Return what asks the ART attack ``name``."""
    return lambda net, x, criterion: peers.art(name, net, x, criterion, **settings)


def compare(
    library: str,
    what: str,
    attack: Attack,
    finder: Finder,
    targeted: bool,
    norm: str = "l2",
    differs: str = "",
) -> list[dict[str, object]]:
    """Return the comparison as one row, or none where the library is not installed.

    The difference is that of the pictures where they are equal to 1e-5, and else how far the median ratio
    of the sizes is from 1, over the pictures that both fool. ``differs``: why they are not alike.
    """
    name = peers.version(library)
    if name is None:
        return []
    net, x, criterion = curved.case(targeted)
    pair = curved.run(attack, net, x, criterion)[-1].x, finder(net, x, criterion)
    fooled = [criterion.met(net(adv)) for adv in pair]
    ratio = (norms.SIZES[norm](pair[0] - x) / norms.SIZES[norm](pair[1] - x))[fooled[0] & fooled[1]]
    gap = (pair[0] - pair[1]).abs().max().item()
    middle = ratio.median().item() if len(ratio) else math.nan
    far = abs(middle - 1) if len(ratio) else "none to compare"
    words = "equal" if gap == 0 else f"equal to {gap:.0e}" if gap < 1e-5 else _sizes(ratio, middle, fooled)
    return [
        {
            "library": name,
            "what": f"{what}, {'' if targeted else 'un'}targeted",
            "difference": gap if gap < 1e-5 else far,
            "verdict": words + (f"; differs by design: {differs}" if differs and gap >= 1e-5 else ""),
        }
    ]


def _sizes(ratio: Tensor, middle: float, fooled: list[Tensor]) -> str:
    counts = f"{int(fooled[0].sum())} of {len(fooled[0])} fooled, there {int(fooled[1].sum())}"
    if not len(ratio):
        return counts
    off = abs(middle - 1)
    near = "within 1 %: " if off < 0.01 else "within 2 %: " if off < 0.02 else ""
    return f"{near}ours {middle:.3f} times as large ({ratio.min():.3f} to {ratio.max():.3f}), {counts}"
