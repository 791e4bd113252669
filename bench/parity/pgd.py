"""PGD beside torchattacks and ART under linf and l2, and the l1 ball beside ART's and adv_lib's."""

from __future__ import annotations

import importlib
from typing import Any

import torch
from torch import Tensor

from attacks.contract import Criterion
from attacks.pgd import PGD
from attacks.toolkit import norms
from bench.parity import _curved as curved
from bench.parity import _peers as peers

EPSILON, STEP = {"linf": 8 / 255, "l2": 0.7, "l1": 8.0}, {"linf": 2 / 255, "l2": 0.15, "l1": 1.0}
CLIPS_LAST = "torchattacks clips after it projects; clip, then project, uses the whole budget"
ONE_VALUE = "ART moves one value a step, saturated or not; we fill up those that have room"
DENSE = "foolbox steps on the hundredth of all values with the largest gradient, saturated or not"


def rows() -> list[dict[str, object]]:
    """Return the comparisons; a library that is not installed is left out."""
    cases = [
        (norm, targeted, steps) for norm in EPSILON for targeted in (False, True) for steps in (1, 5, 20)
    ]
    return _balls() + [row for case in cases for row in _rows(*case)]


def _rows(norm: str, targeted: bool, steps: int) -> list[dict[str, object]]:
    net, x, criterion = at = curved.case(targeted)
    epsilon, step = EPSILON[norm], STEP[norm]
    attack = PGD(norm=norm, epsilon=epsilon, step_size=step, steps=steps)
    ours = curved.run(attack, net, x, criterion)[-1].x
    what = f"{norm} {epsilon:.3g}, step {step:.3g}, {steps} steps, {'' if targeted else 'un'}targeted"
    found = []
    if norm != "l1" and (name := peers.version("torchattacks")):
        kind = {"linf": "PGD", "l2": "PGDL2"}[norm]
        theirs = peers.torchattack(kind, *at, eps=epsilon, alpha=step, steps=steps, random_start=False)
        found.append(curved.row(name, what, ours, theirs, CLIPS_LAST if norm == "l2" else ""))
    if name := peers.version("ART"):
        order = {"linf": "inf", "l2": 2, "l1": 1}[norm]
        options: dict[str, Any] = {"norm": order, "eps": epsilon, "eps_step": step, "max_iter": steps}
        theirs = peers.art("ProjectedGradientDescentPyTorch", *at, **options)
        gain = _gain(net, criterion, ours, theirs) if norm == "l1" else ""
        found.append(curved.row(name, what, ours, theirs, ONE_VALUE + gain if norm == "l1" else ""))
    if norm == "l1" and (name := peers.version("foolbox")):
        options = {"abs_stepsize": step, "steps": steps, "random_start": False}
        theirs = peers.foolbox("SparseL1DescentAttack", *at, epsilon, **options)
        found.append(curved.row(name, what, ours, theirs, DENSE + _gain(net, criterion, ours, theirs)))
    return found


def _gain(net: curved.Curved, criterion: Criterion, ours: Tensor, theirs: Tensor) -> str:
    ahead = int((criterion.margin(net(ours)) > criterion.margin(net(theirs))).sum())
    return f" (our margin is the higher one on {ahead} of {len(ours)} pictures)"


def _balls() -> list[dict[str, object]]:
    x = curved.case(False)[1]
    adv = (x + 0.3 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    ours, found = norms.L1.project(x, adv, 8.0), []
    if name := peers.version("ART"):
        delta = importlib.import_module("art.utils").projection_l1_1(
            (adv - x).flatten(1).double().numpy(), 8.0
        )
        theirs = x + torch.from_numpy(delta).to(x.dtype).view_as(x)
        found.append(curved.row(name, "projection into the l1 ball of size 8", ours, theirs))
    if name := peers.version("adv_lib"):
        project = importlib.import_module("adv_lib.attacks.auto_pgd").l1_projection
        theirs = adv + project(x, adv - x, torch.full((len(x),), 8.0))
        found.append(curved.row(name, "projection into the l1 ball of size 8", ours, theirs))
    return found
