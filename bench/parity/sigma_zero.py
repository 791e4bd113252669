"""σ-zero beside adv_lib's, in float64: at the threshold float32's last digit decides what is dropped."""

from __future__ import annotations

import importlib

import torch

from attacks.sigma_zero import SigmaZero
from bench.parity import _curved as curved
from bench.parity import _peers as peers


def rows() -> list[dict[str, object]]:
    """Return the comparisons; a library that is not installed is left out."""
    name = peers.version("adv_lib")
    return [_row(name, steps) for steps in (20, 100, 200)] if name else []


def _row(name: str, steps: int) -> dict[str, object]:
    net, x, criterion = curved.case(False, torch.float64)
    ours = curved.run(SigmaZero(steps=steps), net, x, criterion)[-1].x
    attack = importlib.import_module("adv_lib.attacks.sigma_zero").sigma_zero
    theirs = attack(net, x, criterion.label, num_steps=steps)
    fooled = criterion.met(net(theirs))
    what = f"{steps} steps, untargeted, float64, {int(fooled.sum())} of {len(x)} fooled and compared"
    return curved.row(name, what, ours[fooled], theirs[fooled])
