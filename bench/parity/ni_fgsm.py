"""NI-FGSM beside torchattacks."""

from __future__ import annotations

from attacks.ni_fgsm import NIFGSM
from bench.parity import _curved as curved
from bench.parity import _peers as peers

EPSILON, STEP = 8 / 255, 2 / 255


def rows() -> list[dict[str, object]]:
    """Return the comparisons; a library that is not installed is left out."""
    name, found = peers.version("torchattacks"), []
    for targeted in (False, True) if name else ():
        for steps in (1, 5, 20):
            net, x, criterion = at = curved.case(targeted)
            what = f"linf 8/255, step 2/255, momentum 1, {steps} steps, {'' if targeted else 'un'}targeted"
            attack = NIFGSM(epsilon=EPSILON, step_size=STEP, steps=steps)
            ours = curved.run(attack, net, x, criterion)[-1].x
            theirs = peers.torchattack("NIFGSM", *at, eps=EPSILON, alpha=STEP, steps=steps, decay=1.0)
            found.append(curved.row(str(name), what, ours, theirs))
    return found
