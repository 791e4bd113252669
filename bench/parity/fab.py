"""FAB beside adv_lib and torchattacks: the sizes of what they find."""

from __future__ import annotations

import importlib
from collections.abc import Iterator

import torch
from torch import Tensor

from attacks.contract import Criterion
from attacks.fab import FAB
from attacks.toolkit import norms
from bench.parity import _curved as curved
from bench.parity import _peers as peers

ORDERS = {"linf": float("inf"), "l2": 2.0, "l1": 1.0}


def rows() -> list[dict[str, object]]:
    """Return the comparisons; a library that is not installed is left out."""
    return [row for norm in ORDERS for row in _rows(norm)]


def _rows(norm: str, steps: int = 50) -> Iterator[dict[str, object]]:
    net, x, criterion = curved.case(False)
    ours = curved.run(FAB(norm=norm, steps=steps), net, x, criterion)[-1].x
    what = f"{norm}, {steps} steps: median size over theirs"
    if name := peers.version("adv_lib"):
        attack = importlib.import_module("adv_lib.attacks").fab
        theirs = attack(net, x, criterion.label, norm=ORDERS[norm], n_iter=steps)
        yield _row(name, what, norm, net, criterion, x, ours, theirs)
    if norm != "l1" and (name := peers.version("torchattacks")):  # which has no l1, though it says so
        settings = {"norm": norm.capitalize(), "eps": 1e6, "steps": steps}
        theirs = peers.torchattack("FAB", net, x, criterion, **settings)
        yield _row(name, what, norm, net, criterion, x, ours, theirs)


def _row(
    name: str,
    what: str,
    norm: str,
    net: curved.Curved,
    criterion: Criterion,
    x: Tensor,
    *pair: Tensor,
) -> dict[str, object]:
    size = norms.SIZES[norm]
    fooled = [int(criterion.met(net(adv)).sum()) for adv in pair]
    ratio = (size(pair[0] - x) / size(pair[1] - x)).nan_to_num(torch.inf)
    near = "within 1 %: " if abs(ratio.median() - 1) < 0.01 else ""
    verdict = near + f"ours {ratio.median():.3f} times as large ({ratio.min():.3f} to {ratio.max():.3f}), "
    verdict += f"{fooled[0]} of {len(x)} fooled, there {fooled[1]}"
    return {"library": name, "what": what, "difference": abs(ratio.median().item() - 1), "verdict": verdict}
