"""BIM beside foolbox, torchattacks and ART under linf."""

from __future__ import annotations

from typing import Any

from attacks.bim import BIM
from bench.parity import _curved as curved
from bench.parity import _peers as peers

EPSILON, STEP = 8 / 255, 2 / 255


def rows() -> list[dict[str, object]]:
    """Return the comparisons; a library that is not installed is left out."""
    return [row for targeted in (False, True) for steps in (1, 5, 20) for row in _rows(targeted, steps)]


def _rows(targeted: bool, steps: int) -> list[dict[str, object]]:
    net, x, criterion = at = curved.case(targeted)
    what = f"linf 8/255, step 2/255, {steps} steps, {'' if targeted else 'un'}targeted"
    attack = BIM(epsilon=EPSILON, step_size=STEP, steps=steps)
    ours = curved.run(attack, net, x, criterion)[-1].x
    found = []
    if name := peers.version("foolbox"):
        options: dict[str, Any] = {"abs_stepsize": STEP, "steps": steps, "random_start": False}
        theirs = peers.foolbox("LinfBasicIterativeAttack", *at, EPSILON, **options)
        found.append(curved.row(name, what, ours, theirs))
    if name := peers.version("torchattacks"):
        theirs = peers.torchattack("BIM", *at, eps=EPSILON, alpha=STEP, steps=steps)
        found.append(curved.row(name, what, ours, theirs))
    if name := peers.version("ART"):
        theirs = peers.art("BasicIterativeMethod", *at, eps=EPSILON, eps_step=STEP, max_iter=steps)
        found.append(curved.row(name, what, ours, theirs))
    return found
