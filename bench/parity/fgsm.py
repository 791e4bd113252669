"""FGSM beside foolbox, torchattacks and ART."""

from __future__ import annotations

from attacks.fgsm import FGSM
from bench.parity import _curved as curved
from bench.parity import _peers as peers


def rows() -> list[dict[str, object]]:
    """Return the comparisons; a library that is not installed is left out."""
    return [row for targeted in (False, True) for level in (2, 8) for row in _rows(targeted, level)]


def _rows(targeted: bool, level: int) -> list[dict[str, object]]:
    net, x, criterion = at = curved.case(targeted)
    what, epsilon = f"linf {level}/255, {'' if targeted else 'un'}targeted", level / 255
    ours = curved.run(FGSM(epsilon=epsilon), net, x, criterion)[-1].x
    found = []
    if not targeted and (name := peers.version("foolbox")):  # whose attack cannot aim
        theirs = peers.foolbox("LinfFastGradientAttack", *at, epsilon, random_start=False)
        found.append(curved.row(name, what, ours, theirs))
    if name := peers.version("torchattacks"):
        theirs = peers.torchattack("FGSM", *at, eps=epsilon)
        found.append(curved.row(name, what, ours, theirs))
    if name := peers.version("ART"):
        theirs = peers.art("FastGradientMethod", *at, eps=epsilon)
        found.append(curved.row(name, what, ours, theirs))
    return found
